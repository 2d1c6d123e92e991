"""The wire format of a streamed Completions answer: the same object as a whole one, piece by piece.

Field order and presence follow recorded answers: `usage: null` on every chunk if usage was asked, and no `usage` key if
it was not. Types: `openai.types.Completion`.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from translators.sse import encode_data, escape_line_breaks
from translators.stop_reasons import PlainFinishReason
from translators.usage import CompletionUsage

__all__ = ["CompletionChunk", "TextChoice", "encode_chunk"]


class TextChoice(msgspec.Struct, frozen=True, gc=False):
    """One choice, or a piece of it."""

    text: str
    index: int
    logprobs: None = None
    finish_reason: PlainFinishReason | None = None


class CompletionChunk(msgspec.Struct, frozen=True, gc=False):
    """One chunk. `created` is in seconds since 1970; id, created and model are the same in all chunks of an answer."""

    id: str
    object: Literal["text_completion"]
    created: int
    choices: tuple[TextChoice, ...]
    model: str
    usage: CompletionUsage | UnsetType | None = UNSET


_encode = msgspec.json.Encoder().encode


def encode_chunk(chunk: CompletionChunk) -> bytes:
    """Encode as a whole SSE event."""
    return encode_data(escape_line_breaks(_encode(chunk)))

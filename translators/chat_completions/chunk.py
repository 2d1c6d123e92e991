"""The wire format of a streamed Chat Completions answer: `chat.completion.chunk` and its bytes.

Field order and presence follow recorded answers: `id`, `type` and `name` only on a tool call's opening delta, `refusal:
null` on the role delta, `logprobs: null` on every choice, `usage: null` on every chunk if usage was asked and no
`usage` key if it was not. `obfuscation` is left out, as with `stream_options.include_obfuscation: false`. Types:
`openai.types.chat.ChatCompletionChunk`, to which streamed custom tools, `annotations` and `reasoning_content` (the name
that DeepSeek gave it, read by many clients) are added.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from translators.sse import encode_data, escape_line_breaks
from translators.usage import CompletionUsage, ServiceTier

__all__ = [
    "SYSTEM_FINGERPRINT",
    "Annotation",
    "ChatCompletionChunk",
    "Choice",
    "ChoiceDelta",
    "CustomDelta",
    "FinishReason",
    "FunctionDelta",
    "ToolCallDelta",
    "UrlCitation",
    "encode_chunk",
]

type FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]

SYSTEM_FINGERPRINT = "fp_c1a0de0a01"
"""Stands for this translation, not for Claude's configuration, which is not told: the same in every answer."""


class FunctionDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a function call; `name` only on the opening one."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class CustomDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the raw input of a custom tool; `name` only on the opening one."""

    name: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class ToolCallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the tool call number `index` of the choice, counted from 0 over tool calls alone."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    function: FunctionDelta | UnsetType = UNSET
    custom: CustomDelta | UnsetType = UNSET


class UrlCitation(msgspec.Struct, frozen=True, gc=False):
    """A web page that the characters `start_index` to `end_index` (exclusive) of the content rest on."""

    end_index: int
    start_index: int
    title: str
    url: str


class Annotation(msgspec.Struct, frozen=True, gc=False):
    """An annotation of the content; OpenAI's Chat Completions know only this type."""

    type: Literal["url_citation"]
    url_citation: UrlCitation


class ChoiceDelta(msgspec.Struct, frozen=True, gc=False):
    """What a chunk adds to the message of its choice."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    function_call: FunctionDelta | UnsetType = UNSET
    tool_calls: tuple[ToolCallDelta, ...] | UnsetType = UNSET
    refusal: str | UnsetType | None = UNSET
    annotations: tuple[Annotation, ...] | UnsetType = UNSET


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One choice's part of a chunk."""

    index: int
    delta: ChoiceDelta
    logprobs: None = None
    finish_reason: FinishReason | None = None


class ChatCompletionChunk(msgspec.Struct, frozen=True, gc=False):
    """One chunk.

    `created` is in seconds since 1970; id, created, model and fingerprint are the same in all chunks of an answer.
    """

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    service_tier: ServiceTier
    system_fingerprint: str
    choices: tuple[Choice, ...]
    usage: CompletionUsage | UnsetType | None = UNSET


_encode = msgspec.json.Encoder().encode


def encode_chunk(chunk: ChatCompletionChunk) -> bytes:
    """Encode as a whole SSE event."""
    return encode_data(escape_line_breaks(_encode(chunk)))

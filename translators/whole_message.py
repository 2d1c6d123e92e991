"""A whole message of Claude as the events of a stream, so that what translates streams translates it too.

Results of batches are whole messages (https://platform.claude.com/docs/en/build-with-claude/batch-processing). Each
block comes in its start, with the bytes that Claude sent; only where it has citations these follow, and then its text,
because streams read them from deltas, before the text that rests on them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from translators.claude_events import Delta, Event, MalformedEventError, Message, Usage
from translators.errors import OpenAIError
from translators.phases import IllegalEventOrderError

__all__ = ["read_usage", "split_message", "translate_message"]

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_message_decoder = msgspec.json.Decoder(Message)
_block_decoder = msgspec.json.Decoder(dict[str, Any])


def split_message(data: bytes | Raw) -> list[Event]:
    """Split the JSON of a message into events, from `message_start` to `message_stop`.

    Raises:
        MalformedEventError: it is not JSON, or no message.
    """
    try:
        message = _message_decoder.decode(data)
        blocks = [event for index, raw in enumerate(message.content or ()) for event in _split_block(index, raw)]
    except _UNREADABLE as error:
        raise MalformedEventError(f"a message of an unknown shape: {error}") from error
    opened = msgspec.structs.replace(message, content=(), stop_reason=None, stop_details=None)
    ended = Delta(stop_reason=message.stop_reason, stop_details=message.stop_details)
    return [
        Event("message_start", message=opened),
        *blocks,
        Event("message_delta", delta=ended, usage=message.usage),
        Event("message_stop"),
    ]


def _split_block(index: int, raw: Raw) -> Iterator[Event]:
    block = _block_decoder.decode(raw)
    citations = block.get("citations") if block.get("type") == "text" else None
    if not citations or not isinstance(citations, list):
        yield Event("content_block_start", index=index, content_block=raw)
    else:
        start = Raw(msgspec.json.encode({**block, "text": "", "citations": None}))
        yield Event("content_block_start", index=index, content_block=start)
        for citation in citations:
            delta = Delta("citations_delta", citation=Raw(msgspec.json.encode(citation)))
            yield Event("content_block_delta", index=index, delta=delta)
        yield Event("content_block_delta", index=index, delta=Delta("text_delta", text=str(block.get("text", ""))))
    yield Event("content_block_stop", index=index)


class MessageStream[Piece](Protocol):
    """Translates Claude's events: the stream of an endpoint."""

    @property
    def paused(self) -> bool:
        """Whether Claude wants its answer sent back, to go on."""

    def translate(self, event: Event) -> Sequence[Piece]:
        """Translate one event."""


def translate_message[Piece](stream: MessageStream[Piece], data: bytes | Raw) -> list[Piece]:
    """Have the JSON of a whole message translated, as if it had been streamed.

    Raises:
        OpenAIError: it cannot be read, or Claude paused and would have to be asked again.
    """
    try:
        pieces = [piece for event in split_message(data) for piece in stream.translate(event)]
    except (MalformedEventError, IllegalEventOrderError) as error:
        raise OpenAIError(502, f"The answer could not be read: {error}.", "server_error", "upstream_broken") from error
    if stream.paused:
        message = "Claude paused after the searches of one request, and would have to be asked again to go on."
        raise OpenAIError(502, message, "server_error", "incomplete_turn")
    return pieces


def read_usage(data: bytes | Raw) -> Usage:
    """Read the counts of a whole message; none of one that cannot be read."""
    try:
        return _message_decoder.decode(data).usage or Usage()
    except _UNREADABLE:
        return Usage()

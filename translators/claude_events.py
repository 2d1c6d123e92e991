"""Claude's streaming events, from the bytes of one SSE `data:` line to typed values.

One open structure for all event types, because unknown types, blocks, deltas and fields must be tolerated
(https://platform.claude.com/docs/en/build-with-claude/streaming). The names are those of
`anthropic.types.RawMessageStreamEvent`; a test holds the two together.
"""

from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

__all__ = [
    "CacheCreation",
    "Container",
    "ContentBlock",
    "Delta",
    "ErrorDetail",
    "Event",
    "MalformedEventError",
    "Message",
    "OutputTokensDetails",
    "ServerToolUse",
    "StopDetails",
    "Usage",
    "parse_content_block",
    "parse_event",
]


class CacheCreation(msgspec.Struct, frozen=True, gc=False):
    """Input tokens written to the cache, by time to live."""

    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class OutputTokensDetails(msgspec.Struct, frozen=True, gc=False):
    """Parts of `output_tokens`."""

    thinking_tokens: int = 0


class ServerToolUse(msgspec.Struct, frozen=True, gc=False):
    """Requests that Claude's own tools made."""

    web_search_requests: int = 0
    web_fetch_requests: int = 0


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Token counts. In `message_delta` they are cumulative, and None means "as `message_start` said", not zero."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputTokensDetails | None = None
    server_tool_use: ServerToolUse | None = None
    service_tier: str | None = None
    speed: str | None = None


class Container(msgspec.Struct, frozen=True, gc=False):
    """The sandbox that Claude's code execution used."""

    id: str = ""


class StopDetails(msgspec.Struct, frozen=True, gc=False):
    """Why Claude refused."""

    type: str = ""
    category: str | None = None
    explanation: str | None = None


class Message(msgspec.Struct, frozen=True):
    """The message that `message_start` opens; its content comes in the blocks that follow.

    Only where Claude made it up without generating (a call that its own code execution asks for) it has content, and a
    stop reason, from the start, and nothing but `message_stop` follows.
    """

    id: str = ""
    model: str = ""
    content: tuple[Raw, ...] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    container: Container | None = None
    usage: Usage | None = None


class ContentBlock(msgspec.Struct, frozen=True):
    """The block that `content_block_start` opens. Only the fields of its own type are set."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: Any = None


class Delta(msgspec.Struct, frozen=True):
    """The delta of a `content_block_delta` (which has a type) or of a `message_delta` (which has none)."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: Raw | UnsetType = UNSET
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    container: Container | None = None


class ErrorDetail(msgspec.Struct, frozen=True, gc=False):
    """The error of an `error` event, which may come after a status of 200."""

    type: str = "api_error"
    message: str = ""


class Event(msgspec.Struct, frozen=True):
    """One event. Which fields are set depends on `type`; an unknown `type` is to be passed over.

    `content_block` keeps the block's own bytes, so that it can be sent back to Claude unmodified.
    """

    type: str
    index: int = 0
    message: Message | None = None
    content_block: Raw | UnsetType = UNSET
    delta: Delta | None = None
    usage: Usage | None = None
    error: ErrorDetail | None = None


class MalformedEventError(ValueError):
    """The bytes of an event are not JSON, or an event of a known type has not its documented shape."""


_KNOWN_TYPES = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    }
)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises: the second one for a string that is not UTF-8, the third for JSON nested ten thousand deep."""
_event_decoder = msgspec.json.Decoder(Event)
_block_decoder = msgspec.json.Decoder(ContentBlock)


def parse_event(data: bytes) -> Event | None:
    """Parse the payload of one SSE event.

    Returns None for what a client has to pass over: valid JSON that is not an event of a known type (other shapes
    included).

    Raises:
        MalformedEventError: not JSON, or a known type in an unknown shape.
    """
    try:
        event = _event_decoder.decode(data)
    except _UNREADABLE as error:
        return _parse_unusual_event(data, error)
    return event if event.type in _KNOWN_TYPES else None


def _parse_unusual_event(data: bytes, error: Exception) -> Event | None:
    """Parse what has not the shape of an event.

    msgspec stops at the first difference, so the rest may not even be JSON.
    """
    try:
        value = msgspec.json.decode(data)
    except _UNREADABLE as syntax_error:
        raise MalformedEventError(f"an event that is not JSON: {syntax_error}") from syntax_error
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "error":
        # An error stays an error in whatever form it comes.
        return Event(type="error", error=ErrorDetail())
    if isinstance(kind, str) and kind in _KNOWN_TYPES:
        raise MalformedEventError(f"a {kind} event of an unknown shape: {error}") from error
    return None


def parse_content_block(raw: Raw) -> ContentBlock:
    """Parse the block of a `content_block_start` event, whatever its type.

    Raises:
        MalformedEventError: not an object with a type, or a known field of a wrong type.
    """
    try:
        return _block_decoder.decode(raw)
    except _UNREADABLE as error:
        raise MalformedEventError(f"a content block of an unknown shape: {error}") from error

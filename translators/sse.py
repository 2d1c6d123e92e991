"""Server-sent events: bytes of a stream to the payloads of its events, and payloads to bytes.

Only what both APIs use of https://html.spec.whatwg.org/multipage/server-sent-events.html: `data` fields (joined by a
line feed where an event has several), comments and `event` fields passed over, line ends LF, CR LF or CR. Claude's
`data` repeats the event's type, so the `event` field carries nothing.
"""

__all__ = ["DONE", "KEEP_ALIVE", "EventTooLargeError", "SseParser", "encode_data", "encode_named", "escape_line_breaks"]

DONE = b"data: [DONE]\n\n"
"""The end mark of OpenAI's streams."""

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: every client passes over it, every balancer sees bytes."""

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Largest event that is gathered. Claude sends web search results in one event, of some hundred KB at most."""


class EventTooLargeError(ValueError):
    """An event is larger than `max_event_bytes`."""


class SseParser:
    """Splits a stream of bytes, however it is cut, into the payloads of its events.

    Bytes are split before they are decoded, so a character cut in two at the border of two reads stays whole.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._pieces: list[bytes] = []
        """What came since the last border between events; joined once, when the next border comes."""
        self._size = 0
        self._ends_with_line_feed = False
        self._after_carriage_return = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the payloads of the events that they complete, in order.

        Raises:
            EventTooLargeError: an event goes on for more than `max_event_bytes`.
        """
        if b"\r" in chunk or self._after_carriage_return:
            chunk = self._normalise_line_ends(chunk)
        if not chunk:
            return []
        if self._pieces:
            has_border = b"\n\n" in chunk or (self._ends_with_line_feed and chunk.startswith(b"\n"))
            if not has_border:
                self._keep(chunk)
                return []
            chunk = b"".join((*self._pieces, chunk))
            self._pieces.clear()
            self._size = 0
        *blocks, rest = chunk.split(b"\n\n")
        payloads = []
        for block in blocks:
            if len(block) > self._max_event_bytes:
                raise EventTooLargeError(f"an event of more than {self._max_event_bytes} bytes")
            payload = _payload_of(block)
            if payload is not None:
                payloads.append(payload)
        if rest:
            self._keep(rest)
        return payloads

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._ends_with_line_feed = piece.endswith(b"\n")
        self._size += len(piece)
        if self._size > self._max_event_bytes:
            raise EventTooLargeError(f"an event of more than {self._max_event_bytes} bytes")

    def _normalise_line_ends(self, chunk: bytes) -> bytes:
        if self._after_carriage_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_carriage_return = False
        if chunk:
            self._after_carriage_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _payload_of(block: bytes) -> bytes | None:
    name, _, data = block.partition(b"\n")
    if name.startswith(b"event:") and data.startswith(b"data: ") and b"\n" not in data:
        return data[6:]  # Claude's own form
    lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None


def encode_data(payload: bytes) -> bytes:
    """Encode one payload without line feeds (encoded JSON has none) as an SSE event."""
    return b"data: %b\n\n" % payload


def encode_named(name: bytes, payload: bytes) -> bytes:
    """Encode one payload without line feeds as an SSE event with a name."""
    return b"event: %b\ndata: %b\n\n" % (name, payload)


_LINE_BREAKS = tuple((chr(code).encode(), b"\\u%04x" % code) for code in (0x85, 0x2028, 0x2029))


def escape_line_breaks(payload: bytes) -> bytes:
    """Write the line breaks of Unicode in encoded JSON as escapes.

    Many clients split lines as Python's `str.splitlines` does, not as the SSE standard does.
    """
    if not payload.isascii():
        for line_break, escape in _LINE_BREAKS:
            payload = payload.replace(line_break, escape)
    return payload

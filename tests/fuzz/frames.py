"""WebSocket frames as no client should send them, and what RFC 6455 says a server has to close with.

The reading here is a second one, beside wsproto's: section 5 for frames, 7.4 for codes, 8.1 for text.
"""

import codecs
import struct
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.hostile import changed, damaged, encode_bytes

__all__ = ["CASES", "Frame", "encode_frame", "read_frames", "verdict"]

PROTOCOL_ERROR, NO_TEXT, NO_CODE = 1002, 1007, 1005
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_CODES = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})


@dataclass(frozen=True)
class Frame:
    """One frame. `length`: how its length is written, a number for one that is declared and not kept."""

    opcode: int
    payload: bytes
    is_final: bool = True
    reserved: int = 0
    is_masked: bool = True
    length: str | int = "shortest"


def encode_frame(frame: Frame, mask: bytes = b"\x0f\xf0\xaa\x55") -> bytes:
    first = frame.is_final << 7 | frame.reserved << 4 | frame.opcode
    size = frame.length if isinstance(frame.length, int) else len(frame.payload)
    if isinstance(frame.length, int) or frame.length == "eight" or size > 0xFFFF:
        second, extended = 127, struct.pack("!Q", size)
    elif frame.length == "two" or size > 125:
        second, extended = 126, struct.pack("!H", size)
    else:
        second, extended = size, b""
    if not frame.is_masked:
        return bytes([first, second]) + extended + frame.payload
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(frame.payload))
    return bytes([first, 128 | second]) + extended + mask + masked


class _BrokenError(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


def verdict(data: bytes) -> int | None:
    """Say with which code a server closes that has got these bytes of a client; None: it waits for more."""
    try:
        return _judge(data)
    except _BrokenError as broken:
        return broken.code


def _judge(data: bytes) -> int | None:
    message: int | None = None
    text = codecs.getincrementaldecoder("utf-8")()
    while len(data) >= 2:
        is_final, opcode, is_masked, size = data[0] >> 7, data[0] & 15, data[1] >> 7, data[1] & 127
        is_control = opcode >= CLOSE
        if opcode not in _KNOWN or (is_control and (not is_final or size > 125)):
            raise _BrokenError(PROTOCOL_ERROR)
        extended = {126: 2, 127: 8}.get(size, 0)
        if len(data) < 2 + extended:
            return None
        if extended:
            shortest = 126 if extended == 2 else 65_536
            size = int.from_bytes(data[2 : 2 + extended])
            if size < shortest or size >> 63:
                raise _BrokenError(PROTOCOL_ERROR)
        if data[0] & 0x70 or not is_masked:
            raise _BrokenError(PROTOCOL_ERROR)
        start = 2 + extended + 4
        mask, masked = data[2 + extended : start], data[start : start + size]
        if len(mask) < 4:
            return None
        is_whole = len(masked) == size
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))
        data = data[start + size :]
        if is_control:
            if not is_whole:
                return None
            if opcode == CLOSE:
                return _judge_close(payload)
            continue
        # What begins a message is seen with its first byte, or with its end.
        if payload or is_whole:
            if (opcode == CONTINUATION) is (message is None):
                raise _BrokenError(PROTOCOL_ERROR)
            message = message or opcode
            if message == TEXT:
                _judge_text(text, payload, is_end=bool(is_whole and is_final))
            if is_whole and is_final:
                message = None
        if not is_whole:
            return None
    return None


def _judge_text(text: Any, payload: bytes, *, is_end: bool) -> None:
    try:
        text.decode(payload, is_end)
    except UnicodeDecodeError:
        raise _BrokenError(NO_TEXT) from None
    if is_end:
        text.reset()


def _judge_close(payload: bytes) -> int:
    if not payload:
        return NO_CODE
    code = int.from_bytes(payload[:2])
    if len(payload) == 1 or code not in _CODES:
        raise _BrokenError(PROTOCOL_ERROR)
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        raise _BrokenError(NO_TEXT) from None
    return code


def read_frames(data: bytes) -> tuple[list[bytes], int | None]:
    """Read what a server sent: its messages of text, and the code of its close, if there is one.

    Raises:
        AssertionError: no server may send that.
    """
    texts: list[bytes] = []
    while data:
        assert data[0] & 0x70 == 0, data[:20]
        assert data[1] < 128, data[:20]
        extended = {126: 2, 127: 8}.get(data[1], 0)
        size = int.from_bytes(data[2 : 2 + extended]) if extended else data[1]
        payload, opcode = data[2 + extended : 2 + extended + size], data[0] & 15
        if len(payload) < size:
            break  # the end of the connection came in the middle
        data = data[2 + extended + size :]
        if opcode == CLOSE:
            return texts, int.from_bytes(payload[:2]) if payload else NO_CODE
        if opcode in (TEXT, CONTINUATION):
            texts.append(payload)
        else:
            assert opcode in (PING, PONG), opcode
    return texts, None


_CREATE = {"type": "response.create", "model": "gpt-5", "input": "Hi", "store": False}
_MESSAGES = [
    _CREATE,
    {**_CREATE, "generate": False, "stream_id": "a"},
    {**_CREATE, "stream_id": "b", "previous_response_id": "resp_none"},
    {**_CREATE, "input": [{"type": "message", "role": "user", "content": "Grüße 🎉"}], "generate": False},
    {"type": "response.steer", "previous_response_id": "resp_none", "input": "Shorter."},
    {"type": "response.cancel"},
]
_json = changed(_MESSAGES, 3).map(encode_bytes)
_close_payloads = st.one_of(
    st.sampled_from(
        [b"", b"\x03", b"\x03\xe8", b"\x03\xed", b"\x03\xee", b"\x03\xec", b"\x0f\xa0bye", b"\x03\xe8\xff"]
    ),
    st.binary(max_size=130),
)
_payloads = st.one_of(
    _json,
    st.sampled_from(
        [b"", b"\xf0\x9f", b"\x8e\x89", b"\xed\xa0\x80", b"\xff", "🎉".encode(), b"[" * 50_000, b"x" * 70_000]
    ),
    st.binary(max_size=140),
)
_frames = st.builds(
    Frame,
    st.sampled_from([TEXT] * 6 + [CONTINUATION, CONTINUATION, BINARY, CLOSE, PING, PONG]) | st.integers(0, 15),
    _payloads,
    st.sampled_from([True, True, True, False]),
    st.sampled_from([0] * 12 + [1, 4]),
    st.sampled_from([True] * 12 + [False]),
    st.sampled_from(["shortest"] * 12 + ["two", "eight", 70_000, 2**31, 2**62, 2**63, 2**64 - 1]),
)
_closes = st.builds(Frame, st.just(CLOSE), _close_payloads)
_controls = st.builds(Frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))


@st.composite
def _in_pieces(draw: st.DrawFn) -> list[Frame]:
    """Draw one message, in pieces with control frames in between, cut anywhere: within a character too."""
    data = draw(_json)
    borders = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    pieces = [data[start:end] for start, end in zip([0, *borders], [*borders, len(data)], strict=True)]
    frames = []
    for number, piece in enumerate(pieces):
        frames.append(Frame(TEXT if number == 0 else CONTINUATION, piece, is_final=number == len(pieces) - 1))
        if draw(st.booleans()):
            frames.append(draw(_controls))
    return frames


_messages = _json.map(lambda data: [Frame(TEXT, data)])
_sequences = st.lists(
    st.one_of(_messages, _in_pieces(), _frames.map(lambda frame: [frame]), _closes.map(lambda frame: [frame])),
    max_size=6,
).map(lambda parts: b"".join(encode_frame(frame) for part in parts for frame in part))
CASES = damaged(_sequences).map(lambda data: data + encode_frame(Frame(CLOSE, b"\x03\xe8")))
"""What a client sends after its handshake. The last is a close, which closes where nothing before it did."""

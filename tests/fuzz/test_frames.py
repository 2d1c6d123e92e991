"""The second reading of RFC 6455 that the fuzzer judges by."""

import pytest

from tests.fuzz.frames import Frame, encode_frame, read_frames, verdict

CONTINUATION, TEXT, BINARY, CLOSE, PING = 0, 1, 2, 8, 9
HALF, OTHER_HALF = "🎉".encode()[:2], "🎉".encode()[2:]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([], None),
        ([Frame(TEXT, b"hi")], None),
        ([Frame(TEXT, HALF, is_final=False), Frame(PING, b"?"), Frame(CONTINUATION, OTHER_HALF)], None),
        ([Frame(TEXT, HALF)], 1007),
        ([Frame(TEXT, HALF, is_final=False), Frame(CONTINUATION, b"x")], 1007),
        ([Frame(TEXT, b"", is_final=False), Frame(TEXT, b"x")], 1002),
        ([Frame(CONTINUATION, b"x")], 1002),
        ([Frame(TEXT, b"hi", is_masked=False)], 1002),
        ([Frame(TEXT, b"hi", reserved=4)], 1002),
        ([Frame(3, b"")], 1002),
        ([Frame(PING, b"", is_final=False)], 1002),
        ([Frame(PING, b"x" * 126)], 1002),
        ([Frame(TEXT, b"hi", length="two")], 1002),
        ([Frame(TEXT, b"hi", length=2**63)], 1002),
        ([Frame(BINARY, b"hi", length=2**62), Frame(CLOSE, b"")], None),
        ([Frame(CLOSE, b""), Frame(3, b"")], 1005),
        ([Frame(CLOSE, b"\x03")], 1002),
        ([Frame(CLOSE, b"\x03\xed")], 1002),
        ([Frame(CLOSE, b"\x03\xe8\xff")], 1007),
        ([Frame(CLOSE, b"\x0f\xa0bye")], 4000),
    ],
)
def test_the_verdict_is_the_rfcs(frames: list[Frame], code: int | None) -> None:
    assert verdict(b"".join(map(encode_frame, frames))) == code


def test_what_a_server_sent_is_read_to_its_close() -> None:
    sent = encode_frame(Frame(TEXT, b"{}", is_masked=False)) + encode_frame(Frame(CLOSE, b"\x03\xea", is_masked=False))
    assert read_frames(sent + b"more") == ([b"{}"], 1002)
    assert read_frames(sent[:3]) == ([], None)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.sse import DONE, KEEP_ALIVE, EventTooLargeError, SseParser, encode_data


def payloads(*chunks, **limits):
    parser = SseParser(**limits)
    return [payload for chunk in chunks for payload in parser.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(b"data: a\n\n", [b"a"], id="one event"),
        pytest.param(b"event: x\ndata: a\n\nevent: y\ndata: b\n\n", [b"a", b"b"], id="two events with names"),
        pytest.param(b"data:a\n\n", [b"a"], id="no space"),
        pytest.param(b"data:  a\n\n", [b" a"], id="one space of two is the payload's"),
        pytest.param(b"data: a\nevent: x\n\n", [b"a"], id="name after data"),
        pytest.param(b"data: a\ndata: b\n\n", [b"a\nb"], id="two data lines"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"], id="CR LF"),
        pytest.param(b"data: a\r\rdata: b\r\r", [b"a", b"b"], id="CR"),
        pytest.param(b"data: a\n\n\n\ndata: b\n\n", [b"a", b"b"], id="empty lines between"),
        pytest.param(b": comment\n\ndata: a\n\n", [b"a"], id="comment"),
        pytest.param(b": data: no\n\n", [], id="data in a comment"),
        pytest.param(b"event: data: no\n\n", [], id="data in a name"),
        pytest.param(b": data: no\ndata: a\n\n", [b"a"], id="data after a comment with data"),
        pytest.param(b"id: 1\nretry: 5\ndata: a\n\n", [b"a"], id="other fields"),
        pytest.param(b"data\n\n", [], id="no colon"),
        pytest.param(b"data: a\n", [], id="unfinished event"),
        pytest.param(b'data: {"x": "data: y"}\n\n', [b'{"x": "data: y"}'], id="data in data"),
        pytest.param("data: 日本🙂\n\n".encode(), ["日本🙂".encode()], id="beyond ASCII"),
        pytest.param(b"\xff\xfe garbage\n\ndata: a\n\n", [b"a"], id="garbage"),
        pytest.param(KEEP_ALIVE + DONE, [b"[DONE]"], id="what we send ourselves"),
        pytest.param(b"", [], id="nothing"),
    ],
)
def test_the_payloads_are_the_same_however_the_stream_is_cut(stream, expected):
    assert payloads(stream) == expected
    assert payloads(*(stream[i : i + 1] for i in range(len(stream)))) == expected
    for cut in range(len(stream)):
        assert payloads(stream[:cut], b"", stream[cut:]) == expected


lines = st.sampled_from(
    [b"data: ", b"data:", b"event: x", b":", b"a", b"\xe6\x97", b"\n", b"\n\n", b"\r", b"\r\n", b" "]
)


@given(st.lists(lines, max_size=30).map(b"".join), st.randoms(use_true_random=False))
def test_any_bytes_give_the_same_payloads_however_they_are_cut(stream, draw):
    borders = sorted(draw.randrange(len(stream) + 1) for _ in range(draw.randrange(8)))
    pieces = [stream[a:b] for a, b in zip([0, *borders], [*borders, len(stream)], strict=True)]
    assert payloads(*pieces) == payloads(stream)


@given(st.lists(st.binary(min_size=1).filter(lambda b: not set(b) & {10, 13} and not b.startswith(b" "))))
def test_encoded_payloads_come_back(contents):
    assert payloads(b"".join(map(encode_data, contents))) == contents


def test_S16_a_character_cut_in_two_stays_whole():
    stream = "data: 日本\n\n".encode()
    assert payloads(stream[:7], stream[7:8], stream[8:]) == ["日本".encode()]


def test_S18_a_line_of_megabytes_is_one_payload():
    content = b"x" * 3_000_000
    stream = encode_data(content)
    assert payloads(*(stream[i : i + 65_536] for i in range(0, len(stream), 65_536))) == [content]


def test_a_large_event_in_small_pieces_is_copied_once():
    # 200,000 pieces of 40 bytes: a parser that joined at each piece would copy 800 GB and never come back.
    content = b"x" * 8_000_000
    stream = encode_data(content)
    assert payloads(*(stream[i : i + 40] for i in range(0, len(stream), 40))) == [content]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_beyond_the_limit_is_refused_however_it_is_cut(size):
    stream = b"data: " + b"x" * 200 + b"\n\n"
    with pytest.raises(EventTooLargeError):
        payloads(*(stream[i : i + size] for i in range(0, len(stream), size)), max_event_bytes=100)


def test_the_limit_is_of_one_event_not_of_the_stream():
    assert len(payloads(*[encode_data(b"x" * 90)] * 50, max_event_bytes=100)) == 50
    assert len(payloads(encode_data(b"x" * 90) * 50, max_event_bytes=100)) == 50

"""Answers that are odd and no failure: what is not known is passed over, however the bytes are cut."""

import pytest

from tests.faults.conftest import Client
from tests.faults.encodings import FORWARDED, GOOD_ANSWER, TRANSLATED, Encoding, name_of
from tests.faults.faulty_claude import FaultyClaude, sending
from tests.integration.raw_upstream import (
    EVENTS_HEAD,
    Call,
    begun_answer,
    event,
    message_end,
    message_start,
    text_delta,
    whole_answer,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODDITIES = {
    "an_event": event({"type": "content_block_hint", "index": 0, "hint": "x"}),
    "an_event_of_another_shape": event({"type": "telemetry", "index": "zero", "delta": []}),
    "a_delta": event({"type": "content_block_delta", "index": 0, "delta": {"type": "mood_delta", "mood": "fine"}}),
    "a_block": event({"type": "content_block_start", "index": 1, "content_block": {"type": "hologram", "x": 1}})
    + event({"type": "content_block_stop", "index": 1}),
    "a_field": event(
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "", "weight": 1}, "at": 1}
    ),
    "a_list": b"b\r\ndata: [1]\n\n\r\n",
    "a_comment": b"9\r\n: hello\n\n\r\n",
}


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
@pytest.mark.parametrize("odd", ODDITIES)
async def test_what_is_not_known_is_passed_over(
    claude: FaultyClaude, client: Client, odd: str, encoding: Encoding
) -> None:
    claude.begin(sending(begun_answer("all is"), ODDITIES[odd] + text_delta(" well") + message_end()))
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
async def test_a_stop_reason_that_is_not_known_is_an_end(
    claude: FaultyClaude, client: Client, encoding: Encoding
) -> None:
    claude.begin(sending(GOOD_ANSWER.replace(b"end_turn", b"sleeping")))
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
async def test_S16_an_answer_that_comes_byte_by_byte_is_the_same(
    claude: FaultyClaude, client: Client, encoding: Encoding
) -> None:
    text = "日本語 🎉"

    async def byte_by_byte(call: Call) -> None:
        await call.send(EVENTS_HEAD)
        for byte in message_start() + text_delta(text) + message_end():
            await call.send(bytes([byte]))

    claude.begin(byte_by_byte)
    received = await client.ask(encoding.path, encoding.body)
    assert encoding.text(received) == text


@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
async def test_one_huge_event_comes_whole(claude: FaultyClaude, client: Client, encoding: Encoding) -> None:
    text = "日本" * 1_000_000
    claude.begin(sending(whole_answer(text)))
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == text


async def test_forwarded_bytes_are_the_same_however_odd(claude: FaultyClaude, forwarding_client: Client) -> None:
    odd = b"".join(ODDITIES.values()) + b"4\r\n\xff\xfe\n\n\r\n"
    sent = EVENTS_HEAD + message_start() + odd + message_end()
    claude.begin(sending(sent))
    received = await forwarding_client.ask(FORWARDED.path, FORWARDED.body)
    assert received.is_whole
    assert received.body == unchunked(sent.removeprefix(EVENTS_HEAD))


def unchunked(data: bytes) -> bytes:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        if not int(size, 16):
            return body
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]

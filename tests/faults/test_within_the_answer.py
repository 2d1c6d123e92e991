"""Claude fails after its answer has begun: a stream ends as its endpoint's streams fail, a whole answer is an error."""

import pytest

from tests.faults.encodings import FORWARDED, GOOD_ANSWER, STREAMED, WHOLE, Encoding, name_of
from tests.faults.faulty_claude import FaultyClaude, sending
from tests.faults.http1_client import Http1Client
from tests.integration.raw_upstream import EVENTS_HEAD, Script, event, message_end, message_start, text_delta

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEGUN = EVENTS_HEAD + message_start() + text_delta("Once upon")
BROKEN = "server_error", "upstream_broken"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def error(kind: str) -> bytes:
    return event({"type": "error", "error": {"type": kind, "message": "Enough."}})


HALF_A_CHARACTER = chunk('event: content_block_delta\ndata: {"text": "日'.encode()[:-1])

FAULTS: dict[str, tuple[Script, int, tuple[str, str]]] = {
    "reset": (sending(BEGUN, cut=True), 502, BROKEN),
    "reset_within_a_chunk": (sending(BEGUN, text_delta(" a time")[:30], cut=True), 502, BROKEN),
    "half_a_character": (sending(BEGUN, HALF_A_CHARACTER, cut=True), 502, BROKEN),
    "silence": (sending(BEGUN), 502, BROKEN),
    "silence_within_an_event": (sending(BEGUN, text_delta(" a time")[:30]), 502, BROKEN),
    "no_message_stop": (sending(BEGUN, b"0\r\n\r\n"), 502, BROKEN),
    "no_message_stop_but_a_stop_reason": (
        sending(BEGUN, message_end().split(b"event: message_stop")[0].rpartition(b"\r\n")[0][:-2] + b"0\r\n\r\n"),
        502,
        BROKEN,
    ),
    "no_json": (sending(BEGUN, chunk(b"data: {]\n\n")), 502, BROKEN),
    "no_text": (sending(BEGUN, chunk(b"data: \xff\xfe\n\n")), 502, BROKEN),
    "no_chunks": (sending(BEGUN, b"what is this\r\n"), 502, BROKEN),
    "a_block_that_never_began": (sending(BEGUN, event({"type": "content_block_stop", "index": 7})), 502, BROKEN),
    "another_message": (
        sending(BEGUN, message_start().replace(b"msg_raw", b"msg_two")),
        502,
        BROKEN,
    ),
    "an_event_without_end": (sending(BEGUN, chunk(b"data: " + b"x" * 17 * 1024 * 1024)), 502, BROKEN),
    "overloaded": (sending(BEGUN, error("overloaded_error")), 503, ("server_error", "server_is_overloaded")),
    "api_error": (sending(BEGUN, error("api_error")), 500, ("server_error", "server_error")),
    "rate_limited": (sending(BEGUN, error("rate_limit_error")), 429, ("tokens", "rate_limit_exceeded")),
}
ENDS_BY_ITSELF = {"no_message_stop", "no_message_stop_but_a_stop_reason"}


async def check_the_next_answer(client: Http1Client, encoding: Encoding) -> None:
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"


@pytest.mark.parametrize("encoding", STREAMED, ids=name_of)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_stream_ends_with_its_error_and_the_call_is_closed(
    claude: FaultyClaude, client: Http1Client, fault: str, encoding: Encoding
) -> None:
    script, _, (kind, code) = FAULTS[fault]
    claude.begin(script)
    encoding.check_failed_stream(await client.ask(encoding.path, encoding.body), kind, code)
    if fault not in ENDS_BY_ITSELF:
        await claude.hung_up()
    await check_the_next_answer(client, encoding)
    assert len(claude.calls) == 2


@pytest.mark.parametrize("encoding", WHOLE, ids=name_of)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_whole_answer_is_an_error_with_a_status_and_the_call_is_closed(
    claude: FaultyClaude, client: Http1Client, fault: str, encoding: Encoding
) -> None:
    script, status, (kind, code) = FAULTS[fault]
    claude.begin(script)
    encoding.check_error(await client.ask(encoding.path, encoding.body), status, kind, code)
    if fault not in ENDS_BY_ITSELF:
        await claude.hung_up()
    await check_the_next_answer(client, encoding)
    assert len(claude.calls) == 2


@pytest.mark.parametrize(
    "fault", ["reset", "reset_within_a_chunk", "half_a_character", "silence", "silence_within_an_event", "no_chunks"]
)
async def test_a_forwarded_stream_is_broken_off_and_the_call_is_closed(
    claude: FaultyClaude, client: Http1Client, fault: str
) -> None:
    claude.begin(FAULTS[fault][0])
    received = await client.ask(FORWARDED.path, FORWARDED.body)
    assert (received.status, received.is_whole) == (200, False)
    assert b"Once upon" in received.body
    assert b"message_stop" not in received.body
    await claude.hung_up()
    assert await client.is_closed()


@pytest.mark.parametrize("fault", ["no_message_stop", "overloaded"])
async def test_what_claude_says_of_a_failure_is_forwarded_as_it_is(
    claude: FaultyClaude, client: Http1Client, fault: str
) -> None:
    ending = error("overloaded_error") if fault == "overloaded" else b""
    claude.begin(sending(BEGUN, ending + b"0\r\n\r\n"))
    received = await client.ask(FORWARDED.path, FORWARDED.body)
    assert received.is_whole
    assert [payload["type"] for payload in received.payloads()][-1] == ("error" if ending else "content_block_delta")
    assert (await client.ask(FORWARDED.path, FORWARDED.body)).is_whole


@pytest.mark.parametrize("encoding", [*STREAMED, *WHOLE], ids=name_of)
@pytest.mark.parametrize(
    "ending",
    [sending(GOOD_ANSWER.removesuffix(b"0\r\n\r\n"), cut=True), sending(GOOD_ANSWER.removesuffix(b"0\r\n\r\n"))],
    ids=["reset", "silence"],
)
async def test_what_fails_after_the_last_event_takes_nothing_away(
    claude: FaultyClaude, client: Http1Client, ending: Script, encoding: Encoding
) -> None:
    claude.begin(ending)
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"
    await claude.hung_up()
    await check_the_next_answer(client, encoding)

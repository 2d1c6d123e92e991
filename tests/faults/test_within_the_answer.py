"""Claude fails after its answer has begun: a stream ends as its endpoint's streams fail, a whole answer is an error."""

import pytest

from tests.faults.claude_faults import BEGUN, BROKEN_ANSWERS, ENDS_BY_ITSELF, error_event
from tests.faults.conftest import Client
from tests.faults.encodings import FORWARDED, GOOD_ANSWER, STREAMED, WHOLE, Encoding, name_of
from tests.faults.faulty_claude import FaultyClaude, sending
from tests.integration.raw_upstream import Script

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def check_the_next_answer(client: Client, encoding: Encoding) -> None:
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"


@pytest.mark.parametrize("encoding", STREAMED, ids=name_of)
@pytest.mark.parametrize("fault", BROKEN_ANSWERS)
async def test_S8_S10_a_stream_ends_with_its_error_and_the_call_is_closed(
    claude: FaultyClaude, client: Client, fault: str, encoding: Encoding
) -> None:
    script, _, (kind, code) = BROKEN_ANSWERS[fault]
    claude.begin(script)
    encoding.check_failed_stream(await client.ask(encoding.path, encoding.body), kind, code)
    if fault not in ENDS_BY_ITSELF:
        await claude.hung_up()
    await check_the_next_answer(client, encoding)
    assert len(claude.calls) == 2


@pytest.mark.parametrize("encoding", WHOLE, ids=name_of)
@pytest.mark.parametrize("fault", BROKEN_ANSWERS)
async def test_a_whole_answer_is_an_error_with_a_status_and_the_call_is_closed(
    claude: FaultyClaude, client: Client, fault: str, encoding: Encoding
) -> None:
    script, status, (kind, code) = BROKEN_ANSWERS[fault]
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
    claude: FaultyClaude, forwarding_client: Client, fault: str
) -> None:
    claude.begin(BROKEN_ANSWERS[fault][0])
    received = await forwarding_client.ask(FORWARDED.path, FORWARDED.body)
    assert (received.status, received.is_whole) == (200, False)
    assert b"Once upon" in received.body
    assert b"message_stop" not in received.body
    await claude.hung_up()
    if forwarding_client.breaks_with_its_connection:
        assert await forwarding_client.is_closed()
    else:
        assert (await forwarding_client.ask(FORWARDED.path, FORWARDED.body)).is_whole


@pytest.mark.parametrize("fault", ["no_message_stop", "overloaded"])
async def test_what_claude_says_of_a_failure_is_forwarded_as_it_is(
    claude: FaultyClaude, forwarding_client: Client, fault: str
) -> None:
    ending = error_event("overloaded_error") if fault == "overloaded" else b""
    claude.begin(sending(BEGUN, ending + b"0\r\n\r\n"))
    received = await forwarding_client.ask(FORWARDED.path, FORWARDED.body)
    assert received.is_whole
    assert [payload["type"] for payload in received.payloads()][-1] == ("error" if ending else "content_block_delta")
    assert (await forwarding_client.ask(FORWARDED.path, FORWARDED.body)).is_whole


@pytest.mark.parametrize("encoding", [*STREAMED, *WHOLE], ids=name_of)
@pytest.mark.parametrize(
    "ending",
    [sending(GOOD_ANSWER.removesuffix(b"0\r\n\r\n"), cut=True), sending(GOOD_ANSWER.removesuffix(b"0\r\n\r\n"))],
    ids=["reset", "silence"],
)
async def test_what_fails_after_the_last_event_takes_nothing_away(
    claude: FaultyClaude, client: Client, ending: Script, encoding: Encoding
) -> None:
    claude.begin(ending)
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"
    await claude.hung_up()
    await check_the_next_answer(client, encoding)

"""The same faults of Claude, where a response goes over a WebSocket: it fails, and the connection goes on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection

from tests.faults.claude_faults import (
    BROKEN_ANSWERS,
    ENDS_BY_ITSELF,
    NO_ANSWERS,
    READ_TO_THEIR_END,
    STATUSES,
    status_in_responses,
)
from tests.faults.faulty_claude import FaultyClaude, error_body, refusal, sending
from tests.integration.raw_upstream import EVENTS_HEAD, Script, message_start
from tests.integration.responses_socket import create, receive, receive_response, socket_of
from tests.integration.running_proxy import RunningProxy
from tests.lived_time import within
from tests.translators.responses.checker import check_stream

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def socket(proxy: RunningProxy, claude: FaultyClaude) -> AsyncIterator[ClientConnection]:
    async with socket_of(proxy) as socket:
        yield socket


async def check_the_next_answer(socket: ClientConnection) -> None:
    await create(socket)
    response = await receive_response(socket)
    assert response["status"] == "completed"
    assert response["output"][0]["content"][0]["text"] == "all is well"


@pytest.mark.parametrize("status", STATUSES)
async def test_each_status_is_an_error_event(claude: FaultyClaude, socket: ClientConnection, status: str) -> None:
    number, claudes_kind, message, kind, code = STATUSES[status]
    claude.begin(sending(refusal(number, error_body(claudes_kind, message))))
    await create(socket)
    event = await receive(socket)
    assert (event["type"], event["status"], event["error"]["type"], event["error"]["code"]) == (
        "error",
        status_in_responses(number, code),
        kind,
        code,
    )
    await check_the_next_answer(socket)


@pytest.mark.parametrize("fault", NO_ANSWERS)
async def test_no_answer_is_an_error_event_and_the_call_is_closed(
    claude: FaultyClaude, socket: ClientConnection, fault: str
) -> None:
    script, status, code, _ = NO_ANSWERS[fault]
    claude.begin(script)
    await create(socket)
    event = await receive(socket)
    assert (event["type"], event["status"], event["error"]["code"]) == ("error", status, code)
    if fault not in READ_TO_THEIR_END:
        await claude.hung_up()
    await check_the_next_answer(socket)


@pytest.mark.parametrize("fault", BROKEN_ANSWERS)
async def test_an_answer_that_breaks_off_is_a_failed_response_and_the_call_is_closed(
    claude: FaultyClaude, socket: ClientConnection, fault: str
) -> None:
    script, _, (_, code) = BROKEN_ANSWERS[fault]
    claude.begin(script)
    await create(socket)
    events = [await receive(socket)]
    while events[-1]["type"] != "response.failed":
        events.append(await receive(socket))
    assert check_stream(events)["error"]["code"] == code
    assert "response.completed" not in {event["type"] for event in events}
    if fault not in ENDS_BY_ITSELF:
        await claude.hung_up()
    await check_the_next_answer(socket)


async def nothing_runs(proxy: RunningProxy) -> None:
    while proxy.running:
        await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    "script",
    [sending(), sending(b"HTTP/1.1 200 OK\r\ncontent-"), sending(EVENTS_HEAD), sending(EVENTS_HEAD + message_start())],
    ids=["before_the_headers", "within_the_headers", "before_the_first_event", "within_the_answer"],
)
async def test_a_client_that_is_cut_off_ends_the_call(
    proxy: RunningProxy, claude: FaultyClaude, socket: ClientConnection, script: Script
) -> None:
    claude.begin(script)
    await create(socket)
    call = await claude.upstream.call()
    await asyncio.sleep(0.05)
    assert not call.hung_up.is_set()
    socket.transport.abort()
    await within(0.2, call.hung_up.wait())
    await within(0.2, nothing_runs(proxy))

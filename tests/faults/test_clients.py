"""What clients do to us: they leave in each phase, close half of the connection, do not read, ask before they listen.

Chat Completions over HTTP/1 and HTTP/2 are in tests/integration/test_leaving_clients.py, test_streaming.py and
test_http1.py; here are the other encodings, and what comes after.
"""

import asyncio
import socket

import pytest

from tests.faults.encodings import FORWARDED, STREAMED, TRANSLATED, Encoding, name_of
from tests.faults.faulty_claude import FaultyClaude, error_body, refusal, sending
from tests.faults.http1_client import Http1Client, request_bytes
from tests.integration.raw_upstream import EVENTS_HEAD, Call, Script, message_end, message_start, text_delta
from tests.integration.running_proxy import RunningProxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON = 0.1
"""Seconds that a cancellation may take."""
OTHERS = [encoding for encoding in (*TRANSLATED, FORWARDED) if encoding.path != "/v1/chat/completions"]

PHASES: dict[str, Script] = {
    "before_the_headers": sending(),
    "within_the_headers": sending(b"HTTP/1.1 200 OK\r\ncontent-"),
    "before_the_first_event": sending(EVENTS_HEAD),
    "within_the_answer": sending(EVENTS_HEAD + message_start() + text_delta("Once")),
}


async def nothing_runs(proxy: RunningProxy) -> None:
    while proxy.running:
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("encoding", OTHERS, ids=name_of)
@pytest.mark.parametrize("phase", PHASES)
async def test_a_client_that_leaves_ends_the_call(
    proxy: RunningProxy, claude: FaultyClaude, client: Http1Client, phase: str, encoding: Encoding
) -> None:
    claude.begin(PHASES[phase])
    client.send(encoding.path, encoding.body)
    call = await claude.upstream.call()
    await asyncio.sleep(0.05)
    assert proxy.running == 1
    assert not call.hung_up.is_set()
    await client.close()
    await asyncio.wait_for(call.hung_up.wait(), SOON)
    await asyncio.wait_for(nothing_runs(proxy), SOON)


@pytest.mark.parametrize("encoding", OTHERS, ids=name_of)
@pytest.mark.parametrize("cut", [5, -5], ids=["within_the_headers", "within_the_body"])
async def test_a_client_that_leaves_within_its_request_asks_claude_nothing(
    proxy: RunningProxy, claude: FaultyClaude, client: Http1Client, cut: int, encoding: Encoding
) -> None:
    client.writer.write(request_bytes(encoding.path, encoding.body)[:cut])
    await asyncio.sleep(0.05)
    await client.close()
    await asyncio.sleep(SOON)
    assert proxy.running == 0
    assert claude.calls == []


@pytest.mark.parametrize("encoding", [*TRANSLATED, FORWARDED], ids=name_of)
async def test_a_client_that_closes_its_half_has_left(
    proxy: RunningProxy, claude: FaultyClaude, client: Http1Client, encoding: Encoding
) -> None:
    # Nothing on the wire tells it from one that closes, whose call must not go on.
    claude.begin(PHASES["within_the_answer"])
    client.send(encoding.path, encoding.body)
    call = await claude.upstream.call()
    client.writer.write_eof()
    await asyncio.wait_for(call.hung_up.wait(), SOON)
    await asyncio.wait_for(nothing_runs(proxy), SOON)
    assert b"[DONE]" not in await asyncio.wait_for(client.reader.read(), 5)


async def test_pipelined_requests_are_answered_in_order_though_one_fails(
    claude: FaultyClaude, client: Http1Client
) -> None:
    claude.begin(sending(refusal(500, error_body("api_error", "Internal"))))
    streamed, whole = STREAMED[0], TRANSLATED[1]
    client.writer.write(b"".join(request_bytes(each.path, each.body) for each in (whole, streamed, whole)))
    whole.check_error(await client.receive(), 500, "server_error", "server_error")
    assert streamed.text(await client.receive()) == "all is well"
    assert whole.text(await client.receive()) == "all is well"
    assert len(claude.calls) == 3


async def flood(call: Call) -> None:
    await call.send(EVENTS_HEAD + message_start())
    piece = text_delta("x" * 16_000)
    while True:
        await call.send(piece)


@pytest.mark.parametrize("encoding", [*STREAMED, FORWARDED], ids=name_of)
async def test_a_client_that_does_not_read_costs_no_memory_and_can_leave(
    proxy: RunningProxy, claude: FaultyClaude, encoding: Encoding
) -> None:
    claude.begin(flood)
    with socket.create_connection(("127.0.0.1", proxy.port)) as unread:
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unread.sendall(request_bytes(encoding.path, encoding.body))
        call = await claude.upstream.call()
        sent = -1
        while call.sent != sent:
            sent = call.sent
            await asyncio.sleep(0.3)
        (handler,) = proxy.master.addons.get("proxyserver").connections.values()
        transport = handler.transports[handler.client].writer.transport
        assert transport.get_write_buffer_size() < 512 * 1024
    await asyncio.wait_for(call.hung_up.wait(), 5)


@pytest.mark.parametrize("encoding", [*STREAMED, FORWARDED], ids=name_of)
async def test_a_client_that_reads_slowly_gets_everything(
    proxy: RunningProxy, claude: FaultyClaude, encoding: Encoding
) -> None:
    words = [f"word{number:04} " + "x" * 4000 for number in range(500)]

    async def much(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())
        for word in words:
            await call.send(text_delta(word))
        await call.send(message_end())

    claude.begin(much)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, limit=4096)
    client = Http1Client(reader, writer)
    client.send(encoding.path, encoding.body)
    await asyncio.sleep(0.2)
    received = await client.receive()
    assert received.is_whole
    if encoding is FORWARDED:
        texts = [
            payload["delta"]["text"] for payload in received.payloads() if payload["type"] == "content_block_delta"
        ]
        assert texts == words
    else:
        assert encoding.text(received) == "".join(words)
    await client.close()

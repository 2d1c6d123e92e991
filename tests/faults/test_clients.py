"""What clients do to us: they leave in each phase, close half of a connection, do not read, ask before they listen."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from addon.wire.client_stream import ClientStream
from tests.faults.conftest import WAYS, Client, connect, connect_for_forwarding
from tests.faults.encodings import FORWARDED, STREAMED, TRANSLATED, WHOLE, Encoding, name_of
from tests.faults.faulty_claude import FaultyClaude, error_body, refusal, sending
from tests.faults.http1_client import Http1Client, request_bytes
from tests.faults.http2_client import Http2Client
from tests.integration.raw_upstream import (
    EVENTS_HEAD,
    Call,
    Script,
    begun_answer,
    event,
    message_end,
    message_start,
    text_delta,
)
from tests.integration.running_proxy import RunningProxy
from tests.lived_time import within

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON = 0.1
"""Seconds that a cancellation may take."""
ENCODINGS = [*TRANSLATED, FORWARDED]
ONLY_HTTP1 = pytest.mark.parametrize("way", ["http1"])
ONLY_HTTP2 = pytest.mark.parametrize("way", ["http2"])

PHASES: dict[str, Script] = {
    "before_the_headers": sending(),
    "within_the_headers": sending(b"HTTP/1.1 200 OK\r\ncontent-"),
    "before_the_first_event": sending(EVENTS_HEAD),
    "within_the_answer": sending(begun_answer("Once")),
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture(loop_scope="module")
async def client(proxy: RunningProxy, claude: FaultyClaude, way: str, encoding: Encoding) -> AsyncIterator[Client]:
    """A connection over which the encoding can be had."""
    connection = await connect_to_ask(proxy, way, encoding)
    yield connection
    await connection.close()


async def connect_to_ask(proxy: RunningProxy, way: str, encoding: Encoding) -> Client:
    return await (connect_for_forwarding if encoding is FORWARDED else connect)(proxy, way)


async def nothing_runs(proxy: RunningProxy) -> None:
    while proxy.running:
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("encoding", ENCODINGS, ids=name_of)
@pytest.mark.parametrize("phase", PHASES)
async def test_a_client_that_leaves_ends_the_call(
    proxy: RunningProxy, claude: FaultyClaude, client: Client, phase: str, encoding: Encoding
) -> None:
    claude.begin(PHASES[phase])
    client.send(encoding.path, encoding.body)
    call = await claude.upstream.call()
    await asyncio.sleep(0.05)
    assert proxy.running == 1
    assert not call.hung_up.is_set()
    await client.close()
    await within(SOON, call.hung_up.wait())
    await within(SOON, nothing_runs(proxy))


@ONLY_HTTP2
@pytest.mark.parametrize("encoding", ENCODINGS, ids=name_of)
@pytest.mark.parametrize("phase", PHASES)
async def test_a_client_that_resets_its_stream_ends_its_call_and_no_other(
    proxy: RunningProxy, claude: FaultyClaude, client: Http2Client, phase: str, encoding: Encoding
) -> None:
    goes_on = asyncio.Event()

    async def paused(call: Call) -> None:
        await call.send(begun_answer("all is"))
        while not goes_on.is_set():
            await call.send(event({"type": "ping"}))
            await asyncio.sleep(0.05)
        await call.send(text_delta(" well") + message_end())

    claude.begin(paused, PHASES[phase])
    client.send(encoding.path, encoding.body)
    other = await claude.upstream.call()
    client.send(encoding.path, encoding.body)
    call = await claude.upstream.call(1)
    await asyncio.sleep(0.05)
    assert proxy.running == 2
    client.reset()
    await within(SOON, call.hung_up.wait())
    assert proxy.running == 1
    assert not other.hung_up.is_set()
    goes_on.set()
    received = await client.receive()
    assert received.is_whole
    if encoding is not FORWARDED:
        assert encoding.text(received) == "all is well"


@pytest.mark.parametrize("encoding", ENCODINGS, ids=name_of)
@pytest.mark.parametrize("cut", [5, -5], ids=["within_the_headers", "within_the_body"])
async def test_a_client_that_leaves_within_its_request_asks_claude_nothing(
    proxy: RunningProxy, claude: FaultyClaude, client: Client, cut: int, encoding: Encoding
) -> None:
    client.send_part(encoding.path, encoding.body, cut)
    await asyncio.sleep(0.05)
    await client.close()
    await asyncio.sleep(SOON)
    assert proxy.running == 0
    assert claude.calls == []


@ONLY_HTTP1
@pytest.mark.parametrize("encoding", ENCODINGS, ids=name_of)
async def test_a_client_that_closes_its_half_has_left(
    proxy: RunningProxy, claude: FaultyClaude, client: Client, encoding: Encoding
) -> None:
    # Nothing on the wire tells it from one that closes, whose call must not go on. TLS has no half to close.
    claude.begin(PHASES["within_the_answer"])
    client.send(encoding.path, encoding.body)
    call = await claude.upstream.call()
    client.writer.write_eof()
    await within(SOON, call.hung_up.wait())
    await within(SOON, nothing_runs(proxy))
    assert b"[DONE]" not in await asyncio.wait_for(client.reader.read(), 60)


@ONLY_HTTP1
@pytest.mark.parametrize("encoding", WHOLE, ids=name_of)
async def test_pipelined_requests_are_answered_in_order_though_one_fails(
    claude: FaultyClaude, client: Client, encoding: Encoding
) -> None:
    claude.begin(sending(refusal(500, error_body("api_error", "Internal"))))
    streamed = STREAMED[WHOLE.index(encoding)]
    client.writer.write(b"".join(request_bytes(each.path, each.body) for each in (encoding, streamed, encoding)))
    encoding.check_error(await client.receive(), 500, "server_error", "server_error")
    assert streamed.text(await client.receive()) == "all is well"
    assert encoding.text(await client.receive()) == "all is well"
    assert len(claude.calls) == 3


@ONLY_HTTP2
@pytest.mark.parametrize("encoding", WHOLE, ids=name_of)
async def test_streams_of_one_connection_are_answered_though_one_fails(
    claude: FaultyClaude, client: Client, encoding: Encoding
) -> None:
    claude.begin(sending(refusal(500, error_body("api_error", "Internal"))))
    streamed = STREAMED[WHOLE.index(encoding)]
    client.send(encoding.path, encoding.body)
    await claude.upstream.call()
    for each in (streamed, encoding):
        client.send(each.path, each.body)
    encoding.check_error(await client.receive(), 500, "server_error", "server_error")
    assert streamed.text(await client.receive()) == "all is well"
    assert encoding.text(await client.receive()) == "all is well"


async def test_http2_without_tls_is_turned_away(proxy: RunningProxy, claude: FaultyClaude) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
    assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()
    client = await Http1Client.connect(proxy.port)
    encoding = TRANSLATED[0]
    assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"
    await client.close()
    assert len(claude.calls) == 1


async def flood(call: Call) -> None:
    await call.send(EVENTS_HEAD + message_start())
    piece = text_delta("x" * 16_000)
    while True:
        await call.send(piece)


def unsent_bytes(proxy: RunningProxy) -> int:
    """Count what waits for the window of the one client, which speaks HTTP/2."""
    [run] = proxy.addon._exchanges.values()
    client_side = run.exchange.client_side
    assert isinstance(client_side, ClientStream)
    assert client_side._http2 is not None
    waiting = client_side._http2.h2_conn.stream_buffers.values()
    return sum(len(piece.data) for pieces in waiting for piece in pieces)


async def settled(call: Call) -> None:
    """Wait until no more is read of an answer."""
    sent = -1
    while call.sent != sent:
        sent = call.sent
        await asyncio.sleep(0.3)


@ONLY_HTTP2
@pytest.mark.parametrize("encoding", [*STREAMED, FORWARDED], ids=name_of)
async def test_a_client_that_opens_no_window_costs_no_memory_and_others_on_its_connection_are_answered(
    proxy: RunningProxy, claude: FaultyClaude, client: Http2Client, encoding: Encoding
) -> None:
    claude.begin(flood)
    client.send(encoding.path, encoding.body)
    call = await claude.upstream.call()
    await settled(call)
    [handler] = proxy.master.addons.get("proxyserver").connections.values()
    assert handler.transports[handler.client].writer.transport.get_write_buffer_size() < 512 * 1024
    assert 0 < unsent_bytes(proxy) < 512 * 1024
    client.reset()
    await within(5, call.hung_up.wait())
    received = await client.ask(encoding.path, encoding.body)
    assert received.is_whole


@pytest.mark.parametrize("encoding", [*STREAMED, FORWARDED], ids=name_of)
async def test_a_client_that_does_not_read_costs_no_memory_and_can_leave(
    proxy: RunningProxy, claude: FaultyClaude, encoding: Encoding
) -> None:
    claude.begin(flood)
    with socket.create_connection(("127.0.0.1", proxy.port)) as unread:
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        unread.sendall(request_bytes(encoding.path, encoding.body))
        call = await claude.upstream.call()
        await settled(call)
        (handler,) = proxy.master.addons.get("proxyserver").connections.values()
        transport = handler.transports[handler.client].writer.transport
        assert transport.get_write_buffer_size() < 512 * 1024
    await within(5, call.hung_up.wait())


@pytest.mark.parametrize("encoding", [*STREAMED, FORWARDED], ids=name_of)
async def test_a_client_that_reads_slowly_gets_everything(
    proxy: RunningProxy, claude: FaultyClaude, way: str, encoding: Encoding
) -> None:
    words = [f"word{number:04} " + "x" * 4000 for number in range(500)]

    async def much(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())
        for word in words:
            await call.send(text_delta(word))
        await call.send(message_end())

    claude.begin(much)
    if way == "http1":
        client: Client = Http1Client(*await asyncio.open_connection("127.0.0.1", proxy.port, limit=4096))
    else:
        client = await connect_to_ask(proxy, way, encoding)
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

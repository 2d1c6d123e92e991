"""Requests that two servers might read differently (smuggling), and heads without an end: refused, or closed on."""

import asyncio
import contextlib
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import httpx2
import pytest
from structlog.testing import capture_logs

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from addon.wire.http1 import MOST_UNREAD_BYTES
from tests.integration.hostile.raw_client import STANDALONE, chat, post, send, statuses
from tests.integration.running_proxy import ProxyStarter, RunningProxy

BODY = chat()
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
SMUGGLED = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture
async def proxy(start_proxy: ProxyStarter) -> AsyncIterator[RunningProxy]:
    async with start_proxy(STANDALONE) as running:
        yield running


def asked(simulation: RunningSimulation) -> list[str]:
    return [call.path for call in simulation.journal if call.path == "/v1/messages"]


def request(
    head: bytes, body: bytes = BODY, start: bytes = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
) -> bytes:
    return start + head + b"\r\n" + body


REFUSED: dict[str, bytes] = {
    "encoding_folded": request(b"transfer-encoding:\r\n chunked\r\n", CHUNKS),
    "encoding_folded_and_length": request(b"transfer-encoding:\r\n chunked\r\n" + LENGTH),
    "space_before_the_colon": request(b"transfer-encoding : chunked\r\n" + LENGTH),
    "unknown_encoding": request(b"transfer-encoding: xchunked\r\n", CHUNKS),
    "encoding_list": request(b"transfer-encoding: identity, chunked\r\n", CHUNKS),
    "encoding_list_turned": request(b"transfer-encoding: chunked, identity\r\n", CHUNKS),
    "two_encodings": request(CHUNKED + b"transfer-encoding: identity\r\n", CHUNKS),
    "encoding_in_quotes": request(b'transfer-encoding: "chunked"\r\n', CHUNKS),
    "encoding_behind_a_bare_cr": request(b"x: y\rtransfer-encoding: chunked\r\n" + LENGTH),
    "encoding_before_http11": request(CHUNKED, CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "length_with_a_sign": request(b"content-length: +%d\r\n" % len(BODY)),
    "length_list": request(b"content-length: %d, %d\r\n" % (len(BODY), len(BODY))),
    "the_same_length_twice": request(LENGTH + LENGTH),
    "length_in_hex": request(b"content-length: 0x%x\r\n" % len(BODY)),
    "length_with_an_underscore": request(b"content-length: 1_0\r\n"),
    "length_in_arabic_digits": request("content-length: ٣\r\n".encode()),
    "empty_length": request(b"content-length: \r\n"),
    "length_folded": request(b"content-length:\r\n %d\r\n" % len(BODY)),
    "value_folded": request(b"x: a\r\n b\r\n" + LENGTH),
    "nul_in_a_value": request(b"x: a\0b\r\n" + LENGTH),
    "nul_in_a_name": request(b"x\0: a\r\n" + LENGTH),
    "space_in_a_name": request(b"x y: a\r\n" + LENGTH),
    "line_without_a_colon": request(b"xyz\r\n" + LENGTH),
    "first_line_folded": request(LENGTH, start=b"POST /v1/chat/completions HTTP/1.1\r\n host: x\r\n"),
}


async def test_a_request_that_can_be_read_in_two_ways_is_refused_and_nothing_behind_it_read(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    for name, data in REFUSED.items():
        assert statuses(await send(proxy.port, data + SMUGGLED)) == [400], name
    assert asked(simulation) == []


BROKEN_CHUNKS: dict[str, bytes] = {
    "negative": b"-1\r\n" + BODY,
    "in_c_hex": b"0x%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    "with_an_underscore": b"1_0\r\n" + BODY,
    "with_a_sign": b"+%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    "too_long": b"f" * 40 + b"\r\n" + BODY,
    "line_feeds_alone": b"%x\n%b\n0\n\n" % (len(BODY), BODY),
    "longer_than_its_data": b"%x\r\n%bXX0\r\n\r\n" % (len(BODY), BODY),
    "empty": b"\r\n" + BODY,
}


async def test_a_body_in_broken_chunks_is_refused_and_nothing_behind_it_read(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    for name, body in BROKEN_CHUNKS.items():
        async with asyncio.timeout(20):
            received = await send(proxy.port, request(CHUNKED, body + SMUGGLED), quiet=30)
        assert statuses(received) == [400], name
        head, _, refusal = received.partition(b"\r\n\r\n")
        assert b"connection: close" in head.lower(), name
        error = json.loads(refusal)["error"]
        assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", None, None)
        assert "chunk" in error["message"]
    async with asyncio.timeout(20):
        while proxy.running:
            await asyncio.sleep(0.01)
    assert asked(simulation) == []


@pytest.mark.parametrize("at_once", [True, False], ids=["with_the_head", "after_the_head"])
async def test_a_body_in_broken_chunks_is_logged_and_counted_as_the_clients_error(
    proxy: RunningProxy, at_once: bool
) -> None:
    head, broken = request(CHUNKED, b""), BROKEN_CHUNKS["negative"]
    in_flight = 'claude_proxy_requests_in_flight{endpoint="chat_completions"}'
    with capture_logs() as logs:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        async with asyncio.timeout(20):
            writer.write(head + broken if at_once else head)
            if not at_once:
                while (await metrics_of(proxy))[in_flight] != "1.0":
                    await asyncio.sleep(0.01)
                writer.write(broken)
            assert statuses(await reader.read()) == [400]
            while not (lines := [line for line in logs if line.get("endpoint") == "chat_completions"]):
                await asyncio.sleep(0.01)
        writer.close()
    assert [(line["event"], line["outcome"], line["status"]) for line in lines] == [("exchange", "client_error", 400)]
    metrics = await metrics_of(proxy)
    assert metrics['claude_proxy_refused_total{reason="request"}'] == "1.0"
    assert metrics['claude_proxy_client_disconnects_total{phase="request"}'] == "0.0"
    assert metrics[in_flight] == "0.0"


async def metrics_of(proxy: RunningProxy) -> dict[str, str]:
    async with httpx2.AsyncClient() as client:
        page = (await client.get(f"http://127.0.0.1:{proxy.port}/metrics")).text
    return dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))


async def test_broken_chunks_behind_other_requests_are_refused_after_the_answers_to_those(proxy: RunningProxy) -> None:
    for path in (b"/no/such/path", b"/v1/chat/completions"):
        before = request(CHUNKED, b"2\r\n{}\r\n0\r\n\r\n", b"POST %b HTTP/1.1\r\nhost: x\r\n" % path)
        received = await send(proxy.port, before * 2 + request(CHUNKED, BROKEN_CHUNKS["negative"] + SMUGGLED), quiet=30)
        assert received.count(b"HTTP/1.1 ") == 3
        assert statuses(received[received.rindex(b"HTTP/1.1 ") :]) == [400]
        assert received.count(b"malformed") == 1


async def test_chunks_that_break_behind_the_answer_end_the_connection_without_another(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    settings = load_settings(
        {"claude": {"api_key": "k", "base_url": simulation.base_url}, "limits": {"max_request_bytes": 1024}}
    )
    async with start_proxy(STANDALONE, settings=settings) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request(CHUNKED, b"401\r\n%b\r\n" % (b" " * 1025)))
        async with asyncio.timeout(60):
            answer = await reader.readuntil(b"}}")
            writer.write(b"-1\r\n" + SMUGGLED)
            assert await reader.read() in (b"", b"\n")
        writer.close()
        assert statuses(answer) == [413]


async def test_a_length_beyond_all_limits_is_refused_before_any_body_comes(proxy: RunningProxy) -> None:
    assert statuses(await send(proxy.port, request(b"content-length: %d\r\n" % 10**30), quiet=0.05)) == [413]


@pytest.mark.parametrize(
    "endless",
    [
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx: ",
        b"GET /",
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx: a\r\nb: ",
    ],
    ids=["value", "path", "second_header"],
)
async def test_a_head_without_an_end_is_refused_at_its_limit(proxy: RunningProxy, endless: bytes) -> None:
    sent, received = await flood(proxy.port, endless)
    assert sent < 8 * MOST_UNREAD_BYTES
    assert statuses(received) in ([431], [])  # a reset may take the answer with it


async def test_a_chunk_size_without_an_end_ends_the_connection(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    sent, received = await flood(proxy.port, request(CHUNKED, b"5;"))
    assert sent < 8 * MOST_UNREAD_BYTES
    assert statuses(received) == []
    assert asked(simulation) == []


async def test_what_is_sent_ahead_of_an_answer_has_a_limit(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    slow = chat('[[simulate: {"text": "slow", "delay": 60}]]')
    sent, _ = await flood(proxy.port, post(body=slow))
    assert sent < 8 * MOST_UNREAD_BYTES
    async with asyncio.timeout(20):
        while proxy.running:
            await asyncio.sleep(0.01)
    assert len(asked(simulation)) == 1


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_the_body_of_a_request_that_its_head_refuses_is_not_kept(proxy: RunningProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(request(CHUNKED, b"", b"POST /no/such/path HTTP/1.1\r\nhost: x\r\n"))
    before = resident_bytes()
    for _ in range(64 * MOST_UNREAD_BYTES // 65_536):
        writer.write(b"10000\r\n" + bytes(65_536) + b"\r\n")
        await writer.drain()
    grown = resident_bytes() - before
    writer.write(b"0\r\n\r\n")
    async with asyncio.timeout(60):
        assert await reader.readline() == b"HTTP/1.1 404 Not Found\r\n"
    writer.close()
    assert grown < 16 * MOST_UNREAD_BYTES


async def flood(port: int, start: bytes) -> tuple[int, bytes]:
    """Send the beginning, then more and more until the proxy has enough; return how much it took, and its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent, received = 0, b""
    writer.write(start)
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(10):
            while not reader.at_eof() and sent < 64 * MOST_UNREAD_BYTES:
                writer.write(b"a" * 65_536)
                sent += 65_536
                await writer.drain()
                await asyncio.sleep(0)
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(5):
            received = await reader.read()
    writer.close()
    return sent, received


PSEUDO: dict[str, list[tuple[str, str]]] = {
    "crlf_in_the_path": [(":path", "/v1/chat/completions HTTP/1.1\r\nx: y")],
    "space_in_the_method": [(":method", "POST /v1/models")],
    "encoding": [("transfer-encoding", "chunked")],
    "connection": [("connection", "keep-alive")],
    "upper_case": [("X-Upper", "a")],
    "crlf_in_a_value": [("x", "a\r\nhost: y")],
    "nul_in_a_value": [("x", "a\0b")],
    "colon_in_a_name": [("x: y", "a")],
    "two_paths": [(":path", "/v1/chat/completions"), (":path", "/v1/models")],
    "unknown_pseudo_header": [(":status", "200")],
    "another_host": [("host", "other.example")],
    "wrong_length": [("content-length", "5")],
    "no_path": [(":path", "")],
}


@pytest.mark.parametrize("changed", PSEUDO.values(), ids=PSEUDO)
async def test_an_http2_request_that_http1_could_not_write_is_refused(
    start_proxy: ProxyStarter, simulation: RunningSimulation, changed: list[tuple[str, str]]
) -> None:
    async with start_proxy("reverse:https://standalone.claude-proxy.invalid@127.0.0.1:0") as proxy:
        names = {name for name, _ in changed}
        plain = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "standalone.claude-proxy.invalid"),
            (":path", "/v1/chat/completions"),
        ]
        headers = [pair for pair in plain if pair[0] not in names]
        found = await ask_http2(proxy, [*headers, *changed])
        assert found in (None, "400", "404", "405"), found
        assert asked(simulation) == []


async def ask_http2(proxy: RunningProxy, headers: list[tuple[str, str]]) -> str | None:
    """Send one request as it is; return its status, None for a connection or a stream that is ended."""
    trusting = ssl.create_default_context(cafile=str(proxy.ca))
    trusting.check_hostname = False
    trusting.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", proxy.port, ssl=trusting, server_hostname="standalone.claude-proxy.invalid"
    )
    unchecked = h2.config.H2Configuration(
        header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
    )
    connection = h2.connection.H2Connection(unchecked)
    connection.initiate_connection()
    connection.send_headers(1, headers)
    connection.send_data(1, BODY, end_stream=True)
    writer.write(connection.data_to_send())
    status: Any = None
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(60):
            while status is None and (data := await reader.read(65_536)):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.ResponseReceived):
                        status = dict(event.headers)[":status"]
                    if isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                        writer.close()
                        return None
    writer.close()
    return None if status is None else str(status)

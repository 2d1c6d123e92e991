"""A client that leaves ends the call to Claude within 100 ms: in each phase, streamed or not, in h1 and h2."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable

import h2.connection
import h2.errors
import pytest
from mitmproxy import http

from addon.configuration.settings import Settings, load_settings
from tests.integration.raw_upstream import Call, begun_answer, raw_upstream
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.lived_time import within

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
REVERSE_TLS = "reverse:https://standalone.claude-proxy.invalid@127.0.0.1:0"
SOON = 0.1
"""Seconds that the cancellation may take."""


def settings_for(base_url: str) -> Settings:
    return load_settings({"claude": {"api_key": "sk-ant-test-key", "base_url": base_url}})


def request_bytes(*, stream: bool) -> bytes:
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def silent(call: Call) -> None:
    """Take the request and say nothing."""


async def silent_after_the_first_event(call: Call) -> None:
    await call.send(begun_answer("Once"))


async def overloaded(call: Call) -> None:
    await call.send(b"HTTP/1.1 529 Overloaded\r\nretry-after: 30\r\ncontent-length: 2\r\n\r\n{}")


async def nothing_runs(proxy: RunningProxy) -> None:
    while proxy.running:
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("script", [silent, silent_after_the_first_event], ids=["before_the_answer", "in_the_answer"])
async def test_E5_leaving_over_http1_cancels_the_call(
    start_proxy: ProxyStarter, script: Callable[[Call], Awaitable[None]], stream: bool
) -> None:
    async with (
        raw_upstream(script) as upstream,
        start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes(stream=stream))
        call = await upstream.call()
        if stream and script is silent_after_the_first_event:
            assert b"Once" in await reader.readuntil(b"Once")
        else:
            await asyncio.sleep(0.1)
        assert proxy.running == 1
        writer.close()
        await within(SOON, call.hung_up.wait())
        await within(SOON, nothing_runs(proxy))


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_E6_leaving_ends_the_wait_for_a_retry(start_proxy: ProxyStarter, stream: bool) -> None:
    async with (
        raw_upstream(overloaded) as upstream,
        start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes(stream=stream))
        await upstream.call()
        await asyncio.sleep(0.1)
        assert proxy.running == 1
        writer.close()
        await within(SOON, nothing_runs(proxy))
        assert len(upstream.calls) == 1


async def test_leaving_in_the_middle_of_the_request_asks_claude_nothing(start_proxy: ProxyStarter) -> None:
    async with (
        raw_upstream(silent) as upstream,
        start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy,
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes(stream=True)[:-10])
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.sleep(SOON)
        assert proxy.running == 0
        assert upstream.calls == []
        assert proxy.addon._exchanges == {}


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_resetting_an_http2_stream_cancels_its_call_and_no_other(start_proxy: ProxyStarter, stream: bool) -> None:
    async with raw_upstream(silent_after_the_first_event) as upstream:
        async with start_proxy(REVERSE_TLS, settings=settings_for(upstream.base_url)) as proxy:
            client = await Http2Client.connect(proxy)
            await client.post(1, stream=stream)
            await upstream.call(0)
            await client.post(3, stream=stream)
            call = await upstream.call(1)
            await asyncio.sleep(0.1)
            assert proxy.running == 2
            await client.reset(3)
            await within(SOON, call.hung_up.wait())
            assert proxy.running == 1
            assert not upstream.calls[0].hung_up.is_set()
            client.writer.close()
            await within(SOON, upstream.calls[0].hung_up.wait())


class Waiting:
    """Holds a flow up in one hook of another addon."""

    def __init__(self, hook: str) -> None:
        self.waits, self.go_on = asyncio.Event(), asyncio.Event()
        setattr(self, hook, self._wait)

    async def _wait(self, _flow: http.HTTPFlow) -> None:
        self.waits.set()
        await self.go_on.wait()


async def leave_while_it_waits(proxy: RunningProxy, waiting: Waiting, request: bytes) -> None:
    """Send a request, leave while the addon holds it up, and see that nothing of it is left."""
    proxy.master.addons.add(waiting)
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(request)
    async with asyncio.timeout(60):
        await waiting.waits.wait()
        writer.close()
        while proxy.master.addons.get("proxyserver").connections:
            await asyncio.sleep(0.01)
    waiting.go_on.set()
    await within(SOON, nothing_runs(proxy))
    assert proxy.addon._exchanges == {}


@pytest.mark.parametrize("full", [True, False], ids=["in-mitmdump", "in-our-own-master"])
@pytest.mark.parametrize("hook", ["requestheaders", "request", "responseheaders"])
async def test_leaving_while_an_addon_waits_cancels_the_call(start_proxy: ProxyStarter, hook: str, full: bool) -> None:
    waiting = Waiting(hook)
    async with (
        raw_upstream(silent_after_the_first_event) as upstream,
        start_proxy(REVERSE, settings=settings_for(upstream.base_url), full=full, keeps_bodies=full) as proxy,
    ):
        await leave_while_it_waits(proxy, waiting, request_bytes(stream=True))
        for call in upstream.calls:
            await within(SOON, call.hung_up.wait())


@pytest.mark.parametrize("full", [True, False], ids=["in-mitmdump", "in-our-own-master"])
@pytest.mark.parametrize("hook", ["request", "responseheaders", "response"])
async def test_leaving_while_an_addon_holds_a_websocket_up_ends_it(
    start_proxy: ProxyStarter, hook: str, full: bool
) -> None:
    waiting = Waiting(hook)
    asking = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    key = b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    async with start_proxy(REVERSE, full=full, keeps_bodies=full) as proxy:
        request = b"GET /v1/responses HTTP/1.1\r\nhost: x\r\n" + asking + key + b"\r\n"
        await leave_while_it_waits(proxy, waiting, request)


class Killing:
    """Kills each flow when its answer begins."""

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        flow.kill()


@pytest.mark.parametrize("full", [True, False], ids=["in-mitmdump", "in-our-own-master"])
async def test_a_flow_that_an_addon_kills_cancels_its_call(start_proxy: ProxyStarter, full: bool) -> None:
    async with (
        raw_upstream(silent_after_the_first_event) as upstream,
        start_proxy(REVERSE, settings=settings_for(upstream.base_url), full=full, keeps_bodies=full) as proxy,
    ):
        proxy.master.addons.add(Killing())
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes(stream=True))
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        call = await upstream.call()
        await within(SOON, call.hung_up.wait())
        await within(SOON, nothing_runs(proxy))
        assert proxy.addon._exchanges == {}
        writer.close()


class Http2Client:
    """A client that can reset a stream, which the usual ones do not do when they are cancelled."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._h2 = h2.connection.H2Connection()

    @classmethod
    async def connect(cls, proxy: RunningProxy) -> "Http2Client":
        context = ssl.create_default_context(cafile=str(proxy.ca))
        context.check_hostname = False
        context.set_alpn_protocols(["h2"])
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=context)
        client = cls(writer)
        client._h2.initiate_connection()
        await client._flush()
        return client

    async def post(self, stream_id: int, *, stream: bool) -> None:
        path = "/v1/chat/completions"
        headers = [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        self._h2.send_headers(stream_id, headers)
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        self._h2.send_data(stream_id, json.dumps(body).encode(), end_stream=True)
        await self._flush()

    async def reset(self, stream_id: int) -> None:
        self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
        await self._flush()

    async def _flush(self) -> None:
        self.writer.write(self._h2.data_to_send())
        await self.writer.drain()

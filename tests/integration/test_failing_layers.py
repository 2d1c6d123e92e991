"""Where mitmproxy fails, in its layers or in what they want done, the connection ends, and all that it was about."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from mitmproxy import ctx, http

from addon.configuration.settings import Settings, load_settings
from tests.faults.encodings import STREAMED, WHOLE
from tests.faults.http2_client import Http2Client
from tests.faults.leftovers import nothing_left
from tests.integration.raw_upstream import Call, RawUpstream, begun_answer, message_end, raw_upstream, text_delta
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REGULAR = "regular@127.0.0.1:0"
STANDALONE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
PATIENCE = 5
KEY = "sk-a-key-that-no-log-may-have"
CLASHING = "/clashing"
"""Nothing that Claude answers: what is directed to it may be answered by another addon."""
UNWRITABLE = "/v1/chat/completions?unwritable"
FAILING = pytest.mark.parametrize("failing", [CLASHING, UNWRITABLE], ids=["in-a-layer", "in-a-command"])


def post(path: str) -> bytes:
    """Make a request of which no more is sent than has to be for it to fail."""
    body = "" if path == CLASHING else "not json"
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 8\r\n\r\n"
    return (head + body).encode()


class Clash:
    """An addon that answers a request whose body is streamed on, in which mitmproxy sees a mistake: it raises."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if flow.request.path == CLASHING:
            flow.response = http.Response.make(200)
            flow.request.stream = True


class Unwritable:
    """An addon that spoils what a client's connection is written to: mitmproxy fails to do what its layers want."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if flow.request.path == UNWRITABLE:
            client = ctx.master.addons.get("proxyserver").connections[flow.client_conn.id].transports[flow.client_conn]
            client.writer = Spoilt(client.writer)


class Spoilt:
    """A writer that cannot be written to, as one of uvloop whose socket is closed."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, _data: bytes) -> None:
        raise RuntimeError("the handler is closed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


@pytest.fixture
async def claude() -> AsyncIterator[RawUpstream]:
    """Begins each answer, and ends none."""

    async def begin(call: Call) -> None:
        await call.send(begun_answer("Once"))

    async with raw_upstream(begin) as upstream:
        yield upstream


@pytest.fixture
def settings(claude: RawUpstream) -> Settings:
    return load_settings({"claude": {"api_key": "k", "base_url": claude.base_url}, "store": {"path": ":memory:"}})


@pytest.fixture(params=[True, False], ids=["in-mitmdump", "in-our-own-master"])
async def proxy(start_proxy: ProxyStarter, request: pytest.FixtureRequest) -> AsyncIterator[RunningProxy]:
    async with start_proxy(REGULAR, STANDALONE, full=request.param, keeps_bodies=request.param) as running:
        running.master.addons.add(Clash(), Unwritable())
        yield running


def failures(caplog: pytest.LogCaptureFixture) -> int:
    assert KEY not in caplog.text
    return [record.getMessage() for record in caplog.records].count("mitmproxy has crashed!")


@FAILING
async def test_an_http2_connection_ends_with_all_its_streams(
    proxy: RunningProxy, claude: RawUpstream, caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    async with nothing_left(proxy, claude):
        client = await Http2Client.connect_through(proxy.ports[0], proxy.ca)
        begun, before, after = STREAMED[0], STREAMED[1], WHOLE[0]
        client.send(begun.path, begun.body)
        await client.receive_until(b"Once")
        # All in one event: of the last one, no more than its head is seen.
        client.writer.write(
            client._request(before.path, before.body)
            + client._request(failing, {})
            + client._request(after.path, after.body)
        )
        assert await client.is_closed()
        await asyncio.wait_for((await claude.call(0)).hung_up.wait(), PATIENCE)
        await client.close()
    assert failures(caplog) == 1
    async with httpx2.AsyncClient(trust_env=False) as scraping:
        page = (await scraping.get(f"http://127.0.0.1:{proxy.ports[1]}/metrics")).text
    in_flight = re.findall(r'^claude_proxy_requests_in_flight\{endpoint="(.*)"\} (.*)$', page, re.MULTILINE)
    assert {count for endpoint, count in in_flight if endpoint != "metrics"} == {"0.0"}


@FAILING
async def test_an_http1_connection_ends(proxy: RunningProxy, caplog: pytest.LogCaptureFixture, failing: str) -> None:
    async with nothing_left(proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.ports[1])
        writer.write(post(failing))
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        writer.close()
    assert failures(caplog) == 1


@FAILING
async def test_other_connections_go_on(proxy: RunningProxy, claude: RawUpstream, failing: str) -> None:
    other, begun = await Http2Client.connect_through(proxy.ports[0], proxy.ca), STREAMED[0]
    other.send(begun.path, begun.body)
    await other.receive_until(b"Once")
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.ports[1])
    writer.write(post(failing))
    await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    await (await claude.call(0)).send(text_delta(" more") + message_end())
    assert begun.text(await other.receive()) == "Once more"
    await other.close()

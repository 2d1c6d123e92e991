"""However a request is spelled: its body goes to Claude or nowhere, never to the host that it is intercepted from."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator

import pytest

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.contract.real_host import RealHost, real_host
from tests.integration.hostile.raw_client import REGULAR, STANDALONE, chat, post, send, statuses
from tests.integration.running_proxy import ProxyStarter, RunningProxy

CHAT = "/v1/chat/completions"
SPELLINGS = (
    "//v1/chat/completions",
    "/v1//chat///completions//",
    "//v1/../v1/chat/completions",
    "/v1/./chat/./completions",
    "/v1/models/../chat/completions",
    "/../../v1/chat/completions",
    "/v1/%63hat/completions",
    "/%76%31/%63%68%61%74/%63%6f%6d%70%6c%65%74%69%6f%6e%73",
    "/v1/%2e%2e/v1/chat/completions",
    "/v1/%2E/chat/completions",
    "/v1/chat%2Fcompletions",
    "/v1%2fchat%2fcompletions",
    "/v1/chat/completions?/../../embeddings",
    "/v1/chat/completions?api-version=1#/embeddings",
    "/openai/deployments/a%2Fb/%63hat/completions",
)


@pytest.fixture
def host() -> Iterator[RealHost]:
    with real_host() as running:
        yield running


@pytest.fixture
async def proxy(start_proxy: ProxyStarter, simulation: RunningSimulation) -> AsyncIterator[RunningProxy]:
    claude = {"api_key": "sk-ant-test-key", "base_url": simulation.base_url}
    hosts = {"hosts": ["127.0.0.1", "api.openai.com"], "untranslated": "pass"}
    settings = load_settings({"claude": claude, "interception": hosts, "store": {"path": ":memory:"}})
    async with start_proxy(STANDALONE, REGULAR, settings=settings) as running:
        yield running


async def test_no_spelling_of_a_path_takes_a_body_to_the_real_host(
    proxy: RunningProxy, host: RealHost, simulation: RunningSimulation
) -> None:
    for spelling in SPELLINGS:
        simulation.journal.clear()
        target = f"http://127.0.0.1:{host.port}{spelling}"
        received = await send(proxy.ports[1], post(target, host=f"127.0.0.1:{host.port}"), quiet=0.05)
        assert statuses(received) == [200], spelling
        assert [call.path for call in simulation.journal if call.path == "/v1/messages"] == ["/v1/messages"], spelling
    assert host.received == []
    # So that the list above would show one that passes.
    await send(proxy.ports[1], post(f"http://127.0.0.1:{host.port}/v1/embeddings", b"{}"), quiet=0.05)
    assert [received.path for received in host.received] == ["/v1/embeddings"]


@pytest.mark.parametrize(
    "named",
    ["host: other.example", "host: 127.0.0.1\r\nhost: other.example", "host: other.example\r\nhost: 127.0.0.1", "x: y"],
    ids=["another", "ours_and_another", "another_and_ours", "none"],
)
async def test_no_host_header_takes_a_body_to_the_real_host(proxy: RunningProxy, host: RealHost, named: str) -> None:
    body = chat()
    head = f"POST http://127.0.0.1:{host.port}{CHAT} HTTP/1.1\r\n{named}\r\ncontent-length: {len(body)}\r\n\r\n"
    received = await send(proxy.ports[1], head.encode() + body, quiet=0.05)
    assert statuses(received) in ([200], [400])
    assert host.received == []


@pytest.mark.parametrize("connected_to", ["api.openai.com", "192.0.2.1"], ids=["by_the_tunnel", "by_the_tls_name"])
async def test_inside_a_tunnel_another_host_header_changes_nothing(
    proxy: RunningProxy, simulation: RunningSimulation, connected_to: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.ports[1])
    writer.write(f"CONNECT {connected_to}:443 HTTP/1.1\r\nhost: {connected_to}:443\r\n\r\n".encode())
    async with asyncio.timeout(60):
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        trusting = ssl.create_default_context(cafile=str(proxy.ca))
        await writer.start_tls(trusting, server_hostname="api.openai.com")
        writer.write(post(CHAT, host="other.example"))
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert [call.path for call in simulation.journal if call.path == "/v1/messages"] == ["/v1/messages"]


async def test_the_standalone_endpoint_goes_nowhere_else(proxy: RunningProxy, host: RealHost) -> None:
    origin = f"127.0.0.1:{host.port}"
    tries = {
        "absolute form": post(f"http://{origin}/v1/embeddings", host=origin),
        "https in absolute form": post(f"https://{origin}/v1/embeddings", host=origin),
        "host header": post("/v1/embeddings", host=origin),
        "tunnel": f"CONNECT {origin} HTTP/1.1\r\nhost: {origin}\r\n\r\n".encode() + post("/v1/embeddings"),
        "authority form": post(origin),
        "no slash": post("v1/embeddings"),
        "a user's name": post(f"http://user@{origin}/v1/embeddings"),
        "asterisk": b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    }
    for name, data in tries.items():
        received = await send(proxy.ports[0], data, quiet=0.05)
        assert set(statuses(received)) <= {400, 404}, name
        assert statuses(received), name
    assert host.received == []


async def test_a_tunnel_to_the_proxy_itself_ends(proxy: RunningProxy) -> None:
    itself = f"127.0.0.1:{proxy.ports[1]}"
    connect = f"CONNECT {itself} HTTP/1.1\r\nhost: {itself}\r\n\r\n".encode()
    received = await send(proxy.ports[1], connect + connect + post(f"http://{itself}{CHAT}", host=itself), quiet=0.3)
    assert len(received) < 10_000
    # Whatever became of it, the proxy answers.
    assert statuses(await send(proxy.ports[0], post(), quiet=0.05)) == [200]


@pytest.mark.parametrize(
    "path", ["/v1/responses/\udcff\udcfe", "/v1/\udcff", "/v1/files?after=%ff", "/v1/models/%ff%fe%00", "/%"], ids=ascii
)
async def test_bytes_that_are_no_characters_are_an_error_of_openais_shape(proxy: RunningProxy, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode("utf-8", "surrogateescape")
    received = await send(proxy.ports[0], request)
    assert statuses(received)[0] in {200, 400, 404}
    assert b'{"error":{"message":"' in received or statuses(received) == [200]

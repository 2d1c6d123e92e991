"""The proxy is no way into the network that it stands in: in each mode, by each protocol, on real sockets."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REGULAR = "regular@127.0.0.1:0"
STANDALONE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
SOCKS = "socks5@127.0.0.1:0"


@dataclass
class Inside:
    """A service of the network that the proxy stands in; `heard` is what reached it."""

    port: int
    heard: list[bytes] = field(default_factory=list)
    connections: int = 0


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service.connections += 1
        with contextlib.suppress(ConnectionError):
            service.heard.append(await reader.read(1000))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\ninside")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    service = Inside(server.sockets[0].getsockname()[1])
    async with server:
        yield service


@pytest.fixture
def allowing(simulation: RunningSimulation) -> Any:
    def make(*rules: str, **more: Any) -> Any:
        claude = {"api_key": "k", "base_url": simulation.base_url}
        return load_settings({"claude": claude, "egress": {"allow": rules or ("public",)}, **more})

    return make


async def answer_to(proxy: RunningProxy, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(sent)
    try:
        async with asyncio.timeout(60):
            return await reader.read(10_000)
    finally:
        writer.close()


HOSTS = ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0"]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_tunnel_into_the_network_is_refused(
    start_proxy: ProxyStarter, allowing: Any, inside: Inside, host: str
) -> None:
    async with start_proxy(REGULAR, STANDALONE, settings=allowing()) as proxy:
        answered = await answer_to(proxy, f"CONNECT {host}:{inside.port} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        assert answered.startswith(b"HTTP/1.1 403 ")
        assert b'"code":"host_not_allowed"' in answered
        async with httpx2.AsyncClient(trust_env=False) as client:
            metrics = (await client.get(f"http://127.0.0.1:{proxy.ports[1]}/metrics")).text
            assert 'claude_proxy_refused_total{reason="host"} 1.0' in metrics
    assert inside.connections == 0


@pytest.mark.parametrize("host", HOSTS)
async def test_a_plain_request_into_the_network_is_refused(
    start_proxy: ProxyStarter, allowing: Any, inside: Inside, host: str
) -> None:
    async with start_proxy(REGULAR, settings=allowing()) as proxy:
        url = f"http://{host}:{inside.port}/secrets"
        with capture_logs() as logs:
            answered = await answer_to(proxy, f"GET {url} HTTP/1.1\r\nhost: api.example\r\n\r\n".encode())
        assert answered.startswith(b"HTTP/1.1 403 ")
        [line] = [entry for entry in logs if entry["event"] == "refused"]
        assert (line["host"], line["path"], line["code"]) == (host.strip("[]"), "/secrets", "host_not_allowed")
    assert inside.connections == 0


async def send_raw_bytes(port: int, destination: bytes) -> None:
    """Ask the SOCKS proxy for a destination (RFC 1928, 5: its type, itself, the port), and send it what is no HTTP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x05\x01\x00")
    assert await reader.readexactly(2) == b"\x05\x00"
    writer.write(b"\x05\x01\x00" + destination)
    await reader.readexactly(10)
    writer.write(b"\x00\x01 no HTTP at all, no TLS either " * 10)
    async with asyncio.timeout(60):
        assert await reader.read() == b""
    writer.close()


async def test_raw_bytes_through_socks_do_not_get_there(
    start_proxy: ProxyStarter, allowing: Any, inside: Inside
) -> None:
    async with start_proxy(SOCKS, settings=allowing()) as proxy:
        await send_raw_bytes(proxy.port, b"\x01" + socket.inet_aton("127.0.0.1") + inside.port.to_bytes(2, "big"))
    assert inside.connections == 0


async def test_a_name_with_a_nul_does_not_lead_to_the_address_before_it(
    start_proxy: ProxyStarter, allowing: Any, inside: Inside
) -> None:
    name = b"127.0.0.1\0.example.com"
    async with start_proxy(SOCKS, settings=allowing(egress={"allow": ["*.example.com"]})) as proxy:
        await send_raw_bytes(proxy.port, b"\x03" + bytes([len(name)]) + name + inside.port.to_bytes(2, "big"))
    assert inside.connections == 0


async def test_a_host_of_ours_that_leads_inside_is_no_way_there(
    start_proxy: ProxyStarter, allowing: Any, inside: Inside
) -> None:
    """Its tunnel is opened, for us to answer in; what is passed on in it is held to the rules."""
    settings = allowing(interception={"hosts": ["localhost"]})
    async with start_proxy(REGULAR, settings=settings) as proxy:
        async with httpx2.AsyncClient(
            proxy=f"http://127.0.0.1:{proxy.port}", verify=ssl.create_default_context(cafile=str(proxy.ca))
        ) as client:
            response = await client.post(f"https://localhost:{inside.port}/v1/embeddings", json={})
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "host_not_allowed"
    assert inside.connections == 0


@pytest.mark.parametrize("rules", [("public", "private"), ("127.0.0.0/8",), ("localhost",)], ids=str)
async def test_what_the_operator_allows_is_reached_by_its_name(
    start_proxy: ProxyStarter, allowing: Any, inside: Inside, rules: tuple[str, ...]
) -> None:
    async with start_proxy(REGULAR, settings=allowing(*rules)) as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            for _ in range(2):
                assert (await client.get(f"http://localhost:{inside.port}/")).text == "inside"
    assert all(f"host: localhost:{inside.port}".encode() in heard.lower() for heard in inside.heard)


async def test_the_proxys_own_ports_are_never_reached_through_it(start_proxy: ProxyStarter, allowing: Any) -> None:
    """Else metrics that are shown on this machine alone would be shown to whoever may use the proxy."""
    async with start_proxy(REGULAR, STANDALONE, settings=allowing("public", "private")) as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            for port in proxy.ports:
                response = await client.get(f"http://127.0.0.1:{port}/metrics")
                assert response.status_code == 403
                assert "that is the proxy itself" in response.json()["error"]["message"]


async def test_a_name_that_is_bound_anew_leads_nowhere_else(
    start_proxy: ProxyStarter, allowing: Any, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name has an allowed address while it is judged, and another one at every later look."""
    real, looks = socket.getaddrinfo, []
    addresses: list[str] = []

    def getaddrinfo(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        if host != "rebound.example":
            return real(host, port, *args, **more)
        looks.append(host)
        address = addresses[len(looks) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nallowed")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.2", inside.port):
        for second, status in (("127.0.0.1", 502), ("127.0.0.2", 200)):
            looks.clear()
            addresses[:] = ["127.0.0.2", second, "127.0.0.1"]
            async with start_proxy(REGULAR, settings=allowing("127.0.0.2")) as proxy:
                async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
                    response = await client.get(f"http://rebound.example:{inside.port}/")
                    assert response.status_code == status
            assert len(looks) == 2
    assert (inside.connections, len(heard)) == (0, 1)


async def test_the_next_proxy_of_upstream_mode_may_be_inside(
    start_proxy: ProxyStarter, allowing: Any, inside: Inside
) -> None:
    async with start_proxy(f"upstream:http://127.0.0.1:{inside.port}@127.0.0.1:0", settings=allowing()) as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            assert (await client.get("http://elsewhere.example/")).text == "inside"
            assert (await client.get("http://10.0.0.1/")).status_code == 403


async def test_without_a_key_nothing_gets_through_where_keys_are_asked_for(
    start_proxy: ProxyStarter, allowing: Any, inside: Inside
) -> None:
    settings = allowing("private", access={"proxy_keys": True})
    async with start_proxy(SOCKS, settings=settings) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"\x05\x01\x00")
        await reader.readexactly(2)
        writer.write(b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + inside.port.to_bytes(2, "big"))
        await reader.readexactly(10)
        writer.write(b"\x00\x01 no HTTP at all, no TLS either " * 10)
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()
    assert inside.connections == 0

"""What is not ours passes untouched: TLS as a tunnel, with the certificate of the real host."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization as form
from mitmproxy.certs import CertStore

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.running_proxy import ProxyStarter

REGULAR = "regular@127.0.0.1:0"


ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\n\r\nthe real"


@contextlib.asynccontextmanager
async def real_host(folder: Path, said: bytes = ANSWER) -> AsyncIterator[tuple[int, Path]]:
    """A TLS server with a certificate authority of its own; gives its port and that authority."""
    store = CertStore.from_store(folder, "real", 2048)
    entry = store.get_cert("localhost", [x509.DNSName("localhost")])
    chain = folder / "chain.pem"
    key = entry.privatekey.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    chain.write_bytes(entry.cert.to_pem() + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], folder / "real-ca-cert.pem"


@pytest.mark.parametrize("mode", [REGULAR, "socks5@127.0.0.1:0"])
async def test_other_tls_hosts_keep_their_own_certificate(start_proxy: ProxyStarter, tmp_path: Path, mode: str) -> None:
    async with real_host(tmp_path) as (port, ca), start_proxy(mode) as proxy:
        scheme = "socks5h" if mode.startswith("socks") else "http"
        trusting_only_the_host = ssl.create_default_context(cafile=str(ca))
        via = f"{scheme}://127.0.0.1:{proxy.port}"
        async with httpx2.AsyncClient(proxy=via, verify=trusting_only_the_host) as client:
            response = await client.post(f"https://localhost:{port}/v1/chat/completions", json={})
            assert response.text == "the real"


async def test_other_tls_hosts_are_intercepted_where_that_is_wanted(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    claude = {"api_key": "k", "base_url": simulation.base_url}
    settings = load_settings({"claude": claude, "interception": {"others": "intercept"}})
    async with real_host(tmp_path) as (port, ca), start_proxy(REGULAR, settings=settings, ssl_insecure=True) as proxy:
        for trusted, works in ((ca, False), (proxy.ca, True)):
            verify = ssl.create_default_context(cafile=str(trusted))
            async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}", verify=verify) as client:
                with contextlib.nullcontext() if works else pytest.raises(httpx2.ConnectError):
                    assert (await client.get(f"https://localhost:{port}/")).text == "the real"

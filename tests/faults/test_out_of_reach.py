"""Claude cannot be connected to: every encoding says so with a status, at once or after `claude.connect_timeout`."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from addon.configuration.settings import load_settings
from tests.faults.conftest import MODES, WAYS, connect, connect_for_forwarding
from tests.faults.encodings import FORWARDED, TRANSLATED
from tests.faults.leftovers import nothing_left
from tests.faults.logged import exchanges_in
from tests.integration.running_proxy import run_proxy
from tests.reserved_ports import reserved_port

CONNECT_SECONDS = 1.0


@contextlib.asynccontextmanager
async def nobody_listens(_folder: Path) -> AsyncIterator[str]:
    with reserved_port() as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def no_such_name(_folder: Path) -> AsyncIterator[str]:
    yield "http://claude.invalid"


@contextlib.asynccontextmanager
async def a_full_queue(_folder: Path) -> AsyncIterator[str]:
    """Accept no connection, so that the kernel answers no further one."""
    with contextlib.ExitStack() as opened:
        full = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(2):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


@contextlib.asynccontextmanager
async def a_certificate_of_nobody(folder: Path) -> AsyncIterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(folder))
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.asynccontextmanager
async def no_tls(_folder: Path) -> AsyncIterator[str]:
    def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    key_bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "self-signed.pem"
    path.write_bytes(key_bytes + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("place", "status", "code", "cause"),
    [
        (nobody_listens, 502, "upstream_unreachable", "ConnectionRefusedError: Connection refused"),
        # What the resolver says depends on the network that the machine is in.
        (no_such_name, 502, "upstream_unreachable", "gaierror: "),
        (a_full_queue, 504, "timeout", "ConnectionTimeoutError"),
        (a_certificate_of_nobody, 502, "upstream_unreachable", "SSLCertVerificationError: self-signed certificate"),
        (no_tls, 502, "upstream_unreachable", "SSLError: WRONG_VERSION_NUMBER"),
    ],
    ids=["refused", "dns", "hanging", "certificate", "no_tls"],
)
async def test_a_claude_that_cannot_be_connected_to_is_said_and_nothing_is_left(
    place: Callable[[Path], AbstractAsyncContextManager[str]],
    status: int,
    code: str,
    cause: str,
    way: str,
    confdir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with place(tmp_path) as base_url:
        claude = {"api_key": "k", "base_url": base_url, "max_retries": 0, "connect_timeout": CONNECT_SECONDS}
        settings = load_settings({"claude": claude, "store": {"path": ":memory:"}})
        async with run_proxy(settings, confdir, *MODES) as proxy, nothing_left(proxy):
            client = await connect(proxy, way)
            for encoding in TRANSLATED:
                received = await client.ask(encoding.path, encoding.body)
                encoding.check_error(received, status, "server_error", code)
            await client.close()
            client = await connect_for_forwarding(proxy, way)
            received = await client.ask(FORWARDED.path, FORWARDED.body)
            assert received.status == status
            assert received.json()["error"]["type"] == ("timeout_error" if status == 504 else "api_error")
            for piece in (b"127.0.0.1", b"claude.invalid", b"certificate"):
                assert piece not in received.body.lower()
            await client.close()
    failures = exchanges_in(capsys)
    assert len(failures) == len(TRANSLATED) + 1
    assert {failure["code"] for failure in failures} == {code}
    for failure in failures:
        assert failure["cause"].startswith(cause), failure

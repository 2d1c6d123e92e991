"""The HTTP client of the calls to Claude, against a real socket."""

import asyncio
import contextlib
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from anthropic import DefaultAioHttpClient

from addon.claude.transport import ClaudeHttpClient, open_transport
from addon.configuration.claude_settings import ClaudeSettings

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def answering_with(*heads: bytes):
    """Answer each request with the next head, and keep what was asked, in lower case."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while len(asked) < len(heads):
                asked.append((await reader.readuntil(b"\r\n\r\n")).lower())
                writer.write(heads[len(asked) - 1] + b"content-length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with ClaudeHttpClient(timeout=httpx2.Timeout(5), trust_env=False) as client:
            yield client, f"127.0.0.1:{port}", asked


async def statuses(client: httpx2.AsyncClient, *urls: str) -> list[int]:
    found = []
    for url in urls:
        response = await client.send(client.build_request("POST", url), stream=True)
        await response.aread()
        found.append(response.status_code)
    return found


async def test_a_redirect_is_followed():
    moved = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /there\r\n"
    async with answering_with(moved, moved, b"HTTP/1.1 200 OK\r\n") as (client, address, asked):
        assert await statuses(client, f"http://{address}/here") == [200]
    assert [head.split()[1] for head in asked] == [b"/here", b"/there", b"/there"]


async def test_an_answers_cookies_do_not_come_back_with_the_next_request():
    cookies = b"HTTP/1.1 200 OK\r\nset-cookie: who=one; path=/\r\n"
    async with answering_with(cookies, cookies) as (client, address, asked):
        assert await statuses(client, *[f"http://localhost:{address.partition(':')[2]}/"] * 2) == [200, 200]
    assert not any(b"cookie" in head for head in asked)


async def test_nor_do_those_of_an_answer_that_is_read_at_once():
    cookies = b"HTTP/1.1 200 OK\r\nset-cookie: who=one; path=/\r\n"
    async with answering_with(cookies, cookies) as (client, address, asked):
        url = f"http://localhost:{address.partition(':')[2]}/"
        await client.get(url)
        assert await statuses(client, url) == [200]
    assert len(asked) == 2
    assert not any(b"cookie" in head for head in asked)


async def test_the_credentials_of_a_url_are_sent():
    async with answering_with(b"HTTP/1.1 200 OK\r\n") as (client, address, asked):
        assert await statuses(client, f"http://me:secret@{address}/") == [200]
    assert b"authorization: basic bwu6c2vjcmv0" in asked[0]


async def test_a_closed_client_sends_nothing():
    async with answering_with(b"HTTP/1.1 200 OK\r\n") as (client, address, asked):
        await client.aclose()
        with pytest.raises(RuntimeError, match="closed"):
            await statuses(client, f"http://{address}/")
    assert asked == []


def folded_head(head: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    by_name: dict[bytes, bytes] = {}
    for name, _, value in (field.partition(b": ") for field in fields):
        by_name[name] = b", ".join([by_name[name], value] if name in by_name else [value])
    return line, by_name


@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")  # of aiohttp, for the SDK
@pytest.mark.parametrize("proxied", [False, True], ids=["straight", "through_a_proxy_with_a_password"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="none"),
        pytest.param([("authorization", "Bearer key"), ("Anthropic-Version", "2023-06-01")], id="any_case"),
        pytest.param([("anthropic-beta", "one"), ("x-other", "2"), ("Anthropic-Beta", "three")], id="one_name_twice"),
        pytest.param([("user-agent", "own/1"), ("Accept", "*/*"), ("accept-encoding", "identity")], id="defaults"),
        pytest.param([("x-text", "Größe".encode())], id="utf-8"),
        pytest.param([("x-text", b"Gr\xf6\xdfe")], id="latin-1"),
        pytest.param([("x-empty", "")], id="empty"),
    ],
)
async def test_headers_go_out_as_by_the_sdks_own_client(headers, proxied):
    async with answering_with(*[b"HTTP/1.1 200 OK\r\n"] * 2) as (_, address, asked):
        options = {"proxy": f"http://me:secret@{address}"} if proxied else {}
        host = "claude.invalid" if proxied else address
        for kind in (DefaultAioHttpClient, ClaudeHttpClient):
            async with kind(timeout=httpx2.Timeout(5), trust_env=False, **options) as client:
                request = client.build_request("POST", f"http://{host}/", headers=headers, content=b"")
                await (await client.send(request, stream=True)).aclose()
    theirs, ours = map(folded_head, asked)
    assert ours == theirs
    assert (b"proxy-authorization" in ours[1]) is proxied


_PROGRAM = """
import asyncio
from addon.claude.transport import ClaudeHttpClient, open_transport
from addon.configuration.claude_settings import ClaudeSettings

async def ask():
    async with ClaudeHttpClient(trust_env=False) as client:
        await (await client.send(client.build_request("GET", "%s"), stream=True)).aclose()

asyncio.run(ask())
"""


async def test_pythons_development_mode_has_nothing_to_warn_of():
    async with answering_with(b"HTTP/1.1 200 OK\r\n") as (_, address, asked):
        options = ["-X", "dev", "-W", "error::DeprecationWarning"]
        program = await asyncio.create_subprocess_exec(
            sys.executable, *options, "-c", _PROGRAM % f"http://{address}/", cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await program.communicate()
    assert program.returncode == 0, errors.decode()
    assert b"Deprecat" not in errors
    assert len(asked) == 1


@asynccontextmanager
async def naming_connections():
    """Answer each request with the port of its connection, when all that were sent together are there."""
    together = asyncio.Barrier(1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await together.wait()
                port = str(writer.get_extra_info("peername")[1]).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(port), port))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        claude = ClaudeSettings(api_key="k", base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with open_transport(claude, proxy=None) as client:

            async def ask(number: int = 1) -> list[str]:
                nonlocal together
                together = asyncio.Barrier(number)
                answers = await asyncio.gather(*[client.get(claude.base_url) for _ in range(number)])
                return [answer.text for answer in answers]

            yield ask


async def test_the_connection_that_was_used_last_is_taken():
    async with naming_connections() as ask:
        opened = await ask(3)
        [first] = await ask()
        assert len(set(opened)) == 3
        assert first in opened
        assert await ask() + await ask() == [first] * 2
        assert set(await ask(3)) == set(opened)


async def test_a_connection_waits_for_its_next_call_for_less_than_a_minute(monkeypatch):
    async with naming_connections() as ask:
        [first] = await ask()
        for seconds, is_kept in ((40, True), (100, False)):
            now = time.monotonic() + seconds
            monkeypatch.setattr("aiohttp.connector.monotonic", lambda now=now: now)
            assert (await ask() == [first]) is is_kept

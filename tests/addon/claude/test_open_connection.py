"""The second request of a connection: what it sends, and what becomes of it, is what aiohttp's own way makes of it."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import httpx2
import pytest

from addon.claude import open_connection
from addon.claude.transport import ClaudeHttpClient

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BODY = b'{"model":"claude-opus-5-5"}'


@dataclass
class Peer:
    """Answers by a function of how many requests came before on all connections; keeps what was asked."""

    answer: Callable[[int], bytes | None] = lambda _: ANSWER
    """None: the connection is closed without one."""
    asked: list[bytes] = field(default_factory=list)
    connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                self.asked.append(head + await reader.readexactly(int(length[1]) if length else 0))
                answer = self.answer(len(self.asked) - 1)
                if answer is None:
                    break
                writer.write(answer)
        self.left.set()
        writer.close()


@asynccontextmanager
async def talking_to(peer: Peer, read_timeout: float = 5) -> AsyncIterator[Callable]:
    async with (
        await asyncio.start_server(peer.serve, "127.0.0.1") as server,
        ClaudeHttpClient(timeout=httpx2.Timeout(5, read=read_timeout), trust_env=False) as client,
    ):
        base = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

        async def ask(
            path: str = "/v1/messages",
            credentials: str = "",
            content_type: str | None = "application/json",
            **options: object,
        ) -> httpx2.Response:
            url = f"http://{credentials}{base}{path}"
            request = client.build_request("POST", url, **{"content": BODY, **options})
            if content_type:
                request.headers["content-type"] = content_type
            response = await client.send(request, stream=True)
            await response.aread()
            return response

        yield ask


@pytest.fixture
def long_ways(monkeypatch) -> list[str]:
    """The URLs that were asked aiohttp's own way."""
    asked: list[str] = []
    by_aiohttp = aiohttp.ClientSession._request

    async def request(self: aiohttp.ClientSession, method: str, url: str, **options: object) -> aiohttp.ClientResponse:
        asked.append(str(url))
        return await by_aiohttp(self, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", request)
    return asked


def parts(request: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    pairs = [field.split(b": ", 1) for field in fields]
    return line, sorted((name.lower(), value) for name, value in pairs), body


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="plain"),
        pytest.param({"headers": {"x-api-key": "key", "Anthropic-Beta": "one", "x-empty": ""}}, id="headers"),
        pytest.param({"headers": [("a", "1"), ("A", "2")]}, id="one_name_twice"),
        pytest.param({"path": "/v1/messages?beta=true&text=%E4%20b"}, id="query"),
        pytest.param({"path": "/v1/ä b/messages"}, id="path"),
        pytest.param({"content": b""}, id="no_body"),
        pytest.param({"headers": {"connection": "keep-alive"}}, id="connection"),
        pytest.param({"content_type": "text/plain"}, id="type"),
    ],
)
async def test_it_sends_what_aiohttp_would(options, long_ways):
    async with talking_to(peer := Peer()) as ask:
        answers = [await ask(**options) for _ in range(3)]
    first, second, third = map(parts, peer.asked)
    assert second == third == first
    assert peer.connections == 1
    assert len(long_ways) == 1
    assert [(each.status_code, each.reason_phrase, each.text, each.http_version) for each in answers] == [
        (200, "OK", "ok", "HTTP/1.1")
    ] * 3


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"content": b"x" * 100_000}, id="large"),
        pytest.param({"headers": {"x-text": b"Gr\xf6\xdfe"}}, id="no_ascii"),
        pytest.param({"headers": {"expect": "100-continue"}, "content": b""}, id="expectation"),
        pytest.param({"content_type": None}, id="no_type"),
        pytest.param({"credentials": "me:secret@"}, id="credentials"),
    ],
)
async def test_what_is_special_goes_aiohttps_own_way(options, long_ways):
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + ANSWER if "expect" in str(options) else ANSWER
    async with talking_to(peer := Peer(lambda _: answer)) as ask:
        for _ in range(2):
            assert (await ask(**options)).text == "ok"
    assert parts(peer.asked[0]) == parts(peer.asked[1])
    assert len(long_ways) == 2


async def test_a_header_that_would_be_two_is_refused():
    async with talking_to(peer := Peer()) as ask:
        await ask()
        for value in ("one\r\nx-other: two", "one\nx-other: two", "one\rtwo", "one\0two", "one\x7ftwo"):
            with pytest.raises(ValueError, match=r"[Nn]ewline|header|control"):
                await ask(headers={"x-text": value})
    assert len(peer.asked) == 1


async def test_information_before_the_answer_is_passed_over():
    async with talking_to(Peer(lambda _: b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + ANSWER)) as ask:
        assert [(await ask()).text for _ in range(3)] == ["ok"] * 3


async def test_a_connection_that_was_closed_meanwhile_is_not_taken(long_ways):
    async with talking_to(peer := Peer(lambda _: b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok")) as ask:
        peer.answer = lambda number: None if number == 1 else ANSWER
        assert (await ask()).text == "ok"
        with pytest.raises(httpx2.TransportError):  # it is closed in place of the answer
            await ask()
        assert [(await ask()).text for _ in range(2)] == ["ok"] * 2
    assert peer.connections == 2
    assert len(long_ways) == 2


@pytest.mark.parametrize("garbage", [b"what is no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nno header\r\n\r\n"])
async def test_a_malformed_answer_breaks_the_connection_off(garbage):
    async with talking_to(peer := Peer(lambda number: garbage if number == 1 else ANSWER)) as ask:
        assert (await ask()).text == "ok"
        with pytest.raises((httpx2.TransportError, aiohttp.ClientError)):
            await ask()
        assert (await ask()).text == "ok"
    assert peer.connections == 2


async def test_silence_has_an_end():
    async with talking_to(peer := Peer(lambda number: b"" if number == 1 else ANSWER), read_timeout=0.1) as ask:
        assert (await ask()).text == "ok"
        with pytest.raises(httpx2.TimeoutException):
            await ask()
        await asyncio.wait_for(peer.left.wait(), 5)
        assert (await ask()).text == "ok"
    assert peer.connections == 2


async def test_who_stops_waiting_closes_the_connection():
    async with talking_to(peer := Peer(lambda number: b"" if number == 1 else ANSWER)) as ask:
        assert (await ask()).text == "ok"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await ask()
        await asyncio.wait_for(peer.left.wait(), 5)
        assert (await ask()).text == "ok"
    assert peer.connections == 2


async def test_many_at_once_have_connections_of_their_own():
    async with talking_to(peer := Peer()) as ask:
        for _ in range(3):
            assert [each.text for each in await asyncio.gather(*[ask() for _ in range(20)])] == ["ok"] * 20
    assert peer.connections == 20
    assert len(peer.asked) == 60


@asynccontextmanager
async def silent_from_the_second_on(*read_timeouts: float) -> AsyncIterator[list[Callable]]:
    """Give for each timeout what asks with it, all over one pool."""
    peer = Peer(lambda number: b"" if number else ANSWER)
    async with (
        await asyncio.start_server(peer.serve, "127.0.0.1") as server,
        ClaudeHttpClient(trust_env=False) as client,
    ):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/messages"

        async def ask(seconds: float) -> None:
            options = {"headers": {"content-type": "a/b"}, "timeout": httpx2.Timeout(5, read=seconds)}
            request = client.build_request("POST", url, content=BODY, **options)
            await (await client.send(request, stream=True)).aread()

        yield [lambda seconds=seconds: ask(seconds) for seconds in read_timeouts]


@pytest.mark.parametrize("first", [0.15, 30])
async def test_each_request_has_its_own_time(first):
    async with silent_from_the_second_on(first, 0.3) as (ask_first, ask_second):
        await ask_first()
        await asyncio.sleep(0.2)  # what rests is not timed
        begun = asyncio.get_running_loop().time()
        with pytest.raises(httpx2.TimeoutException):
            await ask_second()
        assert 0.25 < asyncio.get_running_loop().time() - begun < 1.5


async def test_a_connection_on_which_something_has_come_unasked_is_not_taken():
    late = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(BODY))
        writer.write(ANSWER)
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        late.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server, ClaudeHttpClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/messages"
        for _ in range(2):
            request = client.build_request("POST", url, content=BODY, headers={"content-type": "a/b"})
            response = await client.send(request, stream=True)
            assert response.status_code == 200
            await response.aread()
            await late.wait()
            await asyncio.sleep(0.1)
            late.clear()


async def test_no_key_is_kept_for_the_next_request(monkeypatch):
    kept: list[object] = []
    encode = open_connection._encode_fields
    monkeypatch.setattr(open_connection, "_encode_fields", lambda *given: kept.append(given) or encode(*given))
    async with talking_to(peer := Peer()) as ask:
        for _ in range(3):
            await ask(headers={"X-Api-Key": "sk-ant-one", "authorization": "Bearer sk-ant-two", "x-other": "3"})
    assert b"sk-ant-one" in peer.asked[2]
    assert b"sk-ant-two" in peer.asked[2]
    assert len(kept) == 1
    assert "sk-ant" not in str(kept)

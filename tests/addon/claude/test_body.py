"""The bytes of an answer, read one piece at a time and passed on where they arrive, from a real socket."""

import asyncio
import gzip
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress

import httpx2
import pytest

from addon.claude.body import ArrivingBody, Connection, UpstreamBrokenError, body_of
from addon.claude.transport import ClaudeHttpClient
from tests.event_loop_turns import turns_of_the_event_loop
from tests.lived_time import within

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"
CUT = b""
"""In a script: the connection is closed."""
SILENCE = 1.5
"""Seconds that a client waits for the next bytes: more than a busy machine stands still."""


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def answering(*script: bytes | float):
    """Serve requests, each with bytes and with pauses in seconds; after the last, the connection stays open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for step in script:
                    if step == CUT:
                        return
                    if isinstance(step, bytes):
                        writer.write(step)
                        await writer.drain()
                    else:
                        await asyncio.sleep(step)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with ClaudeHttpClient(timeout=httpx2.Timeout(SILENCE), trust_env=False) as client:
            yield client, f"http://127.0.0.1:{port}/"


@asynccontextmanager
async def opened(client: httpx2.AsyncClient, url: str) -> AsyncIterator[httpx2.Response]:
    response = await client.send(client.build_request("GET", url), stream=True)
    try:
        yield response
    finally:
        await response.aclose()


async def by_reads(response: httpx2.Response, pieces: list[bytes]) -> None:
    body = body_of(response)
    while piece := await body.read():
        pieces.append(piece)


async def by_passing_on(response: httpx2.Response, pieces: list[bytes]) -> None:
    async def take(piece: bytes) -> bool:
        pieces.append(piece)
        return True

    await body_of(response).pass_on(take)


async def by_passing_on_with_waits(response: httpx2.Response, pieces: list[bytes]) -> None:
    async def take(piece: bytes) -> bool:
        await asyncio.sleep(0.01)
        pieces.append(piece)
        return True

    await body_of(response).pass_on(take)


WAYS = pytest.mark.parametrize("read_all", [by_reads, by_passing_on, by_passing_on_with_waits])
type ReadAll = Callable[[httpx2.Response, list[bytes]], Awaitable[None]]


@WAYS
async def test_the_longest_silence_counts_and_not_the_whole_time(read_all: ReadAll):
    pieces: list[bytes] = []
    async with answering(HEAD, *[PIECE, SILENCE / 2] * 3, END) as (client, url), opened(client, url) as response:
        await read_all(response, pieces)
    assert pieces == [b"hello"] * 3


@WAYS
async def test_a_silence_ends_after_its_time_whenever_the_last_bytes_came(read_all: ReadAll):
    pieces: list[bytes] = []
    async with answering(HEAD, PIECE, SILENCE / 2, PIECE) as (client, url):
        begun = time.monotonic()
        async with opened(client, url) as response:
            with pytest.raises(UpstreamBrokenError, match="fell silent"):
                await read_all(response, pieces)
        assert 1.45 * SILENCE < time.monotonic() - begun < 20
    assert pieces == [b"hello"] * 2


@WAYS
async def test_a_connection_that_is_used_again_has_its_time_anew(read_all: ReadAll):
    async with answering(HEAD, SILENCE / 3, PIECE, SILENCE / 3, END) as (client, url):
        for _ in range(2):
            pieces: list[bytes] = []
            async with opened(client, url) as response:
                await read_all(response, pieces)
            assert pieces == [b"hello"]


@WAYS
@pytest.mark.parametrize(
    "broken", [[b"no size\r\n"], [CUT], [b"5\r\nhe", CUT]], ids=["framing", "between_chunks", "in_a_chunk"]
)
async def test_what_breaks_is_told_to_the_reader(read_all: ReadAll, broken: list[bytes]):
    pieces: list[bytes] = []
    async with answering(HEAD, PIECE, 0.1, PIECE, 0.1, *broken) as (client, url), opened(client, url) as response:
        with pytest.raises(UpstreamBrokenError, match="broke"):
            await read_all(response, pieces)
    assert b"".join(pieces) in {b"hellohello", b"hellohellohe"}


@WAYS
async def test_closing_the_pool_is_told_to_the_reader_at_once(read_all: ReadAll):
    pieces: list[bytes] = []
    async with answering(HEAD, PIECE, 0.05, PIECE) as (client, url), opened(client, url) as response:
        reading = asyncio.create_task(read_all(response, pieces))
        async with asyncio.timeout(20):
            while len(pieces) < 2:
                await asyncio.sleep(0.01)
        await client.aclose()
        with pytest.raises(UpstreamBrokenError, match="broke") as raised:
            await within(SILENCE / 3, reading)
    assert pieces == [b"hello"] * 2
    assert "closed by us" in str(raised.value.__cause__)


@WAYS
async def test_what_came_before_a_break_in_one_breath_with_it_is_taken(read_all: ReadAll):
    pieces: list[bytes] = []
    script = [PIECE, 0.1, PIECE + b"no size\r\n"]
    async with answering(HEAD, *script) as (client, url), opened(client, url) as response:
        with pytest.raises(UpstreamBrokenError, match="broke"):
            await read_all(response, pieces)
    assert pieces == [b"hello"] * 2


@WAYS
@pytest.mark.parametrize("steps", [1, 64], ids=["at_once", "by_and_by"])
async def test_a_body_that_comes_faster_than_it_is_taken_is_whole(read_all: ReadAll, steps: int):
    sent = bytes(number % 251 for number in range(1024 * 1024))
    size = len(sent) // steps
    script = [chunk(sent[start : start + size]) for start in range(0, len(sent), size)]
    pieces: list[bytes] = []
    async with answering(HEAD, *script, END) as (client, url), opened(client, url) as response:
        await asyncio.sleep(0.2)  # more comes than is buffered: aiohttp reads no more from the socket
        await read_all(response, pieces)
    assert b"".join(pieces) == sent
    assert max(map(len, pieces)) <= 16 * 1024


@WAYS
async def test_a_body_that_ends_with_its_connection_is_whole(read_all: ReadAll):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    pieces: list[bytes] = []
    async with answering(head, *[b"hello", 0.1] * 3, CUT) as (client, url), opened(client, url) as response:
        await read_all(response, pieces)
    assert b"".join(pieces) == b"hello" * 3


@WAYS
async def test_a_body_that_came_packed_is_unpacked(read_all: ReadAll):
    head = HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")
    pieces: list[bytes] = []
    async with answering(head, chunk(gzip.compress(b"hello")), END) as (client, url), opened(client, url) as response:
        await read_all(response, pieces)
    assert b"".join(pieces) == b"hello"


def connection_of(response: httpx2.Response) -> Connection:
    body = body_of(response)
    assert isinstance(body, ArrivingBody)
    return body._connection


def is_all_there(response: httpx2.Response) -> bool:
    body = body_of(response)
    assert isinstance(body, ArrivingBody)
    return body._stream.is_eof()


async def test_bytes_are_taken_in_the_turn_in_which_they_were_read(monkeypatch: pytest.MonkeyPatch):
    read_in: list[int] = []
    taken_in: list[int] = []
    async with answering(HEAD, *[PIECE, 0.02] * 10, END) as (client, url), opened(client, url) as response:
        body, connection = body_of(response), type(connection_of(response))
        received = connection.data_received

        def receive(self: object, data: bytes) -> None:
            read_in.append(turns())
            received(self, data)

        monkeypatch.setattr(connection, "data_received", receive)

        async def take(piece: bytes) -> bool:
            taken_in.append(turns())
            return bool(piece)

        with turns_of_the_event_loop() as turns:
            await body.pass_on(take)
    assert len(taken_in) > 1
    assert set(taken_in[1:]) <= set(read_in)


async def test_a_body_that_comes_at_once_takes_turns_with_others():
    taken_in: Counter[int] = Counter()

    async def take(piece: bytes) -> bool:
        taken_in[turns()] += len(piece)
        return True

    size = 4 * 1024 * 1024
    async with answering(HEAD, chunk(bytes(size)), END) as (client, url), opened(client, url) as response:
        with turns_of_the_event_loop() as turns:
            await body_of(response).pass_on(take)
    assert taken_in.total() == size
    assert max(taken_in.values()) <= 128 * 1024


async def test_what_wants_no_more_gets_no_more():
    pieces: list[bytes] = []

    async def take(piece: bytes) -> bool:
        pieces.append(piece)
        return len(pieces) < 3

    async with answering(HEAD, *[PIECE, 0.02] * 6) as (client, url), opened(client, url) as response:
        await body_of(response).pass_on(take)
        await asyncio.sleep(0.1)
    assert pieces == [b"hello"] * 3


@pytest.mark.parametrize("waits", [False, True], ids=["at_once", "after_a_wait"])
@pytest.mark.parametrize("failing", [1, 3], ids=["first", "third"])
async def test_what_the_taking_raises_reaches_who_waits(waits: bool, failing: int):
    pieces: list[bytes] = []

    async def take(piece: bytes) -> bool:
        pieces.append(piece)
        if waits:
            await asyncio.sleep(0.001)
        if len(pieces) == failing:
            raise LookupError("no")
        return True

    async with answering(HEAD, *[PIECE, 0.02] * 6) as (client, url), opened(client, url) as response:
        with pytest.raises(LookupError, match="no"):
            await body_of(response).pass_on(take)
        await asyncio.sleep(0.1)
    assert len(pieces) == failing


@pytest.mark.parametrize("reached", [1, 3], ids=["first", "third"])
async def test_who_waits_and_leaves_ends_the_taking(reached: int):
    pieces: list[bytes] = []
    waiting, ended = asyncio.Event(), asyncio.Event()

    async def take(piece: bytes) -> bool:
        pieces.append(piece)
        if len(pieces) == reached:
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
        return True

    async with answering(HEAD, *[PIECE, 0.02] * 6) as (client, url), opened(client, url) as response:
        passing = asyncio.create_task(body_of(response).pass_on(take))
        await waiting.wait()
        passing.cancel()  # before it knows that what it waits for has to wait itself
        with pytest.raises(asyncio.CancelledError):
            await passing
        await asyncio.wait_for(ended.wait(), 20)
        await asyncio.sleep(0.1)
    assert len(pieces) == reached


async def test_who_is_told_to_leave_within_the_taking_takes_no_more():
    taken: list[int] = []

    async def take(piece: bytes) -> bool:
        taken.append(len(piece))
        if len(taken) == 2:
            passing.cancel()  # as a client's connection does that fails while it is written to
        return True

    async with answering(HEAD, PIECE, 0.1, chunk(bytes(3 * 16 * 1024))) as (client, url):
        async with opened(client, url) as response:
            passing = asyncio.create_task(body_of(response).pass_on(take))
            with pytest.raises(asyncio.CancelledError):
                await passing
            await asyncio.sleep(0.1)
    assert len(taken) == 2


async def test_what_had_to_wait_has_ended_when_who_waits_has_left():
    steps: list[str] = []
    waiting = asyncio.Event()

    async def take(_piece: bytes) -> bool:
        if steps:
            waiting.set()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                steps.append("put down")
        else:
            steps.append("taken")
        return True

    async with answering(HEAD, PIECE, 0.1, PIECE) as (client, url), opened(client, url) as response:
        passing = asyncio.create_task(body_of(response).pass_on(take))
        await waiting.wait()
        passing.cancel()  # before it knows that what it waits for has to wait itself
        with pytest.raises(asyncio.CancelledError):
            await passing
        assert steps == ["taken", "put down"]


async def test_who_leaves_while_nothing_comes_is_let_go():
    async def take(_piece: bytes) -> bool:
        return True

    async with answering(HEAD, PIECE, 0.02, PIECE) as (client, url), opened(client, url) as response:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(body_of(response).pass_on(take), 0.2)


async def test_an_answer_on_a_connection_that_another_has_left_is_whole():
    async with answering(HEAD, PIECE, 0.01, PIECE, 0.01, PIECE, END) as (client, url):
        for _ in range(20):
            pieces: list[bytes] = []
            async with opened(client, url) as response:
                await by_passing_on(response, pieces)
            assert b"".join(pieces) == b"hello" * 3


async def test_who_is_slow_to_take_the_rest_leaves_the_connection_to_the_next_answer():
    rest = 3 * 16 * 1024
    requests = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        with closing(writer), suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                requests += 1
                writer.write(HEAD + PIECE)
                await asyncio.sleep(0.05)
                if requests == 1:
                    writer.write(chunk(bytes(rest)) + END)
                    continue
                await others_done.wait()
                writer.write(PIECE + END)

    async def take_slowly(piece: bytes) -> bool:
        taken.append(len(piece))
        if sum(taken) > len(b"hello"):
            waits.set()
            await goes_on.wait()
        return True

    taken: list[int] = []
    pieces: list[bytes] = []
    waits, goes_on, others_done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with (
        await asyncio.start_server(serve, "127.0.0.1") as server,
        ClaudeHttpClient(timeout=httpx2.Timeout(20), trust_env=False) as client,
    ):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with opened(client, url) as first, asyncio.TaskGroup() as group:
            passing = group.create_task(body_of(first).pass_on(take_slowly))
            await waits.wait()
            while not is_all_there(first):
                await asyncio.sleep(0.01)
            async with opened(client, url) as second:
                assert connection_of(second) is connection_of(first)
                reading = group.create_task(by_passing_on(second, pieces))
                while not pieces:
                    await asyncio.sleep(0.01)
                goes_on.set()
                await passing
                others_done.set()
                async with asyncio.timeout(20):
                    await reading
    assert sum(taken) == len(b"hello") + rest
    assert pieces == [b"hello"] * 2


@pytest.mark.parametrize("seed", range(3))
async def test_answers_that_share_connections_are_whole_however_they_come_and_are_taken(seed: int):
    chance = random.Random(seed)
    sent = bytes(number % 251 for number in range(200_000))
    pauses = [0.0, 0.0, 0.001, 0.01]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(HEAD)
                left = sent
                while left:
                    size = chance.choice([1, 300, 20_000, 150_000])
                    writer.write(chunk(left[:size]))
                    left = left[size:]
                    await asyncio.sleep(chance.choice(pauses))
                writer.write(END)

    async def ask(client: httpx2.AsyncClient, url: str) -> None:
        wanted = chance.choice([len(sent), len(sent), chance.randrange(len(sent))])
        waits = chance.random() < 0.7
        taken = bytearray()

        async def take(piece: bytes) -> bool:
            if waits:
                await asyncio.sleep(chance.choice(pauses))
            taken.extend(piece)
            return len(taken) < wanted or wanted == len(sent)

        async with opened(client, url) as response:
            await body_of(response).pass_on(take)
        assert taken == sent[: len(taken)]
        assert len(taken) >= wanted

    async def ask_again_and_again(client: httpx2.AsyncClient, url: str) -> None:
        for _ in range(10):
            await ask(client, url)

    async with (
        await asyncio.start_server(serve, "127.0.0.1") as server,
        ClaudeHttpClient(timeout=httpx2.Timeout(20), trust_env=False) as client,
        asyncio.timeout(60),
        asyncio.TaskGroup() as group,
    ):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for _ in range(8):
            group.create_task(ask_again_and_again(client, url))

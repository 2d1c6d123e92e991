"""The HTTP client of the calls to Claude, against a real socket."""

import asyncio
import time
from contextlib import asynccontextmanager

import httpx2
import pytest

from addon.claude_transport import BROKEN, SILENT, ClaudeHttpClient, reader_of

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b"5\r\nhello\r\n"
END = b"0\r\n\r\n"


@asynccontextmanager
async def answering(*script: bytes | float):
    """Serve requests, each with bytes and with pauses in seconds; after the last, the connection stays open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for step in script:
                    if isinstance(step, bytes):
                        writer.write(step)
                    else:
                        await asyncio.sleep(step)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with ClaudeHttpClient(timeout=httpx2.Timeout(0.5), trust_env=False) as client:
            yield client, f"http://127.0.0.1:{port}/"


async def read_all(client: httpx2.AsyncClient, url: str, pieces: list[bytes]) -> None:
    response = await client.send(client.build_request("GET", url), stream=True)
    try:
        read = reader_of(response)
        while piece := await read():
            pieces.append(piece)
    finally:
        await response.aclose()


async def test_the_longest_silence_counts_and_not_the_whole_time():
    pieces: list[bytes] = []
    async with answering(HEAD, *[PIECE, 0.3] * 4, END) as (client, url):
        await read_all(client, url, pieces)
    assert pieces == [b"hello"] * 4


async def test_a_silence_ends_after_its_time_whenever_the_last_bytes_came():
    pieces: list[bytes] = []
    async with answering(HEAD, PIECE, 0.3, PIECE) as (client, url):
        begun = time.monotonic()
        with pytest.raises(SILENT):
            await read_all(client, url, pieces)
        assert 0.75 < time.monotonic() - begun < 5
    assert pieces == [b"hello"] * 2


async def test_a_connection_that_is_used_again_has_its_time_anew():
    async with answering(HEAD, 0.3, PIECE, 0.3, END) as (client, url):
        for _ in range(3):
            pieces: list[bytes] = []
            await read_all(client, url, pieces)
            assert pieces == [b"hello"]


async def test_a_broken_framing_is_told_to_the_reader():
    pieces: list[bytes] = []
    async with answering(HEAD, PIECE, 0.1, b"no size\r\n") as (client, url):
        with pytest.raises(BROKEN):
            await read_all(client, url, pieces)
    assert pieces == [b"hello"]


async def test_a_reader_that_stops_and_goes_on_gets_every_byte():
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    async with answering(HEAD, *[piece] * 64, END) as (client, url):
        response = await client.send(client.build_request("GET", url), stream=True)
        read = reader_of(response)
        size = len(await read())
        await asyncio.sleep(0.3)  # more comes than is buffered: aiohttp reads no more from the socket
        while read_bytes := await read():
            size += len(read_bytes)
        await response.aclose()
    assert size == 64 * 0x10000

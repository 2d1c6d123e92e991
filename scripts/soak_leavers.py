"""Load of scripts/soak.py: clients that leave before they are answered, and clients that read slowly."""

import asyncio
import contextlib
import json
import random
import socket
import ssl
from collections.abc import AsyncIterator

import h2.connection
import h2.errors
import h2.events
from soak_apps import CHAT, create_response, socket_of
from soak_load import FOREVER, KEY, Load, chat, expect

LONG_TEXT = "slow and steady " * 1500
"""Its stream is larger than all that lies between Claude and a client that does not read."""
SLOW_READS = 20
SLOW_BYTES = 2048
SLOW_PAUSE = 0.05


async def leave_in_the_request(load: Load) -> None:
    """Hang up before the body is whole."""
    async with _sent(load, load.prompt(), is_stream=True, missing=10):
        await asyncio.sleep(0.02)


async def leave_before_the_answer(load: Load) -> None:
    """Hang up before Claude has said anything."""
    prompt = load.prompt(delay=3600)
    async with _sent(load, prompt, is_stream=random.random() < 0.5):
        await load.called(prompt)
    await load.see_it_end(prompt)


async def leave_in_the_stream(load: Load) -> None:
    """Hang up in the middle of a stream."""
    prompt = load.prompt(**FOREVER)
    async with _sent(load, prompt, is_stream=True) as reader:
        head = await reader.readuntil(b"\r\n\r\n")
        expect(head.startswith(b"HTTP/1.1 200"), repr(head))
        await reader.readuntil(b"data: ")
    await load.see_it_end(prompt)


async def leave_while_it_is_gathered(load: Load) -> None:
    """Hang up on a whole answer of which Claude has sent a part."""
    prompt = load.prompt(**FOREVER)
    async with _sent(load, prompt, is_stream=False):
        await load.called(prompt)
        await asyncio.sleep(0.1)
    await load.see_it_end(prompt)


async def leave_a_websocket(load: Load) -> None:
    """Hang up in the middle of a response."""
    async with socket_of(load) as socket:
        prompt = load.prompt(**FOREVER)
        await create_response(load, socket, prompt)
        await load.called(prompt)
        socket.transport.abort()
        await load.see_it_end(prompt)


async def reset_in_http2(load: Load) -> None:
    """Reset one of two streams of an HTTP/2 connection: the other one goes on to its end."""
    kept, reset = load.prompt(), load.prompt(**FOREVER)
    load.tally.requests += 2
    reader, writer = await _tunnel(load)
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "https"), (":authority", "api.openai.com"), (":path", CHAT)]
    for number, prompt in ((1, kept), (3, reset)):
        connection.send_headers(number, [*headers, ("authorization", f"Bearer {KEY}")])
        connection.send_data(number, json.dumps(chat(prompt, is_stream=True)).encode(), end_stream=True)
    writer.write(connection.data_to_send())
    await load.called(reset)
    connection.reset_stream(3, h2.errors.ErrorCodes.CANCEL)
    writer.write(connection.data_to_send())
    await load.see_it_end(reset)
    answer = bytearray()
    is_ended = False
    while not is_ended and (data := await reader.read(65536)):
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.DataReceived) and event.stream_id == 1:
                answer += event.data
            is_ended = is_ended or (isinstance(event, h2.events.StreamEnded) and event.stream_id == 1)
    writer.transport.abort()
    expect(answer.endswith(b"data: [DONE]\n\n"), repr(answer[-300:]))


async def _tunnel(load: Load) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to api.openai.com through the proxy mode, ready for HTTP/2."""
    context = ssl.create_default_context(cafile=str(load.target.ca))
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("127.0.0.1", load.target.proxy_port)
    writer.write(b"CONNECT api.openai.com:443 HTTP/1.1\r\nhost: api.openai.com:443\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    expect(head.startswith(b"HTTP/1.1 200"), repr(head))
    await writer.start_tls(context, server_hostname="api.openai.com")
    return reader, writer


# Those that read slowly.


async def read_slowly(load: Load) -> None:
    """Take a long stream in small pieces for a while, then the rest of it, and miss nothing."""
    prompt = load.prompt(text=LONG_TEXT, event_interval=0)
    async with _sent(load, prompt, is_stream=True, buffer=SLOW_BYTES) as reader:
        answer = await _slowly(reader)
        while b"data: [DONE]" not in answer[-100:]:
            data = await reader.read(65536)
            expect(data, f"it ended after {len(answer)} bytes: {answer[-300:]!r}")
            answer += data
    deltas = [json.loads(line[6:]) for line in _unchunked(answer).splitlines() if line.startswith(b"data: {")]
    text = "".join(delta["choices"][0]["delta"].get("content") or "" for delta in deltas)
    expect(text.strip() == LONG_TEXT.strip(), f"{len(text)} characters, not {len(LONG_TEXT)}")


async def leave_while_it_reads_slowly(load: Load) -> None:
    """Hang up while the proxy waits for the client to take what has come."""
    prompt = load.prompt(text=LONG_TEXT, event_interval=0, stall_after_events=2000, ping_interval=0.2)
    async with _sent(load, prompt, is_stream=True, buffer=SLOW_BYTES) as reader:
        await _slowly(reader)
    await load.see_it_end(prompt)


async def _slowly(reader: asyncio.StreamReader) -> bytearray:
    read = bytearray()
    for _ in range(SLOW_READS):
        read += await reader.read(SLOW_BYTES)
        await asyncio.sleep(SLOW_PAUSE)
    return read


def _unchunked(answer: bytes | bytearray) -> bytes:
    """Take the body out of an answer of HTTP/1.1, of which the last chunk may be missing."""
    rest = bytes(answer).partition(b"\r\n\r\n")[2]
    body = bytearray()
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return bytes(body)


@contextlib.asynccontextmanager
async def _sent(
    load: Load, prompt: str, *, is_stream: bool, missing: int = 0, buffer: int | None = None
) -> AsyncIterator[asyncio.StreamReader]:
    """Send a request, but for the last bytes, and hang up in the end; `buffer` bytes lie unread at most."""
    load.tally.requests += 1
    body = json.dumps(chat(prompt, is_stream=is_stream)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    sock = socket.socket()
    sock.setblocking(False)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", load.target.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=buffer or 65536)
    try:
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[: len(body) - missing])
        yield reader
    finally:
        writer.transport.abort()

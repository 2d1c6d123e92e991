"""For benches: answers that cost next to nothing, so that a measurement shows what stands in front of them.

No validation, no journal. The last user text steers: `chunks=100` text deltas, `burst=10` events per write,
`interval=0.01` seconds between writes. Events are encoded once.
"""

import asyncio
import re
from functools import cache

import msgspec
from aiohttp import web

from addon.simulated_claude.answers import Answer
from addon.simulated_claude.events import encode_event, make_events, make_message
from addon.simulated_claude.tokens import InputUsage

__all__ = ["answer_fast"]

CHUNKS = re.compile(rb"chunks=(\d+)")
BURST = re.compile(rb"burst=(\d+)")
INTERVAL = re.compile(rb"interval=([0-9.]+)")
STREAM = re.compile(rb'"stream"\s*:\s*true')
DEFAULT_CHUNKS = 8
HEADERS = {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_fast"}
MODEL = "claude-opus-5-5"


def _last(pattern: re.Pattern[bytes], raw: bytes, default: float) -> float:
    found = pattern.findall(raw)
    return float(found[-1]) if found else default


@cache
def _writes(chunks: int, burst: int) -> tuple[bytes, ...]:
    """Frame the whole stream as HTTP chunks of `burst` events each."""
    answer = Answer(({"type": "text", "text": "simulated words " * chunks},), "end_turn", output_tokens=chunks)
    events = [encode_event(event) for event in make_events(answer, "msg_fast", MODEL, InputUsage(10), {})]
    joined = [b"".join(events[start : start + burst]) for start in range(0, len(events), burst)]
    return tuple(b"%x\r\n%b\r\n" % (len(part), part) for part in joined)


@cache
def _whole(chunks: int) -> bytes:
    answer = Answer(({"type": "text", "text": "simulated words " * chunks},), "end_turn", output_tokens=chunks)
    return msgspec.json.encode(make_message(answer, "msg_fast", MODEL, InputUsage(10), {}))


async def answer_fast(request: web.Request) -> web.StreamResponse:
    """Answer `POST /v1/messages` from bytes that are ready."""
    raw = await request.read()
    chunks = int(_last(CHUNKS, raw, DEFAULT_CHUNKS))
    if not STREAM.search(raw):
        return web.Response(body=_whole(chunks), content_type="application/json", headers={"request-id": "req_fast"})
    interval = _last(INTERVAL, raw, 0.0)
    response = web.StreamResponse(headers=HEADERS)
    response.enable_chunked_encoding()
    writer = await response.prepare(request)
    transport = request.transport
    if writer is None or transport is None:
        raise ConnectionResetError
    await writer.drain()
    for part in _writes(chunks, int(_last(BURST, raw, 1))):
        # Past aiohttp's own chunked writer: the frames are in the bytes already.
        transport.write(part)
        await asyncio.sleep(interval)
        if transport.get_write_buffer_size() > 1 << 16:
            await writer.drain()
    await response.write_eof()
    return response

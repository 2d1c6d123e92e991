"""An upstream made of sockets, for what a well-behaved server cannot show: floods, silence, callers that hang up."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

EVENTS_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nrequest-id: req_raw\r\n\r\n"
)


def event(payload: dict[str, object]) -> bytes:
    data = b"event: %b\ndata: %b\n\n" % (
        str(payload["type"]).encode(),
        json.dumps(payload, ensure_ascii=False).encode(),
    )
    return b"%x\r\n%b\r\n" % (len(data), data)


def message_start() -> bytes:
    usage = {"input_tokens": 10, "output_tokens": 1}
    message = {
        "id": "msg_raw",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "usage": usage,
    }
    return event({"type": "message_start", "message": message}) + event(
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    )


def text_delta(text: str) -> bytes:
    return event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})


def message_end() -> bytes:
    return (
        event({"type": "content_block_stop", "index": 0})
        + event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}})
        + event({"type": "message_stop"})
        + b"0\r\n\r\n"
    )


def begun_answer(text: str) -> bytes:
    """An answer as far as its first piece."""
    return EVENTS_HEAD + message_start() + text_delta(text)


def whole_answer(text: str) -> bytes:
    return begun_answer(text) + message_end()


@dataclass
class Call:
    """One request that arrived."""

    writer: asyncio.StreamWriter
    head: bytes
    body: bytes
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up_at: float | None = None
    sent: int = 0

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        self.sent += len(data)
        await self.writer.drain()


type Script = Callable[[Call], Awaitable[None]]


@dataclass
class RawUpstream:
    base_url: str
    calls: list[Call]

    async def call(self, number: int = 0) -> Call:
        """Wait for a request."""
        async with asyncio.timeout(30):
            while len(self.calls) <= number:
                await asyncio.sleep(0.005)
        return self.calls[number]


@contextlib.asynccontextmanager
async def raw_upstream(script: Script, *, lists_models: bool = False, port: int = 0) -> AsyncIterator[RawUpstream]:
    """Listen; for each POST run `script`, and note when the caller hangs up.

    GETs (the model list) get a 404, unless the script is there to answer them.
    """
    calls: list[Call] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            first = b""
            while True:
                head = first + await reader.readuntil(b"\r\n\r\n")
                lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b""
                if head.startswith(b"GET") and not lists_models:
                    writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
                    first = b""
                    continue
                call = Call(writer, head, body)
                calls.append(call)
                running = asyncio.create_task(_run(script, call))
                tasks.add(running)
                first = await _first_of_the_next(reader)
                if not first:
                    call.hung_up_at = asyncio.get_running_loop().time()
                    call.hung_up.set()
                    running.cancel()
                    return

    async def _first_of_the_next(reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.read(1)
        except ConnectionError:  # the caller has hung up with something unread
            return b""

    async def _run(script: Script, call: Call) -> None:
        with contextlib.suppress(ConnectionError):
            await script(call)

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield RawUpstream(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", calls)
    finally:
        for task in tasks:
            task.cancel()
        for call in calls:
            call.writer.close()
        server.close()

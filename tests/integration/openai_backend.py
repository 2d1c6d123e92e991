"""An OpenAI-compatible server on loopback, for what Claude has no endpoint for. It remembers what reached it."""

import asyncio
import base64
import contextlib
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

SPEECH = bytes(range(256)) * 400
VECTOR = [0.5, -0.25]
RATE_LIMITED = (
    b'{ "error": {"message": "slow down",  "type": "requests", "param": null, "code": "rate_limit_exceeded"} }\n'
)


@dataclass
class Received:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known.lower() == name), None)


@dataclass
class OpenAIBackend:
    base_url: str
    received: list[Received] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets go of the answer of /v1/audio/slow, and of the reading of /v1/audio/unread."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """The caller of /v1/audio/slow hung up."""

    @property
    def last(self) -> Received:
        return self.received[-1]


def _embedding(_request: web.Request, _body: bytes) -> web.StreamResponse:
    packed = base64.b64encode(struct.pack("<2f", *VECTOR)).decode()
    return web.json_response(
        {
            "object": "list",
            "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": packed}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        }
    )


def _speech(_request: web.Request, _body: bytes) -> web.StreamResponse:
    return web.Response(body=SPEECH, content_type="audio/mpeg", headers={"x-request-id": "req_backend"})


def _transcription(_request: web.Request, _body: bytes) -> web.StreamResponse:
    return web.json_response({"text": "Hello", "usage": {"type": "duration", "seconds": 1}})


def _image(_request: web.Request, _body: bytes) -> web.StreamResponse:
    return web.json_response({"created": 1, "data": [{"b64_json": base64.b64encode(b"png").decode()}]})


def _moderation(_request: web.Request, _body: bytes) -> web.StreamResponse:
    return web.json_response({"id": "modr-1", "model": "omni-moderation-latest", "results": []})


def _limited(_request: web.Request, _body: bytes) -> web.StreamResponse:
    headers = {"retry-after": "7", "set-cookie": "who=another-client", "content-type": "application/json"}
    return web.Response(status=429, body=RATE_LIMITED, headers=headers)


_ANSWERS = {
    "/v1/embeddings": _embedding,
    "/v1/audio/speech": _speech,
    "/v1/audio/transcriptions": _transcription,
    "/v1/images/generations": _image,
    "/v1/images/edits": _image,
    "/v1/moderations": _moderation,
    "/v1/audio/limited": _limited,
}


@contextlib.asynccontextmanager
async def openai_backend() -> AsyncIterator[OpenAIBackend]:
    async def answer(request: web.Request) -> web.StreamResponse:
        received = Received(request.method, request.path_qs, list(request.headers.items()))
        backend.received.append(received)
        match request.path:
            case "/v1/realtime":
                return await _echo(request)
            case "/v1/audio/unread":
                await backend.go_on.wait()
            case "/v1/audio/slow":
                return await _slow(request)
            case "/v1/audio/cut":
                return await _cut(request)
        received.body = await request.read()
        found = _ANSWERS.get(request.path)
        return found(request, received.body) if found else web.json_response({"error": {"message": "?"}}, status=404)

    async def _slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: first\n\n")
        try:
            await backend.go_on.wait()
        except asyncio.CancelledError:
            backend.left.set()
            raise
        await response.write(b"data: last\n\n")
        return response

    async def _cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "100"})
        await response.prepare(request)
        await response.write(b"not all of it")
        await asyncio.sleep(0.05)
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("realtime",))
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    application = web.Application(client_max_size=2**30)
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    backend = OpenAIBackend(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
    try:
        yield backend
    finally:
        await runner.cleanup()

"""Clouds on loopback: each backend's own wire, in front of the simulated Claude, which judges what it is asked.

Nobody can reach the real ones from a test. What is checked here is what the SDK's clients and the clouds' own
documentation say: paths, versions, credentials, and Amazon's frames around the events of a stream.
"""

import asyncio
import base64
import contextlib
import json
import re
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx2
from aiohttp import web

from translators.backends import parse_target


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """Frame one message of Amazon's event stream."""
    encoded = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(encoded) + len(payload), len(encoded))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return message + struct.pack(">I", zlib.crc32(message))


def chunk_frame(event: bytes) -> bytes:
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps({"bytes": base64.b64encode(event).decode(), "p": "abc"}).encode())


def exception_frame(kind: str, message: str) -> bytes:
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message}).encode())


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


type Failure = Callable[[], web.StreamResponse]


@dataclass
class Clouds:
    url: str
    claude_url: str
    asked: list[Asked] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    """What the next requests are answered with."""
    last_frame: bytes | None = None
    """What Bedrock ends its next streams with, instead of the end."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A caller hung up."""

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = unquote(request.raw_path.partition("?")[0])
        if path == "/token":
            return web.json_response({"access_token": "google-token", "expires_in": 3600, "token_type": "Bearer"})
        body = await request.json()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(path, headers, body))
        if self.failures:
            return self.failures.pop(0)()
        if path.startswith("/model/"):
            model, _, verb = path.removeprefix("/model/").rpartition("/")
            assert verb == "invoke-with-response-stream"
            return await self._relay(request, f"bedrock:{model}", body, framed=True)
        if path.startswith("/v1/projects/"):
            model, _, verb = path.rpartition("/models/")[2].rpartition(":")
            assert verb == "streamRawPredict"
            return await self._relay(request, f"vertex:{model}", body)
        return await self._relay(request, f"bedrock:{body['model']}", body)

    async def _relay(
        self, request: web.Request, model: str, body: dict[str, Any], *, framed: bool = False
    ) -> web.StreamResponse:
        """Ask the simulated Claude the same, and answer in the backend's own form."""
        asked = dict(body)
        version = asked.pop("anthropic_version", request.headers.get("anthropic-version", ""))
        asked |= {"model": re.sub(r"-20260928$", "", parse_target(model).claude_id), "stream": True}
        sent = {"anthropic-version": "2026-10-21" if version == "2026-10-21" else "2023-06-01", "x-api-key": "k"}
        async with httpx2.AsyncClient(timeout=30) as http:
            async with http.stream("POST", f"{self.claude_url}/v1/messages", json=asked, headers=sent) as answer:
                if answer.status_code != 200:
                    return web.Response(status=answer.status_code, body=await answer.aread())
                kind = "application/vnd.amazon.eventstream" if framed else "text/event-stream"
                response = web.StreamResponse(headers={"content-type": kind, "x-amzn-requestid": "req_cloud"})
                await response.prepare(request)
                try:
                    async for line in answer.aiter_lines():
                        if not framed:
                            await response.write(line.encode() + b"\n")
                        elif line.startswith("data: "):
                            if self.last_frame is not None and '"content_block_stop"' in line:
                                await response.write(self.last_frame)
                                return response
                            await response.write(chunk_frame(line[6:].encode()))
                except (ConnectionError, asyncio.CancelledError):
                    self.left.set()
                    raise
                return response


@contextlib.asynccontextmanager
async def clouds(claude_url: str) -> AsyncIterator[Clouds]:
    running = Clouds("", claude_url)
    application = web.Application(client_max_size=2**26)
    application.router.add_post("/{path:.*}", running.answer)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    running.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield running
    finally:
        await runner.cleanup()

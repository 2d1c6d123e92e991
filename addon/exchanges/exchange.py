"""One exchange with a client, as its answer sees it: the request, and the way back for what is answered."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from mitmproxy import http

from addon.access.access import Client
from addon.access.limits import Admission
from addon.claude.response_cache import CacheUse
from addon.exchanges.client_side import ClientSide, UpgradableSide, Upgraded
from addon.exchanges.codex import headers_of_error
from addon.exchanges.gateway import Gateway
from addon.observation.figures import Figures
from addon.routing import Claim
from addon.storage.store import scope_of
from addon.wire.content_encoding import decode_body
from addon.wire.header_fields import folded_fields
from addon.wire.keep_alive import KeepAlive
from addon.wire.request_stream import RequestStream
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.rate_limits import tighter_limits
from translators.sse import KEEP_ALIVE, encode_data
from translators.translation_warning import encode_header

__all__ = ["Answer", "Exchange", "new_request_id"]


def new_request_id() -> str:
    """Make the value of an answer's `x-request-id`."""
    return f"req_{os.urandom(16).hex()}"


type Answer = Callable[["Exchange"], Awaitable[None]]
"""Answers an exchange whose body is complete; raises OpenAIError to refuse it."""


@dataclass(eq=False, repr=False)  # it holds what nobody may see
class Exchange:
    """A claimed flow, whose request has come or is coming, and which is answered once.

    `addon.exchanges.run` receives the request, has it answered in time and tells of what goes wrong.
    """

    flow: http.HTTPFlow
    claim: Claim
    gateway: Gateway
    authorization: str | None
    """The client's own credentials, which never go to Claude."""
    client: Client
    cache_use: CacheUse = "off"
    """Whether an answer may be given that was given before."""
    secrets: tuple[tuple[bytes, bytes], ...] = ()
    """The headers that say who the client is, which the flow no longer shows."""
    request_id: str = field(default_factory=new_request_id)
    figures: Figures = field(default_factory=Figures)
    started: float = field(default_factory=time.perf_counter)
    body: bytes = b""
    request_stream: RequestStream | None = None
    """Takes the place of `body` where it goes on while it comes."""
    kept_body: bytearray | None = None
    """A streamed answer as it went out, for mitmproxy's views."""
    encode_error: Callable[[OpenAIError], bytes] = OpenAIError.encode
    """How errors are written, for an endpoint that is not OpenAI's."""
    response_headers: dict[str, str] = field(default_factory=dict)
    """What Claude's answer adds to the headers of ours: its rate limits."""
    admission: Admission = field(default_factory=lambda: Admission({}))
    """What the limits let in: its headers tell the proxy's own, its places are taken until the end."""
    encode_failure: Callable[[OpenAIError], bytes] = lambda error: encode_data(error.encode())
    """Writes an error after the stream has begun, the way that the endpoint's streams end with one."""
    keep_alive: bytes = KEEP_ALIVE
    """What is sent when a stream was silent for too long; empty: nothing."""
    is_streamed: bool = False
    """The answer goes out piece by piece."""
    client_side: ClientSide = field(init=False)
    """The way back to the client, which comes with the request's headers."""
    status: int | None = None
    """What was answered, once something of the answer is on its way."""
    upgraded: Upgraded | None = None
    """Takes what the client sends after the protocol has changed."""
    _keep_alive: KeepAlive | None = None
    _relays: bool = False

    # What is asked, and of whom.

    @property
    def named(self) -> str:
        """What the path names (`Claim.name`), such as the id of a response; empty if it names nothing."""
        return self.claim.name or ""

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The request's headers as other addons have left them, without the client's secrets; names in lower case."""
        return folded_fields(self.flow.request.headers.fields)

    @cached_property
    def scope(self) -> str:
        """The client, as what is stored and remembered knows it."""
        return scope_of(self.authorization)

    @property
    def catalog(self) -> ModelCatalog:
        """Which model answers."""
        catalog, fallback = self.gateway.catalog, self.figures.fallback
        return catalog if fallback is None else catalog.always(fallback)

    def fall_back(self, model: str | None) -> None:
        """Have another model answer; None: the one that was asked first."""
        self.figures.fallback = model
        self.figures.backend = None

    def decoded_body(self) -> bytes:
        """Undo the body's content encodings.

        Raises:
            OpenAIError: an unknown or wrong encoding, or too large a body within.
        """
        encoding = self.headers.get("content-encoding", "")
        return (
            decode_body(self.body, encoding, self.gateway.settings.limits.max_request_bytes) if encoding else self.body
        )

    # The answer.

    @property
    def has_begun(self) -> bool:
        """Whether something of the answer is on its way to the client."""
        return self.status is not None

    async def respond(self, body: bytes, content_type: str = "application/json") -> None:
        """Answer with one body, JSON unless it says otherwise."""
        self.figures.first_byte = time.perf_counter()
        self.status = 200
        await self.client_side.respond(200, self._headers(content_type), body)

    async def relay(self, status: int, headers: list[tuple[bytes, bytes]], chunks: AsyncIterator[bytes]) -> None:
        """Answer with a response as it is, piece by piece. An error in the middle becomes a break for the client."""
        self._relays = True
        async for chunk in chunks:
            self.figures.writes += 1
            if self.kept_body is not None:
                self.kept_body += chunk
            if self.status is None:
                self.status = status
                self.is_streamed = True
                self.figures.first_byte = time.perf_counter()
                version = self.flow.request.http_version
                await self.client_side.start(status, headers, chunk, http_version=version)
            else:
                await self.client_side.write(chunk)
        if self.status is None:
            self.status = status
            await self.client_side.respond(status, headers, b"")
        else:
            await self.client_side.end()

    async def respond_in_pieces(self, length: int, pieces: AsyncIterator[bytes], content_type: str) -> None:
        """Answer with one body of a known length, piece by piece."""
        await self.relay(200, [*self._headers(content_type), (b"content-length", b"%d" % length)], pieces)

    async def write(self, data: bytes) -> None:
        """Send bytes of an event stream; the first ones start the response."""
        self.figures.writes += 1
        if self.kept_body is not None:
            self.kept_body += data
        if self.status is None:
            self.status = 200
            self.is_streamed = True
            self.figures.first_byte = time.perf_counter()
            stream_headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
            await self.client_side.start(
                200,
                self._headers("text/event-stream; charset=utf-8", stream_headers),
                data,
                http_version=self.flow.request.http_version,
            )
            if self.keep_alive:
                self._keep_alive = KeepAlive(self.gateway.settings.stream.keep_alive_seconds, self._write_keep_alive)
        else:
            if self._keep_alive:
                self._keep_alive.pause()
            await self.client_side.write(data)
            if self._keep_alive:
                self._keep_alive.touch()

    async def end_stream(self) -> None:
        """End an event stream."""
        self.stop_keep_alive()
        await self.client_side.end()

    def stop_keep_alive(self) -> None:
        """Keep a stream alive no longer: it has ended, whole or not."""
        if self._keep_alive:
            self._keep_alive.stop()
            self._keep_alive = None

    async def _write_keep_alive(self) -> None:
        await self.client_side.write(self.keep_alive)

    async def tell(self, error: OpenAIError) -> None:
        """Answer with an error, or end with it what has begun."""
        if self.status is None:
            self.status = error.status
            await self.client_side.respond(
                error.status,
                self._headers("application/json", headers_of_error(error, self.headers)),
                self.encode_error(error),
            )
        elif self._relays:
            await self.client_side.abort(error.message)
        elif isinstance(self.client_side, UpgradableSide) and self.upgraded is not None:
            await self.client_side.close_websocket(self.encode_failure(error))
        else:
            # The status is out: the stream ends with the error as OpenAI's ends, and without its end mark.
            await self.write(self.encode_failure(error))
            await self.end_stream()

    @property
    def can_upgrade(self) -> bool:
        """Whether the client's connection can become a WebSocket."""
        return isinstance(self.client_side, UpgradableSide) and self.client_side.can_upgrade

    async def upgrade(self, upgraded: Upgraded, headers: Mapping[str, str]) -> UpgradableSide:
        """Answer 101: from now on `upgraded` takes what the client sends. Return where bytes are sent as they are."""
        client = self.client_side
        if not isinstance(client, UpgradableSide):
            raise TypeError("only a connection of its own can be upgraded")
        self.upgraded = upgraded
        self.status = 101
        self.figures.first_byte = time.perf_counter()
        fields = {**headers, "x-request-id": self.request_id}
        await client.upgrade([(name.encode(), value.encode()) for name, value in fields.items()])
        return client

    def start_websocket(self) -> None:
        """Take the WebSocket that the connection has become into use."""
        if isinstance(self.client_side, UpgradableSide):
            limit = self.gateway.settings.limits.max_request_bytes
            self.client_side.start_websocket(limit, shows_messages=self.gateway.keeps_bodies)

    def _headers(self, content_type: str, more: dict[str, str] | None = None) -> list[tuple[bytes, bytes]]:
        headers = {
            "content-type": content_type,
            "x-request-id": self.request_id,
            "openai-version": "2020-10-01",
            "openai-processing-ms": str(int((time.perf_counter() - self.started) * 1000)),
            **self.response_headers,
            **tighter_limits(self.admission.headers, self.response_headers),
            **(more or {}),
        }
        if self.figures.fallback is not None:
            headers["x-claude-proxy-fallback"] = self.figures.fallback
        if self.figures.warnings:
            headers["x-claude-proxy-warnings"] = encode_header(self.figures.warnings)
        return [(name.encode(), _header_value(value)) for name, value in headers.items()]


def _header_value(value: str) -> bytes:
    # A value that came from outside may hold what a header cannot (E11).
    encoded = value.encode("ascii", "backslashreplace")
    return encoded.replace(b"\r", b" ").replace(b"\n", b" ") if b"\r" in encoded or b"\n" in encoded else encoded

"""One exchange with a client, from its request's headers to the log line at its end."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import structlog
from mitmproxy import http

from addon.access import Client
from addon.client_side import ClientSide, UpgradableSide, Upgraded
from addon.codex import headers_of_error
from addon.content_encoding import decode_body
from addon.exchange_log import log_exchange
from addon.figures import Figures
from addon.gateway import Gateway
from addon.header_fields import folded_fields
from addon.keep_alive import KeepAlive
from addon.limits import Admission
from addon.metrics import Ending, Outcome, refusal_reason
from addon.request_stream import RequestStream, too_large
from addon.response_cache import CacheUse
from addon.routing import Claim, Endpoint
from addon.thinking_memory import scope_of
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.rate_limits import tighter_limits
from translators.sse import KEEP_ALIVE, encode_data
from translators.translation_warning import encode_header

__all__ = [
    "OPEN_ENDPOINTS",
    "Answer",
    "Exchange",
    "head_too_large",
    "new_request_id",
]

log = structlog.get_logger(__name__)


def new_request_id() -> str:
    """Make the value of an answer's `x-request-id`."""
    return f"req_{os.urandom(16).hex()}"


type Answer = Callable[["Exchange"], Awaitable[None]]
"""Answers an exchange whose body is complete; raises OpenAIError to refuse it."""


OPEN_ENDPOINTS = frozenset({Endpoint.HEALTH, Endpoint.READY, Endpoint.METRICS})
"""What watches the process: it needs no key, and no limit counts it."""

_ANSWERED_WHILE_DRAINING = frozenset({Endpoint.HEALTH, Endpoint.METRICS})
"""A process that drains is alive, and is watched to its end."""

_TELLING_SECONDS = 10.0
"""How long a client may take to read what went before, to be told of a failure; then its answer is broken off."""

_REFUSALS_OF_A_KEY = frozenset({401, 403, 429})
"""What Claude has against the key that it is asked with: wrong, without a right, used up."""

_ALWAYS_ADMITTED = OPEN_ENDPOINTS | {Endpoint.RESPONSE_CANCEL, Endpoint.RESPONSE_DELETION, Endpoint.BATCH_CANCEL}
"""What ends work is let in too, or a client without a place could not get one back."""

_LIMITED_GETS = frozenset({Endpoint.MODELS, Endpoint.MODEL, Endpoint.ANTHROPIC, Endpoint.RESPONSES})
"""What is read from Claude, and not from the store, and responses on a connection that a GET has opened."""


@dataclass(eq=False, repr=False)  # it holds what nobody may see
class Exchange:
    """A claimed flow: receives its request (`addon.connection.Receiver`), has it answered, says what came of it."""

    flow: http.HTTPFlow
    claim: Claim
    gateway: Gateway
    answer: Answer
    authorization: str | None
    """The client's own credentials, which never go to Claude."""
    client: Client
    refusal: OpenAIError | None = None
    """Why the request is not answered, if that is known from its headers."""
    cache_use: CacheUse = "off"
    """Whether an answer may be given that was given before."""
    secrets: tuple[tuple[bytes, bytes], ...] = ()
    """The headers that say who the client is, which the flow no longer shows."""
    restore_destination: Callable[[], None] = lambda: None
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
    _received: bytearray = field(default_factory=bytearray)
    _refused: bool = False
    _body_timer: asyncio.TimerHandle | None = None
    _client_side: ClientSide | None = None
    _task: asyncio.Task[None] | None = None
    _status: int | None = None
    _outcome: Outcome = "unanswered"
    _error: OpenAIError | None = None
    _keep_alive: KeepAlive | None = None
    _relays: bool = False
    _upgraded: Upgraded | None = None

    # What the connection calls, in the order of addon.connection.Receiver.

    def receive_headers(self, client: ClientSide) -> None:
        """Take the way back to the client; refuse what can be refused by its headers, without its body."""
        self._client_side = client
        self.gateway.metrics.observe_start(self.claim.endpoint)
        self.restore_destination()
        fields, limits = self.flow.request.headers.fields, self.gateway.settings.limits
        length = self.headers.get("content-length", "")
        if self.refusal is not None:
            self._refuse(self.refusal)
        elif length.isdecimal() and int(length) > limits.max_request_bytes:
            self._refuse(too_large(limits.max_request_bytes))
        elif sum([len(name) + len(value) + 4 for name, value in fields]) > limits.max_header_bytes:
            self._refuse(head_too_large(limits.max_header_bytes))
        elif self.claim.endpoint is Endpoint.OTHER_BACKEND:
            self.request_stream = RequestStream(limits.max_request_bytes, client.hold)
            self._run(self.answer)
        else:
            loop = asyncio.get_running_loop()
            self._body_timer = loop.call_later(limits.body_seconds, self._refuse, _too_slow(limits.body_seconds))

    def receive_data(self, data: bytes) -> None:
        """Take a part of the body; refuse the body once it is too large."""
        if self._upgraded is not None:
            self._upgraded.receive_data(data)
            return
        if self._refused:
            return
        if self.request_stream is not None:
            self.request_stream.feed(data)
            return
        self._received += data
        if len(self._received) > self.gateway.settings.limits.max_request_bytes:
            self._refuse(too_large(self.gateway.settings.limits.max_request_bytes))

    def receive_end(self) -> None:
        """Answer the request, which is complete."""
        self._stop_body_timer()
        if self.request_stream is not None:
            self.request_stream.end()
        elif not self._refused:
            self.body = bytes(self._received)
            self._received.clear()
            if self.gateway.keeps_bodies:
                # Else they would all be kept until mitmproxy's layers, which hold each other, are garbage-collected.
                self.flow.request.data.content = self.body
            self._run(self.answer)

    def receive_abort(self, reason: str) -> None:
        """Stop all work: the client has left."""
        self._stop_body_timer()
        if self._upgraded is not None:
            self._upgraded.receive_abort()
        elif self._task is None:
            self._outcome = "client_left"
            self._finish()
        else:
            self._task.cancel(reason)

    def answer_message(self, client: ClientSide, body: bytes) -> None:
        """Answer a request that came whole: as a message of a WebSocket."""
        self._client_side = client
        self.gateway.metrics.observe_start(self.claim.endpoint)
        self.body = body
        self._run(self.answer)

    def _stop_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _refuse(self, error: OpenAIError) -> None:
        # The client's HTTP library reads the answer when it has sent the body: what still comes is read and thrown
        # away.
        self._refused = True
        self._received.clear()
        self._stop_body_timer()

        async def refuse(_exchange: "Exchange") -> None:
            raise error

        self._run(refuse)

    def _run(self, answer: Answer) -> None:
        self._task = asyncio.create_task(self._answer(answer), name=f"exchange {self.request_id}")
        if not self._task.done():
            self.gateway.running.add(self._task)
            self._task.add_done_callback(self.gateway.running.discard)

    async def finished(self) -> None:
        """Wait until the exchange is over."""
        if self._task:
            await asyncio.wait([self._task])

    # What an answer uses.

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

    @property
    def has_begun(self) -> bool:
        """Whether something of the answer is on its way to the client."""
        return self._status is not None

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

    async def respond(self, body: bytes, content_type: str = "application/json") -> None:
        """Answer with one body, JSON unless it says otherwise."""
        self.figures.first_byte = time.perf_counter()
        self._status = 200
        await self._way_back().respond(200, self._headers(content_type), body)

    async def relay(self, status: int, headers: list[tuple[bytes, bytes]], chunks: AsyncIterator[bytes]) -> None:
        """Answer with a response as it is, piece by piece. An error in the middle becomes a break for the client."""
        self._relays = True
        async for chunk in chunks:
            self.figures.writes += 1
            if self.kept_body is not None:
                self.kept_body += chunk
            if self._status is None:
                self._status = status
                self.is_streamed = True
                self.figures.first_byte = time.perf_counter()
                version = self.flow.request.http_version
                await self._way_back().start(status, headers, chunk, http_version=version)
            else:
                await self._way_back().write(chunk)
        if self._status is None:
            self._status = status
            await self._way_back().respond(status, headers, b"")
        else:
            await self._way_back().end()

    async def write(self, data: bytes) -> None:
        """Send bytes of an event stream; the first ones start the response."""
        self.figures.writes += 1
        if self.kept_body is not None:
            self.kept_body += data
        if self._status is None:
            self._status = 200
            self.is_streamed = True
            self.figures.first_byte = time.perf_counter()
            stream_headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
            await self._way_back().start(
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
            await self._way_back().write(data)
            if self._keep_alive:
                self._keep_alive.touch()

    async def end_stream(self) -> None:
        """End an event stream."""
        self._stop_keep_alive()
        await self._way_back().end()

    @property
    def can_upgrade(self) -> bool:
        """Whether the client's connection can become a WebSocket."""
        return isinstance(self._client_side, UpgradableSide) and self._client_side.can_upgrade

    async def upgrade(self, upgraded: Upgraded, headers: Mapping[str, str]) -> UpgradableSide:
        """Answer 101: from now on `upgraded` takes what the client sends. Return where bytes are sent as they are."""
        client = self._client_side
        if not isinstance(client, UpgradableSide):
            raise TypeError("only a connection of its own can be upgraded")
        self._upgraded = upgraded
        self._status = 101
        self.figures.first_byte = time.perf_counter()
        fields = {**headers, "x-request-id": self.request_id}
        await client.upgrade([(name.encode(), value.encode()) for name, value in fields.items()])
        return client

    def start_websocket(self) -> None:
        """Take the WebSocket that the connection has become into use."""
        if isinstance(self._client_side, UpgradableSide):
            limit = self.gateway.settings.limits.max_request_bytes
            self._client_side.start_websocket(limit, shows_messages=self.gateway.keeps_bodies)

    async def _write_keep_alive(self) -> None:
        await self._way_back().write(self.keep_alive)

    def _stop_keep_alive(self) -> None:
        if self._keep_alive:
            self._keep_alive.stop()
            self._keep_alive = None

    def _way_back(self) -> ClientSide:
        if self._client_side is None:
            raise RuntimeError("nothing is answered before its headers have come")
        return self._client_side

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

    async def _answer(self, answer: Answer) -> None:
        try:
            refuses = self.gateway.draining and self.claim.endpoint not in _ANSWERED_WHILE_DRAINING
            await self._answer_in_time(_refuse_draining if refuses else answer)
            self._outcome = "ok"
        except OpenAIError as error:
            await self._fail(error)
        except (ConnectionError, asyncio.CancelledError):
            self._outcome = "client_left"
            if self._client_side and not self._client_side.gone:
                # Not the client has left: the proxy shuts down.
                self._outcome = "cut"
                await self._fail(OpenAIError(503, "The proxy is shutting down.", "server_error", "shutting_down"))
        except Exception:
            log.exception("exchange_failed", request_id=self.request_id)
            await self._fail(
                OpenAIError(
                    500, f"The proxy had an error while processing your request {self.request_id}.", "server_error"
                )
            )
            self._outcome = "internal_error"
        finally:
            self._stop_keep_alive()
            if self.request_stream is not None:
                self.request_stream.close()
            self._finish()
            if self.gateway.leaving and self._client_side is not None:
                # The process ends as soon as nothing runs.
                await self._client_side.sent()

    async def _answer_in_time(self, answer: Answer) -> None:
        if self.claim.endpoint is Endpoint.RESPONSES_WEBSOCKET:
            # A connection, and no answer: each of its responses has the time.
            await self._admit_and_answer(answer)
            return
        seconds = self.gateway.settings.limits.answer_seconds
        try:
            async with asyncio.timeout(seconds) as deadline:
                await self._admit_and_answer(answer)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            message = f"The answer took longer than {seconds:g} seconds (setting limits.answer_seconds)."
            raise OpenAIError(504, message, "server_error", "timeout") from error

    async def _admit_and_answer(self, answer: Answer) -> None:
        if self._refused or not self._is_limited():
            await answer(self)
            return
        self.admission = await self.gateway.limits.admit(self.client)
        try:
            await answer(self)
        finally:
            self.admission.release()

    def _is_limited(self) -> bool:
        # What only reads the store asks for nothing that costs: a response in the background may be polled. On a
        # WebSocket each response counts, and not the GET that opened it.
        endpoint = self.claim.endpoint
        return endpoint not in _ALWAYS_ADMITTED and (self.flow.request.method != "GET" or endpoint in _LIMITED_GETS)

    async def _fail(self, error: OpenAIError) -> None:
        self._error = error
        self._outcome = "client_error" if self._is_the_clients(error) else "upstream_error"
        try:
            async with asyncio.timeout(_TELLING_SECONDS):
                await self._tell(error)
        except ConnectionError:
            self._outcome = "client_left"
        except TimeoutError:
            await self._way_back().abort(error.message)

    def _is_the_clients(self, error: OpenAIError) -> bool:
        """Whether the client has to do something else, and not the operator or Claude."""
        if error.status >= 500 or self.figures.asked_claude is None:
            return error.status < 500
        brings_key = self.client.claude_key is not None and self.client.key is None
        return error.status not in ({429} if brings_key else _REFUSALS_OF_A_KEY)

    async def _tell(self, error: OpenAIError) -> None:
        if self._status is None:
            self._status = error.status
            await self._way_back().respond(
                error.status,
                self._headers("application/json", headers_of_error(error, self.headers)),
                self.encode_error(error),
            )
        elif self._relays:
            await self._way_back().abort(error.message)
        elif isinstance(self._client_side, UpgradableSide) and self._upgraded is not None:
            await self._client_side.close_websocket(self.encode_failure(error))
        else:
            # The status is out: the stream ends with the error as OpenAI's ends, and without its end mark.
            await self.write(self.encode_failure(error))
            await self.end_stream()

    def _finish(self) -> None:
        figures, metrics = self.figures, self.gateway.metrics
        ending = self._ending(time.perf_counter())
        self.flow.comment = figures.comment(ending.ended - self.started)
        log_exchange(self, ending, self._error)
        metrics.observe_end(ending, figures, self.gateway.catalog)
        # What Claude was asked for is no refusal of ours, whatever it said.
        if self._error is not None and figures.asked_claude is None and (reason := refusal_reason(self._error)):
            metrics.observe_refusal(reason)
        # By its traceback it has this exchange, so that both, and the body, would wait for the garbage collector.
        self._error = None

    def _ending(self, ended: float) -> Ending:
        return Ending(
            endpoint=self.claim.endpoint,
            mode=self.flow.client_conn.proxy_mode.type_name,
            outcome=self._outcome,
            status=self._status,
            started=self.started,
            ended=ended,
            overhead=self.figures.overhead(self.started),
            has_body=self._task is not None and (self.request_stream is None or self.request_stream.is_complete),
        )


def head_too_large(limit: int) -> OpenAIError:
    """Refuse a request's first line and headers."""
    return OpenAIError(
        431,
        f"The request's headers are larger than {limit} bytes (setting limits.max_header_bytes).",
        code="headers_too_large",
    )


def _too_slow(seconds: float) -> OpenAIError:
    return OpenAIError(
        408,
        f"The request body took longer than {seconds:g} seconds (setting limits.body_seconds).",
        code="request_timeout",
    )


async def _refuse_draining(exchange: Exchange) -> None:
    headers = {"retry-after": "1"}
    if exchange.flow.request.http_version.startswith("HTTP/1"):
        # The next try must find another process. HTTP/2 forbids the header.
        headers["connection"] = "close"
    raise OpenAIError(503, "The proxy is shutting down. Try again.", "server_error", "shutting_down", None, headers)


def _header_value(value: str) -> bytes:
    # A value that came from outside may hold what a header cannot (E11).
    encoded = value.encode("ascii", "backslashreplace")
    return encoded.replace(b"\r", b" ").replace(b"\n", b" ") if b"\r" in encoded or b"\n" in encoded else encoded

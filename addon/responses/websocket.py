"""GET /v1/responses as a WebSocket: many responses over one connection, each an exchange of its own.

What a client sends is in `translators.responses.socket_messages`, the order in which it is answered in
`addon.responses.websocket_streams`. https://developers.openai.com/api/docs/guides/websocket-mode
"""

import asyncio
import binascii
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from mitmproxy import http

from addon.exchanges.client_side import UpgradableSide
from addon.exchanges.codex import headers_of_error
from addon.exchanges.exchange import Exchange
from addon.exchanges.fallbacks import answer_with_fallbacks
from addon.exchanges.run import ExchangeRun
from addon.responses.endpoint import stream_response
from addon.responses.recent_responses import RecentResponses
from addon.responses.request import prepare_response
from addon.responses.websocket_streams import RequestStreams
from addon.routing import Claim, Endpoint
from addon.wire.client_stream import ClientGoneError
from addon.wire.header_fields import is_same_host
from addon.wire.keep_alive import KeepAlive
from addon.wire.websocket import Closed, Message, Pinged, WebSocketEnd, accept_headers
from translators.errors import OpenAIError
from translators.responses.response_events import ResponseEvent
from translators.responses.socket_messages import (
    ClientMessage,
    CreateMessage,
    SteerMessage,
    encode_socket_error,
    encode_socket_event,
    encode_steer_failure,
    parse_client_message,
)

__all__ = ["answer_websocket"]

_LIFETIME_SECONDS = 3600.0

_VERSION = "13"
"""Of the protocol: RFC 6455."""
_KEY_BYTES = 16
_POLICY_VIOLATION = 1008
_INTERNAL_ERROR = 1011


@dataclass(frozen=True, slots=True)
class _Ending:
    """Why the connection takes no more requests, and how it is closed once those that run have been answered."""

    error: OpenAIError
    close_code: int
    is_announced: bool


_LIFETIME_OVER = _Ending(
    OpenAIError(
        400,
        "Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue.",
        code="websocket_connection_limit_reached",
    ),
    close_code=1000,
    is_announced=True,
)
_SHUTTING_DOWN = _Ending(
    OpenAIError(503, "The proxy is shutting down. Try again.", "server_error", "shutting_down"),
    close_code=1001,
    is_announced=False,
)


async def answer_websocket(exchange: Exchange) -> None:
    """Upgrade the connection and serve it to its end.

    Raises:
        OpenAIError: it is no WebSocket, or none is served. Codex goes on over HTTP after a 426 without another attempt;
            a 404 costs it seven, a 400 ends it.
        ConnectionError: the client broke it off.
    """
    headers = exchange.headers
    if not _asks_for_websocket(exchange.flow.request, headers):
        message = "Not allowed to GET on /v1/responses."
        raise OpenAIError(405, message, code="method_not_supported", headers={"allow": "POST"})
    origin = headers.get("origin")
    if origin is not None and not is_same_host(origin, headers.get("host", "")):
        # Browsers let every page open a WebSocket to this machine, and read what comes: they only say which page it is.
        raise OpenAIError(403, "No WebSocket for a page of another origin.", code="origin_not_allowed")
    if not (exchange.gateway.settings.stream.websocket and exchange.can_upgrade):
        raise OpenAIError(426, "Responses are served over HTTP here: use POST /v1/responses.", code="upgrade_required")
    if headers.get("sec-websocket-version") != _VERSION or not _is_key(headers.get("sec-websocket-key", "")):
        offer = {"sec-websocket-version": _VERSION}
        raise OpenAIError(426, "This is no WebSocket of version 13.", code="upgrade_required", headers=offer)
    await _ResponsesWebSocket(exchange).run(headers["sec-websocket-key"])


def _asks_for_websocket(request: http.Request, headers: Mapping[str, str]) -> bool:
    """Whether the other end of this very connection wants it to become one (RFC 9110, 7.8, and RFC 6455, 4.2.1).

    A proxy on the way that knows nothing of upgrades passes `upgrade` on, but not `connection`. It would take what
    follows a 101 for the next answers, to whomever they go.
    """
    options = {option.strip().lower() for option in headers.get("connection", "").split(",")}
    can_ask = request.method == "GET" and request.http_version != "HTTP/1.0"
    return can_ask and "upgrade" in options and headers.get("upgrade", "").lower() == "websocket"


def _is_key(value: str) -> bool:
    try:
        return len(binascii.a2b_base64(value, strict_mode=True)) == _KEY_BYTES
    except ValueError:
        return False


class _ResponsesWebSocket:
    """One connection: takes the client's bytes (`addon.exchanges.client_side.Upgraded`), answers its requests."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._max_bytes = exchange.gateway.settings.limits.max_request_bytes
        self._frames = WebSocketEnd()
        self._inbox: asyncio.Queue[Message | Pinged | Closed | None] = asyncio.Queue()
        """What was received. None only wakes."""
        self._unread_bytes = 0
        self._is_flooded = False
        self._streams = RequestStreams(self._answer, self._max_bytes, self._wake)
        self._recent = RecentResponses()
        self._running_ids: set[str] = set()
        self._ending: _Ending | None = None
        self._is_gone = False
        self._client: UpgradableSide | None = None
        self._keep_alive: KeepAlive | None = None

    # What the connection calls.

    def receive_data(self, data: bytes) -> None:
        """Take what the client sent."""
        for received in self._frames.receive(data):
            # A client that sends and never reads is not listened to for ever.
            self._is_flooded = self._is_flooded or self._unread_bytes > self._max_bytes
            if self._is_flooded:
                return
            self._unread_bytes += _size(received)
            self._inbox.put_nowait(received)

    def receive_abort(self) -> None:
        """End all work: nothing arrives any more."""
        self._is_gone = True
        self._inbox.put_nowait(Closed())

    # The life of the connection.

    async def run(self, key: str) -> None:
        """Serve the connection to its end."""
        gateway = self._exchange.gateway
        self._exchange.encode_failure = self._encode_failure
        self._client = await self._exchange.upgrade(self, accept_headers(key))
        lifetime = asyncio.get_running_loop().call_later(_LIFETIME_SECONDS, self._end, _LIFETIME_OVER)
        end_for_shutdown = partial(self._end, _SHUTTING_DOWN)
        gateway.on_drain.add(end_for_shutdown)
        self._keep_alive = KeepAlive(gateway.settings.stream.keep_alive_seconds, self._ping)
        try:
            await self._serve()
        finally:
            lifetime.cancel()
            gateway.on_drain.discard(end_for_shutdown)
            self._keep_alive.stop()
            await self._streams.stop()

    async def _serve(self) -> None:
        while self._ending is None or self._streams.is_busy:
            match await self._inbox.get():
                case Message() as message:
                    self._unread_bytes -= _size(message)
                    await self._take(message)
                case Pinged() as ping:
                    self._unread_bytes -= _size(ping)
                    await self._send(self._frames.encode_pong(ping))
                case Closed():
                    if self._streams.is_busy:
                        raise ClientGoneError
                    return
                case None:
                    pass
            if self._is_flooded:
                raise OpenAIError(429, "Too much was sent before it could be answered.", "rate_limit_error")
        if self._ending.is_announced:
            await self._send_error(self._ending.error)
        closing = self._frames.encode_close(self._ending.close_code, self._ending.error.message)
        await self._way_back().close_websocket(closing)

    def _end(self, ending: _Ending) -> None:
        """Take no more requests, and close when those that run are answered."""
        self._ending = self._ending or ending
        self._wake()

    def _wake(self) -> None:
        """Have the connection look whether it is to be closed."""
        self._inbox.put_nowait(None)

    # Messages.

    async def _take(self, message: Message) -> None:
        self._look_at_key()
        try:
            taken = self._parse(message)
        except OpenAIError as error:
            await self._send_error(error)
            return
        if isinstance(taken, SteerMessage):
            await self._refuse_steer(taken)
        elif refusal := self._ending.error if self._ending else self._streams.refusal_of(taken):
            await self._send_error(refusal, taken.stream_id)
        else:
            self._streams.add(taken)

    def _look_at_key(self) -> None:
        """See whether the client's key still lets it in, and with what limits. A revoked one ends the connection."""
        exchange = self._exchange
        try:
            exchange.client = exchange.gateway.access.renewed(exchange.client)
        except OpenAIError as error:
            self._end(_Ending(error, _POLICY_VIOLATION, is_announced=False))

    def _parse(self, message: Message) -> ClientMessage:
        if not message.is_text:
            raise OpenAIError(400, "A message has to be a text: JSON in UTF-8.", code="invalid_message")
        if len(message.data) > self._max_bytes:
            text = f"The message is larger than {self._max_bytes} bytes."
            raise OpenAIError(413, text, code="request_too_large")
        return parse_client_message(message.data)

    async def _refuse_steer(self, steer: SteerMessage) -> None:
        target = steer.previous_response_id
        if target in self._running_ids:
            code, text = "steering_not_supported", "Claude cannot be steered while it answers."
        elif self._recent.find(target):
            code, text = "response_already_completed", f"Response with id '{target}' has been completed."
        else:
            code, text = "response_not_found", f"Response with id '{target}' is not on this connection."
        await self._send(self._frames.encode_text(encode_steer_failure(steer, code, text)))

    # Responses.

    async def _answer(self, create: CreateMessage) -> None:
        exchange = Exchange(
            self._exchange.flow,
            Claim(Endpoint.RESPONSES),
            self._exchange.gateway,
            authorization=self._exchange.authorization,
            client=self._exchange.client,
            cache_use=self._exchange.cache_use,
            keep_alive=b"",
        )

        def encode_error(error: OpenAIError) -> bytes:
            shown = replace(error, headers=headers_of_error(error, exchange.headers))
            return encode_socket_error(shown, create.stream_id, exchange.request_id)

        exchange.encode_error = encode_error
        run = ExchangeRun(exchange, partial(self._respond, create))
        run.answer_message(_MessageSide(self), create.body)
        try:
            await run.finished()
        except asyncio.CancelledError:
            run.receive_abort("the connection has ended")
            await run.finished()
            raise

    async def _respond(self, create: CreateMessage, exchange: Exchange) -> None:
        if self._ending:
            raise self._ending.error
        await answer_with_fallbacks(exchange, partial(self._respond_once, create, exchange))

    async def _respond_once(self, create: CreateMessage, exchange: Exchange) -> None:

        def encode(events: Iterable[ResponseEvent]) -> bytes:
            texts = (encode_socket_event(event, create.stream_id) for event in events)
            return b"".join(map(self._frames.encode_text, texts))

        prepared = await prepare_response(exchange, create.body, self._recent.find)
        if prepared.request.plan.background:
            text = "A response over a WebSocket is not made in the background: use POST /v1/responses."
            raise OpenAIError(400, text, code="unsupported_parameter", param="background")
        prepared.remember = partial(self._recent.keep, create.stream_id)
        self._running_ids.add(prepared.response_id)
        try:
            if create.generates:
                await stream_response(exchange, prepared, encode)
            else:
                events = prepared.stream.complete_unasked(int(time.time()))
                await prepared.keep(prepared.stream.response)
                await exchange.write(encode(events))
        finally:
            self._running_ids.discard(prepared.response_id)

    # The way back.

    @property
    def gone(self) -> bool:
        """Whether nothing arrives any more."""
        return self._is_gone

    async def send_text(self, text: bytes) -> None:
        """Send a message."""
        await self._send(self._frames.encode_text(text))

    async def send_frames(self, frames: bytes) -> None:
        """Send messages that are encoded."""
        await self._send(frames)

    async def _send_error(self, error: OpenAIError, stream_id: str | None = None) -> None:
        await self.send_text(encode_socket_error(error, stream_id))

    async def _send(self, frames: bytes) -> None:
        await self._way_back().write(frames)
        if self._keep_alive:
            self._keep_alive.touch()

    def _way_back(self) -> UpgradableSide:
        if self._client is None:
            raise RuntimeError("nothing is sent before the upgrade")
        return self._client

    async def _ping(self) -> None:
        await self._send(self._frames.encode_ping())

    def _encode_failure(self, error: OpenAIError) -> bytes:
        """Write what breaks the connection: the proxy ends at once or has failed, or the client floods it."""
        code = _INTERNAL_ERROR if error.status >= 500 else _POLICY_VIOLATION
        if error.code == _SHUTTING_DOWN.error.code:
            code = _SHUTTING_DOWN.close_code
        text = self._frames.encode_text(encode_socket_error(error))
        return text + self._frames.encode_close(code, error.code or error.type)


@dataclass
class _MessageSide:
    """The way back of one response (`addon.exchanges.client_side.ClientSide`): messages on the connection."""

    socket: _ResponsesWebSocket

    @property
    def gone(self) -> bool:
        return self.socket.gone

    async def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        _ = status, headers
        await self.socket.send_text(body)

    async def start(self, status: int, headers: list[tuple[bytes, bytes]], data: bytes, *, http_version: str) -> None:
        _ = status, headers, http_version
        await self.socket.send_frames(data)

    async def write(self, data: bytes) -> None:
        await self.socket.send_frames(data)

    async def end(self) -> None:
        """Nothing ends: the connection goes on."""

    async def abort(self, message: str) -> None:
        await self.end()
        _ = message

    async def sent(self) -> None:
        """Wait for nothing: the connection does, at its own end."""

    def hold(self, is_held: bool) -> None:
        """Nothing is held: the request has come whole."""


def _size(received: Message | Pinged | Closed) -> int:
    """Return what it holds of memory, more or less."""
    match received:
        case Message(data=data) | Pinged(payload=data):
            return 256 + len(data)
        case Closed():
            return 0

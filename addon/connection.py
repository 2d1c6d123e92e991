"""Claude as an upstream connection of mitmproxy: virtual, always open, and fed by our tasks.

mitmproxy has no public way to stream a response that an addon makes. So every `HttpLayer` is given a `Server` that
says it is open, with `VirtualConnection` as its handler; mitmproxy's own connection re-use finds it for each flow
whose destination is `VIRTUAL_ADDRESS`. What the client sends arrives here as HTTP events, the moment it goes away
too; what a task answers is delivered into the connection handler as `Delivery` events. No port, no second HTTP parse.

All of mitmproxy's internals that this project touches are in this file; tests/integration has a test for each mode.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, override
from weakref import WeakSet

from h11 import Data, EndOfMessage
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.net.http import status_codes
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream, SendHttp, _http1, is_h3_alpn
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Server
from mitmproxy.proxy.layers.http._http2 import Http2Server
from mitmproxy.proxy.layers.websocket import WebsocketConnection, WebsocketLayer
from mitmproxy.proxy.server import ConnectionHandler
from wsproto import ConnectionType
from wsproto.events import BytesMessage, Event, Message, TextMessage

__all__ = [
    "VIRTUAL_ADDRESS",
    "ClientGoneError",
    "ClientStream",
    "Exchanges",
    "Receiver",
    "answer_errors_with",
    "close_client",
    "direct_to_claude",
    "limit_request_heads",
    "open_virtual_connections",
    "pin_address",
    "refuse_in_head",
    "skip_type_checks",
]

VIRTUAL_ADDRESS = ("virtual.claude-proxy.invalid", 443)
"""Where claimed flows are directed. RFC 6761 keeps `.invalid` from ever being resolved, should one try to dial it."""

MOST_UNREAD_BYTES = 1024 * 1024
"""Of one HTTP/1 connection, besides a head: a body is read as it comes, and counts by itself."""
_WITHOUT_CONTENT = frozenset({204, 304})
_POLL_SECONDS = 0.02
_UNSENT_LIMIT = 64 * 1024
"""Bytes of one HTTP/2 stream that may wait for the client's window: as much as asyncio lets wait for a socket."""


class ClientGoneError(ConnectionError):
    """The client has left, or reset the stream: nothing that is sent arrives any more."""


class Receiver(Protocol):
    """Takes one request of a client, as it arrives. The methods are called in this order and must not block."""

    def receive_headers(self, stream: "ClientStream") -> None:
        """Take the way back to the client: the request's headers are there."""

    def receive_data(self, data: bytes) -> None:
        """Take a part of the body."""

    def receive_end(self) -> None:
        """Answer: the body is complete."""

    def receive_abort(self, reason: str) -> None:
        """Stop all work at once: the client has left or reset its stream, or a WebSocket is closed."""


class Exchanges(Protocol):
    """Knows the receiver of a claimed flow."""

    def receiver_of(self, flow: http.HTTPFlow) -> Receiver | None:
        """Find the receiver of a flow, None for one that was never claimed."""


@dataclass
class Delivery(events.ConnectionEvent):
    """HTTP events that one of our tasks has for the client of a stream."""

    http_events: tuple[HttpEvent, ...]


@dataclass
class FrameDelivery(events.ConnectionEvent):
    """WebSocket frames that one of our tasks has for the client of a stream, past mitmproxy's WebSocket layer."""

    stream_id: int
    frames: bytes


class ClientStream:
    """The way back to one client: its HTTP/1 connection or its HTTP/2 stream.

    Each method returns when the client (or the kernel for it) has taken enough of what was sent: a slow reader slows
    its sender.
    """

    def __init__(self, handler: ConnectionHandler, http_layer: HttpLayer, server: Server, stream_id: int) -> None:
        self._handler = handler
        self._http_layer = http_layer
        self._server = server
        self._stream_id = stream_id
        client_connection = http_layer.connections.get(handler.client)
        self._http2 = client_connection if isinstance(client_connection, Http2Server) else None
        self._http1 = client_connection if isinstance(client_connection, BoundedHttp1Server) else None
        self._is_bare_http1 = isinstance(client_connection, Http1Server) and _is_plain(http_layer)
        self._is_chunked = False
        self._is_head = http_layer.streams[stream_id].flow.request.method == "HEAD"
        self._socket: asyncio.WriteTransport | None = None
        self._stays_open: asyncio.TimerHandle | None = None
        self.gone = False
        self.is_upgraded = False
        self._passes_frames = False

    def keep_open(self) -> None:
        """Let mitmproxy not close the connection as idle while its client waits: an answer may take any time.

        Its own way to say so (`disarm`) comes too late for a timer that already runs.
        """
        watchdog = self._handler.timeout_watchdog
        watchdog.register_activity()
        self._stays_open = asyncio.get_running_loop().call_later(watchdog.timeout / 2, self.keep_open)

    def may_be_idle(self) -> None:
        """Undo `keep_open`."""
        if self._stays_open is not None:
            self._stays_open.cancel()
            self._stays_open = None

    async def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole response. To HEAD, its headers alone.

        Raises:
            ClientGoneError: the client has left.
        """
        # RFC 9110, 8.6: nothing says how long an answer is that has no content.
        length = [] if status in _WITHOUT_CONTENT else [(b"content-length", str(len(body)).encode())]
        fields = http.Headers([*headers, *length])
        # The client would take what mitmproxy sends of a body for the next answer.
        body = b"" if self._is_head else body
        self._join_head(body)
        await self._deliver(
            ResponseHeaders(self._stream_id, _response(status, fields)),
            ResponseData(self._stream_id, body),
            ResponseEndOfMessage(self._stream_id),
        )

    async def start(self, status: int, headers: list[tuple[bytes, bytes]], data: bytes, *, http_version: str) -> None:
        """Send the headers of a streamed response together with its first bytes.

        An HTTP/1.1 stream is chunked, an HTTP/1.0 one ends with the connection, HTTP/2 frames by itself.

        Raises:
            ClientGoneError: the client has left.
        """
        if http_version == "HTTP/1.1":
            headers = [*headers, (b"transfer-encoding", b"chunked")]
            self._is_chunked = True
        begun = ResponseHeaders(self._stream_id, _response(status, http.Headers(headers)))
        self._join_head(data)
        # An empty chunk would be the last one.
        await self._deliver(begun, *([ResponseData(self._stream_id, data)] if data else []))

    def _join_head(self, data: bytes) -> None:
        if self._http1 is not None and data:
            self._http1.data_follows = True

    async def write(self, data: bytes) -> None:
        """Send the next bytes of a streamed response, or frames of a WebSocket.

        Raises:
            ClientGoneError: the client has left.
        """
        if not data:
            return
        if self._passes_frames:
            await self._pass_frames(data)
            return
        self._socket = self._socket or self._find_socket()
        if self._socket is None:
            await self._deliver(ResponseData(self._stream_id, data))
            return
        if self.gone:
            raise ClientGoneError
        if not self._socket.is_closing():
            self._socket.write(b"%x\r\n%b\r\n" % (len(data), data))
        if self._socket.get_write_buffer_size():
            await self._handler.drain_writers()

    def _find_socket(self) -> asyncio.WriteTransport | None:
        """Find the client's socket, if all that the layers would do to the data is to frame it as an HTTP/1.1 chunk.

        Their way costs a sixth of the CPU when chunks come one at a time. It has to be taken while the response's
        headers wait for a hook, and where there is more to do: TLS, HTTP/2, tunnels, another addon that changes the
        stream or wants it stored.
        """
        stream = self._http_layer.streams.get(self._stream_id)
        if not (self._is_bare_http1 and self._is_chunked) or stream is None or stream._paused:  # noqa: SLF001 - no other way to know
            return None
        response = stream.flow.response
        if (
            stream.server_state != stream.state_stream_response_body
            or response is None
            or response.stream is not True
            or stream.context.options.store_streamed_bodies
        ):
            return None
        transport = self._handler.transports.get(self._handler.client)
        writer = transport and transport.writer
        return writer.transport if isinstance(writer, asyncio.StreamWriter) else None

    async def end(self) -> None:
        """End a streamed response.

        Raises:
            ClientGoneError: the client has left.
        """
        await self._deliver(ResponseEndOfMessage(self._stream_id))

    async def abort(self, message: str) -> None:
        """Break a response off, so that the client sees that it is not whole. Waits for nobody who does not read."""
        if not self.gone:
            broken_off = ResponseProtocolError(self._stream_id, message, ErrorCode.GENERIC_SERVER_ERROR)
            await self._handler.server_event(Delivery(self._server, (broken_off,)))

    @property
    def can_upgrade(self) -> bool:
        """Whether the connection can become a WebSocket: HTTP/1, and mitmproxy's option `websocket` is on."""
        return self._http2 is None and bool(self._http_layer.context.options.websocket)

    async def upgrade(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Answer 101. From here on the receiver's data are WebSocket frames of a client, and `write` takes a server's.

        mitmproxy puts its WebSocket layer in between: it unmasks and masks, shows the messages in its views, and ends
        both sides when one closes. The data that arrives is whole frames, masked once more.

        Raises:
            ClientGoneError: the client has left.
        """
        self.is_upgraded = True
        await self._deliver(
            ResponseHeaders(self._stream_id, _response(101, http.Headers(headers))),
            ResponseEndOfMessage(self._stream_id),
        )

    def start_websocket(self, max_bytes: int, *, shows_messages: bool) -> None:
        """Have mitmproxy's WebSocket layer cost no more than it has to. To be called when it has started.

        Args:
            max_bytes: the largest message that it gathers; by itself it would gather one of any size.
            shows_messages: somebody looks at the messages. If not, ours pass it by: it calls a hook for each, which
                costs twenty times what sending it does.
        """
        websocket = self._http_layer.streams[self._stream_id].child_layer
        if isinstance(websocket, WebsocketLayer):
            websocket.client_ws = _WholeMessages(websocket.client_ws, max_bytes)
            self._passes_frames = not shows_messages

    async def close_websocket(self, frames: bytes) -> None:
        """Send the last frames of a WebSocket, a close among them, so that mitmproxy closes both sides.

        Raises:
            ClientGoneError: the client has left.
        """
        await self._deliver(ResponseData(self._stream_id, frames))

    async def _pass_frames(self, frames: bytes) -> None:
        if self.gone:
            raise ClientGoneError
        transport = self._handler.transports.get(self._handler.client)
        if self._is_bare_http1 and transport and isinstance(transport.writer, asyncio.StreamWriter):
            if not transport.writer.is_closing():
                transport.writer.write(frames)
            self._handler.timeout_watchdog.register_activity()
        else:
            await self._handler.server_event(FrameDelivery(self._server, self._stream_id, frames))
        await self._drain()

    async def _deliver(self, *http_events: HttpEvent) -> None:
        if self.gone:
            raise ClientGoneError
        await self._handler.server_event(Delivery(self._server, http_events))
        await self._drain()

    async def sent(self) -> None:
        """Wait until all that was sent has left this process.

        mitmproxy sends the end of a response after the hook `response`, and its own end waits for no hook, no window
        and no socket: whoever ends the process has to.
        """
        while not self.gone and self._holds_something():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(_POLL_SECONDS)

    def _holds_something(self) -> bool:
        client = self._handler.transports.get(self._handler.client)
        if client is None:
            return False
        stream = self._http_layer.streams.get(self._stream_id)
        # A layer that waits for a hook is paused, and passes on nothing.
        waits_for_hook = stream is not None and any(
            each is not None and each._paused is not None  # noqa: SLF001
            for each in (stream, stream.child_layer)
        )
        waits_for_window = self._http2 is not None and self._http2.h2_conn.stream_buffers.get(self._stream_id)
        return waits_for_hook or bool(waits_for_window) or bool(_buffered_bytes(client.writer))

    def hold(self, is_held: bool) -> None:
        """Read no more from the client for now, or go on, so that a request does not come faster than it is sent on.

        An HTTP/2 connection is read on: its other streams, and the windows of answers, have to come through.
        """
        io = self._handler.transports.get(self._handler.client)
        transport = getattr(io and io.writer, "transport", None)
        if self._http2 is None and transport is not None and not transport.is_closing():
            if is_held:
                transport.pause_reading()
            else:
                transport.resume_reading()

    async def _drain(self) -> None:
        transport = self._handler.transports.get(self._handler.client)
        # Draining takes a lock and a trip through every writer; an empty buffer needs none.
        if transport and transport.writer and _buffered_bytes(transport.writer) != 0:
            await self._handler.drain_writers()
        if self._http2 is not None:
            await self._wait_for_window(self._http2)

    async def _wait_for_window(self, http2: Http2Server) -> None:
        # h2 queues without bound what the client's flow control window does not let through, and tells nobody when it
        # shrinks.
        buffers = http2.h2_conn.stream_buffers
        while not self.gone and (waiting := buffers.get(self._stream_id)):
            if sum(len(piece.data) for piece in waiting) <= _UNSENT_LIMIT:
                return
            await asyncio.sleep(_POLL_SECONDS)


class _WholeMessages(WebsocketConnection):
    """mitmproxy's end of a client's WebSocket, which gives a message away when it is whole.

    Of one that is larger than `max_bytes` its beginning is given, one character or byte longer than that, and the rest
    is read and thrown away: whoever gets it sees that it is too large. mitmproxy's own way copies a message once per
    read.
    """

    def __init__(self, replaced: WebsocketConnection, max_bytes: int) -> None:
        super().__init__(ConnectionType.SERVER, conn=replaced.conn)
        self._most = max_bytes + 1
        self._pieces: list[str | bytes] = []
        self._size = 0

    @override
    def events(self) -> Iterator[Event]:
        for event in super().events():
            if not isinstance(event, Message):
                yield event
                continue
            piece = event.data[: self._most - self._size]
            if piece:
                self._pieces.append(piece if isinstance(piece, str) else bytes(piece))
                self._size += len(piece)
            if event.message_finished:
                pieces, self._pieces, self._size = self._pieces, [], 0
                if isinstance(event, TextMessage):
                    yield TextMessage("".join(map(str, pieces)))
                else:
                    yield BytesMessage(b"".join(piece for piece in pieces if isinstance(piece, bytes)))


def _response(status: int, headers: http.Headers) -> http.Response:
    return http.Response(
        http_version=b"HTTP/1.1",
        status_code=status,
        reason=status_codes.RESPONSES.get(status, "").encode(),
        headers=headers,
        content=None,
        trailers=None,
        timestamp_start=0.0,
        timestamp_end=None,
    )


def _is_plain(http_layer: HttpLayer) -> bool:
    """Whether a client's connection is plain HTTP: no TLS, and no tunnel through another HTTP layer."""
    context = http_layer.context
    return not context.client.tls and [each for each in context.layers if isinstance(each, HttpLayer)] == [http_layer]


def _buffered_bytes(writer: object) -> int | None:
    # asyncio's transports and uvloop's have no base class in common. Modes on UDP have a writer without a transport.
    size: Callable[[], int] | None = getattr(getattr(writer, "transport", None), "get_write_buffer_size", None)
    return size() if size else None


class BoundedHttp1Server(Http1Server):
    """Reads a client's HTTP/1 requests. mitmproxy itself gathers without any bound what is not read yet.

    That is a chunk's size that has no end, and what a client sends ahead while it is being answered. Heads are limited
    by `limit_request_heads`.
    """

    data_follows = False
    """The next response's head is sent in one write with what comes after it.

    A write that wakes its reader costs as much as a chunk, and the first token would wait for it.
    """

    def __init__(self, context: Context, handler: ConnectionHandler) -> None:
        super().__init__(context)
        self._handler = handler
        self._head = b""

    @override
    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        for command in super().send(event):
            if not isinstance(command, commands.SendData):
                if self._head:
                    yield commands.SendData(self.conn, self._head)
                    self._head = b""
                yield command
            elif self.data_follows and isinstance(event, ResponseHeaders):
                self.data_follows = False
                self._head = command.data
            else:
                yield commands.SendData(self.conn, self._head + command.data) if self._head else command
                self._head = b""
        if self._head and not isinstance(event, ResponseHeaders):
            # Another addon has taken the data out.
            yield commands.SendData(self.conn, self._head)
            self._head = b""

    @override
    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        waits = isinstance(event, events.DataReceived) and self.state in (self.read_body, self.wait)
        if not waits or len(self.buf) <= MOST_UNREAD_BYTES:
            yield from super()._handle_event(event)
        else:
            # The end of its socket comes as if the client had left.
            self.buf = ReceiveBuffer()
            transport = self._handler.transports.get(self.conn)
            if transport and transport.writer:
                transport.writer.close()


class ChunksWithoutTrailers(ChunkedReader):
    """Reads a chunked body, and passes its trailers over, as any recipient may (RFC 9110, 6.5.1).

    mitmproxy fails at them without a word to anybody, be they of a request or of an answer: the client waits on.
    """

    @override
    def __call__(self, buf: ReceiveBuffer) -> Data | EndOfMessage | None:
        found = super().__call__(buf)
        return EndOfMessage() if isinstance(found, EndOfMessage) else found


_http1.ChunkedReader = ChunksWithoutTrailers  # type: ignore[attr-defined] # mitmproxy makes its readers by itself


class VirtualConnection(layer.Layer):
    """The handler of a virtual server connection: requests of the client in, deliveries of our tasks out."""

    def __init__(
        self, context: Context, http_layer: HttpLayer, handler: ConnectionHandler, exchanges: Exchanges
    ) -> None:
        super().__init__(context)
        self._http_layer = http_layer
        self._handler = handler
        self._exchanges = exchanges
        self._receivers: dict[int, tuple[Receiver, ClientStream]] = {}

    @override
    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        # The general form is there for layers that wait for a command's answer: this one never does.
        return self._handle_event(event)

    @override
    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        match event:
            case Delivery(http_events=http_events):
                for http_event in http_events:
                    if isinstance(http_event, ResponseEndOfMessage | ResponseProtocolError):
                        self._forget(http_event.stream_id)
                    yield ReceiveHttp(http_event)
            case FrameDelivery(stream_id=stream_id, frames=frames):
                yield SendHttp(ResponseData(stream_id, frames), self.context.client)
            case RequestHeaders(stream_id=stream_id):
                yield from self._open(stream_id)
            case RequestData(stream_id=stream_id, data=data):
                if found := self._receivers.get(stream_id):
                    found[0].receive_data(data)
            case RequestEndOfMessage(stream_id=stream_id):
                if found := self._receivers.get(stream_id):
                    found[1].keep_open()
                    found[0].receive_end()
            case RequestProtocolError(stream_id=stream_id, message=message):
                if found := self._receivers.pop(stream_id, None):
                    found[1].may_be_idle()
                    found[1].gone = True
                    found[0].receive_abort(message)
            case _:
                pass

    def _forget(self, stream_id: int) -> None:
        found = self._receivers.get(stream_id)
        if found is None:
            return
        found[1].may_be_idle()
        # The end of a 101 is the beginning of a WebSocket, which ends with a RequestProtocolError.
        if not found[1].is_upgraded:
            del self._receivers[stream_id]

    def _open(self, stream_id: int) -> layer.CommandGenerator[None]:
        flow = self._http_layer.streams[stream_id].flow
        receiver = self._exchanges.receiver_of(flow)
        if receiver is None:
            # Somebody named the virtual address as its destination.
            yield ReceiveHttp(ResponseProtocolError(stream_id, "no such host", ErrorCode.DESTINATION_UNKNOWN))
            return
        stream = ClientStream(self._handler, self._http_layer, self.context.server, stream_id)
        self._receivers[stream_id] = receiver, stream
        receiver.receive_headers(stream)


def open_virtual_connections(context: Context, handler: ConnectionHandler, exchanges: Exchanges) -> None:
    """Give each HTTP layer of a connection its virtual connection to Claude. Call it whenever layers were added.

    An enclosing HTTP layer (a CONNECT tunnel) gets the inner layer's connection too, with the stream that leads
    inwards, so that deliveries find their way: what `OpenConnection` does for a real connection.
    """
    for position, http_layer in enumerate(context.layers):
        if not isinstance(http_layer, HttpLayer) or any(map(_is_virtual, http_layer.connections)):
            continue
        _bound_http1(http_layer, handler)
        server = Server(address=VIRTUAL_ADDRESS, tls=True, alpn=b"h2")
        server.state = ConnectionState.OPEN
        fork = context.fork()
        fork.server = server
        http_layer.connections[server] = VirtualConnection(fork, http_layer, handler, exchanges)
        for outer_layer, stream in _enclosing(context.layers[:position]):
            outer_layer.connections[server] = stream


def close_client(handler: ConnectionHandler) -> None:
    """Close the socket of a client that has disconnected, where mitmproxy has not.

    Its task for the connection skips that if it is cancelled while it waits for the handler's lock. It comes to that
    where a client closes its WebSocket and its half of the connection in one breath: its socket would stay open.
    """
    client = handler.transports.get(handler.client)
    if client is not None and client.writer is not None:
        client.writer.close()


_READ_HEADERS = Http1Server.read_headers


def limit_request_heads(limit: int, response: bytes) -> None:
    """Have every HTTP/1 connection of this process refuse a head that grows beyond `limit` bytes, and end.

    mitmproxy keeps what comes until the head is whole, however large it is. HTTP/2 has a limit of its own, 64 KiB.

    Args:
        limit: the size.
        response: what such a client is sent, head and body.
    """

    def read_headers(self: Http1Server, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        yield from _READ_HEADERS(self, event)
        if self.request is None and self.state == self.read_headers and len(self.buf) > limit:
            yield commands.SendData(self.conn, response)
            yield commands.CloseConnection(self.conn)
            self.state = self.done

    Http1Server.read_headers = read_headers  # type: ignore[method-assign] # mitmproxy makes its servers by itself


def answer_errors_with(encode: Callable[[int, str], bytes]) -> None:
    """Have what mitmproxy itself refuses (400, 413) or cannot reach (502) answered in another form than HTML.

    On HTTP/1 connections: those of HTTP/2 have a page and its content type written into them.

    Args:
        encode: takes a status and what is wrong; returns head and body. The connection ends after it.
    """
    _http1.make_error_response = encode  # type: ignore[assignment] # it is always given both


_CONSUME_REQUEST_BODY = HttpStream.state_consume_request_body
_refused: WeakSet[http.HTTPFlow] = WeakSet()


def refuse_in_head(flow: http.HTTPFlow, response: http.Response) -> None:
    """Answer a request that is refused by its head. What comes of its body is thrown away.

    mitmproxy reads the body before it answers, and by itself keeps it, however large it is.
    """
    flow.response = response
    _refused.add(flow)


def _consume_request_body(self: HttpStream, event: events.Event) -> layer.CommandGenerator[None]:
    if not (isinstance(event, RequestData) and self.flow in _refused):
        yield from _CONSUME_REQUEST_BODY(self, event)


HttpStream.state_consume_request_body = _consume_request_body  # type: ignore[method-assign] # mitmproxy makes its streams by itself


def skip_type_checks() -> None:
    """Have mitmproxy not check the types of every field of every message, as it does not under `python -O` either.

    They are there to find mistakes of addons, and are a twentieth of what a small request costs.
    """
    http.MessageData.__post_init__ = lambda _message: None  # type: ignore[method-assign] # for all messages


def pin_address(server: Server, address: str) -> Callable[[], None]:
    """Have a server that is about to be connected to be reached at an address; return what shows its name again.

    To be undone in `server_connected` or `server_connect_error`: connections are found again by their name.
    """
    named = server.address
    if named is None:
        raise ValueError("a server without an address is not connected to")
    server.address = (address, *named[1:])

    def restore() -> None:
        # mitmproxy forbids to change an open connection; this only takes a change back.
        object.__setattr__(server, "address", named)

    return restore


def _bound_http1(http_layer: HttpLayer, handler: ConnectionHandler) -> None:
    """Have the layer read HTTP/1 by `BoundedHttp1Server`. Which version it is, is known when the layer starts."""
    start: Callable[[events.Event], layer.CommandGenerator[None]] = http_layer._handle_event  # noqa: SLF001 - the one place where the choice can be made

    def handle_event(event: events.Event) -> layer.CommandGenerator[None]:
        client = http_layer.context.client
        if isinstance(event, events.Start) and client.alpn != b"h2" and not is_h3_alpn(client.alpn):
            http_layer.connections.setdefault(client, BoundedHttp1Server(http_layer.context.fork(), handler))
        return start(event)

    http_layer._handle_event = handle_event  # type: ignore[method-assign] # noqa: SLF001 - see above


def _is_virtual(connection: object) -> bool:
    return isinstance(connection, Server) and connection.address == VIRTUAL_ADDRESS


def _enclosing(layers: list[layer.Layer]) -> Iterator[tuple[HttpLayer, HttpStream]]:
    for outer_layer, stream in pairwise(layers):
        if isinstance(outer_layer, HttpLayer) and isinstance(stream, HttpStream):
            yield outer_layer, stream


def direct_to_claude(flow: http.HTTPFlow) -> Callable[[], None]:
    """Point a flow at the virtual connection; return what puts the client's own destination back for the views.

    To be called in the `requestheaders` hook, so that not even a body too large to be kept can take another way, and
    undone when the request has reached the virtual connection.
    """
    request = flow.request.data
    destination = request.host, request.port, request.scheme
    request.host, request.port = VIRTUAL_ADDRESS
    request.scheme = b"https"
    if flow.server_conn.via is not None or flow.server_conn.transport_protocol != "tcp":
        # In upstream mode the flow's own connection leads through another proxy: this one must not.
        flow.server_conn = Server(address=VIRTUAL_ADDRESS)

    def restore() -> None:
        request.host, request.port, request.scheme = destination

    return restore

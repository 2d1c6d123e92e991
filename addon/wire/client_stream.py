"""The way back to one client, past or through mitmproxy's layers: whole answers, streams, WebSockets.

It stands between a task that answers and a connection handler of mitmproxy, whose internals it uses.
"""

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mitmproxy import http
from mitmproxy.connection import Server
from mitmproxy.net.http import status_codes, validate
from mitmproxy.net.http.http1 import assemble
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import HttpLayer
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Server
from mitmproxy.proxy.layers.http._http2 import Http2Server
from mitmproxy.proxy.layers.websocket import WebsocketLayer
from mitmproxy.proxy.server import ConnectionHandler

from addon.wire.http1 import BoundedHttp1Server
from addon.wire.whole_messages import WholeMessages

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ClientGoneError", "ClientStream", "Delivery", "FrameDelivery"]

_WITHOUT_CONTENT = frozenset({204, 304})
_POLL_SECONDS = 0.02
_UNSENT_LIMIT = 64 * 1024
"""Bytes of one HTTP/2 stream that may wait for the client's window: as much as asyncio lets wait for a socket."""


class ClientGoneError(ConnectionError):
    """The client has left, or reset the stream: nothing that is sent arrives any more."""


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

    def __init__(
        self,
        handler: ConnectionHandler,
        http_layer: HttpLayer,
        server: Server,
        stream_id: int,
        *,
        writes_first: bool = False,
    ) -> None:
        self._handler = handler
        self._http_layer = http_layer
        self._server = server
        self._stream_id = stream_id
        client_connection = http_layer.connections.get(handler.client)
        self._http2 = client_connection if isinstance(client_connection, Http2Server) else None
        self._http1 = client_connection if isinstance(client_connection, BoundedHttp1Server) else None
        self._is_bare_http1 = isinstance(client_connection, Http1Server) and _is_plain(http_layer)
        self._writes_first = writes_first and self._is_bare_http1 and not http_layer.context.options.body_size_limit
        self._is_chunked = False
        self._is_head = http_layer.streams[stream_id].flow.request.method == "HEAD"
        self._socket: asyncio.WriteTransport | None = None
        self._stays_open = False
        self.gone = False
        self.is_upgraded = False
        self._passes_frames = False

    def keep_open(self) -> None:
        """Let mitmproxy not close the connection as idle while its client waits: an answer may take any time."""
        self._stays_open = True
        watchdog = self._handler.timeout_watchdog
        # What its `disarm` does as a context. A timer that already runs must find no end, be the clock set meanwhile.
        watchdog.last_activity = math.inf
        watchdog.blocker += 1
        watchdog.can_timeout.clear()

    def may_be_idle(self) -> None:
        """Undo `keep_open`."""
        if self._stays_open:
            self._stays_open = False
            watchdog = self._handler.timeout_watchdog
            watchdog.blocker -= 1
            if not watchdog.blocker:
                watchdog.register_activity()
                watchdog.can_timeout.set()

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
        response = _response(status, fields)
        if not self._write_first(response, body, ResponseHeaders, ResponseData, ResponseEndOfMessage):
            self._join_head(body)
        await self._deliver(
            ResponseHeaders(self._stream_id, response),
            ResponseData(self._stream_id, body),
            ResponseEndOfMessage(self._stream_id),
        )

    async def start(self, status: int, headers: list[tuple[bytes, bytes]], data: bytes, *, http_version: str) -> None:
        """Send the headers of a streamed response together with its first bytes. To HEAD, the headers alone.

        An HTTP/1.1 stream is chunked unless the headers say its length, an HTTP/1.0 one ends with the connection,
        HTTP/2 frames by itself.

        Raises:
            ClientGoneError: the client has left.
        """
        if http_version == "HTTP/1.1" and not any(name == b"content-length" for name, _ in headers):
            headers = [*headers, (b"transfer-encoding", b"chunked")]
            self._is_chunked = True
        response = _response(status, http.Headers(headers))
        begun = ResponseHeaders(self._stream_id, response)
        data = b"" if self._is_head else data
        if not data:  # an empty chunk would be the last one
            await self._deliver(begun)
            return
        if not self._write_first(response, _chunk(data) if self._is_chunked else data, ResponseHeaders, ResponseData):
            self._join_head(data)
        await self._deliver(begun, ResponseData(self._stream_id, data))

    def _write_first(self, response: http.Response, data: bytes, *kinds: type[HttpEvent]) -> bool:
        """Write a response, or its beginning, before the layers know of it, where they would add nothing to it.

        Their way to the socket is a hundred functions long. They are to be told right after, as what they make of it
        for hooks, views and the next request is the same. Returns whether it is written.

        Args:
            response: its head.
            data: what follows it on the wire.
            kinds: the events of which these are the bytes.
        """
        stream, io = self._http_layer.streams.get(self._stream_id), self._handler.transports.get(self._handler.client)
        if not (
            self._writes_first
            and not self.gone
            and self._http1 is not None
            and not self._http1.has_begun
            and stream is not None
            # Else it is in the middle of something, which comes first.
            and not stream._paused  # noqa: SLF001 - no other way to know
            and not self._handler._server_event_lock.locked()  # noqa: SLF001 - as above
            and stream.server_state == stream.state_wait_for_response_headers
            and io is not None
            and isinstance(io.writer, asyncio.StreamWriter)
            and not io.writer.is_closing()
            and _is_valid(response)
        ):
            return False
        io.writer.write(assemble.assemble_response_head(response) + data)
        self._http1.note_sent(*kinds)
        return True

    def _join_head(self, data: bytes) -> None:
        if self._http1 is not None and data:
            self._http1.data_follows = True

    async def write(self, data: bytes) -> None:
        """Send the next bytes of a streamed response, or frames of a WebSocket. To HEAD, nothing.

        Raises:
            ClientGoneError: the client has left.
        """
        if not data or self._is_head:
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
            self._socket.write(_chunk(data))
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
            websocket.client_ws = WholeMessages(websocket.client_ws, max_bytes)
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
            each is not None and each._paused is not None  # noqa: SLF001 - no other way to know
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


def _response(status: int, headers: http.Headers) -> http.Response:
    # Made without `__init__`: it checks the types by errors that hold all frames above, and what is in them, until the
    # garbage collector finds them.
    response = object.__new__(http.Response)
    response.data = object.__new__(http.ResponseData)
    vars(response.data).update(
        http_version=b"HTTP/1.1",
        status_code=status,
        reason=status_codes.RESPONSES.get(status, "").encode(),
        headers=headers,
        content=None,
        trailers=None,
        timestamp_start=0.0,
        timestamp_end=None,
    )
    return response


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _is_valid(response: http.Response) -> bool:
    """Whether mitmproxy lets the headers of a response through. Those that another server has sent can be anything."""
    try:
        validate.validate_headers(response)
    except ValueError:
        return False
    return True


def _is_plain(http_layer: HttpLayer) -> bool:
    """Whether a client's connection is plain HTTP: no TLS, and no tunnel through another HTTP layer."""
    context = http_layer.context
    return not context.client.tls and [each for each in context.layers if isinstance(each, HttpLayer)] == [http_layer]


def _buffered_bytes(writer: object) -> int | None:
    # asyncio's transports and uvloop's have no base class in common. Modes on UDP have a writer without a transport.
    size: Callable[[], int] | None = getattr(getattr(writer, "transport", None), "get_write_buffer_size", None)
    return size() if size else None

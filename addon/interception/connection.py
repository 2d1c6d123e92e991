"""Claude as an upstream connection of mitmproxy: virtual, always open, and fed by our tasks.

mitmproxy has no public way to stream a response that an addon makes. So every `HttpLayer` is given a `Server` that
says it is open, with `VirtualConnection` as its handler; mitmproxy's own connection re-use finds it for each flow
whose destination is `VIRTUAL_ADDRESS`. What the client sends arrives here as HTTP events, the moment it goes away
too; what a task answers is delivered into the connection handler as `Delivery` events. No port, no second HTTP parse.

This file, `addon.wire.client_stream` and `addon.wire.http1` use mitmproxy's internals; tests/integration has a
test for each mode.
"""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Protocol, override
from weakref import WeakSet

from mitmproxy import http
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.websocket import WebsocketEndHook
from mitmproxy.proxy.server import ConnectionHandler

from addon.wire.client_stream import ClientStream, Delivery, FrameDelivery
from addon.wire.http1 import bound_http1

__all__ = [
    "VIRTUAL_ADDRESS",
    "Exchanges",
    "Receiver",
    "abort_receivers",
    "direct_to_claude",
    "open_virtual_connections",
    "pin_address",
    "refuse_in_head",
]

VIRTUAL_ADDRESS = ("virtual.claude-proxy.invalid", 443)
"""Where claimed flows are directed. RFC 6761 keeps `.invalid` from ever being resolved, should one try to dial it."""


class Receiver(Protocol):
    """Takes one request of a client, as it arrives. The methods are called in this order and must not block.

    Only `settle` can come after those that take a request, where all of it has come at once.
    """

    def settle(self) -> None:
        """Undo what has led the request here: it has arrived."""

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

    @property
    def is_alone(self) -> bool:
        """Whether no other addon is asked about a request before it is answered, or its answer before it is sent."""

    def receiver_of(self, flow: http.HTTPFlow) -> Receiver | None:
        """Find the receiver of a flow, None for one that was never claimed."""


class VirtualConnection(layer.Layer):
    """The handler of a virtual server connection: requests of the client in, deliveries of our tasks out."""

    def __init__(
        self, context: Context, http_layer: HttpLayer, handler: ConnectionHandler, exchanges: Exchanges
    ) -> None:
        super().__init__(context)
        self._http_layer = http_layer
        self._handler = handler
        self._exchanges = exchanges
        self._is_alone = exchanges.is_alone
        self._receivers: dict[int, tuple[Receiver, ClientStream]] = {}
        self._taken: set[int] = set()
        """The streams whose requests have been received before the layers have carried them here."""

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
            case RequestData(stream_id=stream_id, data=data) if stream_id not in self._taken:
                if found := self._receivers.get(stream_id):
                    found[0].receive_data(data)
            case RequestEndOfMessage(stream_id=stream_id):
                if stream_id in self._taken:
                    self._taken.remove(stream_id)
                elif found := self._receivers.get(stream_id):
                    found[1].keep_open()
                    found[0].receive_end()
            case RequestProtocolError(stream_id=stream_id, message=message):
                self._abort(stream_id, message)
            case _:
                pass

    def abort_all_of(self, handler: ConnectionHandler, reason: str) -> None:
        """Tell all receivers that the client has left, if the connection is that handler's."""
        if self._handler is handler:
            for stream_id in list(self._receivers):
                self._abort(stream_id, reason)

    def _abort(self, stream_id: int, reason: str) -> None:
        self._taken.discard(stream_id)
        if found := self._receivers.pop(stream_id, None):
            found[1].may_be_idle()
            found[1].gone = True
            found[0].receive_abort(reason)

    def _forget(self, stream_id: int) -> None:
        found = self._receivers.get(stream_id)
        if found is None:
            return
        found[1].may_be_idle()
        # The end of a 101 is the beginning of a WebSocket, which ends with a RequestProtocolError.
        if not found[1].is_upgraded:
            del self._receivers[stream_id]

    def take_whole(self, stream_id: int, body: bytes) -> None:
        """Receive a request whose body has come with its head, and whose hook has claimed it, if it has.

        From the hook to here mitmproxy's layers take a fifth of the time until Claude is asked. What they do on the way
        is for other addons, and for what comes later: it is done while Claude is waited for.
        """
        stream = self._http_layer.streams.get(stream_id)
        if not self._is_alone or stream is None or self.context.options.body_size_limit:
            return
        receiver = self._exchanges.receiver_of(stream.flow)
        if receiver is None:
            return
        self._taken.add(stream_id)
        client = self._receive(stream_id, receiver)
        receiver.receive_data(body)
        client.keep_open()
        receiver.receive_end()

    def _open(self, stream_id: int) -> layer.CommandGenerator[None]:
        flow = self._http_layer.streams[stream_id].flow
        receiver = self._exchanges.receiver_of(flow)
        if receiver is None:
            # Somebody named the virtual address as its destination.
            yield ReceiveHttp(ResponseProtocolError(stream_id, "no such host", ErrorCode.DESTINATION_UNKNOWN))
            return
        receiver.settle()
        if stream_id not in self._taken:
            self._receive(stream_id, receiver)

    def _receive(self, stream_id: int, receiver: Receiver) -> ClientStream:
        client = ClientStream(
            self._handler, self._http_layer, self.context.server, stream_id, writes_first=self._is_alone
        )
        self._receivers[stream_id] = receiver, client
        receiver.receive_headers(client)
        return client


_virtual_connections: WeakSet[VirtualConnection] = WeakSet()


def open_virtual_connections(context: Context, handler: ConnectionHandler, exchanges: Exchanges) -> None:
    """Give each HTTP layer of a connection its virtual connection to Claude. Call it whenever layers were added.

    An enclosing HTTP layer (a CONNECT tunnel) gets the inner layer's connection too, with the stream that leads
    inwards, so that deliveries find their way: what `OpenConnection` does for a real connection.
    """
    for position, http_layer in enumerate(context.layers):
        if not isinstance(http_layer, HttpLayer) or any(map(_is_virtual, http_layer.connections)):
            continue
        server = _VirtualServer(address=VIRTUAL_ADDRESS, tls=True, alpn=b"h2")
        server.state = ConnectionState.OPEN
        fork = context.fork()
        fork.server = server
        http_layer.connections[server] = virtual = VirtualConnection(fork, http_layer, handler, exchanges)
        _virtual_connections.add(virtual)
        bound_http1(http_layer, handler, virtual.take_whole)
        for outer_layer, stream in _enclosing(context.layers[:position]):
            outer_layer.connections[server] = stream


def abort_receivers(handler: ConnectionHandler, reason: str) -> None:
    """Tell all receivers of a client's connection that it has left."""
    for virtual in list(_virtual_connections):
        virtual.abort_all_of(handler, reason)


class _VirtualServer(Server):
    """Claude, as mitmproxy's layers have it. Another one of its address, which a client may name, is nobody's."""


def _is_virtual(connection: object) -> bool:
    return isinstance(connection, _VirtualServer)


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


_START_REQUEST_STREAM = HttpStream.start_request_stream


def _start_request_stream(self: HttpStream) -> layer.CommandGenerator[None]:
    """Send the response of an addon that has answered a flow after it was directed to Claude, as of one that was not.

    mitmproxy takes it for a mistake, because the request was to be streamed on.
    """
    if self.flow.response and (self.flow.request.host, self.flow.request.port) == VIRTUAL_ADDRESS:
        _refused.add(self.flow)
        self.client_state = self.state_consume_request_body
    else:
        yield from _START_REQUEST_STREAM(self)


HttpStream.start_request_stream = _start_request_stream  # type: ignore[method-assign] # see above


_ABNORMAL_CLOSURE = 1006
"""RFC 6455, 7.4.1."""
_CHECK_KILLED = HttpStream.check_killed


def _check_killed(self: HttpStream, emit_error_hook: bool) -> layer.CommandGenerator[bool]:
    """Tell the receiver of a flow that has ended while a hook was waited for.

    Its client has left, or an addon has killed it. mitmproxy tells the server of neither, and Claude would be asked on.
    It tells no addon either of a WebSocket that ends between its `response` and its `websocket_start`.
    """
    is_killed = yield from _CHECK_KILLED(self, emit_error_hook)
    if is_killed and _is_virtual(self.context.server):
        message = self.flow.error.msg if self.flow.error else "killed"
        ended = RequestProtocolError(self.stream_id, message, ErrorCode.CLIENT_DISCONNECTED)
        yield SendHttp(ended, self.context.server)
        websocket = self.flow.websocket
        if websocket is not None and websocket.timestamp_end is None:
            websocket.timestamp_end, websocket.close_code = time.time(), _ABNORMAL_CLOSURE
            yield WebsocketEndHook(self.flow)
    return is_killed


HttpStream.check_killed = _check_killed  # type: ignore[method-assign] # see above


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

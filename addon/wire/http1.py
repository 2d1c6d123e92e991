"""HTTP/1 connections of clients: bounded, and with heads that leave with what follows.

mitmproxy makes its connections and their readers by itself, so some of this is put in place of its own, for the whole
process. A test for each mode (tests/integration) holds it to that.
"""

import re
from typing import TYPE_CHECKING, override

from h11 import Data, EndOfMessage
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy import http
from mitmproxy.net.http.http1 import assemble
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, _http1, is_h3_alpn
from mitmproxy.proxy.layers.http._base import HttpEvent, ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    RequestHeaders,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Server
from mitmproxy.proxy.server import ConnectionHandler

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST_UNREAD_BYTES", "BoundedHttp1Server", "bound_http1", "limit_request_heads"]

MOST_UNREAD_BYTES = 1024 * 1024
"""Of one connection, besides a head: a body is read as it comes, and counts by itself."""

_LENGTH = re.compile(rb"[0-9]{1,9}")
_ENDS_OF_LINES = (b"\r", b"\n")
_EMPTY_LINES = re.compile(rb"(?:\r?\n)+")

type TakeWhole = Callable[[int, bytes], None]
"""Is offered the body of each request that has come with the head, and the number of its stream, once the layers have
the head. They are given it as well."""

_MALFORMED_CHUNK = "The request's body cannot be read: a chunk of it is malformed."


class BoundedHttp1Server(Http1Server):
    """Reads a client's HTTP/1 requests. mitmproxy itself gathers without any bound what is not read yet.

    That is a chunk's size that has no end, and what a client sends ahead while it is being answered. Heads are limited
    by `limit_request_heads`.
    """

    data_follows = False
    """The next response's head is sent in one write with what comes after it.

    A write that wakes its reader costs as much as a chunk, and the first token would wait for it.
    """

    def __init__(self, context: Context, handler: ConnectionHandler, take_whole: TakeWhole) -> None:
        super().__init__(context)
        self._handler = handler
        self._take_whole = take_whole
        self._head = b""
        self._sent: set[type[HttpEvent]] = set()

    @property
    def has_begun(self) -> bool:
        """Whether something of an answer is on its way, or waits for what comes after it."""
        return bool(self._head) or self._has_answered()

    def _has_answered(self) -> bool:
        return self.response is not None and self.response.status_code != 100

    def note_sent(self, *kinds: type[HttpEvent]) -> None:
        """Send nothing for the next response's events of these kinds, one of each: their bytes have been written."""
        self._sent = set(kinds)

    @override
    def send(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if type(event) in self._sent:
            self._sent.remove(type(event))
            if isinstance(event, ResponseHeaders):
                self.response = event.response
            elif isinstance(event, ResponseEndOfMessage):
                self._sent.clear()
                yield from self.mark_done(response=True)
            return
        if isinstance(event, ResponseProtocolError) and not self._has_answered():
            self.response = None  # by itself mitmproxy takes a 100 for the answer, and closes without a word
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
    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        self._pass_over_empty_lines()
        is_refused = False
        for command in super().read_headers(event):
            is_refused = is_refused or isinstance(command, commands.CloseConnection)
            if isinstance(command, ReceiveHttp) and isinstance(command.event, RequestHeaders):
                request = command.event.request
                _lower_connection_options(request.headers)
                if request.http_version == "HTTP/1.0":
                    request.headers.pop("expect", None)  # RFC 9110, 10.1.1: its client takes a 100 for the answer
                body = None if is_refused else self._body_of(request)
                yield command
                if body:
                    self._take_whole(command.event.stream_id, body)
            else:
                yield command

    def _body_of(self, request: http.Request) -> bytes | None:
        """Look at the body of a request, if all of it has come with the head, and nothing else is to be said."""
        length = b""
        for name, value in request.headers.fields:
            match name.lower():
                case b"content-length":
                    length = value
                case b"transfer-encoding" | b"expect" | b"upgrade":
                    return None
        if request.data.method != b"POST" or not _LENGTH.fullmatch(length) or int(length) > len(self.buf):
            return None
        return bytes(self.buf._data[: int(length)])  # noqa: SLF001 - it stays there for mitmproxy to read

    def _pass_over_empty_lines(self) -> None:
        """Take away all empty lines before a request. RFC 9112, 2.2 asks a server to ignore at least one.

        By itself mitmproxy waits for more after each, and what has come already is not looked at.
        """
        waiting = self.buf._data  # noqa: SLF001 - else all that waits there would be copied
        if waiting[:1] in _ENDS_OF_LINES and (empty_lines := _EMPTY_LINES.match(waiting)):
            self.buf.maybe_extract_at_most(empty_lines.end())

    @override
    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        # No other reader finds anything wrong in what has come.
        return self._read_chunks(event) if isinstance(self.body_reader, ChunkedReader) else super().read_body(event)

    def _read_chunks(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Read a chunked body. By itself mitmproxy closes without a word at a chunk that is malformed."""
        for command in super().read_body(event):
            breaks_off = isinstance(command, commands.CloseConnection) and self.state == self.read_body
            if breaks_off and isinstance(event, events.DataReceived) and not self.request_done:
                # Where the next request begins is not known any more (RFC 9112, 11.2): nothing is read after this.
                self.state = self.done
                if not self._has_answered():
                    self.conn.error = _MALFORMED_CHUNK  # mitmproxy's event is the same for a client that has left
                    yield commands.SendData(self.conn, _http1.make_error_response(400, _MALFORMED_CHUNK))
            yield command

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


def _lower_connection_options(headers: http.Headers) -> None:
    # RFC 9110, 7.6.1: their case says nothing. mitmproxy knows `close` alone.
    options = headers.get("connection")
    if options is not None and not options.islower():
        headers["connection"] = options.lower()


class ChunksWithoutTrailers(ChunkedReader):
    """Reads a chunked body, and passes its trailers over, as any recipient may (RFC 9110, 6.5.1).

    mitmproxy fails at them without a word to anybody, be they of a request or of an answer: the client waits on.
    """

    @override
    def __call__(self, buf: ReceiveBuffer) -> Data | EndOfMessage | None:
        found = super().__call__(buf)
        return EndOfMessage() if isinstance(found, EndOfMessage) else found


_http1.ChunkedReader = ChunksWithoutTrailers  # type: ignore[attr-defined] # mitmproxy makes its readers by itself


def bound_http1(http_layer: HttpLayer, handler: ConnectionHandler, take_whole: TakeWhole) -> None:
    """Have the layer read HTTP/1 by `BoundedHttp1Server`. Which version it is, is known when the layer starts."""
    start: Callable[[events.Event], layer.CommandGenerator[None]] = http_layer._handle_event  # noqa: SLF001 - the one place where the choice can be made

    def handle_event(event: events.Event) -> layer.CommandGenerator[None]:
        client = http_layer.context.client
        if isinstance(event, events.Start) and client.alpn != b"h2" and not is_h3_alpn(client.alpn):
            http_layer.connections.setdefault(
                client, BoundedHttp1Server(http_layer.context.fork(), handler, take_whole)
            )
        return start(event)

    http_layer._handle_event = handle_event  # type: ignore[method-assign] # noqa: SLF001 - see above


_READ_HEADERS = Http1Server.read_headers


def limit_request_heads(limit: int, response: http.Response) -> None:
    """Have every HTTP/1 connection of this process refuse a head that grows beyond `limit` bytes, and end.

    mitmproxy keeps what comes until the head is whole, however large it is. HTTP/2 has a limit of its own, 64 KiB.

    Args:
        limit: the size.
        response: what such a client is sent.
    """
    encoded: bytes = assemble.assemble_response(response)

    def read_headers(self: Http1Server, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        yield from _READ_HEADERS(self, event)
        if self.request is None and self.state == self.read_headers and len(self.buf) > limit:
            yield commands.SendData(self.conn, encoded)
            yield commands.CloseConnection(self.conn)
            self.state = self.done

    Http1Server.read_headers = read_headers  # type: ignore[method-assign] # mitmproxy makes its servers by itself

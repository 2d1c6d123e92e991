"""What mitmproxy itself refuses (400, 413) or cannot reach (502), answered in another form than its page of HTML.

It asks no hook about these answers: each kind of connection has its own way to write them. So all three are changed
here, for the whole process; tests/integration has a test for each.
"""

from collections.abc import Callable, Iterable

from mitmproxy import http
from mitmproxy.net.http.http1 import assemble
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, _http1
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import (
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http2 import Http2Server
from mitmproxy.proxy.layers.http._http3 import Http3Connection, Http3Server

__all__ = ["answer_errors_with"]

_HANDLE_HTTP2_EVENT = Http2Server._handle_event  # noqa: SLF001 - page and content type are written into it
_HANDLE_HTTP3_EVENT = Http3Server._handle_event  # noqa: SLF001 - see above


def answer_errors_with(make_response: Callable[[int, str], http.Response]) -> None:
    """Have mitmproxy's own errors answered in another form, unless the answer has begun: then it is broken off.

    Args:
        make_response: takes a status and what is wrong. An HTTP/1 connection ends after it, as its headers have to say;
            to HTTP/2 and HTTP/3 those of a connection are not sent.
    """

    def encode(status: int, message: str) -> bytes:
        encoded: bytes = assemble.assemble_response(make_response(status, message))
        return encoded

    def answer(event: ResponseProtocolError, context: Context) -> Iterable[HttpEvent]:
        status = event.code.http_status_code()
        if status is None:
            return [event]  # the stream is reset
        response = make_response(status, event.message)
        if _method_of(event.stream_id, context) == "HEAD":
            return [ResponseHeaders(event.stream_id, response, end_stream=True)]
        data = ResponseData(event.stream_id, response.raw_content or b"")
        return [ResponseHeaders(event.stream_id, response), data, ResponseEndOfMessage(event.stream_id)]

    def handle_http2_event(self: Http2Server, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseProtocolError) and _can_answer(self, event.stream_id):
            for each in answer(event, self.context):
                yield from _HANDLE_HTTP2_EVENT(self, each)
        else:
            yield from _HANDLE_HTTP2_EVENT(self, event)

    def handle_http3_event(self: Http3Connection, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseProtocolError) and not self.h3_conn.has_sent_headers(event.stream_id):
            for each in answer(event, self.context):
                yield from _HANDLE_HTTP3_EVENT(self, each)
        else:
            yield from _HANDLE_HTTP3_EVENT(self, event)

    _http1.make_error_response = encode  # type: ignore[assignment] # it is always given both
    Http2Server._handle_event = handle_http2_event  # type: ignore[method-assign] # noqa: SLF001 - mitmproxy makes its servers by itself
    Http3Server._handle_event = handle_http3_event  # type: ignore[method-assign] # noqa: SLF001 - see above


def _can_answer(server: Http2Server, stream_id: int) -> bool:
    return server.is_open_for_us(stream_id) and not server.h2_conn.streams[stream_id].state_machine.headers_sent


def _method_of(stream_id: int, context: Context) -> str:
    """Find what the client asked: with HEAD it would take a body for a breach of the protocol."""
    http_layer = next(each for each in reversed(context.layers) if isinstance(each, HttpLayer))
    return http_layer.streams[stream_id].flow.request.method

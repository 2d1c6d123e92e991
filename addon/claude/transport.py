"""The HTTP client of the calls to Claude: the SDK's own on aiohttp, with a defect of aiohttp mended and cheaper reads.

Where the framing of a chunked answer is broken in the middle, aiohttp's compiled parser (3.14) closes the connection,
stops its timers and tells whoever waits for the next answer. Nobody tells the one who reads this answer, and it would
be waited for without end. So it would where the pool is closed while an answer is read.
https://github.com/aio-libs/aiohttp, `client_proto.py`: `ResponseHandler.data_received`, `close` and `abort`.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, override

import aiohttp
import httpx2
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from anthropic import DefaultAioHttpClient
from anthropic._vendor.httpx_aiohttp.transport import (
    AiohttpResponseStream,
    AiohttpTransport,
    map_aiohttp_exceptions,
)
from multidict import CIMultiDict

from addon.claude.body import BODY, ArrivingBody, Passing
from addon.claude.open_connection import OpenConnections
from addon.configuration.claude_settings import ClaudeSettings

__all__ = ["ClaudeHttpClient", "open_transport", "timeout_of"]

_MAX_CONNECTIONS = 10_000
"""Open calls at once. The limit on clients is the operator's to set, not the transport's."""

_IDLE_SECONDS = 45.0
"""How long a connection waits for its next call. After the SDK's 5 s, who asks now and then would make one each time.

Load balancers close one after a minute or later. What is closed is noticed; a call that meets its end is made again.
"""


class _Connection(ResponseHandler):
    """One connection, whose failure is told to the reader of the answer too, and whose reads cost less.

    What is `passing` an answer on goes on with whatever has happened.

    For each read aiohttp makes a timer and unmakes the one before, and has its parser go on even where it does not
    pause: a tenth of what a chunk costs that comes alone.
    """

    passing: Passing | None = None
    _last_read = 0.0
    """Infinite where nothing is waited for."""
    _timer_due = 0.0

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.passing is not None:
            self.passing.go_on()

    @override
    def resume_reading(self, resume_parser: bool = True) -> None:
        if self._reading_paused:
            super().resume_reading(resume_parser)

    @override
    def _reschedule_timeout(self) -> None:
        self._last_read = now = self._loop.time()
        due = now + (self._read_timeout or 0.0)
        if self._read_timeout_handle is None or due < self._timer_due:
            super()._reschedule_timeout()
            self._timer_due = due

    @override
    def _drop_timeout(self) -> None:
        if self.transport is None or self._should_close:
            super()._drop_timeout()
        else:
            self._last_read = math.inf  # the timer stays for the next read, which mostly comes before its end

    @override
    def _on_read_timeout(self) -> None:
        self._read_timeout_handle = None
        if self._last_read == math.inf:
            return
        left = self._last_read + (self._read_timeout or 0.0) - self._loop.time()
        if left > 0:
            self._read_timeout_handle = self._loop.call_later(left, self._on_read_timeout)
            self._timer_due = self._last_read + (self._read_timeout or 0.0)
        else:
            super()._on_read_timeout()

    @override
    def set_exception(self, exc: Any, *cause: Any) -> None:
        if self.passing is not None:
            self.passing.go_on()  # with what came before: a body that has failed gives nothing away
        body = self._payload
        super().set_exception(exc, *cause)
        told = exc if isinstance(exc, aiohttp.ClientError) else None  # silence, for one
        self._break(body, told or aiohttp.ClientPayloadError("the answer's framing is broken"), *cause)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        super()._drop_timeout()

    @override
    def close(self) -> None:
        body = self._payload
        super().close()
        self._break(body, aiohttp.ClientConnectionError("closed by us"))

    @override
    def abort(self) -> None:
        body = self._payload
        super().abort()
        self._break(body, aiohttp.ClientConnectionError("closed by us"))

    def _break(self, body: aiohttp.StreamReader | None, error: aiohttp.ClientError, *cause: Any) -> None:
        """Tell the reader of an answer that nothing more of it comes."""
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(error, *cause)
        if self.passing is not None:
            self.passing.go_on()


class ClaudeHttpClient(DefaultAioHttpClient):
    """See `anthropic.DefaultAioHttpClient`. No cookies: what Claude's edge has one client keep is nothing to others."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())))

    @override
    def _init_transport(self, *arguments: Any, **options: Any) -> httpx2.AsyncBaseTransport:
        return _Transport(*arguments, **options)

    @override
    def _init_proxy_transport(self, proxy: httpx2.Proxy, *arguments: Any, **options: Any) -> httpx2.AsyncBaseTransport:
        return _Transport(*arguments, proxy=proxy, **options)

    @override
    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: Any = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx2.USE_CLIENT_DEFAULT,
    ) -> httpx2.Response:
        """Send a request straight to the connections where httpx2 itself would do nothing else of use.

        Its own way passes generators for authentication and redirects, and looks for cookies: a tenth of the time to
        the first token, where code that has not run for a while is slow. Credentials in a URL are aiohttp's to send.
        """
        options = {"stream": stream, "auth": auth, "follow_redirects": follow_redirects}
        defaults = httpx2.USE_CLIENT_DEFAULT
        if not stream or auth is not defaults or follow_redirects is not defaults or self.is_closed:
            return await super().send(request, **options)
        self._set_timeout(request)
        response = await self._transport_for_url(request.url).handle_async_request(request)
        if response.is_redirect and response.has_redirect_location:
            await response.aclose()
            return await super().send(self._build_redirect_request(request, response), **options)
        return response


class _Transport(AiohttpTransport):
    """The SDK's transport, with connections of ours, and a shorter way to those that are open."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._open_connections: OpenConnections | None = None

    @override
    def get_client(self) -> aiohttp.ClientSession:
        # The transport asks for its session at the first request, inside the event loop.
        session = super().get_client()
        connector = session.connector
        assert connector is not None  # noqa: S101 - for the type checker: it is new
        connections: Any = partial(_Connection, loop=asyncio.get_running_loop())
        connector._factory = connections  # noqa: SLF001 - aiohttp has no other way in
        connector._get = _latest_first(connector)  # type: ignore[method-assign] # noqa: SLF001 - see above
        session.detach()
        adapted = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        vars(adapted)["_prepare_headers"] = _prepare_headers  # to an assignment it objects in debug mode
        if self.proxy is None:
            self._open_connections = OpenConnections(connector)
        return adapted

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._send_on_an_open_connection(request) or await super().handle_async_request(request)
        answer: aiohttp.ClientResponse = response.stream._aiohttp_response  # type: ignore[union-attr] # noqa: SLF001 - there is no other way to it
        connection = getattr(answer.content, "_protocol", None)  # none where there is no body
        if isinstance(connection, _Connection):
            response.extensions[BODY] = ArrivingBody(answer, connection)
        return response

    async def _send_on_an_open_connection(self, request: httpx2.Request) -> httpx2.Response | None:
        if self._open_connections is None:
            return None
        try:
            answer = await self._open_connections.send(request, request.extensions.get("timeout", {}).get("read"))
        except Exception:
            with map_aiohttp_exceptions():
                raise
        if answer is None:
            return None
        extensions = {"http_version": b"HTTP/1.1", "reason_phrase": (answer.reason or "").encode()}
        return httpx2.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=AiohttpResponseStream(answer),
            request=request,
            extensions=extensions,
        )


def _prepare_headers(headers: Any) -> CIMultiDict[str]:
    """Take the place of aiohttp's own, which looks each header up, and has httpx2 decode them all each time.

    It would also add the session's own: there are none here.
    """
    if isinstance(headers, httpx2.Headers):
        encoding = headers.encoding
        return CIMultiDict([(name.decode("ascii"), value.decode(encoding)) for name, value in headers.raw])
    return CIMultiDict(headers or ())


def _latest_first(connector: aiohttp.BaseConnector) -> Callable[..., Coroutine[Any, Any, Connection | None]]:
    """Have a call take the connection that was used last. By itself aiohttp takes the one that has rested longest.

    Then all that a burst has opened would be used in turn and kept, and for each call another one's memory be fetched.
    """
    take = connector._get  # noqa: SLF001 - aiohttp has no other way in

    def take_latest(key: ConnectionKey, traces: list[Trace]) -> Coroutine[Any, Any, Connection | None]:
        if connections := connector._conns.get(key):  # noqa: SLF001 - see above
            connections.rotate()
        return take(key, traces)

    return take_latest


def open_transport(claude: ClaudeSettings, *, proxy: str | None) -> httpx2.AsyncClient:
    """Open the connection pool of a backend.

    An environment that sends HTTPS traffic to a proxy must not send ours to ourselves.
    """
    return ClaudeHttpClient(
        trust_env=False,
        proxy=proxy,
        limits=httpx2.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=_IDLE_SECONDS),
        timeout=timeout_of(claude),
    )


def timeout_of(claude: ClaudeSettings) -> httpx2.Timeout:
    """Return the timeouts of a call. Each answer is streamed: the longest silence counts, not the longest answer."""
    return httpx2.Timeout(claude.timeout, connect=claude.connect_timeout)

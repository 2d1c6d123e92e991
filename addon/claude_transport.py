"""The HTTP client of the calls to Claude: the SDK's own on aiohttp, with one defect of aiohttp mended.

Where the framing of a chunked answer is broken in the middle, aiohttp's compiled parser (3.14) closes the connection,
stops its timers and tells whoever waits for the next answer. Nobody tells the one who reads this answer, and it would
be waited for without end. https://github.com/aio-libs/aiohttp, `client_proto.py`: `ResponseHandler.data_received`.
"""

import asyncio
from functools import partial
from typing import Any, override

import aiohttp
import httpx2
from aiohttp.client_proto import ResponseHandler
from anthropic import DefaultAioHttpClient

__all__ = ["ClaudeHttpClient"]


class _TellingHandler(ResponseHandler):
    """One connection, whose failure is told to the reader of the answer too."""

    @override
    def set_exception(self, exc: Any, *cause: Any) -> None:
        body = self._payload
        super().set_exception(exc, *cause)
        is_silence = isinstance(exc, aiohttp.ServerTimeoutError)
        if body is not None and not (body.is_eof() or body.exception() or is_silence):
            # Of its silence aiohttp tells the reader itself.
            body.set_exception(aiohttp.ClientPayloadError("the answer's framing is broken"), *cause)


class ClaudeHttpClient(DefaultAioHttpClient):
    """See `anthropic.DefaultAioHttpClient`."""

    @override
    def _init_transport(self, *arguments: Any, **options: Any) -> httpx2.AsyncBaseTransport:
        return _with_telling_handlers(super()._init_transport(*arguments, **options))

    @override
    def _init_proxy_transport(self, *arguments: Any, **options: Any) -> httpx2.AsyncBaseTransport:
        return _with_telling_handlers(super()._init_proxy_transport(*arguments, **options))


def _with_telling_handlers(transport: Any) -> httpx2.AsyncBaseTransport:
    # The transport makes its session at the first request, inside the event loop.
    make_session = transport.get_client

    def make_telling_session() -> aiohttp.ClientSession:
        session: aiohttp.ClientSession = make_session()
        assert session.connector is not None  # noqa: S101 - for the type checker: it is new
        handlers: Any = partial(_TellingHandler, loop=asyncio.get_running_loop())
        session.connector._factory = handlers  # noqa: SLF001 - aiohttp has no other way in
        return session

    transport.get_client = make_telling_session
    return transport  # type: ignore[no-any-return] # the SDK's own has no types

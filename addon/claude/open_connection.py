"""A request on a connection that is open already: its bytes are written, and aiohttp reads the answer.

aiohttp's own way to the same bytes takes sixty functions, most of them for what we never send, and a sixth of the time
until Claude is asked. Connecting, with all that it takes, stays aiohttp's.
"""

import asyncio
import re
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
import httpx2
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.connector import Connection
from yarl import URL

__all__ = ["OpenConnections"]

_MOST_BYTES = 64 * 1024
"""Of a body: what a socket takes at once. While it takes a larger one, aiohttp waits for an answer too."""

_OF_AIOHTTP = frozenset({b"content-length", b"expect", b"transfer-encoding"})
"""The headers that aiohttp acts upon. httpx2 writes the length as `Content-Length`, which is written here instead."""

_SECRETS = frozenset({b"authorization", b"x-api-key"})
"""The headers that are not kept for the next request."""

_ODD = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f-\xff]")
"""What aiohttp refuses in a line, and what it has to encode."""


class _Sent:
    """What aiohttp asks of a writer that has written everything."""

    output_size = 0


@dataclass(frozen=True, slots=True)
class _Target:
    """Where requests for one URL go."""

    line: bytes
    key: ConnectionKey
    url: URL
    info: aiohttp.RequestInfo


class OpenConnections:
    """Sends requests over those connections of a pool that are open and wait for one."""

    def __init__(self, pool: aiohttp.BaseConnector) -> None:
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._target_of = lru_cache(256)(self._find_target)
        self._encode_fields = lru_cache(64)(_encode_fields)

    def _find_target(self, url: str) -> _Target | None:
        parsed = URL(url)
        if parsed.raw_user is not None or parsed.raw_password is not None:  # aiohttp makes a header of them
            return None
        request = ClientRequest("POST", parsed, loop=self._loop)
        line = f"POST {request.url.raw_path_qs} HTTP/1.1"
        return _Target(line.encode(), request.connection_key, request.url, request.request_info)

    async def send(self, request: httpx2.Request, read_timeout: float | None) -> aiohttp.ClientResponse | None:
        """Send a request; return its answer when its head is there. None: it has to go aiohttp's own way.

        Raises:
            aiohttp.ClientError: the connection has failed, or was silent for `read_timeout` seconds.
        """
        if request.method != "POST" or "sni_hostname" in request.extensions:
            return None
        data = self._encode(request, target) if (target := self._target_of(str(request.url))) else None
        if target is None or data is None:
            return None
        connection = await self._pool._get(target.key, [])  # noqa: SLF001 - aiohttp has no other way to ask
        if connection is None:
            return None
        protocol = connection.protocol
        if protocol is None or protocol.should_close:  # something has come that nobody has asked for
            connection.close()
            return None
        try:
            return await self._ask(connection, target, data, read_timeout)
        except BaseException:
            connection.close()
            raise

    def _encode(self, request: httpx2.Request, target: _Target) -> bytes | None:
        """Write a request down, if nothing about it is special."""
        try:
            body = request.content
        except httpx2.RequestNotRead:  # it is sent while it is made
            return None
        if len(body) > _MOST_BYTES:
            return None
        fields, own = [], [b"Content-Length: %d" % len(body)]
        for field in request.headers.raw:
            name = field[0].lower()
            if name in _SECRETS:
                own.append(b"%b: %b" % field)
            elif field[0] != b"Content-Length":
                fields.append(field)
        common, rest = self._encode_fields(target.line, tuple(fields)), _join(own)
        return None if common is None or rest is None else b"%b%b\r\n%b" % (common, rest, body)

    async def _ask(
        self, connection: Connection, target: _Target, data: bytes, read_timeout: float | None
    ) -> aiohttp.ClientResponse:
        # As `ClientSession._request` and `ClientRequest.send` of aiohttp/client.py and client_reqrep.py.
        protocol = connection.protocol
        if protocol is None or protocol.transport is None:
            raise aiohttp.ClientConnectionError("closed by us")
        protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_timeout=read_timeout)
        protocol.transport.write(data)
        protocol.start_timeout()
        response = aiohttp.ClientResponse(
            "POST",
            target.url,
            writer=None,
            continue100=None,
            timer=None,  # type: ignore[arg-type] # there is none; aiohttp says so too
            request_info=target.info,
            traces=[],
            loop=self._loop,
            session=None,  # type: ignore[arg-type] # as above: it would only be asked for a charset
            stream_writer=_Sent,  # type: ignore[arg-type] # all is sent
        )
        try:
            return await response.start(connection)
        except BaseException:
            response.close()
            raise


def _encode_fields(line: bytes, fields: tuple[tuple[bytes, bytes], ...]) -> bytes | None:
    """Write down what is the same for most requests; None: aiohttp has to, which adds a type where there is none."""
    names = {name.lower() for name, _ in fields}
    if b"content-type" not in names or names & _OF_AIOHTTP:
        return None
    return _join([line, *[b"%b: %b" % field for field in fields]])


def _join(lines: list[bytes]) -> bytes | None:
    """Join lines of a head; None: they are aiohttp's to refuse or to encode."""
    return None if any(map(_ODD.search, lines)) else b"".join([line + b"\r\n" for line in lines])

"""A request on a connection that is open already: its bytes are written, and aiohttp reads the answer.

aiohttp's own way to the same bytes takes sixty functions, most of them for what we never send, and a sixth of the time
until Claude is asked. Connecting, with all that it takes, stays aiohttp's.
"""

import asyncio
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
import httpx2
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.connector import Connection
from yarl import URL

__all__ = ["OpenConnections"]

_MOST_BYTES = 64 * 1024
"""Of a body: what goes out at once. With a larger one aiohttp waits for the socket and for an answer at a time."""

_OF_AIOHTTP = frozenset({b"content-length", b"expect", b"transfer-encoding"})
"""The headers that aiohttp acts upon. To one without a type it gives one; a length is ours."""


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
        if request.method != "POST":
            return None
        data = _encode(request, target) if (target := self._target_of(str(request.url))) else None
        if target is None or data is None:
            return None
        connection = await self._pool._get(target.key, [])  # noqa: SLF001 - aiohttp has no other way to ask
        if connection is None:
            return None
        try:
            return await self._ask(connection, target, data, read_timeout)
        except BaseException:
            connection.close()
            raise

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


def _encode(request: httpx2.Request, target: _Target) -> bytes | None:
    """Write a request down, if nothing about it is special."""
    try:
        body = request.content
    except httpx2.RequestNotRead:  # it is sent while it is made
        return None
    if len(body) > _MOST_BYTES:
        return None
    fields = tuple([field for field in request.headers.raw if field[0] != b"Content-Length"])
    head = _encode_head(target.line, fields)
    return None if head is None else b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


@lru_cache(64)
def _encode_head(line: bytes, fields: tuple[tuple[bytes, bytes], ...]) -> bytes | None:
    """Write down all that is the same for most requests: only their length differs."""
    names = {name.lower() for name, _ in fields}
    if b"content-type" not in names or names & _OF_AIOHTTP:
        return None
    head = b"".join([b"%b\r\n" % line, *[b"%b: %b\r\n" % field for field in fields]])
    # What would end a line before its end is for aiohttp to refuse, and what is no ASCII for it to encode.
    lines = len(fields) + 1
    return head if head.isascii() and head.count(b"\n") == lines == head.count(b"\r") else None

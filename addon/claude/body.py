"""The bytes of an answer of Claude: read one piece at a time, or passed on where they arrive."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, override

import aiohttp
import httpx2

__all__ = ["BODY", "BROKEN", "AnswerBody", "ArrivingBody", "Passing", "UpstreamBrokenError", "body_of"]

BROKEN = (httpx2.TransportError, httpx2.StreamError, aiohttp.ClientError)
"""What is raised when a connection breaks, and when nothing comes for too long."""
_SILENT = (httpx2.TimeoutException, aiohttp.ServerTimeoutError)

BODY = "claude_proxy.body"
"""Where a response has its `ArrivingBody`, among its extensions."""
_MOST_BYTES = 16 * 1024
"""Of one read, as the SDK's own: mitmproxy's layers queue what comes at once, past all backpressure."""
_END_SECONDS = 1.0
"""How long a body may take to its end once nothing more of it is wanted; then its connection is closed."""
_MOST_READS = 4
"""In one turn of the event loop: an answer that comes at once must not hold up all others until it is through."""

type Take = Callable[[bytes], Coroutine[Any, Any, bool]]
"""Takes the bytes of one read; returns whether more are wanted, when there is room for more."""


class UpstreamBrokenError(Exception):
    """The connection to Claude failed, or brought what is no event stream. The text says which, without content."""


class AnswerBody:
    """The body of a response, through httpx2, which unpacks what comes packed."""

    def __init__(self, response: httpx2.Response) -> None:
        self._pieces = aiter(response.aiter_bytes())

    @property
    def has_ended(self) -> bool:
        """Whether all of it is read, and its connection in use by others: there is nothing to close."""
        return False

    def let_end(self) -> bool:
        """Have the connection free for the next request as soon as the body ends, and closed if that takes too long.

        For a body of which nothing more is wanted. Returns whether that is seen to; if not, close the response.
        """
        return False

    async def _read(self) -> bytes:
        return await anext(self._pieces, b"")

    async def read(self) -> bytes:
        """Wait for the next bytes; there are none at the end.

        Raises:
            UpstreamBrokenError: the connection broke, or nothing came for too long.
        """
        try:
            return await self._read()
        except _SILENT as error:
            raise UpstreamBrokenError("Claude fell silent") from error
        except (*BROKEN, httpx2.DecodingError) as error:
            raise UpstreamBrokenError("the connection to Claude broke") from error

    async def pass_on(self, take: Take) -> None:
        """Give the bytes of each read to `take`, until it wants no more or the body ends.

        Raises:
            UpstreamBrokenError: as `read`.
        """
        while (piece := await self.read()) and await take(piece):
            pass


class Connection(Protocol):
    """Calls `go_on` of what is `passing` after whatever has happened to it."""

    passing: "Passing | None"


class ArrivingBody(AnswerBody):
    """The body of a response on a connection of aiohttp.

    It passes by the four generators of httpx2, the SDK and aiohttp that hand each piece on as it is.
    """

    def __init__(self, response: aiohttp.ClientResponse, connection: Connection) -> None:
        self._response = response
        self._stream = response.content
        self._connection = connection

    @property
    @override
    def has_ended(self) -> bool:
        return self._stream.at_eof()

    @override
    def let_end(self) -> bool:
        # With the last byte aiohttp frees the connection, whoever reads. A rest so long that it pauses takes too long.
        too_late = asyncio.get_running_loop().call_later(_END_SECONDS, self._close_before_its_end)
        self._stream.on_eof(too_late.cancel)
        return True

    def _close_before_its_end(self) -> None:
        if not self._stream.is_eof():
            self._response.close()

    @override
    async def _read(self) -> bytes:
        return await self._stream.read(_MOST_BYTES)

    @override
    async def pass_on(self, take: Take) -> None:
        while await Passing(self._stream, self._connection, take).ended():
            piece = await self.read()  # there may be one by now, or what has ended the body
            if not piece or not await take(piece):
                break


class Passing:
    """Has bytes taken in the very call in which the event loop has read them, for as long as that waits for nothing.

    Where chunks come one at a time, a twelfth of what one costs would be waking the task that waits for it: a future,
    another turn of the event loop, and a dozen coroutines.
    """

    def __init__(self, stream: aiohttp.StreamReader, connection: Connection, take: Take) -> None:
        self._stream = stream
        self._connection = connection
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._last: asyncio.Task[bool] | None = None
        """What has to wait, has failed, or wants no more."""
        self._is_reading = False

    async def ended(self) -> bool:
        """Return whether more is wanted, when there is room for more, or the body ends or breaks, as a read will say.

        Raises:
            Exception: what `take` has raised.
        """
        if not self._stream.is_eof():  # with its last byte the connection is free for the next request
            self._connection.passing = self
        try:
            self.go_on()  # with what has come meanwhile
            await self._ended
        except asyncio.CancelledError:
            if self._last is not None:
                self._last.cancel()
                await asyncio.gather(self._last, return_exceptions=True)  # nothing of it comes after
            raise
        finally:
            self._stop()
        try:
            return self._last is None or await self._last
        finally:
            self._last = None  # by its traceback a failure would have this, and this the failure

    def go_on(self) -> None:
        """Have taken what has arrived."""
        if self._is_reading:  # reading has aiohttp's parser go on with what it has kept
            return
        self._is_reading = True
        try:
            reads = 0
            while not self._ended.done() and (piece := self._stream.read_nowait(_MOST_BYTES)):
                reads += 1
                step = self._take(piece) if reads <= _MOST_READS else self._take_in_the_next_turn(piece)
                task = asyncio.Task(step, loop=self._loop, eager_start=True, context=self._context)
                if not task.done() or task.cancelled() or task.exception() is not None or not task.result():
                    self._last = task
                    self._stop()
                    return
            if self._stream.is_eof():
                self._stop()
        except BROKEN:  # the next read raises it again
            self._stop()
        finally:
            self._is_reading = False

    async def _take_in_the_next_turn(self, piece: bytes) -> bool:
        await asyncio.sleep(0)
        return await self._take(piece)

    def _stop(self) -> None:
        # At once: the connection may have its next request before anybody wakes.
        if self._connection.passing is self:
            self._connection.passing = None
        if not self._ended.done():
            self._ended.set_result(None)


def body_of(response: httpx2.Response) -> AnswerBody:
    """Find the cheapest way to the body of a response."""
    body: AnswerBody | None = response.extensions.get(BODY)
    is_packed = b"content-encoding" in [name.lower() for name, _ in response.headers.raw]
    return AnswerBody(response) if body is None or is_packed else body

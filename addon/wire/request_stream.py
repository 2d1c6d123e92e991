"""A request's body on its way to another server, while it still comes in."""

from asyncio import Event
from collections import deque
from collections.abc import AsyncIterator, Callable

from translators.errors import OpenAIError

__all__ = ["RequestStream", "too_large"]

_HIGH_WATER = 256 * 1024
"""Bytes that may wait before no more is read from the client."""


def too_large(limit: int) -> OpenAIError:
    """Make the error for a body of more than `limit` bytes."""
    message = f"The request body is larger than {limit} bytes (setting limits.max_request_bytes)."
    return OpenAIError(413, message, code="request_too_large")


class RequestStream:
    """Fed by the client's connection, read by the task that sends it on.

    Args:
        limit: most bytes of a whole body.
        hold: stops reading from the client (True), or goes on (False). Told to stop with each piece that is too much,
            because asyncio's own reader goes on by itself.
    """

    def __init__(self, limit: int, hold: Callable[[bool], None]) -> None:
        self._limit = limit
        self._hold = hold
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._received = 0
        self._changed = Event()
        self._is_held = False
        self._is_closed = False
        self.is_complete = False
        self.error: OpenAIError | None = None
        """Why the body cannot be sent on: it is too large."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes from the client. What nobody will read is thrown away."""
        self._received += len(data)
        if self._is_closed or self.error:
            return
        if self._received > self._limit:
            self.error = too_large(self._limit)
            self._chunks.clear()
            self._set_held(False)
        else:
            self._chunks.append(data)
            self._waiting += len(data)
            self._set_held(self._waiting > _HIGH_WATER)
        self._changed.set()

    def end(self) -> None:
        """Note that the body is complete."""
        self.is_complete = True
        self._changed.set()

    def close(self) -> None:
        """Read no more."""
        self._is_closed = True
        self._chunks.clear()
        self._set_held(False)

    async def first(self) -> bytes:
        """Wait for the first bytes, and leave them where they are; empty if there is no body.

        Raises:
            OpenAIError: the body is too large.
        """
        await self._wait()
        return self._chunks[0] if self._chunks else b""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Iterate over the body as it comes.

        Raises:
            OpenAIError: the body is too large.
        """
        while True:
            await self._wait()
            if not self._chunks:
                return
            chunk = self._chunks.popleft()
            self._waiting -= len(chunk)
            self._set_held(self._waiting > _HIGH_WATER)
            yield chunk

    async def _wait(self) -> None:
        while not (self._chunks or self.is_complete or self.error):
            self._changed.clear()
            await self._changed.wait()
        if self.error:
            raise self.error

    def _set_held(self, held: bool) -> None:
        if held or self._is_held:
            self._is_held = held
            self._hold(held)

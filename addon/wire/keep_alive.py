"""Bytes for the balancers on the way while Claude thinks: a comment whenever a stream was silent for too long."""

import asyncio
from collections.abc import Awaitable, Callable

from mitmproxy.utils import asyncio_utils

__all__ = ["KeepAlive"]


class KeepAlive:
    """Calls `write` whenever `seconds` have passed since the last `touch`. No chunk re-arms the one timer.

    Args:
        seconds: the longest silence; 0 turns it off.
        write: sends the comment. It must not raise anything but ConnectionError.
    """

    def __init__(self, seconds: float, write: Callable[[], Awaitable[None]]) -> None:
        self._seconds = seconds
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._last: float | None = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._check) if seconds else None

    def pause(self) -> None:
        """Send nothing until the next `touch`: bytes are on their way, and nothing may follow the last of them."""
        self._last = None

    def touch(self) -> None:
        """Say that bytes have just been sent."""
        self._last = self._loop.time()

    def stop(self) -> None:
        """Send nothing more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        silent = 0.0 if self._last is None else self._loop.time() - self._last
        if silent >= self._seconds:
            self._last = self._loop.time()
            silent = 0.0
            asyncio_utils.create_task(self._send(), name="keep-alive comment", keep_ref=True)
        self._timer = self._loop.call_later(self._seconds - silent, self._check)

    async def _send(self) -> None:
        try:
            await self._write()
        except ConnectionError:
            self.stop()

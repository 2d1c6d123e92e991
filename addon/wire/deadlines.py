"""What is to happen unless it is called off in time. All that wait equally long share one timer of the event loop.

Of each request several things wait so, and hardly one of them ever happens: a timer for each costs more than to wait.
"""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["Deadline", "call_in_time"]

_SOON_SECONDS = 0.001
"""Timers of uvloop may be that much too early."""


class Deadline:
    """One thing that is to happen."""

    __slots__ = ("_callback", "_queue", "context", "due")

    def __init__(self, queue: "_Queue", due: float, callback: Callable[[], object]) -> None:
        self._queue = queue
        self._callback: Callable[[], object] | None = callback
        self.due = due
        self.context = contextvars.copy_context()

    def cancel(self) -> None:
        """Call it off, if it has not happened yet."""
        self._callback = None
        self._queue.waiting.pop(self, None)

    def happen(self) -> None:
        """Have it happen."""
        if self._callback is not None:
            self._callback()
            self._callback = None


class _Queue:
    """What waits equally long, the first to happen first."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.loop = loop
        self.waiting: OrderedDict[Deadline, None] = OrderedDict()
        self._seconds = seconds
        self._has_timer = False

    def add(self, callback: Callable[[], object]) -> Deadline:
        deadline = Deadline(self, self.loop.time() + self._seconds, callback)
        self.waiting[deadline] = None
        if not self._has_timer:
            self._has_timer = True
            self.loop.call_at(deadline.due, self._pass)
        return deadline

    def _pass(self) -> None:
        now = self.loop.time() + _SOON_SECONDS
        self._has_timer = False
        while self.waiting:
            first = next(iter(self.waiting))
            if first.due > now:
                self._has_timer = True
                self.loop.call_at(first.due, self._pass)
                break
            del self.waiting[first]
            self.loop.call_soon(first.happen, context=first.context)


_queues: dict[float, _Queue] = {}


def call_in_time(seconds: float, callback: Callable[[], object]) -> Deadline:
    """Have the running event loop call `callback` after some seconds, of which there are only few different numbers.

    What holds a connection calls it off before the loop ends: what waits then is kept until the next loop waits.
    """
    loop = asyncio.get_running_loop()
    queue = _queues.get(seconds)
    if queue is None or queue.loop is not loop:
        queue = _queues[seconds] = _Queue(loop, seconds)
    return queue.add(callback)

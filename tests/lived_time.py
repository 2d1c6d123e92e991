"""Time limits that a busy machine does not use up: only the time counts in which this process could run."""

import asyncio
from collections.abc import Coroutine

_TICK_SECONDS = 0.005


async def within[T](seconds: float, awaited: Coroutine[object, object, T]) -> T:
    """Wait for what takes so long at most. However long the event loop stood still at a time, it counts as two ticks.

    Raises:
        TimeoutError: it took longer.
    """
    loop, task, lived = asyncio.get_running_loop(), asyncio.ensure_future(awaited), 0.0
    try:
        while lived < seconds:
            before = loop.time()
            done, _ = await asyncio.wait([task], timeout=_TICK_SECONDS)
            if done:
                return task.result()
            lived += min(loop.time() - before, 2 * _TICK_SECONDS)
        raise TimeoutError
    finally:
        task.cancel()

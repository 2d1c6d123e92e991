"""Time limits that a busy machine does not use up: only the time counts in which this process could run."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

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


@asynccontextmanager
async def lived_clock() -> AsyncIterator[Callable[[], float]]:
    """Count the seconds from now on, as `within` does."""
    loop, lived = asyncio.get_running_loop(), 0.0

    async def tick() -> None:
        nonlocal lived
        while True:
            before = loop.time()
            await asyncio.sleep(_TICK_SECONDS)
            lived += min(loop.time() - before, 2 * _TICK_SECONDS)

    ticking = asyncio.create_task(tick())
    try:
        yield lambda: lived
    finally:
        ticking.cancel()

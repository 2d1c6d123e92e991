"""What happens in one turn of the event loop keeps all else waiting."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def turns_of_the_event_loop() -> Iterator[Callable[[], int]]:
    """Count how often the event loop has looked for what is ready."""
    loop, turns = asyncio.get_running_loop(), 0

    def turn() -> None:
        nonlocal turns, handle
        turns += 1
        handle = loop.call_soon(turn)

    handle = loop.call_soon(turn)
    try:
        yield lambda: turns
    finally:
        handle.cancel()

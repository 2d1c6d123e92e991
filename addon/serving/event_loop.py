"""The event loop of the `claude-proxy` command: uvloop where it exists, made to work with mitmproxy's eager tasks."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

__all__ = ["call_on_signals", "new_event_loop", "run_in_event_loop"]

if sys.platform == "win32":

    def new_event_loop() -> asyncio.AbstractEventLoop:
        """Make asyncio's own event loop: uvloop does not exist for Windows."""
        return asyncio.new_event_loop()

else:
    from typing import override

    import uvloop

    class _EagerLoop(uvloop.Loop):
        """uvloop, for mitmproxy.

        Python 3.13 and uvloop 0.23 disagree about `eager_start`: uvloop hands the keyword on to the task factory, and
        `asyncio.eager_task_factory`, which mitmproxy sets, does not take it.
        """

        @override
        def set_task_factory(self, factory: Callable[..., Any] | None) -> None:
            if factory is None:
                super().set_task_factory(None)
                return

            def without_keyword(loop: asyncio.AbstractEventLoop, coro: Any, **keywords: Any) -> Any:
                keywords.pop("eager_start", None)
                return factory(loop, coro, **keywords)

            super().set_task_factory(without_keyword)

    def new_event_loop() -> asyncio.AbstractEventLoop:
        """Make uvloop's event loop."""
        return _EagerLoop()


def run_in_event_loop[Result](start: Callable[[], Awaitable[Result]]) -> Result:
    """Run what `start` makes to its end, in a loop of its own."""

    async def started() -> Result:
        return await start()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(started())


def _calling_in(
    loop: asyncio.AbstractEventLoop, on_signal: Callable[[signal.Signals], None]
) -> Callable[[int, object], None]:
    def call(number: int, _frame: object) -> None:
        loop.call_soon_threadsafe(on_signal, signal.Signals(number))

    return call


@contextlib.contextmanager
def call_on_signals(numbers: Sequence[signal.Signals], on_signal: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Have signals call `on_signal` inside the running event loop; afterwards they are ignored."""
    loop = asyncio.get_running_loop()
    try:
        for number in numbers:
            loop.add_signal_handler(number, on_signal, number)
    except NotImplementedError:  # the event loops of Windows
        for number in numbers:
            signal.signal(number, _calling_in(loop, on_signal))
        yield
        return
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            # The process is ending: a signal that comes now must not change its exit status.
            signal.signal(number, signal.SIG_IGN)

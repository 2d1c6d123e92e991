"""The event loop of the `claude-proxy` command: uvloop where it exists, made to work with mitmproxy's eager tasks."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["new_event_loop"]

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

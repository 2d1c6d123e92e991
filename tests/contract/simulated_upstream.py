"""The simulated Claude in a thread of its own, so that clients that block can be tested, and what reached it."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from addon.simulated_claude.journal import Journal, ReceivedRequest
from addon.simulated_claude.server import SimulationSettings
from addon.simulated_claude.server import start as start_simulated_claude


def simulate(user_text: str = "Hello.", **script: Any) -> str:
    """Make a user text that holds a script for the simulated Claude (see addon.simulated_claude.scripts)."""
    return f"{user_text} [[simulate: {json.dumps(script)}]]"


def events_of(*deltas: dict[str, Any], block: dict[str, Any], stop_reason: str = "end_turn") -> list[dict[str, Any]]:
    """Make the events of an answer of one block, split as the deltas say."""
    usage = {"input_tokens": 5, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m", "usage": usage}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]


@dataclass
class SimulatedUpstream:
    """What stands in for Claude; `journal` is emptied before each test."""

    base_url: str
    journal: Journal

    @property
    def calls(self) -> list[ReceivedRequest]:
        """The calls of the Messages API, oldest first."""
        return [entry for entry in self.journal if entry.path == "/v1/messages"]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [entry.body for entry in self.calls]

    @property
    def last(self) -> dict[str, Any]:
        return self.bodies[-1]


@contextmanager
def background_loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run an event loop in a thread; what is given runs a coroutine there and waits for its result."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def simulated_upstream() -> Iterator[SimulatedUpstream]:
    with background_loop() as run:
        running = run(start_simulated_claude(settings=SimulationSettings.instant()))
        try:
            yield SimulatedUpstream(running.base_url, running.journal)
        finally:
            run(running.close())

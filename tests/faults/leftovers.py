"""What must be gone when an exchange is over: its task, its record, its sockets on both sides."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.raw_upstream import RawUpstream
from tests.integration.running_proxy import RunningProxy

PATIENCE_SECONDS = 12.0


@dataclass(frozen=True)
class Open:
    """What is open in this process, in which the proxy, its client and its Claude live together."""

    tasks: frozenset[asyncio.Task[object]]
    sockets: frozenset[str]


def open_now() -> Open:
    current = asyncio.current_task()
    return Open(frozenset(task for task in asyncio.all_tasks() if task is not current), frozenset(_sockets()))


def _sockets() -> set[str]:
    found = set()
    for descriptor in Path("/dev/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


@contextlib.asynccontextmanager
async def nothing_left(proxy: RunningProxy | None = None, upstream: RawUpstream | None = None) -> AsyncIterator[None]:
    """Assert that what happens inside leaves no exchange, no task and no socket. Without a proxy, it ends inside too.

    Connections to Claude that are good for another call are closed from Claude's side first: the pool may keep them.
    """
    before = open_now()
    yield
    for call in upstream.calls if upstream else ():
        call.writer.close()
    latest = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while left := _left(proxy, before):
        assert asyncio.get_running_loop().time() < latest, left
        await asyncio.sleep(0.01)


def _left(proxy: RunningProxy | None, before: Open) -> dict[str, object]:
    now = open_now()
    left = {
        "exchanges": dict(proxy.addon._exchanges) if proxy else {},
        "running": proxy.running if proxy else 0,
        "tasks": now.tasks - before.tasks,
        "sockets": now.sockets - before.sockets,
    }
    return {name: value for name, value in left.items() if value}

"""Thinking that processes remember together: found by each, sealed, and no harm where the store is away."""

import asyncio
import time
from pathlib import Path

from addon.claude.shared_thinking import SharedThinking
from addon.claude.thinking_memory import ThinkingMemory
from addon.storage.sqlite_store import SqliteStore
from addon.storage.store import Key

BLOCKS = [
    {"type": "thinking", "thinking": "hm", "signature": "sig=="},
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": 2}},
]


class Process:
    """What one process has: its own memory, and its own way to the store."""

    def __init__(self, file: Path, secret: bytes = b"one", seconds_to_live: float = 60) -> None:
        self.memory = ThinkingMemory(10_000, 60)
        self.store = SqliteStore(file, 3600, 2**24)
        self.shared = SharedThinking(self.memory, self.store, lambda: secret, seconds_to_live)


async def test_another_process_recalls_what_one_has_kept_exactly(tmp_path: Path) -> None:
    one, two = Process(tmp_path / "s"), Process(tmp_path / "s")
    await one.shared.keep("me", ["toolu_1", "toolu_2"], BLOCKS)
    await two.shared.fetch("me", ["toolu_2", "toolu_none"])
    assert two.memory.recall("me", "toolu_2") == tuple(BLOCKS)
    assert two.memory.recall("me", "toolu_none") is None
    await two.shared.fetch("another", ["toolu_1"])
    assert two.memory.recall("another", "toolu_1") is None
    for process in (one, two):
        await process.store.close()


async def test_what_is_remembered_here_is_not_read_again(tmp_path: Path) -> None:
    process = Process(tmp_path / "none" / "s")
    process.memory.remember("me", ["toolu_1"], BLOCKS)
    await process.shared.fetch("me", ["toolu_1"])
    assert not (tmp_path / "none").exists()
    await process.store.close()


async def test_what_another_put_into_the_store_is_not_taken_for_claudes(tmp_path: Path) -> None:
    forger, process = Process(tmp_path / "s", secret=b"other"), Process(tmp_path / "s")
    await forger.shared.keep("me", ["toolu_1"], BLOCKS)
    await forger.store.save({Key("thinking", "me", "toolu_2"): b"\xff nonsense"})
    await process.shared.fetch("me", ["toolu_1", "toolu_2"])
    assert process.memory.recall("me", "toolu_1") is None
    assert process.memory.recall("me", "toolu_2") is None
    for each in (forger, process):
        await each.store.close()


async def test_it_is_forgotten_in_time(tmp_path: Path) -> None:
    one, two = Process(tmp_path / "s", seconds_to_live=0.05), Process(tmp_path / "s")
    await one.shared.keep("me", ["toolu_1"], BLOCKS)
    kept_at = time.monotonic()
    while time.monotonic() < kept_at + 0.1:
        await asyncio.sleep(0.02)
    await two.shared.fetch("me", ["toolu_1"])
    assert two.memory.recall("me", "toolu_1") is None
    for process in (one, two):
        await process.store.close()


async def test_without_the_store_each_remembers_for_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    process = Process(tmp_path / "file" / "s")
    await process.shared.keep("me", ["toolu_1"], BLOCKS)
    await process.shared.fetch("me", ["toolu_1"])
    assert process.memory.recall("me", "toolu_1") is None
    await process.store.close()

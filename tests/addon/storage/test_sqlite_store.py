"""What the SQLite file alone has: several processes, locks, rights, its end and its limit."""

import asyncio
import contextlib
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from addon.storage.sqlite_store import SqliteStore
from addon.storage.store import Key, StoreUnavailableError

ROOT = Path(__file__).parents[3]
ONE = Key("response", "owner", "resp_1")
_WRITER = """
import asyncio, sys
from addon.storage.sqlite_store import SqliteStore
from addon.storage.store import Key

async def write():
    store = SqliteStore(sys.argv[1], 100, 1 << 24)
    for number in range(100):
        await store.save({Key("response", "owner", f"{sys.argv[2]}_{number}"): b"value"})
        await store.append(Key("conversation", "owner", "shared"), [f"{sys.argv[2]}_{number}".encode()])
    await store.close()

asyncio.run(write())
"""


def keys(count: int) -> list[Key]:
    return [Key("response", "owner", f"resp_{number}") for number in range(count)]


async def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writers = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", _WRITER, str(path), name, env=environment)
        for name in ("a", "b", "c")
    ]
    assert [await writer.wait() for writer in writers] == [0, 0, 0]
    store = SqliteStore(path, 100, 1 << 24)
    written = [f"{name}_{number}" for name in ("a", "b", "c") for number in range(100)]
    assert len(await store.load([Key("response", "owner", name) for name in written])) == 300
    members = [member.decode() for member in await store.read_list(Key("conversation", "owner", "shared"))]
    assert sorted(members) == sorted(written)
    for name in ("a", "b", "c"):
        own = [member for member in members if member.startswith(name)]
        assert own == [f"{name}_{number}" for number in range(100)]
    await store.close()


async def test_what_is_stored_outlives_the_store(tmp_path: Path) -> None:
    for _ in range(2):
        store = SqliteStore(tmp_path / "store.sqlite3", 100, 1 << 20)
        await store.save({ONE: b"value"})
        await store.close()
    store = SqliteStore(tmp_path / "store.sqlite3", 100, 1 << 20)
    assert await store.load([ONE]) == {ONE: b"value"}
    await store.close()


async def test_a_lock_is_waited_for_and_then_given_up(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3", 100, 1 << 20, busy_seconds=1.5)
    await store.save({ONE: b"value"})
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailableError) as failure:
            await store.save({ONE: b"new"})
        assert "locked" in failure.value.reason
        assert await store.load([ONE]) == {ONE: b"value"}
        saving = asyncio.create_task(store.save({ONE: b"new"}))
        await asyncio.sleep(0.1)
        other.execute("COMMIT")
        await saving
    assert await store.load([ONE]) == {ONE: b"new"}
    await store.close()


async def test_the_least_recently_used_is_forgotten_before_the_file_gets_too_large(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3", 1000, 1 << 20)
    many = keys(200)
    for key in many:
        await store.save({key: os.urandom(20_000)})
        await store.renew([many[0]])
    found = await store.load(many)
    assert (tmp_path / "store.sqlite3").stat().st_size < 1.3 * (1 << 20)
    assert many[0] in found
    newest = [key for key in many if key in found][1:]
    assert len(newest) > 30
    assert newest == many[-len(newest) :]
    await store.close()


async def test_a_large_value_takes_the_place_of_one_and_is_replaced(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3", 1000, 1 << 26)
    large, larger = os.urandom(5 << 20), os.urandom(6 << 20)
    for value in (b"value", large, larger, b"new"):
        await store.save({ONE: value, Key("file", "owner", "a"): b"beside"})
        assert await store.load([ONE, Key("file", "owner", "a")]) == {ONE: value, Key("file", "owner", "a"): b"beside"}
    await store.close()


async def test_one_too_large_value_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3", 1000, 1 << 20)
    await store.save({ONE: b"value"})
    with pytest.raises(StoreUnavailableError, match="storage"):
        await store.save({Key("file", "owner", "a"): b"beside", ONE: os.urandom(5 << 20)})
    assert await store.load([ONE, Key("file", "owner", "a")]) == {ONE: b"value"}
    await store.close()


_MEASURED = """
import asyncio, resource, sys
from addon.storage.sqlite_store import SqliteStore
from addon.storage.store import Key

A, SIZE = Key("file", "owner", "a"), 128 << 20

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)

async def save(store):
    await store.save({A: b"x" * SIZE})

async def load(store):
    assert len((await store.load([A]))[A]) == SIZE

async def read_in_pieces(store):
    start = 0
    while piece := await store.read_piece(A, start):
        start += len(piece)
    assert start == SIZE

async def measure():
    store = SqliteStore(sys.argv[1], 100, 1 << 30)
    await store.save({A: b"value"} if sys.argv[2] == "save" else {})
    before = peak()
    await globals()[sys.argv[2]](store)
    print((peak() - before) / SIZE)
    await store.close()

asyncio.run(measure())
"""


async def test_a_large_value_is_in_memory_once_at_most(tmp_path: Path) -> None:
    most = {"save": 1.3, "load": 1.3, "read_in_pieces": 0.1}
    for does, share in most.items():
        measured = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _MEASURED,
            str(tmp_path / "store.sqlite3"),
            does,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert float((await measured.communicate())[0]) < share, does


async def test_a_file_from_before_there_were_pieces_is_read_in_pieces(tmp_path: Path) -> None:
    path, value = tmp_path / "store.sqlite3", os.urandom(5 << 20)
    store = SqliteStore(path, 1000, 1 << 26)
    await store.save({ONE: b""})
    await store.close()
    with contextlib.closing(sqlite3.connect(path)) as earlier:
        earlier.execute("DROP TABLE pieces")
        earlier.execute("UPDATE entries SET value = ?", (value,))
        earlier.commit()
    store = SqliteStore(path, 1000, 1 << 26)
    assert await store.load([ONE]) == {ONE: value}
    found = bytearray()
    while piece := await store.read_piece(ONE, len(found)):
        found += piece
    assert found == value
    await store.save({ONE: value[::-1]})
    assert await store.load([ONE]) == {ONE: value[::-1]}
    await store.close()


async def test_a_value_larger_than_the_store_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3", 1000, 1 << 20)
    await store.save({ONE: b"value"})
    with pytest.raises(StoreUnavailableError) as failure:
        await store.save({key: os.urandom(1 << 20) for key in keys(3)})
    assert "full" in failure.value.reason
    assert await store.load(keys(3)) == {ONE: b"value"}
    await store.save({ONE: b"new"})
    await store.close()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no folder is known that even root cannot write to")
async def test_a_place_that_may_not_be_written_is_unavailable() -> None:
    store = SqliteStore("/proc/store.sqlite3", 100, 1 << 20)
    with pytest.raises(StoreUnavailableError):
        await store.save({ONE: b"value"})
    with pytest.raises(StoreUnavailableError):
        await store.load([ONE])
    await store.close()


async def test_a_file_that_may_only_be_read_is_unavailable_for_writing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3", 100, 1 << 20)
    await store.save({ONE: b"value"})
    assert store._connection is not None
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailableError) as failure:
        await store.save({ONE: b"new"})
    assert "readonly" in failure.value.reason
    assert await store.load([ONE]) == {ONE: b"value"}
    await store.close()


async def test_a_file_that_is_no_store_is_unavailable_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Do not lose this. " * 100)
    store = SqliteStore(path, 100, 1 << 20)
    with pytest.raises(StoreUnavailableError) as failure:
        await store.save({ONE: b"value"})
    assert "not a database" in failure.value.reason
    assert path.read_text().startswith("Do not lose this.")
    await store.close()


async def test_a_folder_that_comes_back_is_used_again(tmp_path: Path) -> None:
    blocked = tmp_path / "folder"
    blocked.write_text("in the way")
    store = SqliteStore(blocked / "store.sqlite3", 100, 1 << 20)
    with pytest.raises(StoreUnavailableError):
        await store.load([ONE])
    blocked.unlink()
    await store.save({ONE: b"value"})
    assert await store.load([ONE]) == {ONE: b"value"}
    await store.close()


def take_away(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


async def test_a_file_that_was_taken_away_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    store = SqliteStore(path, 100, 1 << 20)
    await store.save({ONE: b"lost"})
    take_away(path)
    assert await store.load([ONE]) == {}
    await store.save({ONE: b"kept"})
    await store.close()
    assert path.exists()


async def test_only_the_user_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "store.sqlite3"
    store = SqliteStore(path, 100, 1 << 20)
    await store.save({ONE: b"value"})
    assert path.parent.stat().st_mode & 0o077 == 0
    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    await store.close()


async def test_nothing_is_made_before_it_is_used(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "state" / "store.sqlite3", 100, 1 << 20)
    await store.close()
    assert not (tmp_path / "state").exists()

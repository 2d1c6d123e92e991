"""The store in a SQLite file, which many processes may share.

One thread does all the work of a process: a transaction is one call in it, which a client that leaves cannot leave
open. In write-ahead mode readers wait for nobody, and writers for each other.
"""

import asyncio
import contextlib
import io
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from addon.storage.store import PIECE_BYTES, Key, StoreUnavailableError

__all__ = ["IN_MEMORY", "SqliteStore"]

IN_MEMORY = ":memory:"
_BUSY_SECONDS = 2.0
"""How long a writer waits for another process. A finished answer waits that long for its end, at most."""
_LARGE = 4 * 1024 * 1024
"""From how many bytes on a value is kept in pieces: SQLite would have two copies of the whole beside ours."""
_PURGE_SECONDS = 60.0
_ROOM_AFTER_EVICTION = 0.9
_EVICTED_AT_ONCE = 8
_HARD_LIMIT = 1.25
"""How much larger than its limit the file may get before it counts as full, so that there is room to make room."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    number INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    expires_at REAL NOT NULL,
    value BLOB, -- empty for one in pieces
    UNIQUE (kind, owner, id)
);
CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires_at);
CREATE TABLE IF NOT EXISTS members (
    number INTEGER PRIMARY KEY,
    entry INTEGER NOT NULL REFERENCES entries (number) ON DELETE CASCADE,
    value BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS members_by_entry ON members (entry, number);
CREATE TABLE IF NOT EXISTS pieces (
    entry INTEGER NOT NULL REFERENCES entries (number) ON DELETE CASCADE,
    start INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (entry, start)
);
"""
_SAVE = """
INSERT INTO entries (kind, owner, id, value, expires_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at RETURNING number
"""
_SAVE_PIECE = "INSERT INTO pieces (entry, start, value) VALUES (?, ?, ?)"
_DELETE_PIECES = "DELETE FROM pieces WHERE entry = ?"
_LOAD = """
SELECT entries.value, pieces.value FROM entries LEFT JOIN pieces ON entry = number
WHERE kind = ? AND owner = ? AND id = ? AND expires_at > ? AND entries.value IS NOT NULL ORDER BY start
"""
_FIND_PIECE = """
SELECT number, length(entries.value), start, pieces.value FROM entries LEFT JOIN pieces ON entry = number AND start <= ?
WHERE kind = ? AND owner = ? AND id = ? AND expires_at > ? AND entries.value IS NOT NULL ORDER BY start DESC LIMIT 1
"""
_RENEW = "UPDATE entries SET expires_at = ? WHERE kind = ? AND owner = ? AND id = ? AND expires_at > ?"
_DELETE = "DELETE FROM entries WHERE kind = ? AND owner = ? AND id = ?"
_DELETE_EXPIRED = "DELETE FROM entries WHERE kind = ? AND owner = ? AND id = ? AND expires_at <= ?"
_BEGIN_LIST = """
INSERT INTO entries (kind, owner, id, expires_at) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET expires_at = excluded.expires_at RETURNING number
"""
_APPEND = "INSERT INTO members (entry, value) VALUES (?, ?)"
_READ_LIST = """
SELECT value FROM members
WHERE entry = (SELECT number FROM entries WHERE kind = ? AND owner = ? AND id = ? AND expires_at > ?)
ORDER BY number LIMIT -1 OFFSET ?
"""
_REMOVE = """
DELETE FROM members
WHERE entry = (SELECT number FROM entries WHERE kind = ? AND owner = ? AND id = ?) AND value = ?
"""
_EVICT = """
DELETE FROM entries WHERE number IN
(SELECT number FROM entries WHERE kind NOT IN ('run', 'cancel') ORDER BY expires_at LIMIT ?)
"""


class SqliteStore:
    """See `addon.storage.store.Store`.

    Args:
        path: the file, made with its folder at first use; `:memory:` for none.
        seconds_to_live: how long values are kept.
        max_bytes: how large the file may be before what is longest unused is forgotten.
        busy_seconds: how long to wait while another process writes.
    """

    def __init__(
        self, path: Path | str, seconds_to_live: float, max_bytes: int, busy_seconds: float = _BUSY_SECONDS
    ) -> None:
        self._path = str(path)
        self._seconds_to_live = seconds_to_live
        self._max_bytes = max_bytes
        self._busy_seconds = busy_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-store")
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._purge_at = 0.0

    async def load(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """Load the values that there are."""

        def work(connection: sqlite3.Connection) -> dict[Key, bytes]:
            found = {}
            for key in dict.fromkeys(keys):
                rows = connection.execute(_LOAD, (*key, time.time()))
                for value, piece in rows:
                    found[key] = value if piece is None else _join(piece, rows)
            return found

        return await self._run(work) if keys else {}

    async def read_piece(self, key: Key, start: int) -> bytes:
        """Read a piece of a value from byte `start` on."""

        def work(connection: sqlite3.Connection) -> bytes:
            row = connection.execute(_FIND_PIECE, (start, *key, time.time())).fetchone()
            if row is None:
                return b""
            number, size, begins, piece = row
            if piece is not None:
                return bytes(piece[start - begins :])
            with connection.blobopen("entries", "value", number, readonly=True) as blob:
                blob.seek(min(start, size))
                return blob.read(PIECE_BYTES)

        return await self._run(work)

    async def save(
        self, values: Mapping[Key, bytes], seconds_to_live: float | None = None, *, lifetimes: float = 1.0
    ) -> None:
        """Save all of the values or none."""
        expires_at = self._expires_at(seconds_to_live, lifetimes)

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                self._make_room(connection)
                for key, value in values.items():
                    _save(connection, key, value, expires_at)

        await self._run(work)

    async def renew(self, keys: Sequence[Key], *, lifetimes: float = 1.0) -> None:
        """Keep values and lists for the usual time from now on."""
        expires_at = self._expires_at(None, lifetimes)

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany(_RENEW, [(expires_at, *key, time.time()) for key in keys])

        if keys:
            await self._run(work)

    async def delete(self, keys: Sequence[Key]) -> None:
        """Delete values and lists."""

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany(_DELETE, keys)

        if keys:
            await self._run(work)

    async def append(self, key: Key, members: Sequence[bytes], seconds_to_live: float | None = None) -> None:
        """Add to the end of a list."""
        expires_at = self._expires_at(seconds_to_live)

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                self._make_room(connection)
                # What has expired and is still there must not come back with the list.
                connection.execute(_DELETE_EXPIRED, (*key, time.time()))
                (number,) = connection.execute(_BEGIN_LIST, (*key, expires_at)).fetchone()
                connection.executemany(_APPEND, [(number, member) for member in members])

        await self._run(work)

    async def read_list(self, key: Key, start: int = 0) -> list[bytes]:
        """Read a list from its member number `start` on."""

        def work(connection: sqlite3.Connection) -> list[bytes]:
            rows = connection.execute(_READ_LIST, (*key, time.time(), start))
            return [row[0] for row in rows]

        return await self._run(work)

    async def remove(self, key: Key, member: bytes) -> None:
        """Take out the members of a list that are equal to one."""

        def work(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.execute(_REMOVE, (*key, member))

        await self._run(work)

    async def close(self) -> None:
        """Close the file and end the thread."""

        def work() -> None:
            if self._connection is not None:
                self._connection.close()

        with contextlib.suppress(sqlite3.Error):
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._thread.shutdown()

    def _expires_at(self, seconds_to_live: float | None, lifetimes: float = 1.0) -> float:
        return time.time() + min(seconds_to_live or self._seconds_to_live, self._seconds_to_live) * lifetimes

    # In the thread.

    async def _run[Result](self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        def in_thread() -> Result:
            try:
                return work(self._open())
            except (sqlite3.Error, OSError) as error:
                raise StoreUnavailableError(f"{type(error).__name__}: {error}") from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._is_gone():
            self._connection.close()
            self._connection = None
        if self._connection is None:
            connection = self._connect()
            try:
                self._set_up(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _is_gone(self) -> bool:
        """Say whether the file was taken away: what is written to it now would be lost without a word."""
        if self._path == IN_MEMORY:
            return False
        try:
            return _identity(self._path) != self._file
        except FileNotFoundError:
            return True

    def _connect(self) -> sqlite3.Connection:
        if self._path != IN_MEMORY:
            path = Path(self._path)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite gives its other files the rights of this one: it holds what clients said.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._file = _identity(self._path)
        return sqlite3.connect(
            self._path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=32
        )

    def _set_up(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA foreign_keys = ON")
        if self._path != IN_MEMORY:
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may take the last answers; it never breaks the file.
            connection.execute("PRAGMA synchronous = NORMAL")
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {max(16, int(self._max_bytes * _HARD_LIMIT) // page_bytes)}")
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'pieces'").fetchone() is None:
            with _transaction(connection):
                for statement in _SCHEMA.split(";"):
                    connection.execute(statement)

    def _make_room(self, connection: sqlite3.Connection) -> None:
        now = time.monotonic()  # a wall clock that was ahead for a moment would put it off
        if now >= self._purge_at:
            self._purge_at = now + _PURGE_SECONDS
            connection.execute("DELETE FROM entries WHERE expires_at <= ?", (time.time(),))
        if _used_bytes(connection) <= self._max_bytes:
            return
        while _used_bytes(connection) > self._max_bytes * _ROOM_AFTER_EVICTION:
            evicted = connection.execute(_EVICT, (_EVICTED_AT_ONCE,))
            if evicted.rowcount == 0:
                return


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _save(connection: sqlite3.Connection, key: Key, value: bytes, expires_at: float) -> None:
    is_large = len(value) >= _LARGE
    (number,) = connection.execute(_SAVE, (*key, b"" if is_large else value, expires_at)).fetchone()
    connection.execute(_DELETE_PIECES, (number,))
    if is_large:
        view, starts = memoryview(value), range(0, len(value), PIECE_BYTES)
        connection.executemany(_SAVE_PIECE, ((number, start, view[start : start + PIECE_BYTES]) for start in starts))


def _join(first: bytes, rest: Iterable[tuple[bytes, bytes]]) -> bytes:
    joined = io.BytesIO()  # what it gives in the end is no copy
    joined.write(first)
    for _, piece in rest:
        joined.write(piece)
    return joined.getvalue()


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, page_bytes = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * page_bytes


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116 - asked before every use
    return found.st_dev, found.st_ino

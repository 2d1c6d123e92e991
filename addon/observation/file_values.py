"""Numbers in the files of the metrics folder, for `prometheus_client` to count with.

Whenever the package's own class counts, it asks the system for the number of the process, takes a lock and writes the
sum and a time anew. Here counting is one addition in the mapped file, ten times as fast. The files are the same, as
`prometheus_client.mmap_dict.MmapedDict` describes them, and the package reads them.
"""

import mmap
import os
import struct
import threading
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key

from addon.observation.metrics_folder import folder_in_use

__all__ = ["FileValue"]

_FIRST_BYTES = 1 << 16
_DOUBLE_BYTES = 8
"""Each double begins at a multiple of its size, so that nobody ever reads half of one."""
_INT = struct.Struct("i")


class _NumberFile:
    """Entries of a key, a number and a time, one after the other."""

    def __init__(self, path: Path) -> None:
        # Kept for when it has to grow: somebody may have removed the name by then.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._map(_FIRST_BYTES)
        self._used: int = _INT.unpack_from(self._mapped)[0] or _DOUBLE_BYTES
        # A dead process may have had the same number: its counters go on.
        entries = MmapedDict.read_all_values_from_file(path)  # type: ignore[no-untyped-call] # it has no annotations
        self._places: dict[str, int] = {key: place for key, _, _, place in entries}

    def pair(self, key: str) -> "memoryview[float]":
        """Give the number of a key, and its time, as they are in the file."""
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._append(key)
        return memoryview(self._mapped)[place : place + 2 * _DOUBLE_BYTES].cast("d")

    def _append(self, key: str) -> int:
        encoded = key.encode()
        padded = encoded + b" " * (_DOUBLE_BYTES - (len(encoded) + _INT.size) % _DOUBLE_BYTES)
        entry = struct.pack(f"i{len(padded)}sdd", len(encoded), padded, 0.0, 0.0)
        end = self._used + len(entry)
        while end > len(self._mapped):
            # Pairs that were given before stay in the old mapping, which is of the same file.
            self._map(2 * len(self._mapped))
        self._mapped[self._used : end] = entry
        # Only now is the entry there for whoever reads.
        self._used = end
        self._mapped[: _INT.size] = _INT.pack(end)
        return end - 2 * _DOUBLE_BYTES

    def _map(self, least: int) -> None:
        size = max(least, os.fstat(self._descriptor).st_size)
        os.ftruncate(self._descriptor, size)
        self._mapped = mmap.mmap(self._descriptor, size)

    def close(self) -> None:
        """Give back what pairs do not need."""
        os.close(self._descriptor)


class FileValue:
    """A number of this process, in the folder that the environment names: a `prometheus_client.values.ValueClass`.

    The file is one for each kind of metric, and for gauges for each way in which processes are added up.
    """

    _multiprocess = True
    __slots__ = ("_file_name", "_key", "_pair")

    def __init__(self, typ: str, *of: Any, multiprocess_mode: str = "") -> None:
        self._file_name = f"{typ}_{multiprocess_mode}" if typ == "gauge" else typ
        self._key = mmap_key(*of)
        with _lock:
            self.open()
            _values.append(self)

    def open(self) -> None:
        """Find the number in the file of this process."""
        folder = folder_in_use()
        assert folder is not None  # noqa: S101 - for the type checker
        path = folder / f"{self._file_name}_{os.getpid()}.db"
        if path not in _files:
            _files[path] = _NumberFile(path)
        self._pair = _files[path].pair(self._key)

    def inc(self, amount: float) -> None:
        """Add to the number."""
        self._pair[0] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the number, and the time that it is of."""
        self._pair[0] = value
        self._pair[1] = timestamp or 0.0

    def get(self) -> float:
        """Return the number."""
        return self._pair[0]

    def set_exemplar(self, exemplar: object) -> None:
        """Do nothing: the files have no place for it."""

    def get_exemplar(self) -> None:
        """Return that there is none."""


_lock = threading.Lock()
_files: dict[Path, _NumberFile] = {}
_values: list[FileValue] = []


def _open_again() -> None:
    """Count in files of its own: the process has just been forked from the one that made the values."""
    global _lock  # noqa: PLW0603 - a thread that is not here any more may hold it
    _lock = threading.Lock()
    for file in _files.values():
        file.close()
    _files.clear()
    for value in _values:
        value.open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_open_again)

"""Whether a file is another one than before: the keys of clients, the configuration."""

import os
from pathlib import Path

__all__ = ["FileWatch"]


class FileWatch:
    """Tells whether a file is another one than before. Nothing ever changes where there is no file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = self._look()

    @property
    def is_there(self) -> bool:
        """Whether there was one at the last look."""
        return self._seen is not None

    def take_as_seen(self) -> None:
        """Take it for seen as it is now: it is about to be read."""
        self._seen = self._look()

    def has_changed(self) -> bool:
        """Whether it has changed since the last look."""
        before, self._seen = self._seen, self._look()
        return self._seen != before

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path) if self._path is not None else None  # noqa: PTH116 - once a second
        except OSError:
            return None
        return found and (found.st_mtime_ns, found.st_size, found.st_ino)

"""Lines for standard output that nobody waits for: a pipe that is full, because its reader hangs, stops no answer."""

import atexit
import contextlib
import os
import select
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable

if sys.platform != "win32":
    import fcntl

__all__ = ["LineOutput"]

_MOST_WAITING = 1024 * 1024
"""Bytes of lines that may wait for a reader; what comes then is lost, and how much is told."""
_AT_ONCE = select.PIPE_BUF if hasattr(select, "PIPE_BUF") else 512
"""Bytes that a pipe takes at once if it takes any."""
_LAST_SECONDS = 2.0
"""How long the process, at its end, waits for a reader that is behind."""


class LineOutput:
    """Writes lines to standard output, wherever that points at the moment.

    A line goes out in the call that writes it, where that waits for nothing; else a thread waits.

    Args:
        on_lost: told, once the reader reads again, how many lines it does not get.
    """

    def __init__(self, on_lost: Callable[[int], None]) -> None:
        self._on_lost = on_lost
        self._stream: object = None
        self._number: int | None = None
        """The descriptor of what may have to be waited for."""
        self._turn: int | None = None
        """The descriptor of a file that whoever writes has locked, where processes write to the same pipe."""
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.end)

    def _reset(self) -> None:
        self._lock = threading.RLock()  # what the garbage collector finds may have something to log, wherever it runs
        self._writing = threading.Lock()
        """Held by the thread of this process that writes."""
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._writer: threading.Thread | None = None

    def share(self) -> None:
        """Take turns with the processes that are forked from now on: a pipe mixes lines of more than 4 KiB (Linux)."""
        self._turn = os.memfd_create("log")

    def write(self, line: str) -> None:
        """Write a line. A reader that has gone away must not break an exchange, and one that hangs not stop it."""
        if self._stream is not sys.stdout:
            self._stream, self._number = sys.stdout, _number_to_wait_for(sys.stdout)
        number = self._number
        if number is None:
            _write(line + "\n")
            return
        encoded = _encoded(line + "\n")
        if self._lines or self._writer or len(encoded) > _AT_ONCE or not self._write_at_once(number, encoded):
            self._have_written(number, encoded)

    def end(self) -> None:
        """Wait, but not for long, until the reader has all lines. Python does it at the end, but of no worker."""
        if (writer := self._writer) is not None:
            writer.join(_LAST_SECONDS)

    def _write_at_once(self, number: int, encoded: bytes) -> bool:
        """Write if nobody has to be waited for; return whether that was so."""
        if not self._take_turn(waits=False):
            return False
        try:
            # A terminal takes less than a line where its reader hangs, and has whoever writes wait for the rest.
            if os.isatty(number) or not _takes_more(number):
                return False
            with contextlib.suppress(OSError):
                os.write(number, encoded)
            return True
        finally:
            self._end_turn()

    def _take_turn(self, *, waits: bool) -> bool:
        if not self._writing.acquire(blocking=waits):
            return False
        if self._turn is None:
            return True
        try:
            # Of a process: whoever dies has ended its turn.
            fcntl.lockf(self._turn, fcntl.LOCK_EX if waits else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not waits:
                self._writing.release()
            return waits  # for want of locks a line may be mixed, but is not lost
        return True

    def _end_turn(self) -> None:
        if self._turn is not None:
            with contextlib.suppress(OSError):
                fcntl.lockf(self._turn, fcntl.LOCK_UN)
        self._writing.release()

    def _have_written(self, number: int, encoded: bytes) -> None:
        with self._lock:
            if self._size + len(encoded) > _MOST_WAITING:
                self._lost += 1
                return
            self._lines.append(encoded)
            self._size += len(encoded)
            if self._writer is not None:
                return
            self._writer = threading.Thread(target=self._write_waiting, args=(number,), name="log", daemon=True)
            try:
                self._writer.start()
            except RuntimeError:  # no more threads for now, or Python ends: the next line tries again
                self._writer = None

    def _write_waiting(self, number: int) -> None:
        while (line := self._next()) is not None:
            # Not through `sys.stdout`, whose lock would be held at the end of the process.
            self._take_turn(waits=True)
            with contextlib.suppress(OSError):
                while line:
                    line = line[_write_some(number, line) :]
            self._end_turn()

    def _next(self) -> bytes | None:
        with self._lock:
            lost, self._lost = (self._lost, 0) if not self._lines else (0, self._lost)
        if lost:
            self._on_lost(lost)
        with self._lock:
            if not self._lines:
                self._writer = None
                return None
            line = self._lines.popleft()
            self._size -= len(line)
            return line


def _number_to_wait_for(stream: object) -> int | None:
    """Find the descriptor of a stream that may have to be waited for: a file takes everything, or fails."""
    if os.name != "posix":
        return None
    try:
        number = int(stream.fileno())  # type: ignore[attr-defined] # any object may stand there
        mode = os.fstat(number).st_mode
    except (AttributeError, OSError, ValueError):
        return None
    return None if stat.S_ISREG(mode) else number


def _takes_more(number: int) -> bool:
    return bool(select.select((), (number,), (), 0)[1])


def _write_some(number: int, data: bytes) -> int:
    """Write as much as goes; return how much that was."""
    try:
        return os.write(number, data)
    except BlockingIOError:  # somebody else who has the pipe has made it one that never waits
        select.select((), (number,), ())
        return 0


def _encoded(text: str) -> bytes:
    # A code page of Windows, a lone surrogate in a path: nobody must be able to keep out of the log.
    return text.encode(sys.stdout.encoding or "ascii", "backslashreplace")


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            encoding = sys.stdout.encoding or "ascii"
            sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()

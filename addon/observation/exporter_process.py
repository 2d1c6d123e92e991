"""The exporter as a process beside `claude-proxy serve`: it outlives no serving, and its failure ends none.

The serving process starts this file with a pipe at its standard input; when that closes, however the serving ended, the
exporter ends too. The file imports neither the settings nor the command, which would double its memory.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from addon.configuration.start_error import StartError
from addon.observation.late_openssl import load_openssl_late
from addon.observation.metrics_folder import FOLDER_VARIABLE, IS_SUPPORTED, check_folder, prepared_folder

if TYPE_CHECKING:
    from addon.configuration.operation_settings import MetricsSettings

__all__ = ["ExporterBeside", "exporter_beside", "run_exporter"]

_END_SECONDS = 5.0
_SETTLED_SECONDS = 10.0
"""One that ended sooner would end again."""


class ExporterBeside:
    """The exporter of this process. Whoever waits for many things can wait for its end: it is readable then."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._begin()

    def _begin(self) -> None:
        # A signal that the terminal sends to all ends the serving, and the end of the serving ends the exporter.
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._began_at = time.monotonic()

    def fileno(self) -> int:
        """Give the pipe that it writes nothing to, and that its end closes."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        return self._process.stdout.fileno()

    def begin_again(self) -> bool:
        """Log that it has ended, and begin another. None, and False, if it never showed anything or ended at once."""
        import structlog  # noqa: PLC0415 - not for the exporter

        lived = time.monotonic() - self._began_at
        self.close()
        status = self._process.returncode
        again = status != 1 and lived > _SETTLED_SECONDS
        if again:
            try:
                self._begin()
            except OSError as error:
                structlog.get_logger(__name__).error("exporter_not_started", detail=error.strerror)
                return False
        structlog.get_logger(__name__).error("exporter_ended", status=status, lived=round(lived, 3), starts_again=again)
        return again

    def close(self) -> None:
        """Wait for its end; it is told to end, if it has not."""
        with self._process as process:  # closes the pipes, the first of which tells it
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def exporter_beside(settings: "MetricsSettings") -> Iterator[ExporterBeside | None]:
    """Have all that runs inside, and its child processes, count in a folder, and give the exporter that shows it.

    Enter it before any `Metrics` is made.
    """
    if not (settings.exporter and IS_SUPPORTED):
        with prepared_folder() if os.environ.get(FOLDER_VARIABLE) else contextlib.nullcontext():
            yield None
        return
    with prepared_folder() as folder:
        address = settings.exporter_host, str(settings.exporter_port)
        command = [sys.executable, "-m", "addon.observation.exporter_process", str(folder), *address]
        with contextlib.closing(ExporterBeside(command)) as exporter:
            yield exporter


def run_exporter(folder: Path, host: str, port: int, *, beside: IO[bytes] | None = None) -> None:
    """Show the metrics of a folder until SIGTERM or SIGINT comes, or `beside` ends.

    Raises:
        StartError: the folder cannot be used, or the address cannot be taken.
    """
    check_folder(folder)
    from addon.observation.exporter import MetricsServer, folder_registry  # noqa: PLC0415 - not for those who only start one

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    try:
        server = MetricsServer(host, port, folder_registry(folder))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StartError([f"Cannot show metrics on {host}:{port}: {reason}."]) from error
    shown = f"[{host}]" if ":" in host else host
    print(f"Claude Proxy shows metrics: http://{shown}:{server.port}/metrics", file=sys.stderr, flush=True)
    if beside is not None:
        threading.Thread(target=_end_with, args=(beside, ended), daemon=True).start()
    ended.wait()


def _end_with(beside: IO[bytes], ended: threading.Event) -> None:
    beside.read()
    ended.set()


def main() -> int:
    """Show the metrics of a folder for as long as standard input is open. Returns the exit status."""
    folder, host, port = sys.argv[1:]
    load_openssl_late()
    try:
        run_exporter(Path(folder), host, int(port), beside=sys.stdin.buffer)
    except StartError as error:
        print(f"claude-proxy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

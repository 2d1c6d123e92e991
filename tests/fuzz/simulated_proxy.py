"""A `claude-proxy serve` of its own with the simulated Claude, for hostile bytes that need a listener."""

import atexit
import contextlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class SimulatedProxy:
    """A process that listens."""

    port: int
    pid: int
    log: Path
    _read: int = 0

    @property
    def memory(self) -> int:
        """What it holds of memory, in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    def complaints(self) -> str:
        """Return what it has written to its log since this was called last: errors, because it logs nothing else."""
        with self.log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        return new.decode(errors="replace")


@contextlib.contextmanager
def simulated_proxy(*arguments: str) -> Iterator[SimulatedProxy]:
    """Start one, and end it: when this process ends, at the latest.

    Raises:
        RuntimeError: it does not start.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [
            sys.executable,
            "-m",
            "addon.commands.cli",
            "serve",
            "--simulate",
            "--port",
            "0",
            "--no-exporter",
            *arguments,
        ]
        given = {
            "PYTHONPATH": str(ROOT),
            "CLAUDE_PROXY_STORE_PATH": f"{folder}/store.sqlite3",
            "RATE_LIMIT_REQUESTS": "0",
            "LOG_LEVEL": "ERROR",
        }
        with log.open("wb") as written:
            process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **given}, stdout=written, stderr=subprocess.PIPE
            )
        stop = atexit.register(partial(_stop, process))
        try:
            assert process.stderr is not None
            while (found := re.search(rb":(\d+)/v1", line := process.stderr.readline())) is None:
                if not line:
                    raise RuntimeError(log.read_text())
            yield SimulatedProxy(int(found[1]), process.pid, log)
        finally:
            stop()
            atexit.unregister(stop)
            if process.stderr is not None:
                process.stderr.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()

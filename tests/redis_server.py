"""A real Redis of its own, for the tests of the store."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reserved_ports import reserved_port


def _wait_for(port: int) -> None:
    latest = time.monotonic() + 60
    while time.monotonic() < latest:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("redis-server does not answer")


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    with redis_process(folder) as (_, url):
        yield url


@contextlib.contextmanager
def redis_process(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start one whose process can be stopped and frozen."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with reserved_port() as port:
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield process, f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(60)

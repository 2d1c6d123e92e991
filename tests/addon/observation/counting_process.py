"""Processes that count in a folder."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from addon.observation.metrics_folder import FOLDER_VARIABLE

ROOT = str(Path(__file__).parents[3])
COUNTING = """
import sys
from addon.observation.metrics import Metrics
from addon.routing import Endpoint

metrics = Metrics()
for line in sys.stdin:
    for _ in range(int(line)):
        metrics.observe_start(Endpoint.CHAT_COMPLETIONS)
        metrics.observe_refusal("rate")
    print("counted", flush=True)
"""


class Counting:
    """A process that counts, as many times as it is told."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, FOLDER_VARIABLE: str(folder), "PYTHONPATH": ROOT}
        self.process = subprocess.Popen(
            [sys.executable, "-c", COUNTING],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.count(0)

    def count(self, times: int) -> None:
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "counted\n"

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.communicate(timeout=20)


@contextlib.contextmanager
def counting(folder: Path):
    process = Counting(folder)
    try:
        yield process
    finally:
        process.end()

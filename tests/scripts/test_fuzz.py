"""A run of the fuzzer runs cases."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "scripts" / "fuzz.py"


def test_fewer_cases_than_targets_are_one_for_each():
    done = subprocess.run([sys.executable, FUZZ, "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    targets = [line for line in done.stdout.splitlines() if "; slowest " in line]
    assert len(targets) > 20
    assert all(re.search(r": [1-9]\d* \w", line) for line in targets)


@pytest.mark.parametrize(
    ("flags", "sign"),
    [(["--requests"], "*/store.sqlite3"), (["--target", "websocket"], "*/log")],
    ids=["asking", "starting"],
)
def test_it_takes_its_proxy_along_when_it_is_ended(tmp_path, flags, sign):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, FUZZ, "1000000", *flags], env=environment) as fuzz:
        try:
            deadline = time.monotonic() + 150
            while not list(tmp_path.glob(sign)) and fuzz.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            fuzz.send_signal(signal.SIGTERM)
            assert fuzz.wait(100) == 1
        finally:
            fuzz.kill()
    # The folder of the proxy goes once its process has ended.
    assert not list(tmp_path.glob("*/log"))


@pytest.mark.parametrize(
    "flags", [["--requests", "--coverage"], ["--requests", "--target", "x"]], ids=["ways", "target"]
)
def test_flags_that_would_be_ignored_are_refused(flags):
    done = subprocess.run([sys.executable, FUZZ, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 2

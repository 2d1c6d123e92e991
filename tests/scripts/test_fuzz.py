"""A run of the fuzzer runs cases."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "scripts" / "fuzz.py"


@pytest.mark.timeout(120)
def test_fewer_cases_than_targets_are_one_for_each():
    done = subprocess.run([sys.executable, FUZZ, "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    targets = [line for line in done.stdout.splitlines() if "; slowest " in line]
    assert len(targets) > 20
    assert all(re.search(r": [1-9]\d* \w", line) for line in targets)


@pytest.mark.parametrize(
    "flags", [["--requests", "--coverage"], ["--requests", "--target", "x"]], ids=["ways", "target"]
)
def test_flags_that_would_be_ignored_are_refused(flags):
    done = subprocess.run([sys.executable, FUZZ, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 2

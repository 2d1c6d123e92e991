"""What is made after the room was taken lies in it, whatever is mapped in between."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from addon.serving.heap_room import ROOM

ROOT = Path(__file__).parents[3]

_PROGRAM = """
import json, sys
from pathlib import Path
sys.argv = ["claude-proxy", *sys.argv[1:]]
import addon.commands.cli

kept = [(str(number), [number], {number}) for number in range(40_000)]
lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
ranges = [tuple(int(end, 16) for end in line[0].split("-")) for line in lines if len(line) == 5]
low, high = max(ranges, key=lambda each: each[1] - each[0])
inside = [low <= id(each[0]) < high for each in kept]
print(json.dumps([(high - low) / 2**20, sum(inside) / len(inside)]))
"""


def heap_of(*command: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *command], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    found: list[float] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_the_heap_of_serve_is_one_piece():
    mebibytes, share = heap_of("serve")
    assert mebibytes >= 48
    assert share > 0.95


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_other_commands_take_none():
    mebibytes, _ = heap_of("doctor")
    assert mebibytes < 40
    assert ROOM == ()

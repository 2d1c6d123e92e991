"""Several processes write lines to one pipe."""

import os
import subprocess
import sys
import time

import pytest

PROGRAM = """
import os
from addon.observation.line_output import LineOutput
output = LineOutput(lambda lines: None)
output.share()
children = []
for letter in "abc":
    child = os.fork()
    if not child:
        for _ in range(40):
            output.write(letter * {length})
        while output._has_writer:
            pass
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="several processes serve on Linux alone")
@pytest.mark.parametrize("length", [100, 4_095, 20_000])
def test_lines_of_several_processes_do_not_mix_however_long_they_are(length):
    command = [sys.executable, "-c", PROGRAM.format(length=length)]
    said = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        while piece := os.read(process.stdout.fileno(), 5_000):
            said += piece
            time.sleep(0.001)  # so that it is full, and all wait
    assert process.returncode == 0
    lines = said.decode().splitlines()
    assert {line for line in lines if len({*line}) > 1 or len(line) != length} == set()
    assert {letter: lines.count(letter * length) for letter in "abc"} == dict.fromkeys("abc", 40)

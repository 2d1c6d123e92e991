"""Lines that nobody waits for: of several processes and threads, to readers that hang, and at the end of a process."""

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
        output.end()
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


ONE = """
import os, signal, sys, threading, time
from addon.observation.line_output import LineOutput
output = LineOutput(lambda lines: None)
"""


def run(code: str, stdout: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", ONE + code], stdout=stdout)


def ends(code: str, stdout: int = subprocess.PIPE) -> bool:
    """Say whether a process comes to its end of which nobody reads anything."""
    with run(code, stdout) as process:
        try:
            return process.wait(20) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            return False


def lines_of(code: str) -> list[str]:
    """What a process writes whose reader is late, and slow."""
    said = b""
    with run(code, subprocess.PIPE) as process:
        assert process.stdout
        time.sleep(0.5)
        while piece := os.read(process.stdout.fileno(), 5_000):
            said += piece
            time.sleep(0.001)
    assert process.returncode == 0
    return said.decode().splitlines()


LONG = [f"{number} {'x' * 5_000}" for number in range(60)]
WRITE_LONG = "for number in range(60):\n    output.write(f\"{number} {'x' * 5_000}\")\n"


def test_lines_that_wait_are_written_before_the_process_ends():
    assert lines_of(WRITE_LONG) == LONG


def test_the_end_waits_for_no_reader_that_hangs():
    assert ends(WRITE_LONG)


@pytest.mark.skipif(sys.platform == "win32", reason="no descriptor is made so on Windows")
def test_lines_are_whole_though_somebody_else_has_made_the_pipe_one_that_never_waits():
    assert lines_of("os.set_blocking(1, False)\n" + WRITE_LONG) == LONG


def test_lines_wait_for_a_thread_where_there_is_none_for_now():
    code = """
def start(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start, starts = start, threading.Thread.start
output.write("a" * 5_000)
threading.Thread.start = starts
output.write("b")
"""
    assert lines_of(code) == ["a" * 5_000, "b"]


@pytest.mark.skipif(sys.platform == "win32", reason="terminals are otherwise on Windows")
def test_a_terminal_that_hangs_is_not_waited_for():
    terminal, shown = os.openpty()
    try:
        assert ends("for _ in range(2_000):\n    output.write('x' * 500)\n", shown)
    finally:
        os.close(terminal)
        os.close(shown)


def test_lines_of_several_threads_do_not_mix():
    code = """
def write(letter):
    for number in range(300):
        output.write(letter * (20_000 if number % 30 == 0 else 100))
        time.sleep(0.0001)
threads = [threading.Thread(target=write, args=(letter,)) for letter in "abc"]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    lines = lines_of(code)
    assert {(len({*line}), len(line)) for line in lines} == {(1, 100), (1, 20_000)}
    assert len(lines) == 900


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such timer on Windows")
def test_a_line_may_be_written_in_the_middle_of_another():
    code = """
signal.signal(signal.SIGALRM, lambda number, frame: output.write("inner"))
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
ends = time.monotonic() + 2
while time.monotonic() < ends:
    output.write("x" * 5_000)
signal.setitimer(signal.ITIMER_REAL, 0)
"""
    assert ends(code)

"""The exporter that adds up what processes count: real processes, killed ones among them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from addon.observation.metrics_folder import FOLDER_VARIABLE
from tests.addon.observation.counting_process import ROOT, counting

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no exporter is started there")

IN_FLIGHT = 'claude_proxy_requests_in_flight{endpoint="chat_completions"}'
REFUSED = 'claude_proxy_refused_total{reason="rate"}'
PROCESSES = "claude_proxy_processes"


def _exported(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as page:
        pairs = (line.rpartition(" ") for line in page.read().decode().splitlines() if not line.startswith("#"))
        return {name: float(number) for name, _, number in pairs}


class Exporter:
    """`claude-proxy exporter` on a free port, or the one beside `serve`, and what it says on standard error."""

    def __init__(self, *arguments: str, port: int = 0, beside: Path | None = None, **environment: str) -> None:
        command = ["addon.commands.cli", "exporter", "--port", str(port), *arguments]
        if beside is not None:
            command = ["addon.observation.exporter_process", str(beside), "127.0.0.1", str(port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env={**os.environ, "PYTHONPATH": ROOT, **environment},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = self.process.stderr.readline()
        found = re.search(r"http://\S+:(\d+)/metrics", self.said)
        self.port = int(found[1]) if found else None

    def read(self) -> dict[str, float]:
        return _exported(self.port)

    def status(self) -> int:
        """Wait for it to end by itself."""
        self.process.communicate(timeout=20)
        return self.process.returncode

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=20)


@contextlib.contextmanager
def exporting(*arguments: str, **options):
    exporter = Exporter(*arguments, **options)
    try:
        yield exporter
    finally:
        exporter.end()


def test_X1_the_exporter_adds_up_the_living_and_no_counter_falls_when_one_is_killed(folder):
    with exporting("--folder", str(folder)) as exporter, counting(folder) as one, counting(folder) as other:
        one.count(3)
        other.count(4)
        page = exporter.read()
        assert (page[IN_FLIGHT], page[REFUSED], page[PROCESSES]) == (7, 7, 2)
        one.end(signal.SIGKILL)
        page = exporter.read()
        assert (page[IN_FLIGHT], page[REFUSED], page[PROCESSES]) == (4, 7, 1)
        with counting(folder) as next_one:
            next_one.count(1)
            page = exporter.read()
            assert (page[IN_FLIGHT], page[REFUSED], page[PROCESSES]) == (5, 8, 2)
        other.end()
        page = exporter.read()
        assert IN_FLIGHT not in page
        assert (page[REFUSED], page[PROCESSES]) == (8, 0)


def test_scrapes_while_processes_come_and_go_all_succeed_and_no_counter_falls(folder):
    with exporting("--folder", str(folder)) as exporter:
        ended = threading.Event()
        seen: list[float] = []

        def scrape() -> None:
            while not ended.is_set():
                seen.append(exporter.read().get(REFUSED, 0))

        scraping = threading.Thread(target=scrape)
        scraping.start()
        try:
            for _ in range(4):
                with counting(folder) as process:
                    process.count(5)
                    process.end(signal.SIGKILL)
        finally:
            ended.set()
            scraping.join(20)
        assert exporter.read()[REFUSED] == 20
        assert seen == sorted(seen)
        assert len(seen) > 4


def test_an_empty_folder_is_a_page_without_processes(folder):
    with exporting("--folder", str(folder)) as exporter:
        assert exporter.read() == {PROCESSES: 0}


def test_a_process_that_was_killed_as_it_began_spoils_no_page(folder):
    folder.mkdir()
    (folder / "counter_1.db").touch()
    with exporting("--folder", str(folder)) as exporter:
        assert exporter.read() == {PROCESSES: 0}


def test_the_folder_may_come_from_the_environment(folder):
    with exporting(**{FOLDER_VARIABLE: str(folder)}) as exporter:
        assert exporter.read() == {PROCESSES: 0}


def test_without_a_folder_the_exporter_says_what_to_do():
    exporter = Exporter()
    assert exporter.status() == 1
    assert exporter.said == f"claude-proxy: No folder to read: set {FOLDER_VARIABLE}, or give --folder.\n"


def test_a_folder_that_is_a_file_ends_the_exporter_with_a_sentence(tmp_path):
    file = tmp_path / "file"
    file.touch()
    exporter = Exporter("--folder", str(file))
    assert exporter.status() == 1
    assert exporter.said == f"claude-proxy: Metrics cannot be kept in the folder {file}: file exists.\n"


def test_a_port_that_is_taken_ends_the_exporter_with_a_sentence(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        exporter = Exporter("--folder", str(folder), port=port)
        assert exporter.status() == 1
    assert exporter.said == f"claude-proxy: Cannot show metrics on 127.0.0.1:{port}: address already in use.\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_the_exporter_well(folder, number):
    with exporting("--folder", str(folder)) as exporter:
        exporter.process.send_signal(number)
        assert exporter.process.wait(20) == 0


def test_beside_another_process_it_ends_with_its_standard_input(folder):
    with exporting(beside=folder) as exporter:
        exporter.process.stdin.close()
        assert exporter.process.wait(20) == 0
        exporter.process.stdin = None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_beside_another_process_it_has_no_more_in_memory_than_it_needs(folder):
    with exporting(beside=folder) as exporter, counting(folder) as process:
        process.count(1)
        assert exporter.read()[PROCESSES] == 1
        resident = int(Path(f"/proc/{exporter.process.pid}/statm").read_text().split()[1])
        assert resident * os.sysconf("SC_PAGE_SIZE") < 26 * 2**20


@pytest.mark.parametrize("workers", [1, 2] if sys.platform == "linux" else [1])
def test_serving_counts_for_an_exporter_beside_it_that_ends_when_it_is_killed(tmp_path, workers):
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("CLAUDE_PROXY", "PROMETHEUS"))},
        "PYTHONPATH": ROOT,
        "HOME": str(tmp_path),
        "CLAUDE_PROXY_EXPORTER_PORT": "0",
        "CLAUDE_PROXY_WORKERS": str(workers),
        "TMPDIR": str(tmp_path),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "addon.commands.cli", "serve", "--simulate", "--port", "0"],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    ports: dict[str, int] = {}
    try:
        while len(ports) < 2:
            line = process.stderr.readline()
            assert line, "it ended before it listened"
            if found := re.search(r":(\d+)/(v1|metrics)", line):
                ports[found[2]] = int(found[1])
        for path in ("/v1/models", "/metrics"):
            urllib.request.urlopen(f"http://127.0.0.1:{ports['v1']}{path}", timeout=20).read()
        page = _exported(ports["metrics"])
        assert page[PROCESSES] == workers
        assert page[MODELS] == 1
        if workers > 1:
            [worker, _] = _children(process.pid)
            os.kill(worker, signal.SIGKILL)
            latest = time.monotonic() + 30
            while worker in _children(process.pid) or (page := _exported(ports["metrics"]))[PROCESSES] < workers:
                assert time.monotonic() < latest, "no other worker has taken its place"
                time.sleep(0.1)
            assert page[MODELS] == 1
        process.kill()
        process.wait(20)
        latest = time.monotonic() + 20
        with pytest.raises(OSError, match="refused"):  # noqa: PT012 - until it is gone
            while time.monotonic() < latest:
                socket.create_connection(("127.0.0.1", ports["metrics"]), 5).close()
                time.sleep(0.05)
    finally:
        process.kill()
        process.communicate(timeout=20)


@pytest.mark.parametrize(("age", "starts_again"), [("settled", True), ("young", False)])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_exporter_that_is_killed_is_begun_again_unless_it_had_just_begun(tmp_path, workers, age, starts_again):
    # With these, an exporter is settled at once, or is young for the whole test.
    program = f"""
import sys
import addon.observation.exporter_process as beside
from addon.commands.cli import main
beside._SETTLED_SECONDS = {0.0 if age == "settled" else 600.0}
sys.exit(main())
"""
    environment = {**os.environ, "PYTHONPATH": ROOT, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    environment |= {"CLAUDE_PROXY_EXPORTER_PORT": "0", "CLAUDE_PROXY_WORKERS": str(workers)}
    command = [sys.executable, "-c", program, "serve", "--simulate", "--port", "0"]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=output, stderr=subprocess.PIPE, text=True
        )
    try:
        _read_until(process, "/metrics", "listens")
        [exporter] = {*_all_children(process.pid)} - {*_children(process.pid)}
        os.kill(exporter, signal.SIGKILL)
        latest = time.monotonic() + 30
        while not (ended := [each for each in _logged(log) if each["event"] == "exporter_ended"]):
            assert time.monotonic() < latest, "nobody has seen that it is gone"
            time.sleep(0.05)
        assert [(each["status"], each["starts_again"]) for each in ended] == [(-signal.SIGKILL, starts_again)]
        others = {*_all_children(process.pid)} - {*_children(process.pid)}
        assert len(others) == starts_again
        if starts_again:
            port = re.search(r"http://\S+:(\d+)/metrics", process.stderr.readline())[1]
            assert _exported(int(port))[PROCESSES] == workers
        process.terminate()
        assert process.wait(30) == 0
        assert list(tmp_path.glob("claude-proxy-metrics-*")) == []
    finally:
        process.kill()
        process.communicate(timeout=20)


MODELS = 'claude_proxy_requests_total{endpoint="models",mode="reverse",outcome="ok",status_class="2xx",stream="false"}'


def _read_until(process: subprocess.Popen[str], *wanted: str) -> str:
    """Read what it says on standard error until it has said all of that; return it."""
    said = ""
    while not all(each in said for each in wanted):
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def _logged(log: Path) -> list[dict[str, object]]:
    """Read the whole lines of a log."""
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _all_children(number: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


def _children(number: int) -> list[int]:
    """Find the workers: they are forks, and the exporter is a program of its own."""
    programs = {child: Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in _all_children(number)}
    return [child for child, program in programs.items() if b"addon.observation.exporter_process" not in program]


def test_serving_goes_on_when_the_exporters_port_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = {**os.environ, "PYTHONPATH": ROOT, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
        environment |= {"CLAUDE_PROXY_EXPORTER_PORT": str(port), "CLAUDE_PROXY_EXPORTER": "true"}
        process = subprocess.Popen(
            [sys.executable, "-m", "addon.commands.cli", "serve", "--simulate", "--port", "0"],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said = _read_until(process, "/v1", "Cannot show metrics")
            served = int(re.search(r":(\d+)/v1", said)[1])
            assert f"claude-proxy: Cannot show metrics on 127.0.0.1:{port}: address already in use." in said
            assert urllib.request.urlopen(f"http://127.0.0.1:{served}/metrics", timeout=20).status == 200
            process.terminate()
            assert process.wait(30) == 0
            assert list(tmp_path.glob("claude-proxy-metrics-*")) == []
        finally:
            process.kill()
            process.communicate(timeout=20)


def test_serving_does_not_start_with_a_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").touch()
    environment = {**os.environ, "PYTHONPATH": ROOT, FOLDER_VARIABLE: str(tmp_path / "file")}
    ended = subprocess.run(
        [sys.executable, "-m", "addon.commands.cli", "serve", "--simulate", "--port", "0"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == f"claude-proxy: Metrics cannot be kept in the folder {tmp_path / 'file'}: file exists.\n"

"""What scripts/bench.py measures: the upstream, the endpoints in front of it, and the load generator, as processes."""

import contextlib
import dataclasses
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench_load import KEY
from bench_peers import PEERS

__all__ = ["BASE", "ONE_REQUEST", "AnswersFailedError", "Endpoint", "Load", "started"]

ROOT = Path(__file__).resolve().parent.parent
BASE = "mitmdump"
START_SECONDS = 180.0
ONE_REQUEST = {"stream": False, "clients": 1, "chunks": 8, "once": True}


@dataclasses.dataclass
class Endpoint:
    """Something that answers requests; without processes, the upstream itself."""

    name: str
    api: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    headers: tuple[str, ...] = ()
    start_seconds: float = 0.0
    """From the start of its process, beside no other that starts, to its first right answer."""
    idle_mib: float = 0.0
    idle_own_mib: float = 0.0
    """Of its first process alone, without an exporter."""

    def pids(self) -> list[int]:
        """List the process and its descendants."""
        if self.process is None:
            return []
        children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(stat.parent.name))
        found, todo = [], [self.process.pid]
        while todo:
            found.append(todo.pop())
            todo += children.get(found[-1], [])
        return found

    def cpu_seconds(self) -> float:
        """CPU time so far, of all threads: the scheduler's nanoseconds, not the ticks of `stat`."""
        threads = (thread for pid in self.pids() for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(map(_nanoseconds, threads)) / 1e9

    def mib(self, pids: Sequence[int] | None = None) -> float:
        """Resident memory, of all processes or of some."""
        pages = 0
        for pid in self.pids() if pids is None else pids:
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Look at the resident memory ten times a second while something runs: `most[0]` is the most of it, in MiB."""
        pids, ended = self.pids(), threading.Event()
        most = [self.mib(pids)]

        def look() -> None:
            while not ended.wait(0.1):
                most[0] = max(most[0], self.mib(pids))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield most
        finally:
            ended.set()
            thread.join()
            most[0] = max(most[0], self.mib(pids))

    def settle(self) -> float:
        """Wait until left-over work is done, for 2 s at most; return the CPU time so far."""
        before = self.cpu_seconds()
        for _ in range(20 if self.process else 0):
            time.sleep(0.1)
            after = self.cpu_seconds()
            if after - before < 0.005:
                return after
            before = after
        return before


def _nanoseconds(schedstat: Path) -> int:
    with contextlib.suppress(OSError):
        return int(schedstat.read_text().split()[0])
    return 0


class AnswersFailedError(SystemExit):
    """Answers were wrong, or did not come: it ends the whole run, with what it says."""


class Load:
    """The load generator's process."""

    def __init__(self, core: int | None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "bench_load.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=_pinned(core),  # noqa: PLW1509 - no threads here
        )

    def is_answered(self, endpoint: Endpoint) -> bool:
        """Send one request; say whether its answer is right."""
        return not self._tell(_job(endpoint, ONE_REQUEST))["errors"]

    def run(self, endpoint: Endpoint, job: dict[str, Any]) -> dict[str, Any]:
        """Do one job; a wrong answer ends the whole run."""
        return _right(endpoint, self._tell(_job(endpoint, job)))

    def release(self, endpoint: Endpoint) -> None:
        """Cut the streams that a job with `hold` has opened; one that was not open any more ends the whole run."""
        _right(endpoint, self._tell({}))

    def _tell(self, line: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the load generator has no pipes")
        print(json.dumps(line), file=stdin, flush=True)
        result: dict[str, Any] = json.loads(stdout.readline())
        return result

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def _right(endpoint: Endpoint, result: dict[str, Any]) -> dict[str, Any]:
    if result["errors"]:
        raise AnswersFailedError(
            f"bench: {endpoint.name}: {len(result['errors'])} answers failed: {result['errors'][0]}"
        )
    return result


def _job(endpoint: Endpoint, job: dict[str, Any]) -> dict[str, Any]:
    return {"api": endpoint.api, "port": endpoint.port, "headers": endpoint.headers, **job}


def _pinned(core: int | None) -> Callable[[], None]:
    return lambda: None if core is None else os.sched_setaffinity(0, {core})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _command(name: str, port: int, upstream: str, folder: Path) -> list[str]:
    python = os.environ.get("DEPLOYED_PYTHON", sys.executable)
    mitmdump = str(Path(python).with_name("mitmdump"))
    confdir = str(folder / name)
    reverse = [mitmdump, "-q", "--mode", f"reverse:{upstream}@127.0.0.1:{port}", "--set", "flow_detail=0"]
    serve = [python, "-m", "addon.commands.cli", "serve", "--port", str(port), "--confdir", confdir]
    match name:
        case "mitmdump":
            return [*reverse, "--set", f"confdir={confdir}", "--set", "stream_large_bodies=1"]
        case "serve":
            return serve
        case "workers":
            return [*serve, "--workers", "2"]
        case "addon":
            return [*reverse, "--set", f"confdir={confdir}", "-s", str(ROOT / "addon" / "main.py")]
    if name in PEERS:
        return PEERS[name].command(name, port, upstream, folder)
    known = ", ".join(("direct", BASE, "serve", "workers", "addon", *PEERS))
    raise SystemExit(f"bench: no endpoint is called {name}; there are {known}")


@contextlib.contextmanager
def started(names: Sequence[str], folder: Path, *, pinned: bool = True) -> Iterator[tuple[list[Endpoint], Load]]:
    """Start the upstream, the endpoints and the load generator; end them all.

    Endpoints have one core, the upstream and the load generator another, if there are two; not `pinned`, all have all.
    """
    usable = sorted(os.sched_getaffinity(0))
    theirs, ours = (usable[0], usable[-1]) if pinned and len(usable) > 1 else (None, None)
    upstream_port = _free_port()
    upstream = f"http://127.0.0.1:{upstream_port}"
    # Nothing of this shell's own settings or proxies may change what is measured.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    environment = {**kept, "ANTHROPIC_BASE_URL": upstream, "ANTHROPIC_API_KEY": "bench", "PYTHONPATH": str(ROOT)}
    # A client key is asked for and requests are counted, as in production; the limit is one that is not reached.
    client = {"name": "bench", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}
    environment |= {"CLAUDE_PROXY_CLIENT_KEYS": json.dumps([client]), "RATE_LIMIT_REQUESTS": "100000000"}
    environment |= {"CLAUDE_PROXY_EXPORTER_PORT": "0"}  # another `serve` may have the usual one

    def start(name: str, command: Sequence[str], core: int | None) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment | (PEERS[name].environment if name in PEERS else {}),
                cwd=folder,
                preexec_fn=_pinned(core),  # noqa: PLW1509 - no threads here
            )

    processes: list[subprocess.Popen[bytes]] = []
    load = Load(ours)
    try:
        claude = [sys.executable, "-m", "addon.simulated_claude", "--port", str(upstream_port), "--fast"]
        processes.append(start("upstream", claude, ours))
        endpoints = [Endpoint("direct", "anthropic", upstream_port)]
        _wait(endpoints[0], processes[0], load, folder)
        for name in names:
            if name != "direct":
                port = _free_port()
                headers = PEERS[name].headers if name in PEERS else ()
                lines = tuple(line.format(upstream=upstream) for line in headers)
                endpoint = Endpoint(name, "anthropic" if name == BASE else "openai", port, headers=lines)
                begun = time.monotonic()
                endpoint.process = start(name, _command(name, port, upstream, folder), theirs)
                processes.append(endpoint.process)
                _wait(endpoint, endpoint.process, load, folder)
                endpoint.start_seconds = time.monotonic() - begun
                endpoints.append(endpoint)
        yield endpoints, load
    finally:
        load.stop()
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(endpoint: Endpoint, process: subprocess.Popen[bytes], load: Load, folder: Path) -> None:
    """Wait until an endpoint answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if load.is_answered(endpoint):
            return
        time.sleep(0.02)
    log = (folder / f"{'upstream' if endpoint.name == 'direct' else endpoint.name}.log").read_text(errors="replace")
    raise SystemExit(f"bench: {endpoint.name} does not start:\n{log[-2000:]}")

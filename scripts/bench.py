"""Measures what the proxy costs, beside bare mitmproxy, in one interleaved run on this machine.

    scripts/bench                every figure, some four minutes
    scripts/bench --quick        the same with less care, under a minute
    scripts/bench --peers        beside other gateways too, which it installs into .cache/peers
    scripts/bench --markdown     the table as docs/performance.md has it

Upstream is the simulated Claude in its fast mode. Four endpoints are asked for the same: the upstream itself,
`mitmdump` as a plain reverse proxy (the base of all ratios), `claude-proxy serve`, and `mitmdump -s addon/main.py`.
Upstream and load generator have one core, the endpoints another, if there are two. All traffic stays on 127.0.0.1, and
every answer is checked to its last byte: one that is wrong fails the run.

CPU time is what the kernel booked to all threads of an endpoint's processes until it is quiet again, so work that is
put off counts. A ratio is taken within a round, in which the endpoints follow each other within seconds; the table has
the medians over the rounds.
"""

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench_peers import PEERS, install

ROOT = Path(__file__).resolve().parent.parent
BASE = "mitmdump"
START_SECONDS = 60.0
HELD_STREAM_SECONDS = 60
ONE_REQUEST = {"stream": False, "clients": 1, "chunks": 8, "once": True}


@dataclasses.dataclass
class Endpoint:
    """Something that answers requests; without processes, the upstream itself."""

    name: str
    api: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    headers: tuple[str, ...] = ()
    idle_mib: float = 0.0

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
        total = 0
        for pid in self.pids():
            for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):
                    total += int(thread.read_text().split()[0])
        return total / 1e9

    def mib(self) -> float:
        """Resident memory."""
        pages = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

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


@dataclasses.dataclass(frozen=True)
class Cell:
    """One kind of load, as the fields of a load generator's job."""

    name: str
    job: dict[str, Any]


def cells(seconds: float) -> list[Cell]:
    """List the kinds of load, each for about `seconds`."""
    return [
        Cell("small", {"stream": False, "clients": 16, "chunks": 8, "seconds": seconds}),
        Cell("large", {"stream": False, "clients": 8, "chunks": 8, "history": 20, "seconds": seconds}),
        Cell("bursts", {"stream": True, "clients": 8, "chunks": 100, "seconds": seconds}),
        # As from a model: each chunk comes alone, and wakes the proxy up.
        Cell("paced", {"stream": True, "clients": 32, "chunks": 100, "interval": seconds / 40, "once": True}),
        Cell("first", {"stream": True, "clients": 1, "chunks": 2, "pause": 0.005, "seconds": seconds}),
    ]


class Load:
    """The load generator's process."""

    def __init__(self, core: int | None) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own file
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
        result = self._tell(_job(endpoint, job))
        if result["errors"]:
            raise SystemExit(f"bench: {endpoint.name}: {len(result['errors'])} answers failed: {result['errors'][0]}")
        return result

    def release(self) -> None:
        """Cut the streams that a job with `hold` has opened."""
        self._tell({})

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


def _job(endpoint: Endpoint, job: dict[str, Any]) -> dict[str, Any]:
    return {"api": endpoint.api, "port": endpoint.port, "headers": endpoint.headers, **job}


def _pinned(core: int | None) -> Callable[[], None]:
    return lambda: None if core is None else os.sched_setaffinity(0, {core})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def started(names: Sequence[str], folder: Path) -> Iterator[tuple[list[Endpoint], Load]]:
    """Start the upstream, the endpoints and the load generator; end them all."""
    usable = sorted(os.sched_getaffinity(0))
    theirs, ours = (usable[0], usable[-1]) if len(usable) > 1 else (None, None)
    python, mitmdump = sys.executable, str(Path(sys.executable).with_name("mitmdump"))
    upstream_port = _free_port()
    upstream = f"http://127.0.0.1:{upstream_port}"
    # Nothing of this shell's own settings or proxies may change what is measured.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    environment = {**kept, "ANTHROPIC_BASE_URL": upstream, "ANTHROPIC_API_KEY": "bench", "PYTHONPATH": str(ROOT)}
    # As many requests as there can be, and whoever runs this may have made client keys.
    environment |= {"RATE_LIMIT_REQUESTS": "0", "CLAUDE_PROXY_ALLOW_ANONYMOUS": "true"}

    def start(name: str, command: Sequence[str], core: int | None) -> subprocess.Popen[bytes]:
        with (folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - the commands below
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment | (PEERS[name].environment if name in PEERS else {}),
                cwd=folder,
                preexec_fn=_pinned(core),  # noqa: PLW1509 - no threads here
            )

    def reverse(port: int) -> list[str]:
        return [mitmdump, "-q", "--mode", f"reverse:{upstream}@127.0.0.1:{port}", "--set", "flow_detail=0"]

    def command(name: str, port: int) -> list[str]:
        confdir = str(folder / name)
        match name:
            case "mitmdump":
                return [*reverse(port), "--set", f"confdir={confdir}", "--set", "stream_large_bodies=1"]
            case "serve":
                return [python, "-m", "addon.cli", "serve", "--port", str(port), "--confdir", confdir]
            case "addon":
                script = str(ROOT / "addon" / "main.py")
                return [*reverse(port), "--set", f"confdir={confdir}", "-s", script]
        if name in PEERS:
            return PEERS[name].command(name, port, upstream, folder)
        known = ", ".join(("direct", BASE, "serve", "addon", *PEERS))
        raise SystemExit(f"bench: no endpoint is called {name}; there are {known}")

    processes: list[subprocess.Popen[bytes]] = []
    load = Load(ours)
    try:
        claude = [python, "-m", "addon.simulated_claude", "--port", str(upstream_port), "--fast"]
        processes.append(start("upstream", claude, ours))
        endpoints = [Endpoint("direct", "anthropic", upstream_port)]
        for name in names:
            if name != "direct":
                port = _free_port()
                process = start(name, command(name, port), theirs)
                processes.append(process)
                headers = PEERS[name].headers if name in PEERS else ()
                lines = tuple(line.format(upstream=upstream) for line in headers)
                endpoints.append(Endpoint(name, "anthropic" if name == BASE else "openai", port, process, lines))
        for endpoint, process in zip(endpoints, processes, strict=True):
            _wait(endpoint, process, load, folder)
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
        time.sleep(0.1)
    log = (folder / f"{'upstream' if endpoint.name == 'direct' else endpoint.name}.log").read_text(errors="replace")
    raise SystemExit(f"bench: {endpoint.name} does not start:\n{log[-2000:]}")


type Figures = dict[str, dict[str, list[float]]]
"""Each figure of each endpoint, one value a round: `figures[endpoint][figure]`."""


def measure(endpoints: list[Endpoint], load: Load, *, rounds: int, seconds: float, streams: int) -> Figures:
    """Measure everything; endpoints take turns within each round, and each round begins with another one."""
    figures: Figures = {endpoint.name: {} for endpoint in endpoints}
    for endpoint in endpoints:
        load.run(endpoint, ONE_REQUEST)
        endpoint.settle()
        endpoint.idle_mib = endpoint.mib()
    for endpoint in endpoints:  # first requests pay for what is made once
        for cell in cells(0.3):
            load.run(endpoint, cell.job)
    for round_number in range(rounds):
        turn = round_number % len(endpoints)
        for cell in cells(seconds):
            for endpoint in endpoints[turn:] + endpoints[:turn]:
                before = endpoint.settle()
                result = load.run(endpoint, cell.job)
                used = endpoint.settle() - before
                for name, value in _figures(cell.name, used, result).items():
                    figures[endpoint.name].setdefault(name, []).append(value)
        print(f"round {round_number + 1} of {rounds} is done", file=sys.stderr, flush=True)
    for endpoint in endpoints:
        if endpoint.process:
            held = {"stream": True, "chunks": HELD_STREAM_SECONDS, "interval": 1.0, "hold": True}
            values = figures[endpoint.name]
            values["idle"], values["after"] = [endpoint.idle_mib], [endpoint.mib()]
            load.run(endpoint, {"clients": streams, **held})
            values["held"] = [endpoint.mib()]
            load.release()
            endpoint.settle()
    return figures


def _figures(cell: str, used: float, result: dict[str, Any]) -> dict[str, float]:
    match cell:
        case "small" | "large":
            return {cell: used / result["requests"] * 1000}
        case "first":
            times = sorted(result["first_text"])
            return {"p50": statistics.median(times) * 1000, "p99": times[int(len(times) * 0.99)] * 1000}
    return {cell: used / result["chunks"] * 100_000}


ROWS = (
    ("CPU s per 1000 small whole requests", "small", False),
    ("CPU s per 1000 whole requests of 100 KB", "large", False),
    ("CPU s per 100,000 chunks, as fast as they are taken", "bursts", False),
    ("CPU s per 100,000 chunks, {milliseconds:.0f} ms apart, 32 streams", "paced", False),
    ("added time to first token, p50, ms", "p50", True),
    ("added time to first token, p99, ms", "p99", True),
    ("resident memory idle, MiB", "idle", False),
    ("resident memory after all of that, MiB", "after", False),
    ("resident memory with {streams} open streams, MiB", "held", False),
)
"""Title, figure, and whether the upstream's own share is taken off."""

TITLES = {
    BASE: "bare mitmdump",
    "serve": "claude-proxy serve",
    "addon": "mitmdump -s addon/main.py",
    **{name: peer.title for name, peer in PEERS.items()},
}


def rows(figures: Figures, seconds: float, streams: int) -> list[list[str]]:
    """Make the table: for each figure the medians, and how they compare with bare mitmdump's in the same round."""
    names = [name for name in TITLES if name in figures]
    head = ["", *(title for name in names for title in ([TITLES[name]] if name == BASE else [TITLES[name], "ratio"]))]
    table = [head]
    for title, figure, is_added in ROWS:
        row = [title.format(streams=streams, milliseconds=seconds / 40 * 1000)]
        base = _values(figures, BASE, figure, is_added=is_added)
        for name in names:
            values = _values(figures, name, figure, is_added=is_added)
            row.append(f"{statistics.median(values):.3g}")
            if name != BASE:
                ratios = [value / other for value, other in zip(values, base, strict=False) if other > 0]
                row.append(f"{statistics.median(ratios):.2f}" if ratios else "")
        table.append(row)
    return table


def _values(figures: Figures, name: str, figure: str, *, is_added: bool) -> list[float]:
    values = figures.get(name, {}).get(figure, [])
    if not is_added:
        return values
    return [value - own for value, own in zip(values, figures["direct"][figure], strict=True)]


def to_text(table: list[list[str]], *, markdown: bool) -> str:
    """Lay a table out, for a terminal or for a document."""
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in table]
        lines.insert(1, "|---" * len(table[0]) + "|")
        return "\n".join(lines)
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) if not column else cell.rjust(width) for column, (cell, width) in enumerate(row))
        for row in ([(row[i], widths[i]) for i in range(len(row))] for row in table)
    )


def machine() -> str:
    """Name what the figures were taken on."""
    model = "unknown processor"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    busy = os.getloadavg()[0]
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {model}, {len(os.sched_getaffinity(0))} cores, "
        f"Linux {platform.release()}, Python {platform.python_version()}, load {busy:.1f}"
    )


def main() -> None:
    """Read the flags, measure, print."""
    parser = argparse.ArgumentParser(
        description="Measure what the proxy costs, beside bare mitmproxy.", allow_abbrev=False
    )
    parser.add_argument("--quick", action="store_true", help="less care, under a minute")
    parser.add_argument("--markdown", action="store_true", help="print the table for a document")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (default: 5, quick 2)")
    parser.add_argument("--seconds", type=float, help="how long one measurement takes (default: 2, quick 0.4)")
    parser.add_argument("--streams", type=int, help="streams open at once for the memory (default: 500, quick 200)")
    parser.add_argument(
        "--endpoints", default=f"{BASE},serve,addon", help="which to measure, by commas (default: %(default)s)"
    )
    parser.add_argument("--peers", action="store_true", help=f"measure {', '.join(PEERS)} too; installs them first")
    flags = parser.parse_args()
    names = [*flags.endpoints.split(","), *(PEERS if flags.peers else ())]
    install(names)
    if not Path("/proc/self/task").exists() or not hasattr(os, "sched_setaffinity"):
        raise SystemExit("bench: CPU time and memory are read from /proc, so this needs Linux.")
    rounds, seconds, streams = (2, 0.4, 200) if flags.quick else (5, 2.0, 500)
    rounds, seconds, streams = flags.rounds or rounds, flags.seconds or seconds, flags.streams or streams
    folder = Path(tempfile.mkdtemp(prefix="claude-proxy-bench-"))
    # As for Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with started(names, folder) as (endpoints, load):
            figures = measure(endpoints, load, rounds=rounds, seconds=seconds, streams=streams)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(to_text(rows(figures, seconds, streams), markdown=flags.markdown))
    print(f"\n{machine()}; medians of {rounds} rounds, ratios to {TITLES[BASE]} in the same round.")


if __name__ == "__main__":
    main()

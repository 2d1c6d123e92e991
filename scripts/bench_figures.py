"""The kinds of load of scripts/bench.py, and the figures that come of them."""

import contextlib
import dataclasses
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from bench_endpoints import ONE_REQUEST, AnswersFailedError, Endpoint, Load
from bench_peers import PEERS

__all__ = ["Figures", "Growth", "Workers", "measure", "measure_growth", "measure_workers"]

HELD = {"stream": True, "chunks": 100, "interval": 3.0, "hold": True}
"""Streams that stay open while memory is looked at: slow ones, so that an endpoint has time for many."""

SMALL = {"stream": False, "chunks": 8}
WARM_REQUESTS = 2_000
GROWTH_SECONDS = 240.0
"""How long one endpoint may take for the requests after which its growth is looked at."""

SLICE_SECONDS = 0.5
"""How long a turn takes, about: a machine's speed changes within seconds, and ratios are of turns near each other."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One kind of load, as the fields of a load generator's job."""

    name: str
    job: dict[str, Any]
    turns: int = 1
    """How often the job is done in a round."""


def cells(seconds: float) -> list[Cell]:
    """List the kinds of load, each for about `seconds` in all its turns."""
    turns = max(1, round(seconds / SLICE_SECONDS))
    jobs = _jobs(seconds, seconds / turns)
    return [Cell(name, job, 1 if "once" in job else turns) for name, job in jobs.items()]


def _jobs(seconds: float, at_once: float) -> dict[str, dict[str, Any]]:
    return {
        "small": {**SMALL, "clients": 16, "seconds": at_once},
        "large": {"stream": False, "clients": 8, "chunks": 8, "history": 20, "seconds": at_once},
        "bursts": {"stream": True, "clients": 8, "chunks": 100, "seconds": at_once},
        # As from a model: each chunk comes alone, and wakes the proxy up.
        "paced": {"stream": True, "clients": 32, "chunks": 100, "interval": seconds / 40, "once": True},
        # Proxies that have Claude stream what they give whole do not wait for the simulated one to write each event.
        "whole": {**SMALL, "burst": 100, "clients": 1, "pause": 0.005, "seconds": at_once},
        "first": {"stream": True, "clients": 1, "chunks": 2, "pause": 0.005, "seconds": at_once},
    }


type Figures = dict[str, dict[str, list[float]]]
"""Each figure of each endpoint, one value a round: `figures[endpoint][figure]`."""


@dataclasses.dataclass
class _Seen:
    """What came of all turns of a kind of load."""

    used: float = 0.0
    """CPU seconds."""
    most: float = 0.0
    """Resident memory, in MiB."""
    result: dict[str, Any] = dataclasses.field(default_factory=dict)

    def add(self, endpoint: Endpoint, load: Load, cell: Cell) -> None:
        """Do the job once more."""
        before = endpoint.settle()
        with endpoint.watched() as most:
            result = load.run(endpoint, cell.job)
        self.used += endpoint.settle() - before
        self.most = max(self.most, most[0])
        self.result = {name: self.result[name] + value for name, value in result.items()} if self.result else result


def measure(endpoints: Sequence[Endpoint], load: Load, *, rounds: int, seconds: float, streams: int) -> Figures:
    """Measure everything; endpoints take turns within each round, which begins with another one each time."""
    figures: Figures = {endpoint.name: {} for endpoint in endpoints}
    for endpoint in endpoints:
        load.run(endpoint, ONE_REQUEST)
        endpoint.settle()
        endpoint.idle_mib, endpoint.idle_own_mib = endpoint.mib(), endpoint.mib(endpoint.pids()[:1])
    for endpoint in endpoints:  # first requests pay for what is made once
        for cell in cells(0.3):
            load.run(endpoint, cell.job)
    for round_number in range(rounds):
        for cell in cells(seconds):
            seen = {endpoint.name: _Seen() for endpoint in endpoints}
            for turn in range(round_number, round_number + cell.turns):
                first = turn % len(endpoints)
                for endpoint in (*endpoints[first:], *endpoints[:first]):
                    seen[endpoint.name].add(endpoint, load, cell)
            for name, each in seen.items():
                for figure, value in _figures(cell, each).items():
                    figures[name].setdefault(figure, []).append(value)
        print(f"round {round_number + 1} of {rounds} is done", file=sys.stderr, flush=True)
    for endpoint in endpoints:
        if endpoint.process:
            figures[endpoint.name] |= _memory(endpoint, load, streams)
    return figures


def _figures(cell: Cell, seen: _Seen) -> dict[str, float]:
    result = seen.result
    figures = {f"{cell.name}_most": seen.most}
    match cell.name:
        case "small":
            figures["small"] = seen.used / result["requests"] * 1000
            figures["rate"] = result["requests"] / seen.used if seen.used else 0.0
        case "large":
            figures["large"] = seen.used / result["requests"] * 1000
        case "whole":
            figures["latency"] = statistics.median(result["whole"]) * 1000
            figures["latency_p99"] = _p99(result["whole"]) * 1000
        case "first":
            figures["p50"] = statistics.median(result["first_text"]) * 1000
            figures["p99"] = _p99(result["first_text"]) * 1000
        case "bursts":
            figures["bursts"] = seen.used / result["chunks"] * 100_000
        case "paced":
            figures["paced"] = seen.used / result["chunks"] * 100_000
            figures["jitter"] = _p99([abs(gap - cell.job["interval"]) for gap in result["gaps"]]) * 1000
    return figures


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def _memory(endpoint: Endpoint, load: Load, streams: int) -> dict[str, list[float]]:
    after = endpoint.mib()
    figures = {
        "start": [endpoint.start_seconds],
        "idle": [endpoint.idle_mib],
        "own": [endpoint.idle_own_mib],
        "after": [after],
    }
    try:
        load.run(endpoint, {**HELD, "clients": streams})
    except AnswersFailedError as error:
        if endpoint.name not in PEERS:
            raise
        print(f"{error}: it has no figures for open streams", file=sys.stderr, flush=True)
        with contextlib.suppress(AnswersFailedError):
            load.release(endpoint)
        return figures
    held = endpoint.mib()
    load.release(endpoint)
    endpoint.settle()
    return figures | {"held": [held], "stream": [(held - after) * 1024 / streams]}


@dataclasses.dataclass(frozen=True)
class Growth:
    """Resident memory before and after many requests, in MiB."""

    name: str
    requests: int
    before: float
    after: float


def measure_growth(endpoint: Endpoint, load: Load, requests: int) -> Growth:
    """Send small requests, as many as are asked for or can be answered within `GROWTH_SECONDS`."""
    load.run(endpoint, {**SMALL, "clients": 16, "most": min(WARM_REQUESTS, requests), "seconds": GROWTH_SECONDS})
    endpoint.settle()
    before = endpoint.mib()
    result = load.run(endpoint, {**SMALL, "clients": 16, "most": requests, "seconds": GROWTH_SECONDS})
    endpoint.settle()
    return Growth(endpoint.name, result["requests"], before, endpoint.mib())


@dataclasses.dataclass(frozen=True)
class Workers:
    """How many times the requests of one worker two have answered, with a core for each of them."""

    answered: float
    """As it was. The load generator and the upstream need cores too: they have what the workers leave."""
    by_cpu: float
    """As it were if those had cores of their own: the CPU time of a request at one, by half of that at two."""


def measure_workers(one: Endpoint, two: Endpoint, load: Load, *, rounds: int, seconds: float) -> Workers:
    """Keep one worker busy, then two, with more clients than they can answer at once; take medians over the rounds."""
    job = {**SMALL, "clients": 64, "seconds": seconds}
    for endpoint in (one, two):
        load.run(endpoint, job)
    answered, by_cpu = [], []
    for round_number in range(rounds):
        requests, cost = {}, {}
        for endpoint in ((one, two), (two, one))[round_number % 2]:
            before = endpoint.settle()
            requests[endpoint.name] = load.run(endpoint, job)["requests"]
            cost[endpoint.name] = (endpoint.settle() - before) / requests[endpoint.name]
        answered.append(requests[two.name] / requests[one.name])
        by_cpu.append(2 * cost[one.name] / cost[two.name])
    return Workers(statistics.median(answered), statistics.median(by_cpu))

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


@dataclasses.dataclass(frozen=True)
class Cell:
    """One kind of load, as the fields of a load generator's job."""

    name: str
    job: dict[str, Any]


def cells(seconds: float) -> list[Cell]:
    """List the kinds of load, each for about `seconds`."""
    return [
        Cell("small", {**SMALL, "clients": 16, "seconds": seconds}),
        Cell("large", {"stream": False, "clients": 8, "chunks": 8, "history": 20, "seconds": seconds}),
        Cell("bursts", {"stream": True, "clients": 8, "chunks": 100, "seconds": seconds}),
        # As from a model: each chunk comes alone, and wakes the proxy up.
        Cell("paced", {"stream": True, "clients": 32, "chunks": 100, "interval": seconds / 40, "once": True}),
        # Proxies that have Claude stream what they give whole do not wait for the simulated one to write each event.
        Cell("whole", {**SMALL, "burst": 100, "clients": 1, "pause": 0.005, "seconds": seconds}),
        Cell("first", {"stream": True, "clients": 1, "chunks": 2, "pause": 0.005, "seconds": seconds}),
    ]


type Figures = dict[str, dict[str, list[float]]]
"""Each figure of each endpoint, one value a round: `figures[endpoint][figure]`."""


def measure(endpoints: Sequence[Endpoint], load: Load, *, rounds: int, seconds: float, streams: int) -> Figures:
    """Measure everything; endpoints take turns within each round, and each round begins with another one."""
    figures: Figures = {endpoint.name: {} for endpoint in endpoints}
    for endpoint in endpoints:
        load.run(endpoint, ONE_REQUEST)
        endpoint.settle()
        endpoint.idle_mib, endpoint.idle_own_mib = endpoint.mib(), endpoint.mib(endpoint.pids()[:1])
    for endpoint in endpoints:  # first requests pay for what is made once
        for cell in cells(0.3):
            load.run(endpoint, cell.job)
    for round_number in range(rounds):
        turn = round_number % len(endpoints)
        for cell in cells(seconds):
            for endpoint in (*endpoints[turn:], *endpoints[:turn]):
                before = endpoint.settle()
                with endpoint.watched() as most:
                    result = load.run(endpoint, cell.job)
                used = endpoint.settle() - before
                for name, value in {**_figures(cell, used, result), f"{cell.name}_most": most[0]}.items():
                    figures[endpoint.name].setdefault(name, []).append(value)
        print(f"round {round_number + 1} of {rounds} is done", file=sys.stderr, flush=True)
    for endpoint in endpoints:
        if endpoint.process:
            figures[endpoint.name] |= _memory(endpoint, load, streams)
    return figures


def _figures(cell: Cell, used: float, result: dict[str, Any]) -> dict[str, float]:
    match cell.name:
        case "small":
            return {"small": used / result["requests"] * 1000, "rate": result["requests"] / used if used else 0.0}
        case "large":
            return {"large": used / result["requests"] * 1000}
        case "whole":
            return {
                "latency": statistics.median(result["whole"]) * 1000,
                "latency_p99": _p99(result["whole"]) * 1000,
            }
        case "first":
            return {"p50": statistics.median(result["first_text"]) * 1000, "p99": _p99(result["first_text"]) * 1000}
        case "paced":
            late = [abs(gap - cell.job["interval"]) for gap in result["gaps"]]
            return {"paced": used / result["chunks"] * 100_000, "jitter": _p99(late) * 1000}
    return {cell.name: used / result["chunks"] * 100_000}


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

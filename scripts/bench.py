"""Measures what the proxy costs, beside bare mitmproxy, in one interleaved run on this machine.

    scripts/bench                every figure, some seven minutes
    scripts/bench --quick        the same with less care, under a minute
    scripts/bench --peers        beside other gateways too, which it installs into .cache/peers (LiteLLM takes no more
                                 than 500 streams: --streams 500 for a figure of theirs)
    scripts/bench --markdown     the table as docs/performance.md has it
    scripts/bench --growth       memory before and after 50,000 requests, some four minutes an endpoint at most
    scripts/bench --workers      how much more two workers answer than one

Upstream is the simulated Claude in its fast mode. Four endpoints are asked for the same: the upstream itself,
`mitmdump` as a plain reverse proxy (the base of all ratios), `claude-proxy serve`, and `mitmdump -s addon/main.py`.
Upstream and load generator have one core, the endpoints another, if there are two (with `--workers` all have all). All
traffic stays on 127.0.0.1, and every answer is checked to its last byte: one that is wrong fails the run.

CPU time is what the kernel booked to all threads of an endpoint's processes until it is quiet again, so work that is
put off counts. A ratio is taken within a round, in which the endpoints take turns of half a second; the table has the
medians over the rounds. Memory is of all processes of an endpoint: the exporter beside `serve` is one of them.
"""

import argparse
import contextlib
import datetime as dt
import os
import platform
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench_endpoints import BASE, started
from bench_figures import Figures, Growth, measure, measure_growth, measure_workers
from bench_peers import PEERS, install

ROWS = (
    ("CPU s per 1000 small whole requests", "small", False),
    ("small whole requests per CPU s", "rate", False),
    ("CPU s per 1000 whole requests of 100 KB", "large", False),
    ("CPU s per 100,000 chunks, as fast as they are taken", "bursts", False),
    ("CPU s per 100,000 chunks, {milliseconds:.0f} ms apart, 32 streams", "paced", False),
    ("of these chunks: p99 of how much too late or early after the one before, ms", "jitter", False),
    ("added time to a small whole answer, p50, ms", "latency", True),
    ("added time to a small whole answer, p99, ms", "latency_p99", True),
    ("added time to first token, p50, ms", "p50", True),
    ("added time to first token, p99, ms", "p99", True),
    ("start to first answer, s", "start", False),
    ("resident memory idle, MiB", "idle", False),
    ("of that the process that answers, MiB", "own", False),
    ("most resident memory under small requests, MiB", "small_most", False),
    ("most resident memory under requests of 100 KB, MiB", "large_most", False),
    ("most resident memory under chunks as fast as they are taken, MiB", "bursts_most", False),
    ("most resident memory under chunks {milliseconds:.0f} ms apart, MiB", "paced_most", False),
    ("resident memory after all of that, MiB", "after", False),
    ("resident memory with {streams} open streams, MiB", "held", False),
    ("an open stream, KiB", "stream", False),
)
"""Title, figure, and whether the upstream's own share is taken off."""

TITLES = {
    BASE: "bare mitmdump",
    "serve": "claude-proxy serve",
    "workers": "claude-proxy serve --workers 2",
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
            row.append(f"{statistics.median(values):.3g}" if values else "")
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


def growth_rows(growths: Sequence[Growth]) -> list[list[str]]:
    """Make the table of growth."""
    head = ["", "requests", "MiB before", "MiB after", "growth"]
    return [
        head,
        *(
            [
                TITLES[each.name],
                f"{each.requests:,}",
                f"{each.before:.1f}",
                f"{each.after:.1f}",
                f"{each.after / each.before - 1:+.1%}",
            ]
            for each in growths
        ),
    ]


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure what the proxy costs, beside bare mitmproxy.", allow_abbrev=False
    )
    parser.add_argument("--quick", action="store_true", help="less care, under a minute")
    parser.add_argument("--markdown", action="store_true", help="print the table for a document")
    parser.add_argument("--rounds", type=int, help="how often everything is measured (default: 5, quick 2)")
    parser.add_argument("--seconds", type=float, help="how long one measurement takes (default: 2, quick 0.4)")
    parser.add_argument("--streams", type=int, help="streams open at once for the memory (default: 1000, quick 200)")
    parser.add_argument(
        "--endpoints", default=f"{BASE},serve,addon", help="which to measure, by commas (default: %(default)s)"
    )
    parser.add_argument("--peers", action="store_true", help=f"measure {', '.join(PEERS)} too; installs them first")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--growth",
        type=int,
        nargs="?",
        const=50_000,
        metavar="N",
        help="memory before and after N requests instead (default: %(const)s)",
    )
    instead.add_argument("--workers", action="store_true", help="two workers beside one instead")
    return parser.parse_args()


def main() -> None:
    """Read the flags, measure, print."""
    flags = _flags()
    if not Path("/proc/self/task").exists() or not hasattr(os, "sched_setaffinity"):
        raise SystemExit("bench: CPU time and memory are read from /proc, so this needs Linux.")
    names = [*flags.endpoints.split(","), *(PEERS if flags.peers else ())]
    if flags.workers:
        names = ["serve", "workers"]
    install(names)
    rounds, seconds, streams = (2, 0.4, 200) if flags.quick else (5, 2.0, 1000)
    rounds, seconds, streams = flags.rounds or rounds, flags.seconds or seconds, flags.streams or streams
    medians = f"medians of {rounds} rounds"
    folder = Path(tempfile.mkdtemp(prefix="claude-proxy-bench-"))
    # As for Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with started(names, folder, pinned=not flags.workers) as (endpoints, load):
            proxies = [endpoint for endpoint in endpoints if endpoint.process]
            if flags.growth:
                growths = [measure_growth(endpoint, load, flags.growth) for endpoint in proxies]
                said = f"{to_text(growth_rows(growths), markdown=flags.markdown)}\n\n{machine()}."
            elif flags.workers:
                times = measure_workers(*proxies, load, rounds=rounds, seconds=seconds)
                said = (
                    f"Two workers answer {times.by_cpu:.2f} times the requests of one, by the CPU time of a request;\n"
                    f"{times.answered:.2f} times here, where the load has the cores that they leave.\n\n"
                    f"{machine()}; {medians}."
                )
            else:
                figures = measure(endpoints, load, rounds=rounds, seconds=seconds, streams=streams)
                table = to_text(rows(figures, seconds, streams), markdown=flags.markdown)
                said = f"{table}\n\n{machine()}; {medians}, ratios to {TITLES[BASE]} in the same round."
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(said)


if __name__ == "__main__":
    main()

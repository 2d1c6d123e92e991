"""Soaks a real `claude-proxy serve` in a mixed load, and says what of it is left behind.

    scripts/soak                  ten minutes, eight clients at once, one process that serves
    scripts/soak --seconds 60     less
    scripts/soak --workers 2      two processes that serve

Claude is the simulated one, in this process. The clients are the stock openai package, WebSockets, HTTP/2 and raw
sockets; some of them leave in the middle, some read slowly, some send what is refused. Claude fails in all the ways
that it has, the settings change meanwhile, and the exporter is asked for the metrics all the time. After a fifth of the
time, and at the end, the load pauses and each process is looked at while nobody asks it for anything: what it has open
then may not have grown. The log and the metrics must tell of each exchange once. All traffic stays on 127.0.0.1.

Everything that may fill memory on purpose is given little of it, so that it is full by the first look. Exit status 1
means that something does not hold; the log is kept then.
"""

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench import machine, to_text
from soak_checks import Check, Seen, judge
from soak_proxy import soaked

from addon.observation.metrics import OPERATIONS

WARM_UP = 0.2
"""The share of the time after which the processes are looked at for the first time."""
MEMORY_GROWTH = 0.1


async def run(folder: Path, flags: argparse.Namespace) -> list[Check]:
    """Soak, print what the load was, and return what was found."""
    # As for Ctrl-C: what was started is stopped. Not from within the signal, which may come while it is being started.
    if (task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with soaked(folder, workers=flags.workers, clients=flags.clients) as proxy:
        began = time.monotonic()
        await proxy.soak(flags.seconds * WARM_UP)
        warm = await proxy.rest()
        await proxy.soak(flags.seconds * (1 - WARM_UP))
        end = await proxy.rest()
        took = time.monotonic() - began
        # In this order: the request for the second page counts in neither.
        exported, page = await proxy.exported_page(), await proxy.page()
        lines, tally = await proxy.logged(), proxy.tally
        seen = Seen(lines, proxy.standard_error(), tally, page, exported, warm, end)
    outcomes = Counter(line["outcome"] for line in lines if line["event"] == "exchange")
    print(f"{tally.requests} requests of {flags.clients} clients in {took:.0f} s:", _listed(outcomes))
    print("load:", _listed(tally.kinds), end="\n\n")
    for finding in [*tally.mistakes[:10], *(f"not ended at Claude: {prompt}" for prompt in tally.not_ended[:10])]:
        print(finding, file=sys.stderr)
    models = [endpoint.value for endpoint in OPERATIONS]
    return judge(seen, model_endpoints=models, memory_growth=flags.memory_growth)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.most_common())


def main() -> None:
    """Read the flags, soak, print."""
    parser = argparse.ArgumentParser(
        description="Put claude-proxy under a mixed load, and see what is left behind.", allow_abbrev=False
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long (default: %(default)s)")
    parser.add_argument("--clients", type=int, default=8, help="clients at once (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes that serve (default: %(default)s)")
    parser.add_argument(
        "--memory-growth",
        type=float,
        default=MEMORY_GROWTH,
        help="how much more memory may be resident at the end than after the warm-up (default: %(default)s)",
    )
    flags = parser.parse_args()
    if not Path("/proc/self/fd").exists():
        raise SystemExit("soak: descriptors and memory are read from /proc, so this needs Linux.")
    folder = Path(tempfile.mkdtemp(prefix="claude-proxy-soak-"))
    # Claude reports each connection that it is told to cut.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    try:
        checks = asyncio.run(run(folder, flags))
    except BaseException as error:
        print(f"soak: not done. The log is in {folder}.", file=sys.stderr)
        if isinstance(error, asyncio.CancelledError):
            sys.exit(1)
        raise
    rows = [[check.name, check.seen, check.bound, "ok" if check.holds else "FAILED"] for check in checks]
    print(to_text([["", "seen", "bound", ""], *rows], markdown=False))
    print(f"\n{machine()}")
    if not all(check.holds for check in checks):
        raise SystemExit(f"soak: something does not hold. The log is in {folder}.")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

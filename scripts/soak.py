"""Soaks a real `claude-proxy serve` in a mixed load, and says what of it is left behind.

    scripts/soak                  ten minutes, eight clients at once
    scripts/soak --seconds 60     less

Claude is the simulated one, in this process. The clients are the stock openai package, WebSockets and raw sockets; some
of them leave in the middle, some send what is refused, and Claude fails in all the ways that it has. After a fifth of
the time, and at the end, the load pauses and the process is looked at while nobody asks it for anything: what it has
open then may not have grown. Its log and its metrics must tell of each exchange once. All traffic stays on 127.0.0.1.

Everything that may fill memory on purpose is given little of it, so that it is full by the first look. Exit status 1
means that something does not hold; the log is kept then.
"""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bench import START_SECONDS, Endpoint, machine, to_text
from soak_checks import Check, Page, Rest, Seen, Tally, judge
from soak_load import clients

from addon.metrics import OPERATIONS
from addon.simulated_claude.server import RunningSimulation, SimulationSettings, start

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 0.2
"""The share of the time after which the process is looked at for the first time."""
MEMORY_GROWTH = 0.1
SETTLE_SECONDS = 30.0
CLAUDE_TIMEOUT = 5.0
"""Seconds: longer than a busy machine stands still, shorter than the patience of the clients."""
MOST_PAUSE = 0.1
"""Seconds that a client waits at most before it goes on."""
SMALL = str(1024 * 1024)


def environment_of(folder: Path, claude: str, workers: int) -> dict[str, str]:
    """Make the settings of the process, free of this shell's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "SOAK_TASKS": str(folder / "tasks"),
        "ANTHROPIC_BASE_URL": claude,
        "ANTHROPIC_API_KEY": "soak",
        "CLAUDE_PROXY_ALLOW_ANONYMOUS": "true",
        "CLAUDE_PROXY_TIMEOUT": str(CLAUDE_TIMEOUT),
        "CLAUDE_PROXY_MAX_RETRIES": "1",
        "CLAUDE_PROXY_KEEP_ALIVE_SECONDS": "1",
        "CLAUDE_PROXY_CACHE": "on",
        "CLAUDE_PROXY_EXPORTER": "false",
        "LOG_LEVEL": "INFO",
        "RATE_LIMIT_REQUESTS": "0",
        "CLAUDE_PROXY_TOKENS_PER_MINUTE": "1000000000",
        # Places that are not given back are soon missed.
        "CLAUDE_PROXY_CONCURRENT_REQUESTS": str(2 * workers),
        "CLAUDE_PROXY_TOTAL_CONCURRENT_REQUESTS": str(2 * workers),
        "CLAUDE_PROXY_CACHE_MAX_BYTES": SMALL,
        "CLAUDE_PROXY_THINKING_MEMORY_SIZE": SMALL,
        "CLAUDE_PROXY_STORE_MAX_BYTES": SMALL,
        "CLAUDE_PROXY_STORE_PATH": str(folder / "store.sqlite3"),
    }


class Soaked:
    """The process, as it is seen from outside."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, claude: RunningSimulation) -> None:
        self._endpoint = Endpoint("serve", "openai", 0, process)
        self._folder = folder
        self._claude = claude
        self.process = process
        self.tally = Tally()

    @property
    def port(self) -> int | None:
        """Where it listens, once it does."""
        found = re.search(r":(\d+)/v1", self.standard_error())
        return int(found[1]) if found else None

    def standard_error(self) -> str:
        """Read what it has said besides its log."""
        return (self._folder / "stderr").read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Read its log so far, whole lines only."""
        text = (self._folder / "log").read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    async def listens(self) -> None:
        """Wait until it takes requests."""
        async with asyncio.timeout(START_SECONDS):
            while self.port is None:
                if self.process.poll() is not None:
                    raise SystemExit(f"soak: the proxy ended: {self.standard_error()[-1000:]}")
                await asyncio.sleep(0.05)

    async def soak(self, workers: int, seconds: float) -> None:
        """Put it under load; afterwards all connections of the clients are closed."""
        async with clients(self.port or 0, self._claude.journal, self.tally) as load:
            await load.run(workers, seconds, MOST_PAUSE)

    async def page(self) -> Page:
        """Ask for its metrics."""
        async with clients(self.port or 0, self._claude.journal, self.tally) as load:
            return Page.parse((await load.http.get("/metrics")).text)

    async def rest(self) -> Rest:
        """Wait until nothing is in flight and nothing changes any more, for half a minute at most; look."""
        deadline, before = time.monotonic() + SETTLE_SECONDS, -1
        while (await self.page()).others_in_flight() and time.monotonic() < deadline:  # noqa: ASYNC110 - seen from outside
            await asyncio.sleep(0.5)
        self._close_connections_to_claude()
        while (descriptors := self._descriptors()) != before and time.monotonic() < deadline:
            before = descriptors
            await asyncio.sleep(0.5)
        return Rest(self._descriptors(), await self._tasks(), self._endpoint.mib())

    def _close_connections_to_claude(self) -> None:
        # The proxy keeps those that wait for their next call: as many as there were calls at once, by chance.
        server = self._claude.runner.server
        for connection in server.connections if server else ():
            connection.force_close()

    def _descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 - a count

    async def _tasks(self) -> Counter[str]:
        path = self._folder / "tasks"
        path.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(SETTLE_SECONDS):
            while not path.exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
        return Counter(json.loads(path.read_text()))

    async def logged(self) -> list[dict[str, Any]]:
        """Wait until the log has a line for each request, or for some seconds; read it."""
        deadline = time.monotonic() + 5
        while True:
            lines = self.lines()
            told = sum(1 for line in lines if line["event"] in ("exchange", "refused"))
            if told >= self.tally.requests or time.monotonic() > deadline:
                return lines
            await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def soaked(folder: Path, workers: int) -> AsyncIterator[Soaked]:
    """Start Claude and the proxy; end both."""
    settings = SimulationSettings(delay=0.02, event_interval=0.002, journal_size=2000)
    claude = await start(settings=settings)
    command = [sys.executable, str(ROOT / "scripts" / "soak_serve.py"), "serve", "--port", "0"]
    with (folder / "log").open("wb") as log, (folder / "stderr").open("wb") as standard_error:
        process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own file, and nothing else runs yet
            [*command, "--confdir", str(folder / "confdir")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=standard_error,
            env=environment_of(folder, claude.base_url, workers),
            cwd=folder,
        )
    try:
        found = Soaked(process, folder, claude)
        await found.listens()
        yield found
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, 20)
        process.kill()
        process.wait()
        await claude.close()


async def run(folder: Path, seconds: float, workers: int, memory_growth: float) -> list[Check]:
    """Soak, print what the load was, and return what was found."""
    async with soaked(folder, workers) as proxy:
        began = time.monotonic()
        await proxy.soak(workers, seconds * WARM_UP)
        warm = await proxy.rest()
        await proxy.soak(workers, seconds * (1 - WARM_UP))
        end = await proxy.rest()
        took = time.monotonic() - began
        page = await proxy.page()
        lines, tally = await proxy.logged(), proxy.tally
        seen = Seen(lines, proxy.standard_error(), tally, page, warm, end)
    outcomes = Counter(line["outcome"] for line in lines if line["event"] == "exchange")
    print(f"{tally.requests} requests of {workers} clients in {took:.0f} s:", _listed(outcomes))
    print("load:", _listed(tally.kinds), end="\n\n")
    for finding in [*tally.mistakes[:10], *(f"not ended at Claude: {prompt}" for prompt in tally.not_ended[:10])]:
        print(finding, file=sys.stderr)
    models = [endpoint.value for endpoint in OPERATIONS]
    return judge(seen, model_endpoints=models, memory_growth=memory_growth)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.most_common())


def main() -> None:
    """Read the flags, soak, print."""
    parser = argparse.ArgumentParser(
        description="Put claude-proxy under a mixed load, and see what is left behind.", allow_abbrev=False
    )
    parser.add_argument("--seconds", type=float, default=600, help="how long (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=8, help="clients at once (default: %(default)s)")
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
    # As for Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    checks = asyncio.run(run(folder, flags.seconds, flags.workers, flags.memory_growth))
    rows = [[check.name, check.seen, check.bound, "ok" if check.holds else "FAILED"] for check in checks]
    print(to_text([["", "seen", "bound", ""], *rows], markdown=False))
    print(f"\n{machine()}")
    if not all(check.holds for check in checks):
        raise SystemExit(f"soak: something does not hold. The log is in {folder}.")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

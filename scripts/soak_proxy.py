"""The proxy that scripts/soak.py puts under load, as it is seen from outside: its processes, its log, its metrics."""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
from bench_endpoints import Endpoint
from soak_apps import MODELS
from soak_checks import Page, Rest, Tally
from soak_kinds import KINDS
from soak_load import LIMITED_KEY, RELOADED_MODEL, Target, clients_of

from addon.simulated_claude.server import RunningSimulation, SimulationSettings, start

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180.0
SETTLE_SECONDS = 30.0
CLAUDE_TIMEOUT = 8.0
"""Seconds: longer than a busy machine stands still, shorter than the patience of the clients."""
MOST_PAUSE = 0.1
"""Seconds that a client waits at most before it goes on."""
SCRAPE_SECONDS = 2.0
SMALL = str(1024 * 1024)
PLACES_FOR_EACH = 4
"""How many requests each client has at once, at most."""


def environment_of(folder: Path, claude: str, workers: int) -> dict[str, str]:
    """Make the environment of the processes, free of this shell's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "SOAK_TASKS": str(folder / "tasks"),
        "ANTHROPIC_BASE_URL": claude,
        "ANTHROPIC_API_KEY": "soak",
        "CLAUDE_PROXY_CONFIG": str(folder / "config.json"),
        "CLAUDE_PROXY_WORKERS": str(workers),
        "CLAUDE_PROXY_ALLOW_ANONYMOUS": "true",
        "CLAUDE_PROXY_TIMEOUT": str(CLAUDE_TIMEOUT),
        "CLAUDE_PROXY_MAX_RETRIES": "1",
        "CLAUDE_PROXY_KEEP_ALIVE_SECONDS": "1",
        "CLAUDE_PROXY_CACHE": "on",
        "CLAUDE_PROXY_EXPORTER_PORT": "0",
        "LOG_LEVEL": "INFO",
        "RATE_LIMIT_REQUESTS": "0",
        "CLAUDE_PROXY_CACHE_MAX_BYTES": SMALL,
        "CLAUDE_PROXY_THINKING_MEMORY_SIZE": SMALL,
        "CLAUDE_PROXY_STORE_MAX_BYTES": SMALL,
        "CLAUDE_PROXY_STORE_PATH": str(folder / "store.sqlite3"),
    }


def settings_with(model: str, clients: int) -> dict[str, Any]:
    """Make the settings that change while the proxy runs; the limits change too, so that they are made anew."""
    # Places that are not given back are soon missed.
    places = PLACES_FOR_EACH * clients + MODELS.index(model)
    limited = hashlib.sha256(LIMITED_KEY.encode()).hexdigest()
    return {
        "claude": {"aliases": {RELOADED_MODEL: model}},
        "access": {"keys": [{"name": "limited", "sha256": limited, "requests_per_minute": 1, "burst_size": 1}]},
        "rate_limiting": {
            "tokens_per_minute": 1_000_000_000,
            "concurrent_requests": places,
            "total_concurrent_requests": places,
        },
    }


class Soaked:
    """The processes: the one that was started, its workers where they are several, and the exporter."""

    def __init__(
        self, process: subprocess.Popen[bytes], folder: Path, claude: RunningSimulation, *, workers: int, clients: int
    ) -> None:
        self._endpoint = Endpoint("serve", "openai", 0, process)
        self._folder = folder
        self._claude = claude
        self._workers = workers
        self._clients = clients
        self.process = process
        self.tally = Tally()

    def standard_error(self) -> str:
        """Read what they have said besides their log."""
        return (self._folder / "stderr").read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Read their log so far, whole lines only."""
        text = (self._folder / "log").read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def _address(self, pattern: str) -> str | None:
        found = re.search(pattern, self.standard_error())
        return found[1] if found else None

    async def listens(self) -> None:
        """Wait until it takes requests, and shows its metrics."""
        wanted = (r":(\d+)/v1", r"regular@(\d+) on ", r"metrics: (\S+)")
        async with asyncio.timeout(START_SECONDS):
            while not all(found := [self._address(pattern) for pattern in wanted]):
                if self.process.poll() is not None:
                    raise SystemExit(f"soak: the proxy ended: {self.standard_error()[-1000:]}")
                await asyncio.sleep(0.05)
        port, proxy_port, self._exporter = map(str, found)
        ca = self._folder / "confdir" / "mitmproxy-ca-cert.pem"
        self._target = Target(int(port), int(proxy_port), ca, self.reload)

    def reload(self, model: str) -> None:
        """Let RELOADED_MODEL mean another model."""
        write_settings(self._folder, settings_with(model, self._clients))
        self.process.send_signal(signal.SIGHUP)

    async def soak(self, seconds: float) -> None:
        """Put it under load; afterwards all connections of the clients are closed."""
        scraping = asyncio.create_task(self._scrape())
        async with clients_of(self._target, self._claude.journal, self.tally) as load:
            await load.run(KINDS, self._clients, seconds, MOST_PAUSE)
        scraping.cancel()
        await asyncio.wait([scraping])
        if not scraping.cancelled():
            scraping.result()

    # Its metrics.

    async def page(self) -> Page:
        """Ask for its metrics."""
        async with clients_of(self._target, self._claude.journal, self.tally) as load:
            return Page.parse((await load.http.get("/metrics")).text)

    async def exported_page(self) -> Page:
        """Ask the exporter for them."""
        async with httpx2.AsyncClient(trust_env=False, timeout=SETTLE_SECONDS) as http:
            return Page.parse((await http.get(self._exporter)).text)

    async def _scrape(self) -> None:
        """Ask the exporter as Prometheus does, for ever, and see that nothing falls that has been counted."""
        before: Mapping[str, float] = {}
        while True:
            counted = (await self.exported_page()).requests
            self.tally.scrapes += 1
            self.tally.fallen += [name for name, value in before.items() if counted.get(name, 0) < value]
            before = counted
            await asyncio.sleep(SCRAPE_SECONDS)

    # Its processes.

    async def rest(self) -> dict[str, Rest]:
        """Wait until nothing is in flight and nothing changes any more, for half a minute at most; look at each."""
        deadline, before = time.monotonic() + SETTLE_SECONDS, {}
        while (await self.page()).others_in_flight() and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
        self._close_connections_to_claude()
        while (descriptors := self._descriptors()) != before and time.monotonic() < deadline:
            before = descriptors
            await asyncio.sleep(0.5)
        tasks = await self._tasks()
        return {
            self._name(pid, tasks): Rest(number, tasks.get(pid, Counter()), _mib(pid))
            for pid, number in self._descriptors().items()
        }

    def _close_connections_to_claude(self) -> None:
        # The proxy keeps those that wait for their next call: as many as there were calls at once, by chance.
        server = self._claude.runner.server
        for connection in server.connections if server else ():
            connection.force_close()

    def _descriptors(self) -> dict[int, int]:
        return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in sorted(self._endpoint.pids())}  # noqa: PTH208 - a count

    def _name(self, pid: int, tasks: Mapping[int, object]) -> str:
        if pid == self.process.pid:
            return "serve"
        return f"worker {sorted(tasks).index(pid) + 1}" if pid in tasks else "exporter"

    async def _tasks(self) -> dict[int, Counter[str]]:
        """Have each process that serves count its tasks: the one that was started, or its workers."""
        pids = [self.process.pid]
        if self._workers > 1:
            pids = [pid for pid in self._endpoint.pids() if pid != self.process.pid and _catches(pid, signal.SIGUSR1)]
        folder = self._folder / "tasks"
        found: dict[int, Counter[str]] = {}
        for pid in pids:
            path = folder / str(pid)
            path.unlink(missing_ok=True)
            os.kill(pid, signal.SIGUSR1)
            async with asyncio.timeout(SETTLE_SECONDS):
                while not path.exists():
                    await asyncio.sleep(0.02)
            found[pid] = Counter(json.loads(path.read_text()))
        return found

    async def logged(self) -> list[dict[str, Any]]:
        """Wait until the log has a line for each request, or for some seconds; read it."""
        deadline = time.monotonic() + 5
        while True:
            lines = self.lines()
            told = sum(1 for line in lines if line["event"] in ("exchange", "refused"))
            if told >= self.tally.requests or time.monotonic() > deadline:
                return lines
            await asyncio.sleep(0.2)


def write_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Put settings in the place of those that are in force, at once."""
    part = folder / "config.part"
    part.write_text(json.dumps(settings))
    part.rename(folder / "config.json")


def _mib(pid: int) -> float:
    """Read the resident memory of a process, in MiB; what forks share counts in each."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _catches(pid: int, number: signal.Signals) -> bool:
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@contextlib.asynccontextmanager
async def soaked(folder: Path, *, workers: int, clients: int) -> AsyncIterator[Soaked]:
    """Start Claude and the proxy; end both."""
    settings = SimulationSettings(delay=0.02, event_interval=0.002, journal_size=2000)
    claude = await start(settings=settings)
    (folder / "tasks").mkdir()
    write_settings(folder, settings_with(MODELS[-1], clients))
    command = [sys.executable, str(ROOT / "scripts" / "soak_serve.py"), "serve", "--port", "0"]
    command += ["--mode", "standalone", "--mode", "regular@0", "--confdir", str(folder / "confdir")]
    with (folder / "log").open("wb") as log, (folder / "stderr").open("wb") as standard_error:
        process = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=standard_error,
            env=environment_of(folder, claude.base_url, workers),
            cwd=folder,
        )
    try:
        found = Soaked(process, folder, claude, workers=workers, clients=clients)
        await found.listens()
        yield found
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(process.wait, 20)
        process.kill()
        process.wait()
        await claude.close()

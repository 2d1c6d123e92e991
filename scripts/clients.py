"""Installs the foreign clients and runs their tests; scripts/clients sets it up.

An environment is made anew when its lock, the Python or the platform has changed; else nothing is asked of a registry.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.clients.catalogue import CLIENTS
from tests.clients.client_program import FOLDER, INSTALLED
from tests.clients.result_table import DOCUMENT, WAYS, render

INSTALL_SECONDS = 300
AT_ONCE = 3
"""Installing waits for the network more than for the processor; more would only slow a small machine down."""

LOCKS = {"requirements.txt": "Python", "package-lock.json": "Node"}


def main() -> int:
    """Install what is missing, run the tests of both ways in beside each other, and write or compare the tables."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--check"]
    locks = sorted(path for name in LOCKS for path in FOLDER.glob(f"*/{name}"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = [failure for failure in pool.map(install, locks) if failure]
    if failures:
        print(*failures, sep="\n", file=sys.stderr)
        return 1
    with ThreadPoolExecutor(len(WAYS)) as pool:
        runs = list(pool.map(lambda way: run_tests(way, arguments), WAYS))
    collected: dict[str, Any] = {}
    for _, by_client in runs:
        for client, by_way in by_client.items():
            collected[client] = collected.get(client, {}) | by_way
    missing = [
        f"{client.folder} by {way}"
        for client in CLIENTS
        for way in client.ways
        if way not in collected.get(client.folder, {})
    ]
    if failure := failure_of([status for status, _ in runs], missing, is_whole=not arguments):
        print(f"clients: {failure}", file=sys.stderr)
        return 1
    if missing:
        return 0
    text = DOCUMENT.read_text(encoding="utf-8")
    new = render(text, collected)
    if "--check" in sys.argv:
        if new != text:
            print(f"{DOCUMENT.name} is not up to date: run scripts/clients", file=sys.stderr)
        return int(new != text)
    DOCUMENT.write_text(new, encoding="utf-8")
    return 0


def failure_of(statuses: Sequence[int], missing: Sequence[str], *, is_whole: bool) -> str | None:
    """Say what is wrong with a run, by pytest's statuses and by the clients of which nothing was reported.

    A part of the tests may leave clients out, and a way in too; a run that was killed has a negative status.
    """
    told = [status for status in statuses if is_whole or status != pytest.ExitCode.NO_TESTS_COLLECTED]
    if not told or any(told):
        return f"pytest ended with {', '.join(str(int(status)) for status in statuses)}"
    if is_whole and missing:
        return f"nothing was reported of {', '.join(missing)}"
    return None


def run_tests(way: str, arguments: list[str]) -> tuple[int, dict[str, Any]]:
    """Run the tests of one way in, with a proxy of their own. Returns pytest's status, and what programs reported."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        selected = ["-m", f"clients(way='{way}')", "tests/clients", *arguments]
        finished = subprocess.run(
            [sys.executable, "-m", "pytest", *selected],
            cwd=ROOT,
            env=os.environ | {"CLAUDE_PROXY_CLIENT_RESULTS": str(results)},
            capture_output=True,
            text=True,
            check=False,
        )
        print(finished.stdout, finished.stderr, sep="", end="", flush=True)
        return finished.returncode, json.loads(results.read_text()) if results.exists() else {}


def install(lock: Path) -> str | None:
    """Install what one lock names, if that is not there. Returns what went wrong."""
    client = lock.parent.name
    target = INSTALLED / client
    stamp = target / "installed"
    wanted = hashlib.sha256(f"{sys.version} {platform.platform()}".encode() + lock.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return None
    began = time.monotonic()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for command in _python_commands(lock, target) if LOCKS[lock.name] == "Python" else _node_commands(lock, target):
        try:
            finished = subprocess.run(
                command, cwd=target, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
            )
        except subprocess.TimeoutExpired:
            return f"{client}: not installed within {INSTALL_SECONDS} seconds"
        if finished.returncode:
            return f"{client}: {finished.stdout}{finished.stderr}"
    stamp.write_text(wanted)
    print(f"clients: {client} installed in {time.monotonic() - began:.0f} s", flush=True)
    return None


def _python_commands(lock: Path, target: Path) -> list[list[str]]:
    uv = os.environ["UV"]
    python = str(target / "bin" / "python")
    # What the lock says and no more, and nothing is compiled: what has no wheel for this platform does not belong here.
    install = ["pip", "sync", "--quiet", "--only-binary=:all:", "--require-hashes", str(lock)]
    return [
        [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(target)],
        [uv, *install, "--python", python],
    ]


def _node_commands(lock: Path, target: Path) -> list[list[str]]:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(lock.with_name(name), target)
    return [["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]]


if __name__ == "__main__":
    sys.exit(main())

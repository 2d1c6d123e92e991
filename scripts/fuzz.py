"""Feeds hostile bytes to every parser and translator, and says what came of them.

    scripts/fuzz 100000                       so many cases in all, the same number for each target
    scripts/fuzz 5000 --target 'batch input'  for one target
    scripts/fuzz 5000 --target path --coverage
                                              chosen by coverage, with atheris, where it can be installed: the first
                                              finding ends the run
    scripts/fuzz 100 --requests               over HTTP: so many requests for each operation of docs/openapi.json, to
                                              a proxy with the simulated Claude

A case comes to a value or to an error that the code names. Anything else is a finding: another exception, CPU time or
output beyond the limits of tests/fuzz/targets.py, more memory than `MOST_MEMORY`. Each kind of finding is shown once,
with the case; the exit status is 1 then. A case that hangs ends the run with a traceback of where.
"""

import argparse
import collections
import faulthandler
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from hypothesis import HealthCheck, Phase, given, settings

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

HANGS_AFTER_SECONDS = 60
MOST_MEMORY = 4 * 1024**3
"""Address space of the run, in bytes: what wants more gets a MemoryError."""
ROUND = 1000
"""Cases between two fresh starts of Hypothesis, which remembers all that it drew."""


@dataclass
class Tally:
    """What came of one target's cases."""

    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    findings: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0


def main() -> int:
    """Run the cases; print a line for each target."""
    parser = argparse.ArgumentParser(description="Feed hostile bytes to every parser and translator.")
    parser.add_argument("cases", type=int, nargs="?", default=10_000, help="in all (default: %(default)s)")
    parser.add_argument("--target", help="name of one target; all where left out")
    parser.add_argument("--coverage", action="store_true", help="let atheris choose the cases by coverage")
    parser.add_argument("--requests", action="store_true", help="send requests to a proxy that is started for it")
    arguments = parser.parse_args()
    if arguments.requests:
        return _send_requests(arguments.cases)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    warnings.simplefilter("ignore")
    if arguments.coverage:
        import atheris  # noqa: PLC0415 - not one of the pinned packages

        with atheris.instrument_imports(include=["addon", "translators"]):
            from tests.fuzz import targets  # noqa: PLC0415
    else:
        from tests.fuzz import targets  # noqa: PLC0415 - the same after its instrumentation
    chosen = [target for target in targets.TARGETS if arguments.target in (None, target.name)]
    if not chosen:
        parser.error(f"the targets are: {', '.join(target.name for target in targets.TARGETS)}")
    if arguments.coverage:
        if len(chosen) > 1:
            parser.error("--coverage takes one --target, because atheris ends the process")
        _run_by_coverage(chosen[0].cases, lambda case: targets.outcome_of(chosen[0], case), arguments.cases)
    found = [_fuzz(target, targets.outcome_of, arguments.cases // len(chosen)) for target in chosen]
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
    return int(any(found))


def _send_requests(examples: int) -> int:
    """Start a proxy and ask it; the first answer that no client should get ends the run."""
    from tests.fuzz.described import ask_all  # noqa: PLC0415 - this way alone needs it

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "addon.cli", "serve", "--simulate", "--port", "0", "--no-exporter"]
        environment = {**os.environ, "CLAUDE_PROXY_STORE_PATH": f"{folder}/store.sqlite3", "LOG_LEVEL": "ERROR"}
        proxy = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE)  # noqa: S603 - ours
        try:
            assert proxy.stderr is not None  # noqa: S101 - for the type checker
            while (found := re.search(rb"http://[\d.]+:\d+(?=/v1)", line := proxy.stderr.readline())) is None:
                if not line:
                    sys.exit("the proxy does not start")
            statuses = ask_all(found[0].decode(), examples)
        finally:
            proxy.terminate()
            proxy.wait()
    print(
        f"{statuses.total()} requests: "
        + ", ".join(f"{count} with {status}" for status, count in sorted(statuses.items()))
    )
    return 0


def _fuzz(target: Any, outcome_of: Callable[[Any, Any], str], number: int) -> bool:
    """Run the cases of one target; say whether there was a finding."""
    tally = Tally()

    def judge(case: Any) -> None:
        faulthandler.dump_traceback_later(HANGS_AFTER_SECONDS, exit=True)
        started = time.thread_time()
        try:
            outcome = outcome_of(target, case)
        except Exception as error:  # noqa: BLE001 - what it is for
            outcome = "FINDING"
            tally.findings.setdefault(_kind_of(error), f"{case!r}"[:2000])
        tally.slowest = max(tally.slowest, time.thread_time() - started)
        tally.outcomes[outcome] += 1
        faulthandler.cancel_dump_traceback_later()

    started = time.monotonic()
    _run(target.cases, judge, number)
    _show(target.name, tally, time.monotonic() - started)
    return bool(tally.findings)


def _run(cases: Any, judge: Callable[[Any], None], number: int) -> None:
    for start in range(0, number, ROUND):
        chosen = settings(
            max_examples=min(ROUND, number - start),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        chosen(given(cases)(judge))()


def _run_by_coverage(cases: Any, judge: Callable[[Any], object], number: int) -> NoReturn:
    import atheris  # noqa: PLC0415 - as above

    test = settings(database=None, deadline=None)(given(cases)(judge))
    atheris.Setup(["fuzz", f"-atheris_runs={number}", "-max_len=8192"], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()
    sys.exit(0)


def _kind_of(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if f"{ROOT}/tests/" not in frame.filename]
    ours = [frame for frame in frames if frame.filename.startswith((f"{ROOT}/addon/", f"{ROOT}/translators/"))]
    where = f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno}" if ours else "tests/fuzz/targets.py"
    return f"{type(error).__name__} in {where}: {str(error)[:100]}"


def _show(name: str, tally: Tally, seconds: float) -> None:
    said = ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.most_common())
    print(f"{name}: {said}; slowest {tally.slowest * 1000:.0f} ms; {seconds:.0f} s", flush=True)
    for kind, case in tally.findings.items():
        print(f"  {kind}\n    {case}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

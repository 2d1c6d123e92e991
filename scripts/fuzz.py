"""Feeds hostile bytes to every parser and translator, and says what came of them.

    scripts/fuzz 100000                       so many cases in all, the same number for each target, at least one; of
                                              the one that takes a listening proxy a tenth
    scripts/fuzz 5000 --target 'batch input'  for one target
    scripts/fuzz 100000 --coverage            chosen by coverage, with atheris, where it can be installed: a process
                                              for each target, which its first finding ends
    scripts/fuzz 100 --requests               over HTTP: so many requests for each operation of docs/openapi.json, to
                                              a proxy with the simulated Claude

A case comes to a value or to an error that the code names. Anything else is a finding: another exception, CPU time or
output beyond the limits of tests/fuzz/target.py, more memory than `MOST_MEMORY`. Each kind of finding is shown once,
with the case; the exit status is 1 then. A case that hangs ends the run with a traceback of where.
"""

import argparse
import atexit
import collections
import faulthandler
import os
import random
import resource
import signal
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
"""Address space of the run on Linux, in bytes: what wants more gets a MemoryError."""
ROUND = 1000
"""Cases between two fresh starts of Hypothesis, which remembers all that it drew."""
_FIRST_INPUTS = 50
_MOST_BYTES = 8192
"""Of what a case is drawn from, where coverage chooses it."""


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
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--coverage", action="store_true", help="let atheris choose the cases by coverage")
    way.add_argument("--requests", action="store_true", help="send requests to a proxy that is started for it")
    arguments = parser.parse_args()
    if arguments.requests and arguments.target:
        parser.error("--requests has no targets")
    signal.signal(signal.SIGTERM, _end)
    if arguments.requests:
        return _send_requests(arguments.cases)
    if sys.platform == "linux":  # macOS refuses the limit
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    warnings.simplefilter("ignore")
    if arguments.coverage:
        import atheris  # noqa: PLC0415 - not one of the pinned packages

        with atheris.instrument_imports(include=["addon", "translators"]):
            from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - to be instrumented
    else:
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - the same after its instrumentation
    from tests.fuzz.target import outcome_of  # noqa: PLC0415 - it imports what is instrumented

    chosen = [target for target in TARGETS if arguments.target in (None, target.name)]
    if not chosen:
        parser.error(f"the targets are: {', '.join(target.name for target in TARGETS)}")
    if arguments.coverage:
        if len(chosen) > 1:
            here = [target.name for target in chosen if target.is_here]
            return _run_each_by_coverage(here, max(1, arguments.cases // len(here)))
        _run_by_coverage(chosen[0].cases, lambda case: outcome_of(chosen[0], case), arguments.cases)
    numbers = [max(1, arguments.cases // len(chosen) // target.cost) for target in chosen]
    found = [_fuzz(target, outcome_of, number) for target, number in zip(chosen, numbers, strict=True)]
    bytes_in_unit = 1024 if sys.platform == "linux" else 1
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_in_unit // 2**20} MiB")
    return int(any(found))


def _end(*_: object) -> NoReturn:
    """Stop what was started, and end. Hypothesis would take an exception for a finding, or lose it."""
    atexit._run_exitfuncs()  # noqa: SLF001 - what the end of the interpreter does
    os._exit(1)


def _send_requests(examples: int) -> int:
    """Start a proxy and ask it; the first answer that no client should get ends the run."""
    from tests.fuzz.described import ask_all  # noqa: PLC0415 - this way alone needs them
    from tests.fuzz.simulated_proxy import simulated_proxy  # noqa: PLC0415 - see above

    with simulated_proxy() as proxy:
        statuses = ask_all(f"http://127.0.0.1:{proxy.port}", examples)
        if said := proxy.complaints():
            print(said)
            return 1
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


def _run_each_by_coverage(names: list[str], number: int) -> int:
    """Run each target in a process of its own: atheris ends the one that it runs in."""
    failed = []
    for name in names:
        command = [sys.executable, __file__, str(number), "--target", name, "--coverage"]
        ended = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = ended.stdout.splitlines()
        reached = [line for line in lines if " cov: " in line]
        print(f"{name}: {' '.join(reached[-1].split()) if reached else ''}", flush=True)
        if ended.returncode:
            failed.append(name)
            print("\n".join(f"  {line}" for line in lines[-40:]), flush=True)
    return int(bool(failed))


def _run_by_coverage(cases: Any, judge: Callable[[Any], object], number: int) -> NoReturn:
    import atheris  # noqa: PLC0415 - as above

    def judge_and_show(case: Any) -> None:
        try:
            judge(case)
        except Exception:
            print(f"{case!r}"[:2000], flush=True)
            raise

    test = settings(database=None, deadline=None)(given(cases)(judge_and_show))
    with tempfile.TemporaryDirectory() as corpus:
        # A case is drawn from bytes: from a handful of them nothing can be drawn.
        for seed in range(_FIRST_INPUTS):
            (Path(corpus) / str(seed)).write_bytes(random.Random(seed).randbytes(_MOST_BYTES // 2))
        options = [f"-atheris_runs={number}", f"-max_len={_MOST_BYTES}", "-len_control=0"]
        options += [f"-timeout={HANGS_AFTER_SECONDS}", f"-artifact_prefix={corpus}/"]
        atheris.Setup(["fuzz", *options, corpus], test.hypothesis.fuzz_one_input)
        atheris.Fuzz()
    sys.exit(0)


def _kind_of(error: Exception) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if f"{ROOT}/tests/" not in frame.filename]
    ours = [frame for frame in frames if frame.filename.startswith((f"{ROOT}/addon/", f"{ROOT}/translators/"))]
    where = f"{Path(ours[-1].filename).relative_to(ROOT)}:{ours[-1].lineno}" if ours else "tests/fuzz"
    return f"{type(error).__name__} in {where}: {str(error)[:100]}"


def _show(name: str, tally: Tally, seconds: float) -> None:
    said = ", ".join(f"{count} {outcome}" for outcome, count in tally.outcomes.most_common())
    print(f"{name}: {said}; slowest {tally.slowest * 1000:.0f} ms; {seconds:.0f} s", flush=True)
    for kind, case in tally.findings.items():
        print(f"  {kind}\n    {case}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

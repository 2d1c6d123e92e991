"""One thing that the fuzzer feeds, and what may come of a case: a value, or the error that the code names for it.

Any other exception, more CPU time than `MOST_SECONDS`, or an output out of proportion to its input is a finding.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from translators.errors import OpenAIError

__all__ = ["MOST_SECONDS", "Run", "Target", "outcome_of", "size_of"]

MOST_SECONDS = 3.0
"""CPU time of one case. The slowest take some milliseconds."""

type Run = Callable[[Any], int]
"""Does what the proxy does with a case, and returns how many bytes came of it."""


@dataclass(frozen=True, repr=False)
class Target:
    """One thing that hostile bytes reach."""

    name: str
    cases: st.SearchStrategy[Any]
    run: Run
    named: tuple[type[Exception], ...] = (OpenAIError,)
    """The errors that may come."""
    from_claude: bool = False
    """Whether the bytes are Claude's: the client is told of them with a status of 5xx."""
    growth: int = 100
    """How many bytes may come of each byte that went in."""
    cost: int = 1
    """How many cases of another target one of these is worth, by its time."""
    is_here: bool = True
    """Whether the code runs in this process, where its coverage can be seen."""


def outcome_of(target: Target, case: Any) -> str:
    """Run one case; name what came of it: `value`, or the error.

    Raises:
        AssertionError: it took too long, or made too much.
        Exception: whatever the code does not name.
    """
    started = time.thread_time()
    made, status = 0, 0
    try:
        made = target.run(case)
        outcome = "value"
    except target.named as error:
        outcome = type(error).__name__
        if isinstance(error, OpenAIError):
            made, status = len(error.encode()), error.status
    spent = time.thread_time() - started
    assert status < 500 or target.from_claude, f"{status} for a mistake of the client"
    assert spent < MOST_SECONDS, f"{spent:.1f} s of CPU time"
    assert made <= 100_000 + target.growth * size_of(case), f"{made} bytes of {size_of(case)}"
    return outcome


def size_of(case: Any) -> int:
    """Count the bytes of a case, or of what came of one."""
    if isinstance(case, bytes | str):
        return len(case)
    if isinstance(case, Mapping):
        return sum(map(size_of, case.items()))
    return sum(map(size_of, case)) if isinstance(case, Iterable) else 1

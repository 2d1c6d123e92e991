"""What must hold after a soak: pure functions from what was seen to the rows of its table."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

MOST_ADDED_DESCRIPTORS = 2
"""A connection of the store may be open or not."""


@dataclasses.dataclass(frozen=True)
class Rest:
    """The process while nobody asks it for anything."""

    descriptors: int
    tasks: Mapping[str, int]
    """How many asyncio tasks have which name."""
    mib: float
    """Resident memory."""


@dataclasses.dataclass
class Tally:
    """What the clients did and saw."""

    requests: int = 0
    """How many were sent, messages of WebSockets and those that were not finished among them."""
    background: int = 0
    """Responses that were asked for in the background."""
    request_ids: list[str] = dataclasses.field(default_factory=list)
    """`x-request-id` of each answer that had a head."""
    kinds: Counter[str] = dataclasses.field(default_factory=Counter)
    mistakes: list[str] = dataclasses.field(default_factory=list)
    """Answers that were not what they should be."""
    ended_at_claude: list[float] = dataclasses.field(default_factory=list)
    """For each client that left during a call to Claude: how long Claude was still read from, in seconds."""
    not_ended: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Check:
    """A row of the table."""

    name: str
    seen: str
    bound: str
    holds: bool


@dataclasses.dataclass(frozen=True)
class Page:
    """/metrics, as far as it counts exchanges. The request for the page itself is in flight on it."""

    in_flight: Mapping[str, float]
    requests: Mapping[str, float]
    """By endpoint, as in the rows below."""
    durations: Mapping[str, float]
    model_durations: float

    @classmethod
    def parse(cls, text: str) -> "Page":
        """Add up the samples over all labels but the endpoint."""
        sums: defaultdict[tuple[str, str], float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                sums[sample.name, sample.labels.get("endpoint", "")] += sample.value

        def of(name: str) -> dict[str, float]:
            return {endpoint: value for (found, endpoint), value in sums.items() if found == name}

        return cls(
            of("claude_proxy_requests_in_flight"),
            of("claude_proxy_requests_total"),
            of("claude_proxy_request_duration_seconds_count"),
            sums["gen_ai_server_request_duration_seconds_count", ""],
        )

    def others_in_flight(self) -> int:
        """How many exchanges have not ended, besides the one that asked for this page."""
        return int(sum(self.in_flight.values())) - 1


@dataclasses.dataclass(frozen=True)
class Seen:
    """All that a soak is judged by."""

    lines: Sequence[Mapping[str, Any]]
    """The whole log, one mapping a line; the last exchange is the one that asked for `page`."""
    standard_error: str
    """What else the process said."""
    tally: Tally
    page: Page
    """/metrics at the end."""
    warm: Rest
    """After the warm-up."""
    end: Rest


def judge(seen: Seen, *, model_endpoints: Iterable[str], memory_growth: float) -> list[Check]:
    """Check a soak.

    Args:
        seen: what it left behind.
        model_endpoints: where an exchange that asked a model counts in `gen_ai_server_request_duration_seconds`.
        memory_growth: how much more memory may be resident at the end, as a share.
    """
    lines, tally, page, warm, end = seen.lines, seen.tally, seen.page, seen.warm, seen.end
    exchanges = [line for line in lines if line["event"] == "exchange"]
    refused = [line for line in lines if line["event"] == "refused"]
    logged = Counter(line["request_id"] for line in [*exchanges, *refused])
    endpoints = Counter(line["endpoint"] for line in exchanges) - Counter({"metrics": 1})
    models = sum(1 for line in exchanges if line["claude_model"] and line["endpoint"] in set(model_endpoints))
    background = sum(1 for line in lines if line["event"] == "background_response")
    errors = [line for line in lines if line["level"] in ("error", "critical")]
    tracebacks = seen.standard_error.count("Traceback") + sum(1 for line in lines if "exception" in line)
    twice = sum(1 for number in logged.values() if number > 1)
    unlogged = sum(1 for request_id in tally.request_ids if request_id not in logged)
    tasks, growth = sum(end.tasks.values()), end.mib / warm.mib - 1
    slowest = max(tally.ended_at_claude, default=0.0)
    left = len(tally.ended_at_claude) + len(tally.not_ended)
    return [
        Check("answers that were wrong", str(len(tally.mistakes)), "0", not tally.mistakes),
        Check("requests in flight", str(page.others_in_flight()), "0", page.others_in_flight() == 0),
        Check("asyncio tasks", _moved(warm.tasks, end.tasks), "as many", tasks <= sum(warm.tasks.values())),
        Check(
            "open descriptors",
            f"{warm.descriptors} -> {end.descriptors}",
            f"at most {MOST_ADDED_DESCRIPTORS} more",
            end.descriptors <= warm.descriptors + MOST_ADDED_DESCRIPTORS,
        ),
        Check(
            "resident memory, MiB",
            f"{warm.mib:.1f} -> {end.mib:.1f} ({growth:+.1%})",
            f"at most {memory_growth:.0%} more",
            growth <= memory_growth,
        ),
        Check(
            "exchange lines, refused lines",
            f"{len(exchanges)} + {len(refused)}",
            f"{tally.requests}, as requests",
            len(exchanges) + len(refused) == tally.requests,
        ),
        Check("request ids logged twice", str(twice), "0", not twice),
        Check("request ids of answers not in the log", str(unlogged), "0", not unlogged),
        _counted("claude_proxy_requests_total", page.requests, endpoints),
        _counted("claude_proxy_request_duration_seconds", page.durations, endpoints),
        Check(
            "gen_ai_server_request_duration_seconds",
            f"{page.model_durations:.0f}",
            f"{models}, as in the log",
            page.model_durations == models,
        ),
        Check("background_response lines", str(background), str(tally.background), background == tally.background),
        Check("log lines of level error", str(len(errors)), "0", not errors),
        Check("tracebacks", str(tracebacks), "0", not tracebacks),
        Check(
            "calls of clients who left, ended at Claude",
            f"{len(tally.ended_at_claude)}, the slowest after {slowest * 1000:.0f} ms",
            f"all {left}",
            not tally.not_ended and left > 0,
        ),
    ]


def _counted(name: str, observed: Mapping[str, float], logged: Mapping[str, int]) -> Check:
    # Endpoint by endpoint: two that are wrong could make up for each other.
    differ = {key for key in {*observed, *logged} if observed.get(key, 0) != logged.get(key, 0)}
    seen = f"{sum(observed.values()):.0f}" + (f", others of {', '.join(sorted(differ))}" if differ else "")
    return Check(name, seen, f"{sum(logged.values())}, as in the log", not differ)


def _moved(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    added = ", ".join(
        f"{name} {number - before.get(name, 0):+d}" for name, number in after.items() if number > before.get(name, 0)
    )
    return f"{sum(before.values())} -> {sum(after.values())}" + (f" ({added})" if added else "")

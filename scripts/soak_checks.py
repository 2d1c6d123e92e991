"""What must hold after a soak: pure functions from what was seen to the rows of its table."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

MOST_ADDED_DESCRIPTORS = 2
"""A connection of the store may be open or not."""


_KEPT_LABELS = {"claude_proxy_cache_requests_total": "outcome", "claude_proxy_refused_total": "reason"}


@dataclasses.dataclass(frozen=True)
class Rest:
    """A process while nobody asks it for anything."""

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
    batches: int = 0
    """Batches that were made."""
    given_again: int = 0
    """Answers that the cache had, or that were shared with a request under way."""
    limited: int = 0
    """Requests that a limit refused."""
    reloads: int = 0
    """How often other settings were put in force."""
    scrapes: int = 0
    """How often the exporter was asked."""
    fallen: list[str] = dataclasses.field(default_factory=list)
    """Endpoints whose count at the exporter was lower than before."""
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
    cached: Mapping[str, float]
    """Requests that the cache was asked for, by outcome."""
    limited: float
    """Requests that a limit refused."""

    @classmethod
    def parse(cls, text: str) -> "Page":
        """Add up the samples over all labels but one."""
        sums: defaultdict[tuple[str, str], float] = defaultdict(float)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                label = _KEPT_LABELS.get(sample.name, "endpoint")
                sums[sample.name, sample.labels.get(label, "")] += sample.value

        def of(name: str) -> dict[str, float]:
            return {value_of_label: value for (found, value_of_label), value in sums.items() if found == name}

        return cls(
            of("claude_proxy_requests_in_flight"),
            of("claude_proxy_requests_total"),
            of("claude_proxy_request_duration_seconds_count"),
            sums["gen_ai_server_request_duration_seconds_count", ""],
            of("claude_proxy_cache_requests_total"),
            sums["claude_proxy_refused_total", "rate"],
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
    """What else the processes said."""
    tally: Tally
    page: Page
    """/metrics at the end."""
    exported: Page
    """What the exporter showed just before."""
    warm: Mapping[str, Rest]
    """Each process after the warm-up."""
    end: Mapping[str, Rest]


def judge(seen: Seen, *, model_endpoints: Iterable[str], memory_growth: float) -> list[Check]:
    """Check a soak.

    Args:
        seen: what it left behind.
        model_endpoints: where an exchange that asked a model counts in `gen_ai_server_request_duration_seconds`.
        memory_growth: how much more memory may be resident at the end, as a share.
    """
    lines, tally, page = seen.lines, seen.tally, seen.page
    exchanges = [line for line in lines if line["event"] == "exchange"]
    events = Counter(line["event"] for line in lines)
    logged = Counter(line["request_id"] for line in lines if line["event"] in ("exchange", "refused"))
    endpoints = Counter(line["endpoint"] for line in exchanges) - Counter({"metrics": 1})
    models = sum(1 for line in exchanges if line["claude_model"] and line["endpoint"] in set(model_endpoints))
    cached = Counter(line["cache"] for line in exchanges if line.get("cache"))
    given_again = cached["hit"] + cached["shared"]
    reloads = sum(1 for line in lines if line["event"] == "settings_reloaded" and line["changed"])
    errors = [line for line in lines if line["level"] in ("error", "critical")]
    tracebacks = seen.standard_error.count("Traceback") + sum(1 for line in lines if "exception" in line)
    twice = sum(1 for number in logged.values() if number > 1)
    unlogged = sum(1 for request_id in tally.request_ids if request_id not in logged)
    slowest = max(tally.ended_at_claude, default=0.0)
    left = len(tally.ended_at_claude) + len(tally.not_ended)
    return [
        Check("answers that were wrong", str(len(tally.mistakes)), "0", not tally.mistakes),
        Check("requests in flight", str(page.others_in_flight()), "0", page.others_in_flight() == 0),
        *_processes(seen.warm, seen.end, memory_growth),
        Check(
            "exchange lines, refused lines",
            f"{events['exchange']} + {events['refused']}",
            f"{tally.requests}, as requests",
            events["exchange"] + events["refused"] == tally.requests,
        ),
        Check("request ids logged twice", str(twice), "0", not twice),
        Check("request ids of answers not in the log", str(unlogged), "0", not unlogged),
        _counted("claude_proxy_requests_total", page.requests, endpoints),
        _counted("claude_proxy_request_duration_seconds", page.durations, endpoints),
        _equal("gen_ai_server_request_duration_seconds", page.model_durations, models, "as in the log"),
        _counted("claude_proxy_cache_requests_total", page.cached, cached),
        _equal("answers given again", given_again, tally.given_again, "as their headers say", is_wanted=True),
        _equal("claude_proxy_refused_total, by a limit", page.limited, tally.limited, "as refused", is_wanted=True),
        _counted("claude_proxy_requests_total at the exporter", seen.exported.requests, endpoints),
        Check(
            "times that the exporter was asked, counts that fell",
            f"{tally.scrapes}, {len(tally.fallen)}",
            "some, 0",
            tally.scrapes > 0 and not tally.fallen,
        ),
        _equal("background_response lines", events["background_response"], tally.background, "as made", is_wanted=True),
        _equal("batch lines", events["batch"], tally.batches, "as made", is_wanted=True),
        _equal("settings_reloaded lines with a change", reloads, tally.reloads, "as changed", is_wanted=True),
        Check("log lines of level error", str(len(errors)), "0", not errors),
        Check("tracebacks", str(tracebacks), "0", not tracebacks),
        Check(
            "calls of clients who left, ended at Claude",
            f"{len(tally.ended_at_claude)}, the slowest after {slowest * 1000:.0f} ms",
            f"all {left}",
            not tally.not_ended and left > 0,
        ),
    ]


def _processes(warm: Mapping[str, Rest], end: Mapping[str, Rest], memory_growth: float) -> Iterator[Check]:
    """Check each process by itself: one that grows is not made up for by one that shrinks."""
    yield Check("processes", f"{len(warm)} -> {len(end)}", "the same", warm.keys() == end.keys())
    for name in sorted(warm.keys() & end.keys(), key=list(warm).index):
        before, after = warm[name], end[name]
        if before.tasks:
            tasks, bound = sum(after.tasks.values()), sum(before.tasks.values())
            yield Check(f"asyncio tasks, {name}", _moved(before.tasks, after.tasks), "as many", tasks <= bound)
        yield Check(
            f"open descriptors, {name}",
            f"{before.descriptors} -> {after.descriptors}",
            f"at most {MOST_ADDED_DESCRIPTORS} more",
            after.descriptors <= before.descriptors + MOST_ADDED_DESCRIPTORS,
        )
        growth = after.mib / before.mib - 1
        yield Check(
            f"resident memory, {name}, MiB",
            f"{before.mib:.1f} -> {after.mib:.1f} ({growth:+.1%})",
            f"at most {memory_growth:.0%} more",
            growth <= memory_growth,
        )


def _equal(name: str, seen: float, wanted: int, why: str, *, is_wanted: bool = False) -> Check:
    """Check a number; with `is_wanted` the load should have brought it about."""
    return Check(name, f"{seen:.0f}", f"{wanted}, {why}", seen == wanted and (wanted > 0 or not is_wanted))


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

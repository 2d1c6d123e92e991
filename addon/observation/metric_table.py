"""The table of all metrics: what is counted, under which labels, in which buckets.

The four `gen_ai_` names and their labels are those of Envoy AI Gateway (`internal/metrics/genai.go`), so that its
dashboards work: the OpenTelemetry conventions for generative AI, whose metrics are still in development, version
1.42.0.
"""

from dataclasses import dataclass
from typing import Literal

__all__ = ["METRICS", "Metric"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table. Buckets make it a histogram."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    shown: Literal["always", "of_one_process", "by_the_exporter"] = "always"
    """Not every metric can be added up over processes, and the number of processes is known to who adds up."""


_GEN_AI = (
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_original_model",
    "gen_ai_request_model",
    "gen_ai_response_model",
)
_TOKENS = tuple(4.0**power for power in range(14))
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 600)
"""Answers of a model may take longer than the convention's last bucket of 81.92 s."""
_FIRST_TOKEN = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 7.5, 10, 20, 40, 80)
_BETWEEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5)
_OVERHEAD = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
_LAG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

METRICS: tuple[Metric, ...] = (
    Metric(
        "histogram",
        "gen_ai_server_request_duration_seconds",
        "Time from a request's headers to the end of its answer; error_type is empty for success.",
        (*_GEN_AI, "error_type"),
        _SECONDS,
    ),
    Metric(
        "histogram",
        "gen_ai_client_token_usage",
        "Tokens of an answer; input holds cached_input and cache_creation_input.",
        (*_GEN_AI, "gen_ai_token_type"),
        _TOKENS,
    ),
    Metric(
        "histogram",
        "gen_ai_server_time_to_first_token_seconds",
        "Time from a request's headers to the first byte of its streamed answer.",
        _GEN_AI,
        _FIRST_TOKEN,
    ),
    Metric(
        "histogram",
        "gen_ai_server_time_per_output_token_seconds",
        "Mean time per output token after the first, of a whole streamed answer.",
        _GEN_AI,
        _BETWEEN,
    ),
    Metric(
        "counter",
        "claude_proxy_requests_total",
        "Exchanges that have ended.",
        ("endpoint", "mode", "stream", "status_class", "outcome"),
    ),
    Metric("gauge", "claude_proxy_requests_in_flight", "Exchanges that have not ended.", ("endpoint",)),
    Metric(
        "histogram",
        "claude_proxy_request_duration_seconds",
        "Time from a request's headers to the end of its answer.",
        ("endpoint",),
        _SECONDS,
    ),
    Metric(
        "histogram",
        "claude_proxy_time_per_chunk_seconds",
        "Mean time between two writes of a streamed answer.",
        ("endpoint",),
        _BETWEEN,
    ),
    Metric(
        "histogram",
        "claude_proxy_overhead_seconds",
        "The proxy's own share of the time to the first byte.",
        ("endpoint",),
        _OVERHEAD,
    ),
    Metric("counter", "claude_proxy_tokens_total", "Tokens by kind; the kinds do not overlap.", ("model", "kind")),
    Metric("counter", "claude_proxy_cost_dollars_total", "Cost by list prices, in US dollars.", ("model",)),
    Metric(
        "counter",
        "claude_proxy_upstream_responses_total",
        "Claude's answers to single attempts: the status, or timeout, unreachable, broken, error_event.",
        ("status",),
    ),
    Metric("counter", "claude_proxy_upstream_retries_total", "Calls to Claude that were made again."),
    Metric(
        "counter",
        "claude_proxy_client_disconnects_total",
        "Clients that left while they sent the request, while they waited, or during the answer.",
        ("phase",),
    ),
    Metric("counter", "claude_proxy_refused_total", "Requests refused by the proxy itself.", ("reason",)),
    Metric(
        "counter",
        "claude_proxy_fallbacks_total",
        "Answers by a model of claude.fallbacks, by the status of the failure that they replace.",
        ("model", "status"),
    ),
    Metric(
        "counter",
        "claude_proxy_translation_warnings_total",
        "Parameters that did not reach Claude as they were sent.",
        ("param", "action"),
    ),
    Metric(
        "counter",
        "claude_proxy_stream_events_unknown_total",
        "Events in Claude's streams that were skipped, because this version does not know their type.",
    ),
    Metric(
        "counter",
        "claude_proxy_cache_requests_total",
        "Requests that could be answered from the cache: hit, shared with one under way, miss.",
        ("outcome",),
    ),
    Metric(
        "histogram",
        "claude_proxy_event_loop_lag_seconds",
        "How late the event loop woke up, sampled once a second.",
        (),
        _LAG,
    ),
    Metric(
        "gauge",
        "claude_proxy_build_info",
        "1; the labels hold the versions.",
        ("version", "mitmproxy", "anthropic", "python"),
        shown="of_one_process",
    ),
    Metric("gauge", "claude_proxy_processes", "Processes that are alive.", shown="by_the_exporter"),
)
"""Every metric that the code makes. The documentation, the dashboard and the alerts are checked against it."""

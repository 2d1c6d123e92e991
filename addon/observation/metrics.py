"""What Prometheus sees of an exchange: one observation at its end, and single counts on the way.

Every label has a closed set of values: models are those of the catalog and of the operator's aliases, parameters those
of the tables of docs/compatibility.md, and nothing else that a client says ever becomes one.
"""

import asyncio
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    values,
)

from addon.observation.figures import Figures
from addon.observation.file_values import FileValue
from addon.observation.metric_table import METRICS, Metric
from addon.observation.metrics_folder import folder_in_use, hold_alive
from addon.routing import Endpoint
from translators.backends import ANTHROPIC, BACKENDS
from translators.chat_completions.parameters import PARAMETERS as CHAT_COMPLETIONS_PARAMETERS
from translators.completions.parameters import PARAMETERS as COMPLETIONS_PARAMETERS
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.responses.parameters import PARAMETERS as RESPONSES_PARAMETERS

__all__ = ["OPERATIONS", "OTHER", "Ending", "Metrics", "Outcome", "Phase", "RefusalReason", "refusal_reason"]

OTHER = "other"
"""The label of what has no name of its own."""

type RefusalReason = Literal["auth", "draining", "host", "not_found", "rate", "request", "size", "store"]
type Phase = Literal["request", "waiting", "answering"]
type Outcome = Literal["ok", "client_error", "upstream_error", "client_left", "cut", "internal_error", "unanswered"]
"""How an exchange ended: `client_left` is nobody's failure, `cut` is the proxy's end, `upstream_error` also what Claude
has against the key for it: 401, 403, 429."""


OPERATIONS: Mapping[Endpoint, str] = MappingProxyType(
    {
        Endpoint.CHAT_COMPLETIONS: "chat",
        Endpoint.COMPLETIONS: "text_completion",
        Endpoint.RESPONSES: "chat",
        Endpoint.RESPONSES_COMPACT: "chat",
        Endpoint.ANTHROPIC: "chat",
    }
)
"""`gen_ai.operation.name` of the endpoints at which a model answers."""

_PARAMETERS = frozenset({*CHAT_COMPLETIONS_PARAMETERS, *COMPLETIONS_PARAMETERS, *RESPONSES_PARAMETERS})
_REASONS_BY_CODE: Mapping[str | None, RefusalReason] = MappingProxyType(
    {
        "request_too_large": "size",
        "shutting_down": "draining",
        "store_unavailable": "store",
        "headers_too_large": "size",
        "host_not_allowed": "host",
        "image_too_large": "size",
        "limits_unavailable": "rate",
    }
)
_REASONS_BY_STATUS: Mapping[int, RefusalReason] = MappingProxyType(
    {401: "auth", 403: "auth", 407: "auth", 404: "not_found", 405: "not_found", 413: "size", 429: "rate"}
)
_LAG_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How an exchange ended. Times are in seconds."""

    endpoint: Endpoint
    mode: str
    outcome: Outcome
    status: int | None
    started: float
    ended: float
    overhead: float | None
    has_body: bool
    """Whether the request had come whole."""


class Metrics:
    """Counts in memory, or in the folder that the environment names."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # it has no annotations
        self.folder = folder_in_use()
        if self.folder is not None:
            hold_alive(self.folder)
        # Every metric that is made from now on asks for it: the package has decided at its import, with its own class.
        values.ValueClass = FileValue if self.folder else values.MutexValue
        self._registry = CollectorRegistry()
        shown = {"always"} if self.folder else {"always", "of_one_process"}
        self._metrics: dict[str, Any] = {metric.name: self._make(metric) for metric in METRICS if metric.shown in shown}
        self._children: dict[tuple[str, ...], Any] = {}
        # Where they are few, all are there from the start: Prometheus does not see the first step of one that begins.
        for reason in get_args(RefusalReason.__value__):
            self._child("claude_proxy_refused_total", reason)
        for phase in get_args(Phase.__value__):
            self._child("claude_proxy_client_disconnects_total", phase)
        if self.folder is None:
            ProcessCollector(registry=self._registry)
            self._child("claude_proxy_build_info", *_versions()).set(1)

    def _make(self, metric: Metric) -> Counter | Gauge | Histogram:
        match metric.kind:
            case "counter":
                return Counter(metric.name, metric.help, metric.labels, registry=self._registry)
            case "gauge":
                return Gauge(
                    metric.name, metric.help, metric.labels, registry=self._registry, multiprocess_mode="livesum"
                )
            case "histogram":
                return Histogram(
                    metric.name, metric.help, metric.labels, registry=self._registry, buckets=metric.buckets
                )

    @property
    def registry(self) -> CollectorRegistry:
        """What this process has counted."""
        return self._registry

    def encode(self) -> bytes:
        """Encode all metrics for Prometheus: of all processes that count in the same folder, if there is one."""
        if self.folder is None:
            return generate_latest(self._registry)
        from addon.observation.exporter import folder_registry  # noqa: PLC0415 - the exporter alone needs it otherwise

        return generate_latest(folder_registry(self.folder))

    # What is observed on the way.

    def observe_start(self, endpoint: Endpoint) -> None:
        """Count an exchange as in flight, until `observe_end`."""
        self._child("claude_proxy_requests_in_flight", endpoint.value).inc()

    def observe_upstream(self, status: str) -> None:
        """Count what came of one try: an HTTP status, or a word for what took its place."""
        self._child("claude_proxy_upstream_responses_total", status).inc()

    def observe_retry(self) -> None:
        """Count a call that is made again."""
        self._metrics["claude_proxy_upstream_retries_total"].inc()

    def observe_unknown_event(self) -> None:
        """Count an event of Claude's that is passed over because its type is not known."""
        self._metrics["claude_proxy_stream_events_unknown_total"].inc()

    def observe_fallback(self, model: str, status: int) -> None:
        """Count an answer of another model than the one that was asked first, and failed with this status."""
        self._child("claude_proxy_fallbacks_total", model, str(status)).inc()

    def observe_refusal(self, reason: RefusalReason) -> None:
        """Count a request that is not answered."""
        self._child("claude_proxy_refused_total", reason).inc()

    # The end of an exchange.

    def observe_end(self, ending: Ending, figures: Figures, catalog: ModelCatalog) -> None:
        """Observe all that an exchange is judged by."""
        endpoint, outcome = ending.endpoint.value, ending.outcome
        duration = ending.ended - ending.started
        status_class = f"{ending.status // 100}xx" if ending.status else "none"
        child = self._child
        child("claude_proxy_requests_in_flight", endpoint).dec()
        stream = "true" if figures.stream else "false"
        child("claude_proxy_requests_total", endpoint, ending.mode, stream, status_class, outcome).inc()
        child("claude_proxy_request_duration_seconds", endpoint).observe(duration)
        if ending.overhead is not None:
            child("claude_proxy_overhead_seconds", endpoint).observe(ending.overhead)
        if figures.writes > 1 and figures.first_byte is not None:
            mean = (ending.ended - figures.first_byte) / (figures.writes - 1)
            child("claude_proxy_time_per_chunk_seconds", endpoint).observe(mean)
        if outcome == "client_left":
            phase: Phase = "request" if not ending.has_body else "waiting" if ending.status is None else "answering"
            child("claude_proxy_client_disconnects_total", phase).inc()
        if figures.cache is not None:
            child("claude_proxy_cache_requests_total", figures.cache).inc()
        for warning in figures.warnings:
            child("claude_proxy_translation_warnings_total", _parameter(warning.param), warning.action).inc()
        if figures.claude_model is not None and (operation := OPERATIONS.get(ending.endpoint)):
            self._observe_model(ending, figures, catalog, operation)

    def _observe_model(self, ending: Ending, figures: Figures, catalog: ModelCatalog, operation: str) -> None:
        asked = _claude_model(figures.claude_model, catalog)
        answered = _claude_model(figures.response_model or figures.claude_model, catalog)
        labels = operation, _provider(figures), _original_model(figures.model, catalog), asked, answered
        child = self._child
        error = "" if ending.outcome == "ok" else ending.outcome
        child("gen_ai_server_request_duration_seconds", *labels, error).observe(ending.ended - ending.started)
        if figures.stream and figures.first_byte is not None and ending.outcome == "ok":
            first = figures.first_byte
            child("gen_ai_server_time_to_first_token_seconds", *labels).observe(first - ending.started)
            if figures.output_tokens > 1:
                mean = (ending.ended - first) / (figures.output_tokens - 1)
                child("gen_ai_server_time_per_output_token_seconds", *labels).observe(mean)
        self._observe_tokens(figures, asked, labels)

    def observe_apart(self, figures: Figures, catalog: ModelCatalog, endpoint: Endpoint = Endpoint.RESPONSES) -> None:
        """Observe the tokens of an answer that was made apart from any exchange: in the background, or in a batch."""
        asked = _claude_model(figures.claude_model, catalog)
        answered = _claude_model(figures.response_model or figures.claude_model, catalog)
        provider = _provider(figures)
        labels = OPERATIONS[endpoint], provider, _original_model(figures.model, catalog), asked, answered
        self._observe_tokens(figures, asked, labels)

    def _observe_tokens(self, figures: Figures, model: str, labels: tuple[str, ...]) -> None:
        if figures.cache in ("hit", "shared") or not (figures.input_tokens or figures.output_tokens):
            return
        child = self._child
        cached, written = figures.cached_tokens, figures.cache_write_tokens
        child("gen_ai_client_token_usage", *labels, "input").observe(figures.input_tokens)
        child("gen_ai_client_token_usage", *labels, "output").observe(figures.output_tokens)
        child("claude_proxy_tokens_total", model, "input").inc(max(0, figures.input_tokens - cached - written))
        child("claude_proxy_tokens_total", model, "output").inc(figures.output_tokens)
        if cached:
            child("gen_ai_client_token_usage", *labels, "cached_input").observe(cached)
            child("claude_proxy_tokens_total", model, "cache_read").inc(cached)
        if written:
            child("gen_ai_client_token_usage", *labels, "cache_creation_input").observe(written)
            child("claude_proxy_tokens_total", model, "cache_write").inc(written)
        if figures.cost:
            child("claude_proxy_cost_dollars_total", model).inc(figures.cost)

    def _child(self, name: str, *labels: str) -> Any:
        # `labels()` of the package takes a lock and copies each time; labels are bounded, so this is too.
        key = name, *labels
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._metrics[name].labels(*labels)
        return child

    def watch_event_loop(self) -> "LoopWatch":
        """Begin to observe how late the running event loop is, until the watch is stopped."""
        return LoopWatch(self._metrics["claude_proxy_event_loop_lag_seconds"])


class LoopWatch:
    """Wakes once a second, and observes by how much too late."""

    def __init__(self, lag: Histogram) -> None:
        self._lag = lag
        self._loop = asyncio.get_running_loop()
        self._plan()

    def _plan(self) -> None:
        self._due = self._loop.time() + _LAG_SECONDS
        self._timer = self._loop.call_at(self._due, self._wake)

    def _wake(self) -> None:
        self._lag.observe(max(0.0, self._loop.time() - self._due))
        self._plan()

    async def stop(self) -> None:
        """End the watch."""
        self._timer.cancel()


def refusal_reason(error: OpenAIError) -> RefusalReason | None:
    """Say why the proxy itself refused a request; None if the error is no refusal, but a failure."""
    reason = _REASONS_BY_CODE.get(error.code) or _REASONS_BY_STATUS.get(error.status)
    return reason or ("request" if error.status < 500 else None)


def _provider(figures: Figures) -> str:
    return BACKENDS[figures.backend or ANTHROPIC].provider


def _claude_model(name: str | None, catalog: ModelCatalog) -> str:
    claude_id = catalog.claude_id(name or "")
    return claude_id if claude_id in catalog.models else OTHER


def _original_model(name: str | None, catalog: ModelCatalog) -> str:
    """Name the model as the client did, where it is Claude's or the operator's; for a pattern of aliases, that."""
    if name is None:
        return OTHER
    if name in catalog.models or name in catalog.aliases:
        return name
    return next((pattern for pattern in catalog.aliases if fnmatchcase(name, pattern)), OTHER)


def _parameter(name: str) -> str:
    """Name the row of the tables of parameters, or the nearest one above it: `messages` for `messages.name`."""
    while name not in _PARAMETERS:
        name, dot, _ = name.rpartition(".")
        if not dot:
            return OTHER
    return name


def _versions() -> tuple[str, ...]:
    packages = "claude-proxy", "mitmproxy", "anthropic"
    return (*map(importlib.metadata.version, packages), platform.python_version())

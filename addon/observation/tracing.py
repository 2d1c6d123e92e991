"""Traces for OpenTelemetry: a server span for each exchange, a client span below it for each call to Claude.

Spans are made when an exchange ends, from the times that it has noted anyway: nothing is carried along while it runs.
Nothing of what was said is in them. Where they go is said by OpenTelemetry's own variables
(`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, ...); the provider is ours alone, so that
no other package in the process begins to trace. OpenTelemetry takes a third of a second to import, for those who trace.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from addon.observation.figures import Figures
from addon.observation.metrics import OPERATIONS, Ending
from addon.observation.redaction import redact_text
from translators.backends import ANTHROPIC, BACKENDS

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


__all__ = ["GEN_AI_SCHEMA", "SPAN_ATTRIBUTES", "Request", "Tracing", "open_tracing"]

GEN_AI_SCHEMA = "https://opentelemetry.io/schemas/gen-ai/1.42.0"
"""The version of the conventions for generative AI that the names below are of. They are still in development."""

SPAN_ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "gen_ai.operation.name": "`chat` or `text_completion`, where a model is asked",
        "gen_ai.provider.name": "`anthropic`, `aws.bedrock` or `gcp.vertex_ai`",
        "gen_ai.request.model": "the model that Claude was asked for",
        "gen_ai.request.stream": "whether the client asked for a stream",
        "gen_ai.response.model": "the model as Claude's answer names it",
        "gen_ai.usage.input_tokens": "all input tokens, those of the cache among them",
        "gen_ai.usage.output_tokens": "output tokens",
        "gen_ai.usage.cache_read.input_tokens": "input tokens read from the cache",
        "gen_ai.usage.cache_creation.input_tokens": "input tokens written to it",
        "gen_ai.response.time_to_first_chunk": "seconds to the first byte of a streamed answer",
        "http.request.method": "the method",
        "http.response.status_code": "the status that went to the client",
        "error.type": "how it failed: the outcome of the log line; of a call, the code of its error",
        "claude_proxy.endpoint": "as in the log line",
        "claude_proxy.mode": "as in the log line",
        "claude_proxy.request_id": "as in the log line",
        "claude_proxy.claude_request_id": "as in the log line",
        "claude_proxy.retries": "calls that were made again",
    }
)
"""Every attribute of a span. The documentation is checked against it."""

_NO_ERRORS = frozenset({"ok", "client_error", "client_left"})
_INHERITED = ("traceparent", "tracestate")
_CLIENT_ATTRIBUTES = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")


@dataclass(frozen=True, slots=True)
class Request:
    """What a span says of the request. `headers` hold the client's trace context, if it has one."""

    method: str
    headers: Mapping[str, str]
    request_id: str


class Tracing:
    """Makes the spans of exchanges.

    Args:
        provider: where they go.
    """

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("claude-proxy", schema_url=GEN_AI_SCHEMA)
        self._propagator = TraceContextTextMapPropagator()
        self._trace = trace

    def record(self, request: Request, ending: Ending, figures: Figures) -> str | None:
        """Make the spans of an exchange that has ended; return the id of its trace, None where it is not sampled."""
        trace = self._trace
        # The exchange's times are of a clock without a date.
        epoch = time.time_ns() - time.perf_counter_ns()
        carrier = {name: value for name in _INHERITED if (value := request.headers.get(name)) is not None}
        attributes = _attributes(request, ending, figures)
        server = self._tracer.start_span(
            _name(attributes, f"{request.method} {ending.endpoint.value}"),
            self._propagator.extract(carrier),
            trace.SpanKind.SERVER,
            attributes,
            start_time=epoch + _nanoseconds(ending.started),
        )
        if not server.is_recording():
            return None
        # What the client did is no error of a server's span (OpenTelemetry, HTTP spans).
        if ending.outcome not in _NO_ERRORS:
            server.set_status(trace.StatusCode.ERROR)
        below = trace.set_span_in_context(server)
        shared = {name: attributes[name] for name in _CLIENT_ATTRIBUTES if name in attributes}
        for call in figures.calls:
            asked = {**shared, "error.type": call.error} if call.error else shared
            client = self._tracer.start_span(
                _name(shared, "claude"),
                below,
                trace.SpanKind.CLIENT,
                asked,
                start_time=epoch + _nanoseconds(call.started),
            )
            if call.error:
                client.set_status(trace.StatusCode.ERROR)
            client.end(epoch + _nanoseconds(call.ended))
        server.end(epoch + _nanoseconds(ending.ended))
        trace_id: str = trace.format_trace_id(server.get_span_context().trace_id)
        return trace_id

    async def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        await asyncio.to_thread(self._provider.shutdown)


def open_tracing() -> Tracing:
    """Begin to trace to where OpenTelemetry's variables say, by OTLP over HTTP. Needs the extra `otel`."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create()
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "claude-proxy"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _attributes(request: Request, ending: Ending, figures: Figures) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool | None] = {
        "http.request.method": request.method,
        "http.response.status_code": ending.status,
        "error.type": None if ending.outcome == "ok" else ending.outcome,
        "claude_proxy.endpoint": ending.endpoint.value,
        "claude_proxy.mode": ending.mode,
        "claude_proxy.request_id": request.request_id,
        "claude_proxy.claude_request_id": figures.claude_request_id,
    }
    operation = OPERATIONS.get(ending.endpoint)
    if operation is not None and figures.claude_model is not None:
        is_streamed = figures.stream and figures.first_byte is not None
        found |= {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": BACKENDS[figures.backend or ANTHROPIC].provider,
            "gen_ai.request.model": figures.claude_model,
            "gen_ai.request.stream": figures.stream,
            "gen_ai.response.model": figures.response_model,
            "gen_ai.usage.input_tokens": figures.input_tokens,
            "gen_ai.usage.output_tokens": figures.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": figures.cached_tokens,
            "gen_ai.usage.cache_creation.input_tokens": figures.cache_write_tokens,
            "gen_ai.response.time_to_first_chunk": (
                figures.first_byte - ending.started if is_streamed and figures.first_byte else None
            ),
            "claude_proxy.retries": figures.retries,
        }
    return {
        name: redact_text(value) if isinstance(value, str) else value
        for name, value in found.items()
        if value is not None
    }


def _name(attributes: Mapping[str, str | int | float | bool], otherwise: str) -> str:
    operation, model = attributes.get("gen_ai.operation.name"), attributes.get("gen_ai.request.model")
    return f"{operation} {model}" if operation and model else otherwise


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)

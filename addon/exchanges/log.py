"""The line that the log has of an exchange, once it has ended, and the trace that the line names."""

import structlog

from addon.claude.failure_cause import cause_of
from addon.exchanges.exchange import Exchange
from addon.observation.content_logging import content_fields
from addon.observation.metrics import Ending
from addon.observation.tracing import Request
from addon.routing import Endpoint
from translators.errors import OpenAIError

__all__ = ["log_exchange"]

_PROBES = frozenset({Endpoint.HEALTH, Endpoint.READY})
"""Asked every few seconds: the log has them at DEBUG, while all is well."""

log = structlog.get_logger(__name__)


def log_exchange(exchange: Exchange, ending: Ending, error: OpenAIError | None) -> None:
    """Say what came of an exchange. `error` is what its client was told, if it was told of one."""
    figures = exchange.figures
    is_quiet = ending.endpoint in _PROBES and ending.outcome == "ok"
    write = log.debug if is_quiet else log.info
    write(
        "exchange",
        request_id=exchange.request_id,
        claude_request_id=figures.claude_request_id,
        endpoint=ending.endpoint.value,
        mode=ending.mode,
        key=exchange.client.name,
        outcome=ending.outcome,
        status=ending.status,
        code=error.code if error else None,
        cause=cause_of(error),
        stream=figures.stream,
        model=figures.model,
        claude_model=figures.claude_model,
        backend=figures.backend,
        fallback=figures.fallback,
        input_tokens=figures.input_tokens,
        cached_tokens=figures.cached_tokens,
        output_tokens=figures.output_tokens,
        time_to_first_token=_seconds(exchange.started, figures.first_byte),
        duration=_seconds(exchange.started, ending.ended),
        overhead=ending.overhead,
        retries=figures.retries,
        cache=figures.cache,
        warnings=[f"{warning.param}={warning.action}" for warning in figures.warnings],
        **_trace(exchange, ending),
        **_content(exchange),
    )


def _trace(exchange: Exchange, ending: Ending) -> dict[str, str]:
    tracing = exchange.gateway.tracing
    if tracing is None:
        return {}
    request = Request(exchange.flow.request.method, exchange.headers, exchange.request_id)
    trace_id = tracing.record(request, ending, exchange.figures)
    return {"trace_id": trace_id} if trace_id else {}


def _content(exchange: Exchange) -> dict[str, str]:
    how, figures = exchange.gateway.settings.logging.content, exchange.figures
    if how == "off" or figures.claude_model is None:
        return {}
    try:
        prompt = exchange.decoded_body()
    except OpenAIError:
        prompt = exchange.body
    return content_fields(how, prompt, figures.answers)


def _seconds(start: float, end: float | None) -> float | None:
    return None if end is None else round(end - start, 6)

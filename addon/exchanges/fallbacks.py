"""Another model or backend, where Claude fails in a way that passes and nothing has reached the client yet."""

from collections.abc import Awaitable, Callable

import structlog

from addon.claude.error_frames import let_frames_go
from addon.claude.failed_try import is_passing
from addon.claude.failure_cause import cause_of
from addon.exchanges.exchange import Exchange
from translators.errors import OpenAIError

__all__ = ["answer_with_fallbacks"]

log = structlog.get_logger(__name__)


async def answer_with_fallbacks(exchange: Exchange, answer: Callable[[], Awaitable[None]]) -> None:
    """Answer, and again with each model of `claude.fallbacks` until one is not overloaded, silent or out of reach.

    Args:
        exchange: whose catalog says which model answers.
        answer: translates the request anew, because models and backends take different ones.

    Raises:
        OpenAIError: the failure of the model that was asked first, if all fail; any other failure at once.
    """
    try:
        await answer()
    except OpenAIError as error:
        if not _may_try_another(exchange, error):
            raise
        let_frames_go(error)  # this one has a name for it from now on
        first = error
    else:
        return
    asked_first = exchange.figures.claude_model
    for model in exchange.gateway.settings.claude.fallbacks:
        if model == asked_first:
            continue
        _log("fallback", exchange, first, model)
        exchange.fall_back(model)
        try:
            await answer()
        except OpenAIError as error:
            # What the fallback cannot do was no mistake of the client's: its own model may do it.
            if exchange.has_begun:
                raise
            _log("fallback_failed", exchange, error, model)
            let_frames_go(error)
        else:
            exchange.gateway.metrics.observe_fallback(model, first.status)
            return
    exchange.fall_back(None)
    exchange.figures.claude_model = asked_first
    raise first


def _log(event: str, exchange: Exchange, error: OpenAIError, model: str) -> None:
    log.warning(
        event,
        request_id=exchange.request_id,
        status=error.status,
        code=error.code,
        cause=cause_of(error),
        model=model,
    )


def _may_try_another(exchange: Exchange, error: OpenAIError) -> bool:
    return is_passing(error) and not exchange.has_begun

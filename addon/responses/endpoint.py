"""POST /v1/responses: one request to Claude, its events translated and sent on as they come, the answer kept."""

import time
from collections.abc import Callable, Iterable

from addon.exchanges.exchange import Exchange
from addon.exchanges.fallbacks import answer_with_fallbacks
from addon.responses.background import start_in_background
from addon.responses.making import make_response
from addon.responses.request import PreparedResponse, encode_events, prepare_response
from translators.errors import OpenAIError
from translators.responses.response import encode_response
from translators.responses.response_events import ResponseEvent
from translators.translation_warning import TranslationWarning

__all__ = ["answer_response", "drive_response", "stream_response"]

_NOT_STORED = TranslationWarning("store", "ignored", "the response could not be stored")


async def answer_response(exchange: Exchange) -> None:
    """Answer one request: as a stream of events, whole, or with the promise of a response that is being made.

    Raises:
        OpenAIError: the request's mistake, or Claude's refusal before its first event.
    """
    await answer_with_fallbacks(exchange, lambda: _answer(exchange))


async def _answer(exchange: Exchange) -> None:
    prepared = await prepare_response(exchange, exchange.decoded_body())
    plan = prepared.request.plan
    if plan.background:
        await start_in_background(exchange, prepared)
    elif plan.stream:
        await stream_response(exchange, prepared)
    else:
        await drive_response(exchange, prepared)
        if not await prepared.keep(prepared.stream.response):
            exchange.figures.warnings = (*exchange.figures.warnings, _NOT_STORED)
        await exchange.respond(encode_response(prepared.stream.response))


async def drive_response(exchange: Exchange, prepared: PreparedResponse) -> None:
    """Have Claude's whole answer translated; `prepared.stream.response` has it then.

    Raises:
        OpenAIError: there is no whole answer.
    """

    async def drop(_events: list[ResponseEvent]) -> None:
        """Pass over them: the last one has it all."""

    await make_response(exchange, prepared, drop)
    prepared.stream.finish(int(time.time()))


async def stream_response(
    exchange: Exchange,
    prepared: PreparedResponse,
    encode: Callable[[Iterable[ResponseEvent]], bytes] = encode_events,
) -> None:
    """Send the events of the answer as they come, written by `encode`.

    Raises:
        OpenAIError: there is no whole answer; `exchange.encode_failure` tells the client, if it was told of any.
    """
    stream = prepared.stream
    exchange.encode_failure = lambda error: encode(stream.fail(error))

    async def send(events: list[ResponseEvent]) -> None:
        await exchange.write(encode(events))

    try:
        await make_response(exchange, prepared, send)
        ending = stream.finish(int(time.time()))
    except OpenAIError as error:
        if stream.started:
            failure = encode(stream.fail(error))
            exchange.encode_failure = lambda _: failure
            await prepared.keep(stream.response)
        raise
    await prepared.keep(stream.response)
    await send(ending)
    await exchange.end_stream()

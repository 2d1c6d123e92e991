"""POST /v1/responses/input_tokens: how many tokens a request would have, as Claude counts them."""

import time

import msgspec

from addon.exchanges.claude_call import WordedFor
from addon.exchanges.exchange import Exchange
from addon.responses.request import PreparedResponse, prepare_response
from translators.errors import OpenAIError

__all__ = ["answer_input_tokens"]


async def answer_input_tokens(exchange: Exchange) -> None:
    """Answer with the count.

    Raises:
        OpenAIError: the request's mistake, something that it names is not stored, or Claude's refusal.
    """
    prepared = await prepare_response(exchange, exchange.decoded_body())
    with WordedFor(prepared.request), exchange.figures.asking():
        count = await _count(exchange, prepared)
    exchange.figures.first_event = time.perf_counter()
    exchange.figures.input_tokens = count
    await exchange.respond(msgspec.json.encode({"object": "response.input_tokens", "input_tokens": count}))


async def _count(exchange: Exchange, prepared: PreparedResponse) -> int:
    """Count what would be sent: of a conversation that is too long, where it may be cut, what is left."""
    while True:
        request = prepared.request
        try:
            return await exchange.gateway.backends.count_tokens(
                request.params, request.headers, exchange.client.claude_key
            )
        except OpenAIError as error:
            revised = await prepared.revise(request, error)
            if revised is None:
                raise
            prepared.replace_request(revised)
            exchange.figures.warnings = revised.warnings

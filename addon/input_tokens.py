"""POST /v1/responses/input_tokens: how many tokens a request would have, as Claude counts them."""

import time

import msgspec

from addon.exchange import Exchange
from addon.response_request import prepare_response

__all__ = ["answer_input_tokens"]


async def answer_input_tokens(exchange: Exchange) -> None:
    """Answer with the count.

    Raises:
        OpenAIError: the request's mistake, something that it names is not stored, or Claude's refusal.
    """
    prepared = await prepare_response(exchange, exchange.decoded_body())
    request = prepared.request
    key = exchange.client.claude_key
    with exchange.figures.asking():
        count = await exchange.gateway.claude.count_tokens(request.params, request.headers, key)
    exchange.figures.first_event = time.perf_counter()
    exchange.figures.input_tokens = count
    await exchange.respond(msgspec.json.encode({"object": "response.input_tokens", "input_tokens": count}))

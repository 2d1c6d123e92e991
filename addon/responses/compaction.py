"""POST /v1/responses/compact: the user's messages and a summary of all, to go on from instead of the whole."""

from typing import Any

import msgspec

from addon.exchanges.exchange import Exchange
from addon.exchanges.fallbacks import answer_with_fallbacks
from addon.responses.endpoint import drive_response
from addon.responses.request import prepare_response
from translators.request_json import decode_request

__all__ = ["answer_compaction"]

_decoder = msgspec.json.Decoder(dict[str, Any])
_OF_CREATE_ALONE = frozenset({"background", "conversation", "max_output_tokens", "store", "stream", "stream_options"})


async def answer_compaction(exchange: Exchange) -> None:
    """Answer with the compacted conversation.

    Raises:
        OpenAIError: the request's mistake, something that it names is not stored, or Claude's refusal.
    """
    await answer_with_fallbacks(exchange, lambda: _compact(exchange))


async def _compact(exchange: Exchange) -> None:
    prepared = await prepare_response(exchange, _ask_for_compaction(exchange.decoded_body()))
    await drive_response(exchange, prepared)
    response = prepared.stream.response
    items = [*prepared.named.history, *prepared.request.input_items]
    said = [item for item in items if item["type"] == "message" and item["role"] == "user"]
    await exchange.respond(
        msgspec.json.encode(
            {
                "id": response.id,
                "object": "response.compaction",
                "created_at": response.created_at,
                "output": [*said, *response.output],
                "usage": response.usage,
            }
        )
    )


def _ask_for_compaction(body: bytes) -> bytes:
    """Write the request as one to create a response, whose input ends with the wish for a compaction."""
    given = decode_request(_decoder, body)
    request = {name: value for name, value in given.items() if name not in _OF_CREATE_ALONE}
    items = given.get("input")
    if items is None or isinstance(items, str):
        items = [{"type": "message", "role": "user", "content": items}] if items else []
    if isinstance(items, list):
        items = [*items, {"type": "compaction_trigger"}]
    return msgspec.json.encode({**request, "input": items, "store": False})

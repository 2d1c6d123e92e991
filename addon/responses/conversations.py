"""/v1/conversations: make, get, change and delete conversations and their items."""

from collections.abc import Mapping
from typing import Any

import msgspec

from addon.exchanges.exchange import Exchange
from addon.responses.conversation_records import ConversationRecords
from addon.storage.pages import encode_list, read_page
from translators.request_errors import missing_parameter
from translators.request_json import decode_request
from translators.responses.request_body import parse_item

__all__ = [
    "ConversationBody",
    "answer_conversation",
    "answer_conversation_deletion",
    "answer_conversation_item",
    "answer_conversation_item_deletion",
    "answer_conversation_items",
    "answer_conversation_update",
    "answer_new_conversation",
    "answer_new_conversation_items",
]


class ConversationBody(msgspec.Struct, frozen=True):
    """The body of every request here."""

    items: list[dict[str, Any]] | None = None
    metadata: dict[str, str] | None = None


_decoder = msgspec.json.Decoder(ConversationBody)


async def answer_new_conversation(exchange: Exchange) -> None:
    """Make a conversation, with the items that are given."""
    body = _parse(exchange)
    records = _records(exchange)
    conversation = await records.create(body.metadata or {})
    await records.append(conversation["id"], body.items or [])
    await _respond(exchange, conversation)


async def answer_conversation(exchange: Exchange) -> None:
    """Answer with a conversation."""
    await _respond(exchange, await _records(exchange).load(exchange.named))


async def answer_conversation_update(exchange: Exchange) -> None:
    """Change the metadata of a conversation."""
    body = _parse(exchange)
    if body.metadata is None:
        raise missing_parameter("metadata")
    await _respond(exchange, await _records(exchange).update(exchange.named, body.metadata))


async def answer_conversation_deletion(exchange: Exchange) -> None:
    """Delete a conversation with its items."""
    await _records(exchange).delete(exchange.named)
    await _respond(exchange, {"id": exchange.named, "object": "conversation.deleted", "deleted": True})


async def answer_conversation_items(exchange: Exchange) -> None:
    """List the items of a conversation."""
    items = await _records(exchange).items(exchange.named)
    await exchange.respond(read_page(items, exchange.flow.request.query))


async def answer_new_conversation_items(exchange: Exchange) -> None:
    """Add items to a conversation; answer with them."""
    body = _parse(exchange)
    if body.items is None:
        raise missing_parameter("items")
    records = _records(exchange)
    await records.load(exchange.named)
    await exchange.respond(encode_list(await records.append(exchange.named, body.items)))


async def answer_conversation_item(exchange: Exchange) -> None:
    """Answer with one item."""
    await _respond(exchange, await _records(exchange).item(exchange.named, exchange.claim.item or ""))


async def answer_conversation_item_deletion(exchange: Exchange) -> None:
    """Delete one item; answer with its conversation."""
    await _respond(exchange, await _records(exchange).delete_item(exchange.named, exchange.claim.item or ""))


def _parse(exchange: Exchange) -> ConversationBody:
    body = decode_request(_decoder, exchange.decoded_body() or b"{}")
    for index, item in enumerate(body.items or ()):
        parse_item(item, f"items[{index}]")
    return body


def _records(exchange: Exchange) -> ConversationRecords:
    return ConversationRecords(exchange.gateway.store, exchange.scope)


async def _respond(exchange: Exchange, value: Mapping[str, Any]) -> None:
    await exchange.respond(msgspec.json.encode(value))

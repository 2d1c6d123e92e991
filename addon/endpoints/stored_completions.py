"""/v1/chat/completions/{id}: get, list, change and delete the completions that were made with `store: true`."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog

from addon.exchanges.exchange import Exchange
from addon.exchanges.gateway import Gateway
from addon.storage.listed_records import ListedRecords
from addon.storage.pages import encode_list, read_page, read_page_query
from addon.storage.store import Key, StoreUnavailableError
from translators.chat_completions.stored import KeptRequest, add_kept, list_messages
from translators.errors import OpenAIError
from translators.request_json import decode_request

__all__ = [
    "CompletionUpdate",
    "answer_completion_deletion",
    "answer_completion_messages",
    "answer_completion_update",
    "answer_stored_completion",
    "answer_stored_completions",
    "store_completion",
]

log = structlog.get_logger(__name__)

_METADATA = re.compile(r"metadata\[(.*)\]")


class CompletionUpdate(msgspec.Struct, frozen=True):
    """The body of an update."""

    metadata: dict[str, str] | None


_decoder = msgspec.json.Decoder(CompletionUpdate)


async def store_completion(gateway: Gateway, owner: str, request_id: str, completion: bytes, kept: KeptRequest) -> None:
    """Keep a completion. A store that is away takes nothing from an answer that is there: the log says so."""
    stored = add_kept(completion, kept, request_id)
    messages = msgspec.json.encode(list_messages(stored["id"], kept))
    try:
        await gateway.store.save({Key("messages", owner, stored["id"]): messages})
        await _records_of(gateway, owner).put(stored)
    except StoreUnavailableError as error:
        log.warning("completion_not_stored", request_id=request_id, reason=error.reason)


async def answer_stored_completions(exchange: Exchange) -> None:
    """List the stored completions, of a model or with certain metadata if the query says so."""
    query = exchange.flow.request.query
    asked = read_page_query(query, "asc")
    metadata = {found[1]: value for name, value in query.items() if (found := _METADATA.fullmatch(name))}
    model = query.get("model")

    def wanted(completion: Mapping[str, Any]) -> bool:
        noted: dict[str, str] = completion["metadata"]
        return (model is None or completion["model"] == model) and metadata.items() <= noted.items()

    after = None if asked.after is None else await _load(exchange, asked.after)
    listed, has_more = await _records(exchange).page(asked.limit, asked.order, after, wanted)
    await exchange.respond(encode_list(listed, has_more=has_more))


async def answer_stored_completion(exchange: Exchange) -> None:
    """Answer with a stored completion."""
    await exchange.respond(msgspec.json.encode(await _load(exchange, exchange.named)))


async def answer_completion_messages(exchange: Exchange) -> None:
    """List the messages of the request that a stored completion answers."""
    completion_id = exchange.named
    await _load(exchange, completion_id)
    key = _messages_key(exchange, completion_id)
    found = (await exchange.gateway.store.load([key])).get(key)
    messages = msgspec.json.decode(found) if found is not None else []
    await exchange.respond(read_page(messages, exchange.flow.request.query, "asc"))


async def answer_completion_update(exchange: Exchange) -> None:
    """Change the metadata of a stored completion; answer with it."""
    body = decode_request(_decoder, exchange.decoded_body() or b"{}")
    completion = {**await _load(exchange, exchange.named), "metadata": body.metadata or {}}
    await _records(exchange).save(completion)
    await exchange.gateway.store.renew([_messages_key(exchange, completion["id"])])
    await exchange.respond(msgspec.json.encode(completion))


async def answer_completion_deletion(exchange: Exchange) -> None:
    """Delete a stored completion."""
    completion = await _load(exchange, exchange.named)
    await _records(exchange).delete(completion)
    await exchange.gateway.store.delete([_messages_key(exchange, completion["id"])])
    deleted = {"object": "chat.completion.deleted", "id": completion["id"], "deleted": True}
    await exchange.respond(msgspec.json.encode(deleted))


async def _load(exchange: Exchange, completion_id: str) -> dict[str, Any]:
    completion = await _records(exchange).load(completion_id)
    if completion is None:
        raise OpenAIError(404, f"Chat completion with id '{completion_id}' not found.", param="completion_id")
    return completion


def _records(exchange: Exchange) -> ListedRecords:
    return _records_of(exchange.gateway, exchange.scope)


def _records_of(gateway: Gateway, owner: str) -> ListedRecords:
    return ListedRecords(gateway.store, owner, "completion", "completions", "created")


def _messages_key(exchange: Exchange, completion_id: str) -> Key:
    return Key("messages", exchange.scope, completion_id)

"""A request for a response, ready for Claude: parsed, joined with what is stored, translated."""

import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import structlog
from msgspec import to_builtins

from addon.codex import is_codex
from addon.conversation_records import ConversationRecords
from addon.exchange import Exchange
from addon.file_records import with_files
from addon.response_records import ResponseRecords, since_compaction
from addon.store import StoreUnavailableError
from addon.thinking_memory import scope_of
from translators.responses.code_interpreter import find_container_ids
from translators.responses.item_types import ItemReference
from translators.responses.request import ResponsesContext, TranslatedResponsesRequest, translate_request
from translators.responses.request_body import parse_request
from translators.responses.response import encode_response
from translators.responses.response_events import ResponseEvent, encode_event
from translators.responses.response_types import Response
from translators.responses.stream import ResponsesStream

__all__ = ["PreparedResponse", "encode_events", "prepare_response"]

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class PreparedResponse:
    """A request that is ready for Claude, the stream that translates the answer, and where the answer is kept."""

    request: TranslatedResponsesRequest
    stream: ResponsesStream
    owner: str
    records: ResponseRecords
    conversations: ConversationRecords
    history: list[dict[str, Any]]
    """The stored items that come before the request's own."""
    chain: tuple[str, ...] = ()
    """Ids of the responses that it goes on from."""
    conversation_id: str | None = None

    @property
    def response_id(self) -> str:
        """The id of the response."""
        return self.stream.response_id

    def replace_request(self, request: TranslatedResponsesRequest) -> None:
        """Take the request that Claude is asked with instead: the answer says what is left out of it."""
        self.request = request
        if not self.stream.started:
            self.stream.plan = request.plan

    async def keep(self, response: Response) -> bool:
        """Keep the finished response and add it to its conversation, if that is wanted; say whether it could be.

        A store that is away takes nothing from an answer that is there: the log says so.
        """
        plan = self.request.plan
        kept = True
        if self.stream.claude_container_id is not None:
            await self.records.save_container(self.stream.container_id, self.stream.claude_container_id)
        if plan.store:
            kept = await self.records.save_or_report(encode_response(response), self.request.input_items, self.chain)
        if self.conversation_id is not None and response.status in ("completed", "incomplete"):
            outputs: list[dict[str, Any]] = to_builtins(response.output)
            try:
                await self.conversations.append(self.conversation_id, [*self.request.input_items, *outputs])
            except StoreUnavailableError as error:
                log.warning("conversation_not_stored", reason=error.reason)
                kept = False
        return kept


async def prepare_response(exchange: Exchange, body: bytes) -> PreparedResponse:
    """Parse a request, load what it names, translate it.

    Args:
        exchange: whose request it is; its figures learn of the models and the warnings.
        body: the JSON text.

    Raises:
        OpenAIError: the request's mistake; something that it names is not stored; 503 if the store is needed and away.
    """
    gateway = exchange.gateway
    settings = gateway.settings.claude
    owner = scope_of(exchange.authorization)
    records = ResponseRecords(gateway.store, owner)
    conversations = ConversationRecords(gateway.store, owner)
    request = parse_request(body)
    given = request.parameters
    exchange.client.require_model(given.model)
    exchange.figures.model = given.model
    exchange.figures.stream = bool(given.stream)
    chain: tuple[str, ...] = ()
    history: list[dict[str, Any]] = []
    if given.previous_response_id:
        chain, history = await records.load_chain(given.previous_response_id)
    elif given.conversation_id:
        history = since_compaction(await conversations.items(given.conversation_id))
    referenced = {item.id for item in request.items if isinstance(item, ItemReference)}
    found = await records.find_items(referenced) if referenced else {}
    containers = find_container_ids(given.tools or (), [*history, *_raw_items(given.input)])
    response_id = f"resp_{uuid.uuid4().hex}{uuid.uuid4().hex[:18]}"
    key = gateway.secret()
    translated = translate_request(
        request,
        ResponsesContext(
            catalog=gateway.catalog,
            envelope_key=key,
            id_seed=response_id,
            history=history,
            resolve_item=found.get,
            containers=await records.find_containers(containers),
            default_max_tokens=settings.max_tokens,
            max_tokens_limit=settings.max_tokens_limit,
            show_thinking=settings.show_thinking,
            refuses_in_text=is_codex(exchange.flow.request),
            prompt_caching=settings.prompt_caching,
        ),
    )
    translated = replace(translated, params=await with_files(exchange, translated.params))
    figures = exchange.figures
    figures.claude_model = translated.plan.claude_model
    figures.warnings = translated.warnings
    stream = ResponsesStream(translated.plan, response_id, int(time.time()), key)
    return PreparedResponse(translated, stream, owner, records, conversations, history, chain, given.conversation_id)


def encode_events(events: Iterable[ResponseEvent]) -> bytes:
    """Encode events as they go out together."""
    return b"".join(map(encode_event, events))


def _raw_items(given: object) -> list[dict[str, Any]]:
    return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []

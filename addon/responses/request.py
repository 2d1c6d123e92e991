"""A request for a response, ready for Claude: parsed, joined with what is stored, translated."""

import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from msgspec import Struct, to_builtins

from addon.configuration.claude_settings import ClaudeSettings
from addon.exchanges.codex import is_codex
from addon.exchanges.exchange import Exchange
from addon.files.named_files import NamedFiles, named_files_of
from addon.responses.conversation_records import ConversationRecords
from addon.responses.recent_responses import RecentResponse
from addon.responses.records import ResponseRecords, since_compaction
from addon.storage.store import StoreUnavailableError
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.responses.code_interpreter import Container, find_container_ids
from translators.responses.item_types import ItemReference
from translators.responses.remembered_thinking import calls_without_reasoning
from translators.responses.request import ResponsesContext, TranslatedResponsesRequest, translate_request
from translators.responses.request_body import parse_request
from translators.responses.request_types import ResponsesRequest
from translators.responses.response import encode_response
from translators.responses.response_events import ResponseEvent, encode_event
from translators.responses.response_types import Response
from translators.responses.stream import ResponsesStream
from translators.responses.truncation import choose_dropped_turns

__all__ = [
    "NamedState",
    "PreparedResponse",
    "encode_events",
    "load_named_state",
    "prepare_response",
    "responses_context",
]

log = structlog.get_logger(__name__)


class NamedState(Struct, frozen=True):
    """What is stored and a request names."""

    history: list[dict[str, Any]] = []
    """The items that come before the request's own."""
    chain: tuple[str, ...] = ()
    """Ids of the responses that it goes on from."""
    is_stored: bool = True
    """Whether the store has those responses."""
    items: dict[str, dict[str, Any]] = {}
    """The items that it refers to, by their ids."""
    containers: dict[str, Container] = {}
    """The containers that it names, or whose code it goes on from."""


@dataclass(eq=False)
class PreparedResponse:
    """A request that is ready for Claude, the stream that translates the answer, and where the answer is kept."""

    request: TranslatedResponsesRequest
    context: ResponsesContext
    translate: Callable[[ResponsesContext], Awaitable[TranslatedResponsesRequest]]
    """Translates the client's request, with the uploaded files that it names."""
    stream: ResponsesStream
    owner: str
    records: ResponseRecords
    conversations: ConversationRecords
    named: NamedState
    conversation_id: str | None = None
    files: NamedFiles | None = None
    """What was put into the request of the uploaded files that it names; None where nobody revises it."""
    remember: Callable[[RecentResponse], None] | None = None
    """Keeps the finished response besides the store, with all that came before it."""

    @property
    def response_id(self) -> str:
        """The id of the response."""
        return self.stream.response_id

    def replace_request(self, request: TranslatedResponsesRequest) -> None:
        """Take the request that Claude is asked with instead: the answer says what is left out of it."""
        self.request = request
        plan = request.plan
        if self.stream.started:
            # What the first event said of the request stays.
            plan = replace(plan, input_transformations=self.stream.plan.input_transformations)
        self.stream.plan = plan

    async def revise(
        self, request: TranslatedResponsesRequest, error: OpenAIError
    ) -> TranslatedResponsesRequest | None:
        """Translate the request anew that was refused: with files whole that Claude has no copy of any more.

        Or with fewer of its turns, if it is too long and that is wanted (`truncation`). None: neither is to be done.
        """
        if self.files is not None and await self.files.forget_refused(request.params, error):
            return await self.translate(self.context)
        if error.code != "context_length_exceeded":
            return None
        dropped = choose_dropped_turns(self.request.turn_sizes, self.context.dropped_turns, error)
        if dropped is None:
            return None
        self.context = replace(self.context, dropped_turns=dropped)
        return await self.translate(self.context)

    async def keep(self, response: Response) -> bool:
        """Keep the finished response and add it to its conversation, if that is wanted; say whether it could be.

        A store that is away takes nothing from an answer that is there: the log says so.
        """
        plan, named = self.request.plan, self.named
        # What is gone on from must be there for as long as this: where it is not stored, this holds it.
        chain, history = (named.chain, ()) if named.is_stored else ((), named.history)
        kept = True
        if self.stream.claude_container_id is not None:
            container = Container(self.stream.claude_container_id, plan.container_files)
            await self.records.save_container(self.stream.container_id, container)
        if plan.store:
            kept = await self.records.save_or_report(
                encode_response(response), self.request.input_items, chain, history
            )
        if response.status not in ("completed", "incomplete"):
            return kept
        if self.remember is not None:
            items = since_compaction([*named.history, *self._said(response)])
            self.remember(RecentResponse(response.id, (*chain, response.id), items, is_stored=plan.store and kept))
        if self.conversation_id is not None:
            kept = await self._add_to_conversation(self.conversation_id, response) and kept
        return kept

    async def _add_to_conversation(self, conversation_id: str, response: Response) -> bool:
        try:
            await self.conversations.load(conversation_id)
            await self.conversations.append(conversation_id, self._said(response))
        except StoreUnavailableError as error:
            log.warning("conversation_not_stored", reason=error.reason)
            return False
        except OpenAIError:
            pass  # it was deleted meanwhile, and does not come back
        return True

    def _said(self, response: Response) -> list[dict[str, Any]]:
        """Return the items of the request and of its answer."""
        return [*self.request.input_items, *to_builtins(response.output)]


def _find_nothing(_: str) -> None:
    return None


async def prepare_response(
    exchange: Exchange, body: bytes, find_recent: Callable[[str], RecentResponse | None] = _find_nothing
) -> PreparedResponse:
    """Parse a request, load what it names, translate it.

    Args:
        exchange: whose request it is; its figures learn of the models and the warnings.
        body: the JSON text.
        find_recent: finds a response by its id that need not be loaded.

    Raises:
        OpenAIError: the request's mistake; something that it names is not stored; 503 if the store is needed and away.
    """
    gateway = exchange.gateway
    owner = exchange.scope
    records = ResponseRecords(gateway.store, owner)
    conversations = ConversationRecords(gateway.store, owner)
    request = parse_request(body)
    given = request.parameters
    exchange.client.require_model(given.model)
    exchange.figures.model = given.model
    exchange.figures.stream = bool(given.stream)
    named = await load_named_state(request, records, conversations, find_recent)
    if gateway.shared_thinking is not None:
        await gateway.shared_thinking.fetch(owner, calls_without_reasoning(request.items))
    response_id = f"resp_{uuid.uuid4().hex}{uuid.uuid4().hex[:18]}"
    key = gateway.secret()
    context = replace(
        responses_context(gateway.settings.claude, exchange.catalog, key, response_id, named),
        recall=partial(gateway.memory.recall, owner),
        refuses_in_text=is_codex(exchange.headers),
    )

    files = named_files_of(exchange)

    async def translate(context: ResponsesContext) -> TranslatedResponsesRequest:
        translated = translate_request(request, context)
        return replace(translated, params=await files.put(translated.params))

    translated = await translate(context)
    figures = exchange.figures
    figures.claude_model = translated.plan.claude_model
    figures.warnings = translated.warnings
    stream = ResponsesStream(translated.plan, response_id, int(time.time()), key)
    return PreparedResponse(
        translated, context, translate, stream, owner, records, conversations, named, given.conversation_id, files
    )


async def load_named_state(
    request: ResponsesRequest,
    records: ResponseRecords,
    conversations: ConversationRecords,
    find_recent: Callable[[str], RecentResponse | None] = _find_nothing,
) -> NamedState:
    """Load what a request names: the responses or the conversation that it goes on from, and single items.

    Raises:
        OpenAIError: something of it is not stored; 503 if the store is needed and away.
    """
    given = request.parameters
    chain: tuple[str, ...] = ()
    history: list[dict[str, Any]] = []
    is_stored = True
    if given.previous_response_id:
        recent = find_recent(given.previous_response_id)
        if recent is not None:
            chain, history, is_stored = recent.chain, recent.items, recent.is_stored
            records.note_use(chain)
        else:
            chain, history = await records.load_chain(given.previous_response_id)
    elif given.conversation_id:
        history = since_compaction(await conversations.items(given.conversation_id))
    referenced = {item.id for item in request.items if isinstance(item, ItemReference)}
    found = await records.find_items(referenced) if referenced else {}
    containers = find_container_ids(given.tools or (), [*history, *_raw_items(given.input)])
    return NamedState(history, chain, is_stored, found, await records.find_containers(containers))


def responses_context(
    settings: ClaudeSettings, catalog: ModelCatalog, key: bytes, response_id: str, named: NamedState
) -> ResponsesContext:
    """Gather what a translation needs besides the request."""
    return ResponsesContext(
        catalog=catalog,
        envelope_key=key,
        id_seed=response_id,
        history=named.history,
        resolve_item=named.items.get,
        containers=named.containers,
        default_max_tokens=settings.max_tokens,
        max_tokens_limit=settings.max_tokens_limit,
        show_thinking=settings.show_thinking,
        prompt_caching=settings.prompt_caching,
    )


def encode_events(events: Iterable[ResponseEvent]) -> bytes:
    """Encode events as they go out together."""
    return b"".join(map(encode_event, events))


def _raw_items(given: object) -> list[dict[str, Any]]:
    return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []

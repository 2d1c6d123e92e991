"""The lines of a batch, each with the endpoint that it is for: what Claude is asked, and what its messages come to.

The translations are those of the live endpoints. A line is translated once when it is sent and again when its results
are there, because the second costs less than keeping the first; ids and times are those of the batch, so that it
comes out the same whoever does it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from addon.endpoints.chat_completions import translation_context
from addon.endpoints.completions import completion_context
from addon.endpoints.stored_completions import store_completion
from addon.exchanges.gateway import Gateway
from addon.responses.conversation_records import ConversationRecords
from addon.responses.records import ResponseRecords
from addon.responses.request import NamedState, PreparedResponse, load_named_state, responses_context
from addon.routing import Endpoint
from translators.batches.input_lines import InputChecker, InputLine, split_lines
from translators.batches.output_lines import LineIds
from translators.batches.request_body import plain_endpoint
from translators.chat_completions.request import translate_request as translate_chat_completion
from translators.chat_completions.request_body import parse_request as parse_chat_completion
from translators.chat_completions.response import ChatCompletionBuilder
from translators.chat_completions.stream import ChatCompletionStream
from translators.completions.request import translate_request as translate_completion
from translators.completions.request_body import parse_request as parse_completion
from translators.completions.response import CompletionBuilder
from translators.completions.stream import CompletionStream
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.responses.request import ResponsesContext, TranslatedResponsesRequest
from translators.responses.request import translate_request as translate_response
from translators.responses.request_body import parse_request as parse_response
from translators.responses.response import encode_response
from translators.responses.stream import ResponsesStream
from translators.translation_warning import TranslationWarning
from translators.whole_message import translate_message

if TYPE_CHECKING:
    from translators.chat_completions.request import TranslatedRequest
    from translators.completions.request import TranslatedCompletion

__all__ = ["BatchScope", "PreparedLine", "endpoint_of", "prepare_line", "read_lines"]


@dataclass(frozen=True, slots=True)
class BatchScope:
    """What all lines of a batch share."""

    gateway: Gateway
    owner: str
    batch_id: str
    endpoint: str
    catalog: ModelCatalog
    """Finds the model that was found when the batch was sent."""
    created: int
    completed: int
    """When the answers were begun and made, as they say it: seconds since 1970."""


@dataclass(frozen=True, slots=True)
class PreparedLine:
    """A line that is translated."""

    requests: tuple[dict[str, Any], ...]
    """Parameters of its requests to Claude. Uploaded files are still named by their ids."""
    headers: Mapping[str, str]
    """Of all of its requests."""
    answer: Callable[[Sequence[Raw]], Awaitable[bytes]]
    """Makes the JSON of the answer of Claude's messages, one for each request, and stores it where that is wanted.
    Raises OpenAIError where they make none."""
    warnings: tuple[TranslationWarning, ...]
    word_error: Callable[[OpenAIError], OpenAIError]
    """Words Claude's refusal as the endpoint does."""
    named: NamedState | None = None
    """What was stored of what the line names, if it names something."""


type Prepare = Callable[[BatchScope, InputLine, LineIds, NamedState | None], Awaitable[PreparedLine]]


def endpoint_of(path: str) -> Endpoint:
    """Find the live endpoint that the lines of a batch are for."""
    return _ENDPOINTS[plain_endpoint(path) or ""]


async def read_lines(checker: InputChecker, content: bytes) -> AsyncIterator[InputLine]:
    """Iterate over the lines that are right, letting others run after each."""
    for number, raw in split_lines(content):
        line = checker.check(number, raw)
        if line is not None:
            yield line
        if checker.is_hopeless:
            return
        await asyncio.sleep(0)
    checker.finish()


async def prepare_line(scope: BatchScope, line: InputLine, named: NamedState | None = None) -> PreparedLine:
    """Translate a line.

    Args:
        scope: of its batch.
        line: to be translated.
        named: what was stored of what the line names, when it was sent; None: to be loaded.

    Raises:
        OpenAIError: the line's mistake; something that it names is not stored; 503 if the store is needed and away.
    """
    if line.refusal is not None:
        raise line.refusal
    return await _PREPARE[endpoint_of(scope.endpoint)](scope, line, LineIds(scope.batch_id, line.number), named)


async def _prepare_chat_completion(
    scope: BatchScope, line: InputLine, ids: LineIds, _named: NamedState | None
) -> PreparedLine:
    # Without the memory of thinking, which is forgotten within hours: a line comes to the same whenever it is sent.
    context = translation_context(scope.gateway.settings.claude, scope.catalog)
    translated = translate_chat_completion(parse_chat_completion(line.body), context)
    return PreparedLine(
        (translated.params,) * translated.copies,
        translated.headers,
        partial(_answer_chat_completion, scope, ids, translated),
        translated.warnings,
        translated.word_error,
    )


async def _answer_chat_completion(
    scope: BatchScope, ids: LineIds, translated: "TranslatedRequest", messages: Sequence[Raw]
) -> bytes:
    completion_id = ids.answer_id("chatcmpl-", 29)
    builder = ChatCompletionBuilder(translated.reply, completion_id, scope.created)
    usages = []
    for index, message in enumerate(messages):
        stream = ChatCompletionStream(translated.reply, completion_id, scope.created, index, joins_text=True)
        for chunk in translate_message(stream, message):
            builder.add(chunk)
        usages.append(stream.usage)
    completion = builder.build(usages)
    if translated.kept is not None:
        await store_completion(scope.gateway, scope.owner, ids.request_id, completion, translated.kept)
    return completion


async def _prepare_completion(
    scope: BatchScope, line: InputLine, ids: LineIds, _named: NamedState | None
) -> PreparedLine:
    context = completion_context(scope.gateway.settings.claude, scope.catalog)
    translated = translate_completion(parse_completion(line.body), context)
    return PreparedLine(
        tuple(prompt.params for prompt in translated.prompts for _ in range(translated.copies)),
        translated.prompts[0].headers,
        partial(_answer_completion, scope, ids, translated),
        translated.warnings,
        translated.prompts[0].word_error,
    )


async def _answer_completion(
    scope: BatchScope, ids: LineIds, translated: "TranslatedCompletion", messages: Sequence[Raw]
) -> bytes:
    completion_id = ids.answer_id("cmpl-", 29)
    builder = CompletionBuilder(translated.plan, completion_id, scope.created)
    usages = []
    for index, message in enumerate(messages):
        echo = translated.prompts[index // translated.copies].echo
        stream = CompletionStream(translated.plan, completion_id, scope.created, index, echo)
        for chunk in translate_message(stream, message):
            builder.add(chunk)
        usages.append(stream.usage)
    return builder.build(usages)


async def _prepare_response(scope: BatchScope, line: InputLine, ids: LineIds, named: NamedState | None) -> PreparedLine:
    gateway = scope.gateway
    request = parse_response(line.body)
    given = request.parameters
    if named is None:
        records = ResponseRecords(gateway.store, scope.owner)
        named = await load_named_state(request, records, ConversationRecords(gateway.store, scope.owner))
    response_id, key = ids.answer_id("resp_", 50), gateway.secret()
    context = responses_context(gateway.settings.claude, scope.catalog, key, response_id, named)

    async def translate(context: ResponsesContext) -> TranslatedResponsesRequest:
        return translate_response(request, context)

    translated = translate_response(request, context)

    def prepare() -> PreparedResponse:
        return PreparedResponse(
            translated,
            context,
            translate,
            ResponsesStream(translated.plan, response_id, scope.created, key),
            scope.owner,
            ResponseRecords(gateway.store, scope.owner),
            ConversationRecords(gateway.store, scope.owner),
            named,
            given.conversation_id,
        )

    return PreparedLine(
        (translated.params,),
        translated.headers,
        partial(_answer_response, scope, prepare),
        translated.warnings,
        translated.word_error,
        None if named == NamedState() and not given.conversation_id else named,
    )


async def _answer_response(
    scope: BatchScope, prepare: Callable[[], PreparedResponse], messages: Sequence[Raw]
) -> bytes:
    prepared = prepare()
    stream = prepared.stream
    translate_message(stream, messages[0])
    stream.finish(scope.completed)
    if prepared.conversation_id is not None and await _has_answer(prepared, prepared.conversation_id):
        prepared = replace(prepared, conversation_id=None)
    await prepared.keep(stream.response)
    return encode_response(stream.response)


async def _has_answer(prepared: PreparedResponse, conversation_id: str) -> bool:
    """Whether work that was cut off has added the answer already, or there is nothing any more to add it to."""
    added = {item.id for item in prepared.stream.response.output}
    try:
        items = await prepared.conversations.items(conversation_id)
    except OpenAIError as error:
        if error.status != 404:
            raise
        return True
    return any(item["id"] in added for item in items)


_ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/v1/chat/completions": Endpoint.CHAT_COMPLETIONS,
        "/v1/completions": Endpoint.COMPLETIONS,
        "/v1/responses": Endpoint.RESPONSES,
    }
)
_PREPARE: Mapping[Endpoint, Prepare] = MappingProxyType(
    {
        Endpoint.CHAT_COMPLETIONS: _prepare_chat_completion,
        Endpoint.COMPLETIONS: _prepare_completion,
        Endpoint.RESPONSES: _prepare_response,
    }
)

"""POST /v1/chat/completions: one request to Claude for each choice, its events translated and sent on as they come."""

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from addon.configuration.claude_settings import ClaudeSettings
from addon.endpoints.stored_completions import store_completion
from addon.exchanges.choices import ask_at_once
from addon.exchanges.claude_call import ClaudeCall
from addon.exchanges.exchange import Exchange
from addon.exchanges.fallbacks import answer_with_fallbacks
from addon.files.named_files import named_files_of
from translators.chat_completions.chunk import ChatCompletionChunk, encode_chunk
from translators.chat_completions.request import (
    TranslatedRequest,
    TranslationContext,
    called_tools,
    recall_nothing,
    translate_request,
)
from translators.chat_completions.request_body import parse_request
from translators.chat_completions.request_types import ChatCompletionRequest
from translators.chat_completions.response import ChatCompletionBuilder, encode_usage_chunk
from translators.chat_completions.stream import ChatCompletionStream
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.sse import DONE
from translators.turn_types import Recall

__all__ = ["answer_chat_completion", "translation_context"]

type Sink = Callable[[list[ChatCompletionChunk]], Awaitable[None]]


async def answer_chat_completion(exchange: Exchange) -> None:
    """Answer one request, as a stream of chunks or whole.

    Raises:
        OpenAIError: the request's mistake, or Claude's refusal.
    """
    request = parse_request(exchange.decoded_body(), deployment=exchange.claim.name)
    exchange.client.require_model(request.model)
    if (shared := exchange.gateway.shared_thinking) is not None:
        await shared.fetch(exchange.scope, called_tools(request))
    await answer_with_fallbacks(exchange, lambda: _Completion(exchange, request).answer())


def translation_context(
    settings: ClaudeSettings, catalog: ModelCatalog, recall: Recall = recall_nothing
) -> TranslationContext:
    """Gather what a translation needs of the settings."""
    return TranslationContext(
        catalog=catalog,
        default_max_tokens=settings.max_tokens,
        max_tokens_limit=settings.max_tokens_limit,
        show_thinking=settings.show_thinking,
        prompt_caching=settings.prompt_caching,
        recall=recall,
    )


class _Completion:
    """One request and the choices that are asked for."""

    def __init__(self, exchange: Exchange, request: ChatCompletionRequest) -> None:
        self._exchange = exchange
        self._id = f"chatcmpl-{os.urandom(15).hex()[:29]}"
        self._created = int(time.time())
        self._request = self._with_ids = self._translate(request)
        self._files = named_files_of(exchange)

    def _translate(self, request: ChatCompletionRequest) -> TranslatedRequest:
        exchange, gateway = self._exchange, self._exchange.gateway
        context = translation_context(gateway.settings.claude, exchange.catalog, self._recall)
        translated = translate_request(request, context)
        figures = exchange.figures
        figures.model = translated.reply.model
        figures.claude_model = translated.params["model"]
        figures.stream = translated.reply.stream
        figures.warnings = translated.warnings
        return translated

    def _recall(self, tool_call_id: str) -> Sequence[dict[str, Any]] | None:
        return self._exchange.gateway.memory.recall(self._exchange.scope, tool_call_id)

    async def answer(self) -> None:
        exchange, reply = self._exchange, self._request.reply
        self._request = await self._put_files()
        builder = ChatCompletionBuilder(reply, self._id, self._created)

        async def add(chunks: list[ChatCompletionChunk]) -> None:
            for chunk in chunks:
                builder.add(chunk)

        async def send(chunks: list[ChatCompletionChunk]) -> None:
            if self._request.kept is not None:
                await add(chunks)
            await exchange.write(b"".join(map(encode_chunk, chunks)))

        if reply.stream:
            streams = await self._choices(send)
            if self._request.kept is not None:
                await self._store(builder.build([stream.usage for stream in streams]))
            last = DONE
            if reply.include_usage:
                usages = [stream.usage for stream in streams]
                last = encode_usage_chunk(reply, self._id, self._created, usages, streams[0].service_tier) + DONE
            await exchange.write(last)
            await exchange.end_stream()
        else:
            streams = await self._choices(add)
            completion = builder.build([stream.usage for stream in streams])
            await self._store(completion)
            await exchange.respond(completion)

    async def _put_files(self) -> TranslatedRequest:
        params = await self._files.put(self._with_ids.params)
        if params is self._with_ids.params:
            return self._with_ids
        return msgspec.structs.replace(self._with_ids, params=params)

    async def _revise(self, request: TranslatedRequest, error: OpenAIError) -> TranslatedRequest | None:
        return await self._put_files() if await self._files.forget_refused(request.params, error) else None

    async def _store(self, completion: bytes) -> None:
        """Keep the completion before the client knows of it, if it is to be kept."""
        if self._request.kept is not None:
            exchange = self._exchange
            await store_completion(
                exchange.gateway, exchange.scope, exchange.request_id, completion, self._request.kept
            )

    async def _choices(self, sink: Sink) -> list[ChatCompletionStream]:
        return await ask_at_once([self._choice(index, sink) for index in range(self._request.copies)])

    async def _choice(self, index: int, sink: Sink) -> ChatCompletionStream:
        reply = self._request.reply
        stream = ChatCompletionStream(reply, self._id, self._created, index, joins_text=not reply.stream)

        async def remember() -> None:
            if content := stream.content_to_remember:
                await self._exchange.gateway.remember_thinking(self._exchange.scope, stream.tool_call_ids, content)

        is_only = self._request.copies == 1
        call = ClaudeCall(
            self._exchange,
            self._request,
            stream,
            sink,
            on_complete=remember,
            revise=self._revise,
            may_reuse=is_only,
        )
        await call.run()
        if ending := stream.finish():
            await sink(ending)
        return stream

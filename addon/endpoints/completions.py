"""POST /v1/completions: one request to Claude for each choice of each prompt, sent on as it comes."""

import time
import uuid
from collections.abc import Awaitable, Callable

from addon.configuration.claude_settings import ClaudeSettings
from addon.exchanges.choices import ask_at_once
from addon.exchanges.claude_call import ClaudeCall
from addon.exchanges.exchange import Exchange
from addon.exchanges.fallbacks import answer_with_fallbacks
from translators.completions.chunk import CompletionChunk, encode_chunk
from translators.completions.request import (
    CompletionContext,
    TranslatedCompletion,
    TranslatedPrompt,
    translate_request,
)
from translators.completions.request_body import parse_request
from translators.completions.response import CompletionBuilder, encode_usage_chunk
from translators.completions.stream import CompletionStream
from translators.model_catalog import ModelCatalog
from translators.sse import DONE

__all__ = ["answer_completion", "completion_context"]

type Sink = Callable[[list[CompletionChunk]], Awaitable[None]]


async def answer_completion(exchange: Exchange) -> None:
    """Answer one request, as a stream of chunks or whole.

    Raises:
        OpenAIError: the request's mistake, or Claude's refusal.
    """
    await answer_with_fallbacks(exchange, lambda: _Completion(exchange).answer())


def completion_context(settings: ClaudeSettings, catalog: ModelCatalog) -> CompletionContext:
    """Gather what a translation needs of the settings."""
    return CompletionContext(
        catalog=catalog, max_tokens_limit=settings.max_tokens_limit, prompt_caching=settings.prompt_caching
    )


class _Completion:
    """One request and the choices that are asked for."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._id = f"cmpl-{uuid.uuid4().hex[:29]}"
        self._created = int(time.time())
        self._request = self._translate()

    def _translate(self) -> TranslatedCompletion:
        exchange, gateway = self._exchange, self._exchange.gateway
        request = parse_request(exchange.decoded_body(), deployment=exchange.claim.name)
        exchange.client.require_model(request.model)
        translated = translate_request(
            request,
            completion_context(gateway.settings.claude, exchange.catalog),
        )
        figures = exchange.figures
        figures.model = translated.plan.model
        figures.claude_model = translated.prompts[0].params["model"]
        figures.stream = translated.plan.stream
        figures.warnings = translated.warnings
        return translated

    async def answer(self) -> None:
        exchange, plan = self._exchange, self._request.plan
        if plan.stream:
            streams = await self._choices(self._send)
            last = DONE
            if plan.include_usage:
                usages = [stream.usage for stream in streams]
                last = encode_usage_chunk(plan, self._id, self._created, usages) + DONE
            await exchange.write(last)
            await exchange.end_stream()
        else:
            builder = CompletionBuilder(plan, self._id, self._created)

            async def add(chunks: list[CompletionChunk]) -> None:
                for chunk in chunks:
                    builder.add(chunk)

            streams = await self._choices(add)
            await exchange.respond(builder.build([stream.usage for stream in streams]))

    async def _send(self, chunks: list[CompletionChunk]) -> None:
        await self._exchange.write(b"".join(map(encode_chunk, chunks)))

    async def _choices(self, sink: Sink) -> list[CompletionStream]:
        asked = [prompt for prompt in self._request.prompts for _ in range(self._request.copies)]
        return await ask_at_once([self._choice(index, prompt, sink) for index, prompt in enumerate(asked)])

    async def _choice(self, index: int, prompt: TranslatedPrompt, sink: Sink) -> CompletionStream:
        stream = CompletionStream(self._request.plan, self._id, self._created, index, prompt.echo)
        await ClaudeCall(self._exchange, prompt, stream, sink, may_reuse=self._request.copies == 1).run()
        if ending := stream.finish():
            await sink(ending)
        return stream

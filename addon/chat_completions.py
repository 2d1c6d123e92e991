"""POST /v1/chat/completions: one request to Claude for each choice, its events translated and sent on as they come."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec

from addon.claude import ClaudeStream, UpstreamBrokenError
from addon.exchange import Exchange
from addon.thinking_memory import scope_of
from translators.chat_completions.chunk import ChatCompletionChunk, encode_chunk
from translators.chat_completions.request import TranslatedRequest, TranslationContext, translate_request
from translators.chat_completions.request_body import parse_request
from translators.chat_completions.response import ChatCompletionBuilder, encode_usage_chunk
from translators.chat_completions.stream import ChatCompletionStream, IllegalEventOrderError
from translators.claude_events import MalformedEventError
from translators.errors import OpenAIError
from translators.rate_limit_headers import translate_rate_limit_headers
from translators.sse import DONE

__all__ = ["answer_chat_completion"]

_MAX_CONTINUATIONS = 10
"""How often a `pause_turn` is continued. Claude pauses after ten rounds of its own tools: a hundred are a runaway."""

type Sink = Callable[[list[ChatCompletionChunk]], Awaitable[None]]


async def answer_chat_completion(exchange: Exchange) -> None:
    """Answer one request, as a stream of chunks or whole.

    Raises:
        OpenAIError: the request's mistake, or Claude's refusal.
    """
    completion = _Completion(exchange)
    await completion.answer()


class _Completion:
    """One request and the choices that are asked for."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._gateway = exchange.gateway
        self._scope = scope_of(exchange.authorization)
        self._id = f"chatcmpl-{uuid.uuid4().hex[:29]}"
        self._created = int(time.time())
        self._response_headers: dict[str, str] = {}
        self._request = self._translate()

    def _translate(self) -> TranslatedRequest:
        exchange, settings = self._exchange, self._gateway.settings.claude
        request = parse_request(exchange.decoded_body(), deployment=exchange.claim.name)
        translated = translate_request(
            request,
            TranslationContext(
                catalog=self._gateway.catalog,
                default_max_tokens=settings.max_tokens,
                max_tokens_limit=settings.max_tokens_limit,
                recall=partial(self._gateway.memory.recall, self._scope),
                show_thinking=settings.show_thinking,
                prompt_caching=settings.prompt_caching,
            ),
        )
        figures = exchange.figures
        figures.model = translated.reply.model
        figures.claude_model = translated.params["model"]
        figures.stream = translated.reply.stream
        figures.warnings = translated.warnings
        return translated

    async def answer(self) -> None:
        if self._request.reply.stream:
            streams = await self._choices(self._send)
            last = DONE
            if self._request.reply.include_usage:
                usages = [stream.usage for stream in streams]
                tier = streams[0].service_tier
                last = encode_usage_chunk(self._request.reply, self._id, self._created, usages, tier) + DONE
            await self._exchange.write(last, lambda: self._response_headers)
            await self._exchange.end_stream()
        else:
            builder = ChatCompletionBuilder(self._request.reply, self._id, self._created)

            async def add(chunks: list[ChatCompletionChunk]) -> None:
                for chunk in chunks:
                    builder.add(chunk)

            streams = await self._choices(add)
            await self._exchange.respond(builder.build([stream.usage for stream in streams]), self._response_headers)

    async def _send(self, chunks: list[ChatCompletionChunk]) -> None:
        await self._exchange.write(b"".join(map(encode_chunk, chunks)), lambda: self._response_headers)

    async def _choices(self, sink: Sink) -> list[ChatCompletionStream]:
        if self._request.copies == 1:
            return [await self._choice(0, sink)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._choice(index, sink)) for index in range(self._request.copies)]
        except* (OpenAIError, ConnectionError) as failures:
            raise _first(failures) from failures
        return [task.result() for task in tasks]

    async def _choice(self, index: int, sink: Sink) -> ChatCompletionStream:
        stream = ChatCompletionStream(self._request.reply, self._id, self._created, index)
        try:
            await self._segment(stream, self._request.params, sink)
            for _continuation in range(_MAX_CONTINUATIONS):
                if not stream.paused:
                    break
                params = self._request.params
                # https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons: it goes back as it came.
                paused = {"role": "assistant", "content": stream.content}
                stream.resume()
                await self._segment(stream, {**params, "messages": [*params["messages"], paused]}, sink)
            if ending := stream.finish():
                await sink(ending)
        finally:
            self._count(stream)
        return stream

    async def _segment(self, stream: ChatCompletionStream, params: dict[str, Any], sink: Sink) -> None:
        """Send one request to Claude and everything of its answer to `sink`."""
        answer = await self._ask(params)
        try:
            async for events in answer.events():
                if self._exchange.figures.first_event is None:
                    self._exchange.figures.first_event = time.perf_counter()
                chunks: list[ChatCompletionChunk] = []
                failure = None
                for event in events:
                    try:
                        chunks += stream.translate(event)
                    except OpenAIError as error:
                        failure = error
                        break
                    except (IllegalEventOrderError, MalformedEventError) as error:
                        failure = _cut_off(str(error))
                        break
                if stream.completed and (content := stream.content_to_remember):
                    # Before the client can know that the answer is complete, and come back with its results.
                    self._gateway.memory.remember(self._scope, stream.tool_call_ids, content)
                if chunks:
                    await sink(chunks)
                if failure:
                    raise failure
                if stream.stopped_early:
                    break
        except UpstreamBrokenError as error:
            # What breaks after the last event takes nothing away.
            if not (stream.completed or stream.paused):
                raise _cut_off(str(error)) from error
        finally:
            await answer.close()

    async def _ask(self, params: dict[str, Any]) -> ClaudeStream:
        exchange = self._exchange
        exchange.figures.asked_claude = exchange.figures.asked_claude or time.perf_counter()
        try:
            answer = await self._gateway.claude.stream(msgspec.json.encode(params), self._request.headers)
        except OpenAIError as error:
            is_first = params is self._request.params
            if not (is_first and self._request.replays_thinking and _refuses_thinking(error)):
                raise
            # Thinking is bound to what came before it; a history that was edited gets along without.
            self._request = self._request.without_thinking()
            exchange.figures.warnings = self._request.warnings
            answer = await self._gateway.claude.stream(msgspec.json.encode(self._request.params), self._request.headers)
        exchange.figures.retries += answer.retries
        exchange.figures.claude_request_id = answer.headers.get("request-id")
        self._response_headers = translate_rate_limit_headers(answer.headers, datetime.now(UTC))
        return answer

    def _count(self, stream: ChatCompletionStream) -> None:
        figures, usage = self._exchange.figures, stream.usage
        figures.input_tokens += usage.prompt_tokens
        figures.cached_tokens += usage.prompt_tokens_details.cached_tokens
        figures.output_tokens += usage.completion_tokens


def _cut_off(reason: str) -> OpenAIError:
    return OpenAIError(502, f"The answer was cut off: {reason}.", "server_error", "upstream_broken")


def _refuses_thinking(error: OpenAIError) -> bool:
    return error.status == 400 and ("signature" in error.message or "thinking" in error.message)


def _first(failures: BaseExceptionGroup[Any]) -> BaseException:
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure

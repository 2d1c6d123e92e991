"""A response from its first event to Claude's last, whoever takes the events: a stream, one answer, or nobody yet.

Where `context_management` asks for it, a conversation that is too long is compacted first, with a call of its own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import msgspec

from addon.access.access import Client
from addon.claude.response_cache import CacheUse
from addon.exchanges.claude_call import Caller, ClaudeCall
from addon.exchanges.gateway import Gateway
from addon.observation.figures import Figures
from addon.responses.request import PreparedResponse
from translators.errors import OpenAIError
from translators.responses.automatic_compaction import exceeds_plausibly
from translators.responses.response_events import ResponseEvent
from translators.responses.stream import ResponsesStream
from translators.translation_warning import TranslationWarning

__all__ = ["make_response"]

type Sink = Callable[[list[ResponseEvent]], Awaitable[None]]


async def make_response(caller: Caller, prepared: PreparedResponse, sink: Sink) -> None:
    """Have Claude's answer translated, and its events sent to `sink` as they come; `prepared.stream` can finish then.

    Raises:
        OpenAIError: there is no whole answer.
    """
    if await _is_to_be_compacted(caller, prepared):
        # It takes as long as an answer does: the client is told that there will be one.
        if beginning := prepared.stream.start():
            await sink(beginning)
        try:
            await _begin_with_compaction(caller, prepared, sink)
        except OpenAIError as error:
            if error.status != 400:
                raise
            # Claude makes no summary of it, and may answer it all the same.
            _warn(caller, f"no compaction: {error.code or error.type}")
    await _ask(caller, prepared, sink)


async def _ask(caller: Caller, prepared: PreparedResponse, sink: Sink) -> None:
    stream = prepared.stream

    async def remember() -> None:
        if content := stream.content_to_remember:
            await caller.gateway.remember_thinking(prepared.owner, stream.tool_call_ids, content)

    await ClaudeCall(
        caller,
        prepared.request,
        stream,
        sink,
        on_complete=remember,
        on_retry=prepared.replace_request,
        revise=prepared.revise,
    ).run()


async def _is_to_be_compacted(caller: Caller, prepared: PreparedResponse) -> bool:
    request = prepared.request
    threshold = request.compact_threshold
    if threshold is None or not exceeds_plausibly(msgspec.json.encode(request.params), threshold):
        return False
    try:
        with caller.figures.asking():
            key = caller.client.claude_key
            return await caller.gateway.backends.count_tokens(request.params, request.headers, key) > threshold
    except OpenAIError as error:
        if error.code == "context_length_exceeded":
            return True
        _warn(caller, f"its tokens could not be counted: {error.code or error.type}")
        return False


@dataclass(eq=False)
class _Summariser:
    """The caller of the call that makes a summary, which is charged by itself."""

    gateway: Gateway
    client: Client
    cache_use: CacheUse
    scope: str
    figures: Figures
    response_headers: dict[str, str] = field(default_factory=dict)


async def _begin_with_compaction(caller: Caller, prepared: PreparedResponse, sink: Sink) -> None:
    """Make the compaction, send it as the first item, and have the answer go on from it."""
    context = replace(prepared.context, compacts=True)
    request = await prepared.translate(context)
    stream = prepared.stream
    summary = ResponsesStream(request.plan, stream.response_id, stream.created_at, stream.key)
    figures = Figures(claude_model=request.plan.claude_model)
    summariser = _Summariser(caller.gateway, caller.client, caller.cache_use, caller.scope, figures)
    try:
        await _ask(summariser, replace(prepared, request=request, context=context, stream=summary), _drop)
        summary.finish(stream.created_at)
    finally:
        stream.compaction_usage = summary.claude_usage
        caller.figures.add(figures)
    [item] = summary.response.output
    compaction = msgspec.to_builtins(item)
    prepared.context = replace(prepared.context, compaction=compaction)
    prepared.replace_request(await prepared.translate(prepared.context))
    await sink(stream.add_compaction(compaction["encrypted_content"]))


async def _drop(_events: list[ResponseEvent]) -> None:
    """Pass over the events of the summary: the item is what counts."""


def _warn(caller: Caller, detail: str) -> None:
    warning = TranslationWarning("context_management", "degraded", detail)
    caller.figures.warnings = (*caller.figures.warnings, warning)

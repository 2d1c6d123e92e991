"""Token usage: Claude's counts as OpenAI's.

| OpenAI | Claude |
|---|---|
| prompt_tokens | input_tokens + cache_read_input_tokens + cache_creation_input_tokens |
| prompt_tokens_details.cached_tokens | cache_read_input_tokens |
| prompt_tokens_details.cache_write_tokens | cache_creation_input_tokens |
| completion_tokens | output_tokens |
| completion_tokens_details.reasoning_tokens | output_tokens_details.thinking_tokens |
| audio and prediction tokens | 0 |

Claude's `input_tokens` leaves the cache out, OpenAI's `prompt_tokens` holds it.
"""

from collections.abc import Iterable
from functools import reduce
from typing import Literal

import msgspec

from translators.claude_events import CacheCreation, OutputTokensDetails, ServerToolUse, Usage

__all__ = [
    "CompletionTokensDetails",
    "CompletionUsage",
    "PromptTokensDetails",
    "ServiceTier",
    "add_usage",
    "estimate_output",
    "map_service_tier",
    "override_usage",
    "sum_usage",
    "translate_usage",
]

_BYTES_PER_TOKEN = 3
"""Of text, as recorded of the models from 4.6 on (2.7 to 3.5); those before have 4."""

type ServiceTier = Literal["default", "priority"]


class PromptTokensDetails(msgspec.Struct, frozen=True, gc=False):
    """Parts of `prompt_tokens`."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0
    audio_tokens: int = 0


class CompletionTokensDetails(msgspec.Struct, frozen=True, gc=False):
    """Parts of `completion_tokens`."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class CompletionUsage(msgspec.Struct, frozen=True, gc=False):
    """The usage of one answer, in tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    prompt_tokens_details: PromptTokensDetails = PromptTokensDetails()
    completion_tokens_details: CompletionTokensDetails = CompletionTokensDetails()


def translate_usage(usage: Usage) -> CompletionUsage:
    """Translate the counts of one or more of Claude's messages."""
    cached = usage.cache_read_input_tokens or 0
    written = usage.cache_creation_input_tokens or 0
    prompt = (usage.input_tokens or 0) + cached + written
    completion = usage.output_tokens or 0
    details = usage.output_tokens_details
    return CompletionUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=cached, cache_write_tokens=written),
        completion_tokens_details=CompletionTokensDetails(reasoning_tokens=details.thinking_tokens if details else 0),
    )


def map_service_tier(usage: Usage) -> ServiceTier:
    """Map the tier that served the request: OpenAI's answers say `priority` for priority and fast alike."""
    return "priority" if usage.service_tier == "priority" or usage.speed == "fast" else "default"


def override_usage(earlier: Usage, later: Usage | None) -> Usage:
    """Take a later report on the same message: counts are totals, so they replace and never add up.

    A count that is absent, null or 0 keeps its earlier value: some hosts report the input only at the start, some only
    at the end.
    """
    if later is None:
        return earlier
    return Usage(
        input_tokens=later.input_tokens or earlier.input_tokens,
        output_tokens=later.output_tokens or earlier.output_tokens,
        cache_creation_input_tokens=later.cache_creation_input_tokens or earlier.cache_creation_input_tokens,
        cache_read_input_tokens=later.cache_read_input_tokens or earlier.cache_read_input_tokens,
        cache_creation=later.cache_creation or earlier.cache_creation,
        output_tokens_details=later.output_tokens_details or earlier.output_tokens_details,
        server_tool_use=later.server_tool_use or earlier.server_tool_use,
        service_tier=later.service_tier or earlier.service_tier,
        speed=later.speed or earlier.speed,
    )


def estimate_output(usage: Usage, written: int) -> Usage:
    """Count what came of an answer that broke off: Claude counts its output at the end, and bills for it before.

    Args:
        usage: what Claude has counted, at the start of the message.
        written: bytes of text, thinking and arguments that came since.
    """
    return msgspec.structs.replace(usage, output_tokens=max(usage.output_tokens or 0, written // _BYTES_PER_TOKEN))


def add_usage(one: Usage, other: Usage) -> Usage:
    """Add the counts of two messages (a turn that was paused and continued): each was billed."""
    return Usage(
        input_tokens=(one.input_tokens or 0) + (other.input_tokens or 0),
        output_tokens=(one.output_tokens or 0) + (other.output_tokens or 0),
        cache_creation_input_tokens=(one.cache_creation_input_tokens or 0) + (other.cache_creation_input_tokens or 0),
        cache_read_input_tokens=(one.cache_read_input_tokens or 0) + (other.cache_read_input_tokens or 0),
        cache_creation=_add_cache_creation(one.cache_creation, other.cache_creation),
        output_tokens_details=_add_output_tokens_details(one.output_tokens_details, other.output_tokens_details),
        server_tool_use=_add_server_tool_use(one.server_tool_use, other.server_tool_use),
        service_tier=other.service_tier or one.service_tier,
        speed=other.speed or one.speed,
    )


def _add_cache_creation(one: CacheCreation | None, other: CacheCreation | None) -> CacheCreation | None:
    if one is None or other is None:
        return one or other
    return CacheCreation(
        ephemeral_5m_input_tokens=one.ephemeral_5m_input_tokens + other.ephemeral_5m_input_tokens,
        ephemeral_1h_input_tokens=one.ephemeral_1h_input_tokens + other.ephemeral_1h_input_tokens,
    )


def _add_output_tokens_details(
    one: OutputTokensDetails | None, other: OutputTokensDetails | None
) -> OutputTokensDetails | None:
    if one is None or other is None:
        return one or other
    return OutputTokensDetails(thinking_tokens=one.thinking_tokens + other.thinking_tokens)


def _add_server_tool_use(one: ServerToolUse | None, other: ServerToolUse | None) -> ServerToolUse | None:
    if one is None or other is None:
        return one or other
    return ServerToolUse(
        web_search_requests=one.web_search_requests + other.web_search_requests,
        web_fetch_requests=one.web_fetch_requests + other.web_fetch_requests,
    )


def sum_usage(usages: Iterable[CompletionUsage]) -> CompletionUsage:
    """Sum the usages of several choices (`n`), each made by a call of its own.

    The prompt is counted once per call, because each call is billed for it; OpenAI itself counts it once.
    """
    return reduce(_add_completion_usage, usages, CompletionUsage())


def _add_completion_usage(one: CompletionUsage, other: CompletionUsage) -> CompletionUsage:
    one_prompt, other_prompt = one.prompt_tokens_details, other.prompt_tokens_details
    reasoning = one.completion_tokens_details.reasoning_tokens + other.completion_tokens_details.reasoning_tokens
    return CompletionUsage(
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        total_tokens=one.total_tokens + other.total_tokens,
        prompt_tokens_details=PromptTokensDetails(
            cached_tokens=one_prompt.cached_tokens + other_prompt.cached_tokens,
            cache_write_tokens=one_prompt.cache_write_tokens + other_prompt.cache_write_tokens,
        ),
        completion_tokens_details=CompletionTokensDetails(reasoning_tokens=reasoning),
    )

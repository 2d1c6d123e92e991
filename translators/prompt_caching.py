"""Prompt caching: which prefixes Claude keeps, and for how long.

OpenAI caches by itself, so Claude is asked to by default: one automatic mark on the request. Claude knows two times to
live, 5 minutes and 1 hour, and at most 4 marks (https://platform.claude.com/docs/en/build-with-claude/prompt-caching).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from translators.content import Block
from translators.translation_warning import TranslationWarning

__all__ = ["MAX_BREAKPOINTS", "build_cache_control", "count_breakpoints", "place_breakpoints", "trim_breakpoints"]

MAX_BREAKPOINTS = 4


def build_cache_control(times_to_live: Iterable[str | None]) -> dict[str, Any]:
    """Build the one mark of a request from every time to live that it names: longer than 5 minutes means an hour.

    One for all, because Claude refuses a longer one after a shorter one.
    """
    return (
        {"type": "ephemeral", "ttl": "1h"}
        if any(ttl in {"30m", "12h", "24h"} for ttl in times_to_live)
        else {"type": "ephemeral"}
    )


def place_breakpoints(
    system: Sequence[Block],
    messages: Sequence[dict[str, Any]],
    automatic: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], tuple[TranslationWarning, ...]]:
    """Build `system`, `messages` and the automatic mark, with no more marks than Claude takes.

    Args:
        system: may be empty.
        messages: of the request.
        automatic: the mark on the request as a whole; None: only those on blocks.
    """
    limit = MAX_BREAKPOINTS if automatic is None else MAX_BREAKPOINTS - 1
    kept_system, kept_messages = list(system), list(messages)
    warnings: tuple[TranslationWarning, ...] = ()
    if count_breakpoints(system, messages) > limit:
        kept_system, kept_messages = trim_breakpoints(system, messages, limit)
        detail = f"only the last {limit} are kept"
        warnings = (TranslationWarning("prompt_cache_breakpoint", "changed", detail),)
    params: dict[str, Any] = {"system": kept_system} if kept_system else {}
    params["messages"] = kept_messages
    if automatic is not None:
        params["cache_control"] = dict(automatic)
    return params, warnings


def count_breakpoints(system: Sequence[Block], messages: Sequence[Mapping[str, Any]]) -> int:
    """Count the marks on blocks."""
    contents = [system, *[message["content"] for message in messages]]
    return len([block for content in contents for block in content if "cache_control" in block])


def trim_breakpoints(
    system: Sequence[Block], messages: Sequence[Mapping[str, Any]], limit: int
) -> tuple[list[Block], list[dict[str, Any]]]:
    """Take the first marks off until `limit` are left: a later one covers what an earlier one does."""
    surplus = count_breakpoints(system, messages) - limit

    def trim(blocks: Iterable[Block]) -> list[Block]:
        nonlocal surplus
        trimmed = []
        for block in blocks:
            if surplus > 0 and "cache_control" in block:
                surplus -= 1
                trimmed.append({key: value for key, value in block.items() if key != "cache_control"})
            else:
                trimmed.append(block)
        return trimmed

    return trim(system), [{**message, "content": trim(message["content"])} for message in messages]

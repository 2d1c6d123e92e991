"""Which turns are left out where a conversation is too long and `truncation` is `auto`: the oldest, whole.

A turn begins with the user's words and ends before the user's next ones, so that a call keeps its result. Instructions
stay, wherever they stand, and so does what stands for turns that are gone already: the summary of a compaction. The
newest turn stays too, even if it alone is too long.
https://developers.openai.com/api/docs/api-reference/responses/create: items are dropped from the beginning.
"""

import math
import re
from collections.abc import Sequence

import msgspec

from translators.errors import OpenAIError
from translators.responses.conversation import PlacedItem
from translators.responses.item_types import (
    AdditionalTools,
    ApplyPatchCall,
    ApplyPatchCallOutput,
    CompactionItem,
    ConfigurationUpdate,
    CustomToolCall,
    CustomToolCallOutput,
    FunctionCall,
    FunctionCallOutput,
    InputItem,
    LocalShellCall,
    LocalShellCallOutput,
    Message,
    ShellCall,
    ShellCallOutput,
    ToolSearchCall,
    ToolSearchOutput,
)

__all__ = ["choose_dropped_turns", "measure_turns", "outlasts_its_turn", "without_turns"]

_MARGIN = 0.95
"""Sizes in bytes only tell about how many tokens there are."""
_LEAST_SHARE = 0.25
"""Of the turns that are left, so that few attempts are enough where the sizes mislead."""
_COUNTS = re.compile(r"maximum context length is (\d+) tokens\..*?(?:requested|resulted in) (\d+) tokens", re.DOTALL)
"""Of the error that `translators.errors` makes of Claude's."""

_CALLS = (FunctionCall, CustomToolCall, ShellCall, LocalShellCall, ApplyPatchCall, ToolSearchCall)
_RESULTS = (
    FunctionCallOutput,
    CustomToolCallOutput,
    ShellCallOutput,
    LocalShellCallOutput,
    ApplyPatchCallOutput,
    ToolSearchOutput,
)


def measure_turns(items: Sequence[PlacedItem]) -> tuple[int, ...]:
    """Return the size of each turn in bytes, the oldest first; what stays in any case does not count."""
    starts = _starts_of(items)
    borders = zip([0, *starts[1:]], [*starts[1:], len(items)], strict=True) if starts else ()
    return tuple(sum(_size(placed.item) for placed in items[start:end]) for start, end in borders)


def without_turns(items: Sequence[PlacedItem], dropped: int) -> tuple[PlacedItem, ...]:
    """Return the items without the first `dropped` turns."""
    if not dropped:
        return tuple(items)
    start = _starts_of(items)[dropped]
    return (*(placed for placed in items[:start] if outlasts_its_turn(placed.item)), *items[start:])


def choose_dropped_turns(sizes: Sequence[int], dropped: int, error: OpenAIError) -> int | None:
    """Choose how many turns to leave out in the next attempt.

    Args:
        sizes: of `measure_turns`.
        dropped: how many were left out of the attempt that was too long.
        error: what came of it; if it says how much was too much, so much is left out.

    Returns:
        The number, larger than `dropped`; None if no more turns can be left out.
    """
    droppable = len(sizes) - 1
    if dropped >= droppable:
        return None
    counts = _COUNTS.search(error.message)
    share = int(counts[1]) / int(counts[2]) if counts else 0.5
    remaining = sum(sizes[dropped:])
    wanted = remaining * min(share * _MARGIN, 1)
    least = dropped + math.ceil((droppable - dropped) * _LEAST_SHARE) if dropped else 1
    for count in range(dropped + 1, droppable):
        remaining -= sizes[count - 1]
        if remaining <= wanted and count >= least:
            return count
    return droppable


def _starts_of(items: Sequence[PlacedItem]) -> list[int]:
    """Return where turns begin: at the user's words after something else, where no call waits for its result."""
    results = {name: index for index, placed in enumerate(items) for name in _names(placed.item, _RESULTS)}
    starts: list[int] = []
    waits_until = -1
    is_after_user = False
    for index, placed in enumerate(items):
        item = placed.item
        # A result without a name is that of some call before it.
        ends = [results.get(name, results.get("", -1)) for name in _names(item, _CALLS)]
        waits_until = max(waits_until, *ends, -1)
        if _is_user(item):
            if not is_after_user and index > waits_until:
                starts.append(index)
            is_after_user = True
        elif not outlasts_its_turn(item):
            is_after_user = False
    return starts


def _names(item: InputItem, kinds: tuple[type, ...]) -> list[str]:
    """Return the ids by which a call and its result know each other: the local shell's result has the item's."""
    if not isinstance(item, kinds):
        return []
    names = [name for name in (getattr(item, "call_id", None), getattr(item, "id", None)) if name]
    return names or [""]


def _is_user(item: InputItem) -> bool:
    return isinstance(item, Message) and item.role == "user"


def outlasts_its_turn(item: InputItem) -> bool:
    """Say whether an item stays where its turn is left out: instructions, settings, and summaries of what is gone."""
    match item:
        case Message(role="system" | "developer") | AdditionalTools() | CompactionItem() | ConfigurationUpdate():
            return True
        case _:
            return False


def _size(item: InputItem) -> int:
    return 0 if outlasts_its_turn(item) else len(msgspec.json.encode(item))

"""Compaction without being asked (`context_management`): when, of what, and what a conversation is after it.

All but the user's newest words is summarised. Those are kept in the compaction item beside the summary, so that it
stands for all that came before it: whoever sends it back may leave out the rest, and where the rest comes too it does
not count.
https://developers.openai.com/api/docs/guides/compaction
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from translators.responses.conversation import PlacedItem, ReadConversation
from translators.responses.item_types import CompactionItem, InputItem, Message
from translators.responses.reasoning_envelope import open_compaction
from translators.responses.request_body import parse_item
from translators.responses.request_types import ResponsesParameters
from translators.responses.truncation import outlasts_its_turn

__all__ = [
    "choose_threshold",
    "compacted",
    "exceeds_plausibly",
    "plain_items",
    "since_compaction",
    "split_for_compaction",
]

_SHARE_OF_CONTEXT = 0.9
"""Threshold where none is given. OpenAI names no default."""
_LEAST_BYTES_PER_TOKEN = 2


def choose_threshold(parameters: ResponsesParameters, read: ReadConversation, max_input_tokens: int) -> int | None:
    """Return after how many tokens the conversation is compacted before it is answered.

    Args:
        parameters: of the request.
        read: its conversation.
        max_input_tokens: of the model.

    Returns:
        None if it is not compacted: that is not wanted, is all that is wanted, or there is nothing to summarise.
    """
    wanted = [entry for entry in parameters.context_management or () if entry.type == "compaction"]
    if not wanted or read.is_compaction:
        return None
    summarised, _ = split_for_compaction(read.items)
    if all(outlasts_its_turn(placed.item) for placed in summarised):
        return None
    given = [entry.compact_threshold for entry in wanted if entry.compact_threshold is not None]
    return min(given) if given else int(max_input_tokens * _SHARE_OF_CONTEXT)


def exceeds_plausibly(request: bytes, threshold: int) -> bool:
    """Say whether an encoded request may have that many tokens, so that it is worth asking Claude."""
    # What only a URL names may be of any size.
    return len(request) >= threshold * _LEAST_BYTES_PER_TOKEN or b'"type":"url"' in request


def split_for_compaction(items: Sequence[PlacedItem]) -> tuple[tuple[PlacedItem, ...], tuple[PlacedItem, ...]]:
    """Split a conversation into what is summarised, and the user's words at its end, which are kept."""
    end = len(items)
    while end and _is_user(items[end - 1].item):
        end -= 1
    return tuple(items[:end]), tuple(items[end:])


def plain_items(items: Sequence[PlacedItem]) -> tuple[Mapping[str, Any], ...]:
    """Write items as JSON, to be kept in a compaction."""
    return tuple(msgspec.to_builtins(placed.item) for placed in items)


def compacted(read: ReadConversation, compaction: Mapping[str, Any]) -> ReadConversation:
    """Return the conversation that goes on from a compaction of all of it."""
    staying = (placed for placed in read.items if outlasts_its_turn(placed.item))
    items = (placed for placed in staying if not isinstance(placed.item, CompactionItem))
    return replace(read, items=(*items, PlacedItem(parse_item(compaction, "input"), "input")))


def since_compaction(items: Sequence[PlacedItem], key: bytes) -> tuple[PlacedItem, ...]:
    """Leave out what an automatic compaction stands for. One that was asked for stands beside the user's words.

    Args:
        items: of the conversation.
        key: opens the envelopes.
    """
    for index in range(len(items) - 1, -1, -1):
        item = items[index].item
        if not isinstance(item, CompactionItem):
            continue
        compaction = open_compaction(item.encrypted_content, key)
        if compaction is not None and compaction.kept is not None:
            staying = (it for it in items[:index] if outlasts_its_turn(it.item))
            return (*(it for it in staying if not isinstance(it.item, CompactionItem)), *items[index:])
    return tuple(items)


def _is_user(item: InputItem) -> bool:
    return isinstance(item, Message) and item.role == "user"

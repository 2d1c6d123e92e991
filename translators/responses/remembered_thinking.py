"""What Claude thought before calls, for clients that send calls back without the reasoning items beside them.

OpenAI takes such a conversation; Claude's turn would go on without what it had thought. A client that sends reasoning
items brings the thinking along in them, and nothing is recalled for it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any

from translators.messages import AssistantTurn, Turn
from translators.preserved_thinking import is_thinking
from translators.responses.item_types import CustomToolCall, FunctionCall, InputItem, ReasoningItem

__all__ = ["calls_without_reasoning", "put_back_thinking"]


def calls_without_reasoning(items: Iterable[InputItem]) -> list[str]:
    """Name the calls whose thinking is to be recalled, by their `call_id`s: all, where there is no reasoning item."""
    given = list(items)
    if any(isinstance(item, ReasoningItem) for item in given):
        return []
    return [item.call_id for item in given if isinstance(item, FunctionCall | CustomToolCall)]


def put_back_thinking(
    turns: Sequence[Turn], calls: Sequence[str], recall: Callable[[str], Sequence[Mapping[str, Any]] | None]
) -> list[Turn]:
    """Put before each answer's calls what Claude thought before them.

    Args:
        turns: the conversation, an answer's items one after the other.
        calls: `calls_without_reasoning`.
        recall: finds, by the id of a call, the blocks of the answer that made it, as Claude sent them.
    """
    if not calls:
        return list(turns)
    restored: list[Turn] = []
    for is_answer, group in groupby(turns, lambda turn: isinstance(turn, AssistantTurn)):
        answer = list(group)
        if is_answer:
            ids = [call.id for turn in answer if isinstance(turn, AssistantTurn) for call in turn.calls]
            stored = next(filter(None, map(recall, ids)), ())
            thinking = tuple(dict(block) for block in takewhile(is_thinking, stored) if _is_signed(block))
            if thinking:
                restored.append(AssistantTurn(thinking))
        restored.extend(answer)
    return restored


def _is_signed(block: Mapping[str, Any]) -> bool:
    """Claude refuses thinking without its signature (a stream that was cut)."""
    return block["type"] != "thinking" or bool(block.get("signature"))

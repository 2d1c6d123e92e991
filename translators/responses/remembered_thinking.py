"""What Claude thought before calls, for clients that send calls back without the reasoning items beside them.

OpenAI takes such a conversation; Claude's turn would go on without what it had thought. A client that sends reasoning
items brings the thinking along in them, and nothing is recalled for it.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby, takewhile

from translators.preserved_thinking import is_thinking, thinking_key
from translators.responses.item_types import CustomToolCall, FunctionCall, InputItem, ReasoningItem
from translators.split_answers import gather_answers
from translators.turn_types import AssistantTurn, Recall, Turn

__all__ = ["calls_without_reasoning", "put_back_thinking"]


def calls_without_reasoning(items: Iterable[InputItem]) -> list[str]:
    """Name the calls whose thinking is to be recalled, by their `call_id`s: all, where there is no reasoning item."""
    given = list(items)
    if any(isinstance(item, ReasoningItem) for item in given):
        return []
    return [item.call_id for item in given if isinstance(item, FunctionCall | CustomToolCall)]


def put_back_thinking(turns: Sequence[Turn], calls: Sequence[str], recall: Recall) -> list[Turn]:
    """Put before each answer's calls what Claude thought before them, once.

    Args:
        turns: the conversation. Calls of one answer may have the result of each between them.
        calls: `calls_without_reasoning`.
        recall: finds, by the id of a call, the blocks of the answer that made it, as Claude sent them.
    """
    if not calls:
        return list(turns)
    recall = cache(recall)
    restored: list[Turn] = []
    put_back: set[str] = set()
    for is_answer, group in groupby(gather_answers(turns, recall), lambda turn: isinstance(turn, AssistantTurn)):
        answer = list(group)
        if is_answer:
            ids = [call.id for turn in answer if isinstance(turn, AssistantTurn) for call in turn.calls]
            stored = next(filter(None, map(recall, ids)), ())
            # Claude refuses what has no signature (a stream that was cut). What stands in its place already may have a
            # part of its answer later.
            thinking = tuple(
                dict(block)
                for block in takewhile(is_thinking, stored)
                if thinking_key(block) and thinking_key(block) not in put_back
            )
            put_back.update(map(thinking_key, thinking))
            if thinking:
                restored.append(AssistantTurn(thinking))
        restored.extend(answer)
    return restored

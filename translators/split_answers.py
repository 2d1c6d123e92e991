"""Answers that a client sends back in parts.

Some clients send each call of an answer in a message of its own, some each with its result before the next. Claude made
them at once, after the thinking that goes back with them: so the parts become one answer again, and the results follow.
Which calls belong together is known of answers that are remembered.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from translators.content import Block
from translators.turn_types import AssistantTurn, Recall, ResultTurn, Turn

__all__ = ["gather_answers", "join_parts"]


def gather_answers(turns: Iterable[Turn], recall: Recall) -> list[Turn]:
    """Put the parts of an answer beside each other, before the results that came between them."""
    gathered: list[Turn] = []
    missing: set[str] = set()
    """Calls of the last answer that have not come yet."""
    end = 0
    """Where the next part of it belongs."""
    for turn in turns:
        if isinstance(turn, AssistantTurn) and turn.calls:
            ids = {call.id for call in turn.calls}
            if ids <= missing:
                missing -= ids
                gathered.insert(end, turn)
                end += 1
                continue
            missing = _calls_in(recall(turn.calls[0].id)) - ids
            end = len(gathered) + 1
        elif isinstance(turn, AssistantTurn) and end == len(gathered):
            end += 1  # its text, between two calls
        elif missing and not isinstance(turn, ResultTurn):
            missing = set()
        gathered.append(turn)
    return gathered


def join_parts(turns: Sequence[AssistantTurn], recall: Recall) -> Sequence[AssistantTurn]:
    """Join the parts of each answer that stand beside each other, and its text if that came apart from its calls."""
    if len(turns) == 1:
        return turns
    joined: list[AssistantTurn] = []
    texts: list[AssistantTurn] = []
    missing: set[str] = set()
    for turn in turns:
        ids = {call.id for call in turn.calls}
        if not ids:
            texts.append(turn)
            continue
        if ids <= missing:
            missing -= ids
            joined[-1] = _join([joined[-1], *texts, turn])
        else:
            stored = recall(turn.calls[0].id)
            whole = _join([*texts, turn])
            is_whole = stored is not None and _text_of(whole.blocks) == _text_of(stored)
            joined += [whole] if is_whole else [*texts, turn]
            missing = _calls_in(stored) - ids
        texts = []
    return [*joined, *texts]


def _join(parts: Sequence[AssistantTurn]) -> AssistantTurn:
    return AssistantTurn(
        tuple(block for part in parts for block in part.blocks), tuple(call for part in parts for call in part.calls)
    )


def _calls_in(stored: Sequence[Mapping[str, Any]] | None) -> set[str]:
    return {block["id"] for block in stored or () if block["type"] == "tool_use"}


def _text_of(blocks: Iterable[Block | Mapping[str, Any]]) -> str:
    return "".join(block["text"] for block in blocks if block["type"] == "text").strip()

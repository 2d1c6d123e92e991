"""Claude's thinking, kept on our side between the turns of a tool loop.

A Chat Completions client echoes its tool calls but has no place for thinking blocks and their signatures, which
Claude wants back unmodified (https://platform.claude.com/docs/en/build-with-claude/extended-thinking). Responses have
one, the reasoning items, which some of their clients leave out. So an answer that thought and called tools is kept
whole under each of its tool call ids.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from cachetools import TTLCache

__all__ = ["ThinkingMemory"]


class ThinkingMemory:
    """Answers by client and tool call id, forgotten after a time or when there are too many.

    Args:
        max_bytes: how much is kept in all.
        seconds_to_live: how long an answer is kept.
    """

    def __init__(self, max_bytes: int, seconds_to_live: float) -> None:
        self._answers: TTLCache[tuple[str, str], bytes] = TTLCache(max_bytes, seconds_to_live, getsizeof=len)

    def remember(self, scope: str, tool_call_ids: Sequence[str], content: Sequence[dict[str, Any]]) -> None:
        """Keep the blocks of an answer under each of its tool calls. One larger than the whole memory is not kept."""
        encoded = msgspec.json.encode(content)
        if len(encoded) <= self._answers.maxsize:
            for tool_call_id in tool_call_ids:
                self._answers[scope, tool_call_id] = encoded

    def recall(self, scope: str, tool_call_id: str) -> tuple[dict[str, Any], ...] | None:
        """Find the blocks of the answer that made a tool call, in their order."""
        encoded = self._answers.get((scope, tool_call_id))
        return None if encoded is None else tuple(msgspec.json.decode(encoded))

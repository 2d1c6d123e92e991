"""Thinking of earlier turns inside a request, which Claude may refuse to take back.

Source: https://platform.claude.com/docs/en/build-with-claude/preserved-thinking.
"""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["holds_thinking", "is_thinking", "strip_thinking", "thinking_key"]

_THINKING = frozenset({"thinking", "redacted_thinking"})


def is_thinking(block: Mapping[str, Any]) -> bool:
    """Whether a content block is thinking, readable or not."""
    return block["type"] in _THINKING


def holds_thinking(messages: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there is thinking in an answer among Claude's `messages`."""
    return any(
        True
        for message in messages
        if message["role"] == "assistant"
        for block in message["content"]
        if block["type"] in _THINKING
    )


def thinking_key(block: Mapping[str, Any]) -> str:
    """Return what is its alone in a thinking block: the signature, or the data. Empty for one that was cut."""
    return str(block.get("signature") or block.get("data") or "")


def strip_thinking(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a request without the thinking of earlier turns."""
    messages = [
        {**message, "content": [block for block in message["content"] if not is_thinking(block)]}
        if message["role"] == "assistant"
        else message
        for message in params["messages"]
    ]
    stripped = {**params, "messages": messages}
    if stripped.get("thinking", {}).get("type") == "enabled":
        # With a budget, the turn that called the tools has to begin with its thinking.
        del stripped["thinking"]
    return stripped

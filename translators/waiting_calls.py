"""Calls of Claude's own tools in the history: with their results, or waiting for those of the client's tools.

Where Claude calls tools of its own and of the client at once, it runs its own when the client's results are there, and
their results are the first blocks of its next answer. Until then its calls go back as they came, and nothing but the
client's results may follow: anything else ends the turn, and Claude refuses calls that it has not run.
https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons, and
https://github.com/anthropics/anthropic-sdk-typescript/issues/1090.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct

from translators.content import Block
from translators.preserved_thinking import is_thinking
from translators.translation_warning import TranslationWarning

__all__ = ["SERVER_CALLS", "SettledMessages", "is_server_result", "settle_server_calls"]

SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})
"""Blocks that begin a call of a tool that Claude runs itself."""
_NOTHING_LEFT = "(no text)"
"""Takes the place of an answer of which nothing can go back: the turns around it must not grow together."""


class SettledMessages(Struct, frozen=True):
    """Messages in which every call of Claude's own tools has its result, or is about to be run."""

    messages: tuple[dict[str, Any], ...]
    waiting: tuple[Block, ...] = ()
    """The calls that Claude runs now: its answer begins with their results."""
    warnings: tuple[TranslationWarning, ...] = ()


def is_server_result(block: Mapping[str, Any]) -> bool:
    """Whether a block of an answer ends a call of a tool that Claude runs itself."""
    return _ends_call(block["type"])


def _ends_call(kind: str) -> bool:
    return kind.endswith("_tool_result")


def settle_server_calls(messages: Sequence[dict[str, Any]], tools: Sequence[Mapping[str, Any]]) -> SettledMessages:
    """Leave out calls that were never run and will not be, and results whose calls are gone.

    Args:
        messages: Claude's `messages`.
        tools: Claude's `tools`: a call waits only for a tool that is declared.
    """
    kinds = {block["type"] for message in messages if message["role"] == "assistant" for block in message["content"]}
    if kinds.isdisjoint(SERVER_CALLS) and not any(map(_ends_call, kinds)):
        return SettledMessages(tuple(messages))
    settled = list(messages)
    waiting: Collection[Block] = ()
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        content: Sequence[Block] = message["content"]
        calls = _calls_in(content)
        # What waited in the answer before may have its result in this one.
        called = calls.keys() | (_calls_in(settled[index - 2]["content"]).keys() if index >= 2 else ())
        answered = _results_in(content)
        after = messages[index + 1 : index + 3]
        if not _only_results_follow(content, after):
            later: Collection[str] = ()
        elif len(after) == 1:
            waiting = [call for call in calls.values() if call["id"] not in answered and _is_declared(call, tools)]
            later = [call["id"] for call in waiting]
        else:
            later = _results_in(after[1]["content"]) if after[1]["role"] == "assistant" else ()
        kept = [
            block
            for block in content
            if (block["type"] not in SERVER_CALLS or block["id"] in answered or block["id"] in later)
            and (not is_server_result(block) or block["tool_use_id"] in called)
        ]
        if len(kept) < len(content):
            settled[index] = {**message, "content": _ended(kept)}
    detail = "a call of Claude's own tools that was not run is left out"
    lost = settled != list(messages)
    warnings = (TranslationWarning("messages", "degraded", detail),) if lost else ()
    return SettledMessages(tuple(settled), tuple(waiting), warnings)


def _calls_in(content: Sequence[Block]) -> dict[str, Block]:
    return {block["id"]: block for block in content if block["type"] in SERVER_CALLS}


def _results_in(content: Sequence[Block]) -> set[str]:
    return {block["tool_use_id"] for block in content if is_server_result(block)}


def _only_results_follow(content: Sequence[Block], after: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an answer calls tools of the client, and the message after it has nothing but their results."""
    waits = any(block["type"] == "tool_use" for block in content)
    return waits and bool(after) and all(block["type"] == "tool_result" for block in after[0]["content"])


def _is_declared(call: Block, tools: Sequence[Mapping[str, Any]]) -> bool:
    if call["type"] == "mcp_tool_use":
        return any(tool.get("mcp_server_name") == call.get("server_name") for tool in tools)
    names = [str(tool["name"]) for tool in tools if "name" in tool and "input_schema" not in tool]
    # Code execution is declared by one name and called by several, which end with it.
    return any(call["name"] == name or call["name"].endswith(f"_{name}") for name in names)


def _ended(content: list[Block]) -> list[Block]:
    """Return content without thinking at its end, which Claude refuses."""
    while content and is_thinking(content[-1]):
        content = content[:-1]
    return content or [{"type": "text", "text": _NOTHING_LEFT}]

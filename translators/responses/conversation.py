"""The items of a conversation, before they are translated: stored ones first, references followed, settings read.

Items that change settings rather than say something are read here: the last `configuration_update` counts, tools of
`additional_tools` and `tool_search_output` are gathered in their order, and a `compaction_trigger` at the end turns the
request into a compaction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from translators.errors import OpenAIError
from translators.responses.item_types import (
    AdditionalTools,
    CompactionTrigger,
    ConfigurationUpdate,
    InputItem,
    ItemReference,
    ToolSearchOutput,
)
from translators.responses.request_body import parse_item, parse_reasoning, parse_text, parse_tool
from translators.responses.request_types import Reasoning, ResponsesRequest, TextConfig
from translators.responses.tool_types import Tool

__all__ = ["PlacedItem", "ReadConversation", "normalise_item", "read_conversation"]

_ID_PREFIXES: Mapping[str, str] = {
    "apply_patch_call": "apc",
    "apply_patch_call_output": "apco",
    "code_interpreter_call": "ci",
    "compaction": "cmp",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "function_call": "fc",
    "function_call_output": "fco",
    "local_shell_call": "lsh",
    "local_shell_call_output": "lsho",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "message": "msg",
    "reasoning": "rs",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "web_search_call": "ws",
}
_ID_HEX_DIGITS = 50
_WITHOUT_STATUS = frozenset({"additional_tools", "compaction", "configuration_update", "mcp_list_tools", "reasoning"})
"""All others have to have one where they are listed: `openai.types.conversations.ConversationItem`."""
_VOLATILE = frozenset({"internal_chat_message_metadata_passthrough"})
"""Fields that Codex adds to every item, and OpenAI does not give back."""


@dataclass(frozen=True, slots=True)
class PlacedItem:
    """An item and its place, for errors; stored ones have the place `input`."""

    item: InputItem
    path: str


@dataclass(frozen=True, slots=True)
class ReadConversation:
    """All items, in their order, and what they set."""

    items: tuple[PlacedItem, ...]
    input_items: tuple[dict[str, Any], ...]
    """The items of this request alone, as they are stored: references followed, each with an id and a type."""
    late_tools: tuple[tuple[Tool, str], ...] = ()
    reasoning: Reasoning = field(default_factory=Reasoning)
    text: TextConfig = field(default_factory=TextConfig)
    is_compaction: bool = False


def read_conversation(
    request: ResponsesRequest,
    history: Sequence[Mapping[str, Any]],
    resolve_item: Callable[[str], Mapping[str, Any] | None],
    seed: str,
) -> ReadConversation:
    """Read the conversation.

    Args:
        request: the request.
        history: stored items before its own.
        resolve_item: finds a stored item by its id.
        seed: makes the ids of items without one; another for each request.

    Raises:
        OpenAIError: 404 for a reference to an item that is not stored, 400 for items with wrong fields.
    """
    stored = [PlacedItem(parse_item(raw, "input"), "input") for raw in history]
    placed, raws = _follow_references(request, resolve_item)
    is_compaction = bool(placed) and isinstance(placed[-1].item, CompactionTrigger)
    items = [it for it in (*stored, *placed) if not isinstance(it.item, CompactionTrigger)]
    reasoning, text = _read_settings(request, items)
    return ReadConversation(
        items=tuple(items),
        input_items=tuple(
            normalise_item(raw, f"{seed}:{index}")
            for index, raw in enumerate(raws)
            if raw.get("type") != "compaction_trigger"
        ),
        late_tools=tuple(_read_late_tools(items)),
        reasoning=reasoning,
        text=text,
        is_compaction=is_compaction,
    )


def _follow_references(
    request: ResponsesRequest, resolve_item: Callable[[str], Mapping[str, Any] | None]
) -> tuple[list[PlacedItem], list[Mapping[str, Any]]]:
    given = request.parameters.input
    raws: list[Mapping[str, Any]] = list(given) if isinstance(given, list) else []
    if isinstance(given, str):
        raws = [{"type": "message", "role": "user", "content": given}]
    placed = []
    for index, item in enumerate(request.items):
        path = f"input[{index}]"
        if isinstance(item, ItemReference):
            found = resolve_item(item.id)
            if found is None:
                raise OpenAIError(
                    404,
                    f"Item with id '{item.id}' not found. Items are not persisted when `store` is set to false. "
                    "Try again with `store` set to true, or remove this item from your input.",
                    param="input",
                )
            raws[index] = found
            placed.append(PlacedItem(parse_item(found, path), path))
        else:
            placed.append(PlacedItem(item, path))
    return placed, raws


def _read_settings(request: ResponsesRequest, items: Iterable[PlacedItem]) -> tuple[Reasoning, TextConfig]:
    reasoning = request.parameters.reasoning or Reasoning()
    text = request.parameters.text or TextConfig()
    for placed in items:
        match placed.item:
            case ConfigurationUpdate(reasoning=new_reasoning, text=new_text):
                if new_reasoning is not None:
                    effort = parse_reasoning(new_reasoning, f"{placed.path}.reasoning").effort
                    reasoning = msgspec.structs.replace(reasoning, effort=effort)
                if new_text is not None:
                    form = parse_text(new_text, f"{placed.path}.text").format
                    text = msgspec.structs.replace(text, format=form)
            case _:
                pass
    return reasoning, text


def _read_late_tools(items: Iterable[PlacedItem]) -> Iterable[tuple[Tool, str]]:
    for placed in items:
        match placed.item:
            case AdditionalTools(tools=tools) | ToolSearchOutput(tools=tools):
                for index, raw in enumerate(tools):
                    path = f"{placed.path}.tools[{index}]"
                    yield parse_tool(raw, path), path
            case _:
                pass


def normalise_item(raw: Mapping[str, Any], seed: str) -> dict[str, Any]:
    """Write an item as the API lists it: with a type, an id, a status, and the content of a message in parts."""
    kind = raw.get("type") or "message"
    item = {name: value for name, value in raw.items() if name not in _VOLATILE}
    digest = sha256(seed.encode()).hexdigest()[:_ID_HEX_DIGITS]
    item = {**item, "type": kind, "id": raw.get("id") or f"{_ID_PREFIXES.get(kind, 'item')}_{digest}"}
    if kind not in _WITHOUT_STATUS and item.get("status") is None:
        item["status"] = "completed"
    if kind == "message" and isinstance(raw.get("content"), str):
        part = "output_text" if raw.get("role") == "assistant" else "input_text"
        more: dict[str, Any] = {"annotations": []} if part == "output_text" else {}
        item["content"] = [{"type": part, "text": raw["content"], **more}]
    return item

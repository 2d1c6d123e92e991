"""What a conversation must look like: roles and their blocks, what must not be empty, which blocks belong in pairs.

Sources: https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls, .../handling-stop-reasons
and .../mid-conversation-system-messages; the wording is that of Claude's answers where it is known.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from addon.simulated_claude.conversation import Turn, content_blocks, system_blocks, turns_of
from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.model_table import SimulatedModel

__all__ = ["check_turns"]

USER_ONLY = frozenset({"tool_result", "image", "search_result", "container_upload"})
ASSISTANT_ONLY = frozenset(
    {"tool_use", "thinking", "redacted_thinking", "server_tool_use", "mcp_tool_use", "connector_text", "fallback"}
)
SYSTEM_BLOCKS = frozenset({"text", "tool_addition", "tool_removal"})
TOOL_ROLE_HELP = " For instructions on how to use tools, see https://docs.claude.com/en/docs/tool-use"


def check_turns(body: Mapping[str, Any], model: SimulatedModel, version: str) -> Iterator[ClaudeError]:
    """Everything that is wrong with the conversation, in the order in which Claude would say it."""
    messages = body["messages"]
    if not messages:
        yield invalid_request("messages: at least one message is required")
        return
    yield from _check_roles(messages, model)
    yield from _check_block_roles(messages, version)
    yield from _check_emptiness(body, model)
    turns = turns_of(messages)
    yield from _check_system_places(turns)
    yield from _check_tool_pairs(turns)
    yield from _check_server_tool_pairs(turns)
    yield from _check_last_message(turns, model)


def _check_roles(messages: list[Mapping[str, Any]], model: SimulatedModel) -> Iterator[ClaudeError]:
    for message in messages:
        role = message["role"]
        if role not in {"user", "assistant", "system"}:
            hint = TOOL_ROLE_HELP if role in {"tool", "function"} else ""
            yield invalid_request(
                f'messages: Unexpected role "{role}". Allowed roles are "user", "assistant" or "system".{hint}'
            )
        if role == "system" and model.system_messages == "refused":
            yield invalid_request("role 'system' is not supported on this model")


def _check_block_roles(messages: list[Mapping[str, Any]], version: str) -> Iterator[ClaudeError]:
    for index, message in enumerate(messages):
        role = message["role"]
        for position, block in enumerate(content_blocks(message["content"])):
            kind, path = block["type"], f"messages.{index}.content.{position}"
            if role != "user" and kind in USER_ONLY:
                yield invalid_request(f"{path}: `{kind}` blocks can only be in `user` messages")
            if role != "assistant" and (kind in ASSISTANT_ONLY or kind.endswith("_tool_result")):
                yield invalid_request(f"{path}: `{kind}` blocks can only be in `assistant` messages")
            if role == "system" and kind not in SYSTEM_BLOCKS:
                yield invalid_request(f"{path}: `{kind}` blocks cannot be in `system` messages")
            if role == "user" and kind in {"tool_addition", "tool_removal"}:
                yield invalid_request(f"{path}: `{kind}` blocks can only be in `system` messages")
            # Two of the differences in https://platform.claude.com/docs/en/api/migration-2026-10-21
            if version != "2023-06-01":
                if role == "assistant" and kind == "document":
                    yield invalid_request(f"{path}: `document` blocks can only be in `user` messages")
                if role == "user":
                    yield from _check_no_citations(block, path)


def _check_no_citations(block: Mapping[str, Any], path: str) -> Iterator[ClaudeError]:
    if block["type"] == "text" and block.get("citations"):
        yield invalid_request(f"{path}.text.citations: Extra inputs are not permitted")
    if block["type"] in {"search_result", "tool_result"} and isinstance(block.get("content"), list):
        for position, part in enumerate(block["content"]):
            yield from _check_no_citations(part, f"{path}.{block['type']}.content.{position}")


def _check_emptiness(body: Mapping[str, Any], model: SimulatedModel) -> Iterator[ClaudeError]:
    messages = body["messages"]
    if isinstance(body.get("system"), list):
        for index, block in enumerate(system_blocks(body)):
            yield from _check_text(block, "system", f"system.{index}")
    for index, message in enumerate(messages):
        is_last_assistant = index == len(messages) - 1 and message["role"] == "assistant" and model.prefill
        blocks = content_blocks(message["content"])
        if is_last_assistant and (not blocks or message["content"] == ""):
            continue
        if not blocks:
            yield invalid_request(
                f"messages.{index}: all messages must have non-empty content except for the optional final assistant "
                "message"
            )
        for position, block in enumerate(blocks):
            # Claude itself writes a blank text before a tool call now and then, and takes it back.
            alone = message["role"] != "assistant" or len(blocks) == 1
            path = f"messages.{index}.content.{position}"
            yield from _check_text(block, "messages", path, blank_allowed=not alone)
            if block["type"] == "tool_result" and isinstance(block.get("content"), list):
                for inner, part in enumerate(block["content"]):
                    yield from _check_text(part, "messages", f"{path}.content.{inner}", blank_allowed=True)


def _check_text(
    block: Mapping[str, Any], where: str, path: str, *, blank_allowed: bool = False
) -> Iterator[ClaudeError]:
    if block["type"] != "text":
        return
    if block["text"] == "":
        if block.get("cache_control"):
            yield invalid_request(f"{path}.text: cache_control cannot be set for empty text blocks")
        yield invalid_request(f"{where}: text content blocks must be non-empty")
    elif not blank_allowed and not block["text"].strip():
        yield invalid_request(f"{where}: text content blocks must contain non-whitespace text")


def _check_system_places(turns: list[Turn]) -> Iterator[ClaudeError]:
    for index, turn in enumerate(turns):
        if turn.role != "system":
            continue
        path = f"messages.{turn.places[0][0]}"
        before = turns[index - 1] if index else None
        after = turns[index + 1] if index + 1 < len(turns) else None
        follows_server_tool = (
            before is not None
            and before.role == "assistant"
            and _is_server_result(before.blocks[-1]["type"] if before.blocks else "")
        )
        if before is None:
            yield invalid_request(
                f"{path}: a `system` message cannot be the first message. Use the top-level `system` parameter instead."
            )
        elif before.role != "user" and not follows_server_tool:
            yield invalid_request(
                f"{path}: a `system` message must follow a `user` message or an `assistant` message that ends with a "
                "server tool result"
            )
        if after is not None and after.role != "assistant":
            yield invalid_request(
                f"{path}: a `system` message must be the last message or precede an `assistant` message"
            )


def _is_server_result(kind: str) -> bool:
    return kind.endswith("_tool_result") and kind != "tool_result"


def _check_tool_pairs(turns: list[Turn]) -> Iterator[ClaudeError]:
    # Paths count the messages as Claude sees them here: neighbours of one role joined.
    calls: list[str] = []
    for index, turn in enumerate([*turns, Turn("end", (), ())]):
        if turn.role == "user":
            yield from _check_results(index, turn, calls)
        answered = _leading_results(turn) if turn.role == "user" else []
        missing = [call for call in calls if call not in answered]
        if missing:
            yield invalid_request(
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in "
                "the next message."
            )
        calls = []
        for position, block in enumerate(turn.blocks):
            if block["type"] == "tool_use":
                if block["id"] in calls:
                    yield invalid_request(f"messages.{index}.content.{position}: `tool_use` ids must be unique")
                calls.append(block["id"])


def _leading_results(turn: Turn) -> list[str]:
    results: list[str] = []
    for block in turn.blocks:
        if block["type"] != "tool_result":
            break
        results.append(block["tool_use_id"])
    return results


def _check_results(index: int, turn: Turn, calls: list[str]) -> Iterator[ClaudeError]:
    answered: set[str] = set()
    for position, block in enumerate(turn.blocks):
        if block["type"] != "tool_result":
            continue
        path, call = f"messages.{index}.content.{position}", block["tool_use_id"]
        if call not in calls:
            yield invalid_request(
                f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {call}. Each `tool_result` block "
                "must have a corresponding `tool_use` block in the previous message."
            )
        if call in answered:
            yield invalid_request(
                f"{path}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {call}"
            )
        answered.add(call)


def _check_server_tool_pairs(turns: list[Turn]) -> Iterator[ClaudeError]:
    for index, turn in enumerate(turns):
        if turn.role != "assistant":
            continue
        open_calls: dict[str, tuple[str, tuple[int, int]]] = {}
        # A call that was pending when client tools were called is resolved in the assistant's next turn.
        if index >= 2 and turns[index - 2].role == "assistant":
            open_calls = {
                block["id"]: (block["name"], place)
                for place, block in zip(turns[index - 2].places, turns[index - 2].blocks, strict=True)
                if block["type"] == "server_tool_use"
            }
        own: set[str] = set()
        for place, block in zip(turn.places, turn.blocks, strict=True):
            if block["type"] == "server_tool_use":
                open_calls[block["id"]] = (block["name"], place)
                own.add(block["id"])
            elif _is_server_result(block["type"]) and block["type"] != "mcp_tool_result":
                if block["tool_use_id"] not in open_calls:
                    yield invalid_request(
                        f"messages.{place[0]}.content.{place[1]}: unexpected `tool_use_id` found in "
                        f"`{block['type']}` blocks: {block['tool_use_id']}. Each `{block['type']}` block must have a "
                        "corresponding `server_tool_use` block before it."
                    )
                own.discard(block["tool_use_id"])
        is_paused = index == len(turns) - 1
        if not is_paused and not _is_answered_alone(turn, turns[index + 1]):
            for call in own:
                name, place = open_calls[call]
                yield invalid_request(
                    f"messages.{place[0]}: `{name}` tool use with id `{call}` was found without a corresponding "
                    f"`{name}_tool_result` block"
                )


def _is_answered_alone(turn: Turn, answer: Turn) -> bool:
    """Whether a turn waits for tools of the client, and nothing but their results follows."""
    waits = any(block["type"] == "tool_use" for block in turn.blocks)
    return waits and all(block["type"] == "tool_result" for block in answer.blocks)


def _check_last_message(turns: list[Turn], model: SimulatedModel) -> Iterator[ClaudeError]:
    last = turns[-1]
    if last.role != "assistant":
        return
    if any(block["type"] in {"server_tool_use", "mcp_tool_use"} for block in last.blocks):
        return  # a paused turn is sent back as it was, and goes on
    if not model.prefill:
        yield invalid_request(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    if (
        last.blocks
        and last.blocks[-1]["type"] == "text"
        and last.blocks[-1]["text"] != last.blocks[-1]["text"].rstrip()
    ):
        yield invalid_request("messages: final assistant content cannot end with trailing whitespace")

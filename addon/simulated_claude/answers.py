"""What the simulated Claude says. It never pretends to have understood: its text says that it is simulated.

Deterministic: the same request gets the same content. It calls tools where it must, by `tool_choice` or by its last
instruction, or where the user names them; it thinks where the model would; it fills a JSON schema where one is asked
for.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from addon.simulated_claude.conversation import Turn, text_of, turns_of
from addon.simulated_claude.model_table import SimulatedModel
from addon.simulated_claude.schema_instances import make_instance
from addon.simulated_claude.scripts import Script, without_inline_script
from addon.simulated_claude.server_tools import container_of, is_server_tool, use_server_tool, with_name
from addon.simulated_claude.tokens import count_text_tokens

__all__ = ["Answer", "make_answer", "thinking_is_on"]

QUOTE_LENGTH = 120
HINT_LENGTH = 80
MUST_CALL = re.compile(r"\bnext reply must be a call of\b")
"""An instruction that models follow where `tool_choice` cannot force them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer, before it is split into events. Tool uses that were cut carry their text as `partial_json`."""

    content: tuple[dict[str, Any], ...]
    stop_reason: str
    stop_sequence: str | None = None
    stop_details: Mapping[str, Any] | None = None
    output_tokens: int = 1
    thinking_tokens: int = 0
    web_searches: int = 0
    container: str | None = None
    """The sandbox in which code ran."""
    input_transformations: tuple[Mapping[str, Any], ...] = field(default=())


def thinking_is_on(body: Mapping[str, Any], model: SimulatedModel) -> bool:
    """Tell whether this request thinks."""
    thinking = body.get("thinking")
    return model.thinks_by_default if thinking is None else thinking["type"] in {"adaptive", "enabled"}


def make_answer(body: Mapping[str, Any], model: SimulatedModel, script: Script | None) -> Answer:
    """Answer a valid request; a script decides as much of it as it says."""
    if script is not None and script.content is not None:
        content = [_completed(block, index) for index, block in enumerate(script.content)]
        answer = Answer(tuple(content), _natural_stop(content))
    else:
        answer = Answer(*_own_content(body, model, None if script is None else script.text))
        answer = _stopped(answer, body.get("stop_sequences") or ())
    answer = replace(_measured(answer, model), container=container_of(answer.content, body))
    if script is None or script.content is None:
        answer = _cut(answer, body["max_tokens"], model)
    if script is not None and script.stop_reason is not None:
        answer = replace(answer, stop_reason=script.stop_reason)
    if script is not None and script.stop_details is not None:
        answer = replace(answer, stop_details=script.stop_details)
    return answer


def _natural_stop(content: Sequence[Mapping[str, Any]]) -> str:
    return "tool_use" if any(block["type"] == "tool_use" for block in content) else "end_turn"


def _completed(block: Mapping[str, Any], index: int) -> dict[str, Any]:
    match block.get("type"):
        case "tool_use":
            return {"id": _tool_id("toolu", str(block.get("name", "")), index), "input": {}, **block}
        case "thinking":
            return {"signature": "", **block}
        case _:
            return dict(block)


def _tool_id(prefix: str, name: str, index: int, salt: str = "") -> str:
    # Ids only have to differ within a conversation: the salt is the number of blocks so far.
    letters = "".join(character for character in name if character.isalnum())[:12]
    return f"{prefix}_01Sim{salt}{letters}{index:02d}"


def _own_content(
    body: Mapping[str, Any], model: SimulatedModel, text: str | None
) -> tuple[tuple[dict[str, Any], ...], str]:
    turns = turns_of(body["messages"])
    content: list[dict[str, Any]] = []
    user = next((turn for turn in reversed(turns) if turn.role == "user"), None)
    said = without_inline_script(text_of(user.blocks)) if user else ""
    if thinking_is_on(body, model):
        content.append(_thinking(body, model, said))
    salt = str(sum(len(turn.blocks) for turn in turns))
    if text is not None:
        content.append({"type": "text", "text": text})
        return tuple(content), "end_turn"
    calls = _chosen_tools(body, turns, said)
    client_calls = [tool for tool in calls if tool.get("type") in (None, "custom") or "input_schema" in tool]
    ran: list[dict[str, Any]] = []
    for tool in calls:
        ran += use_server_tool(tool, said, salt)
    content += ran
    for index, tool in enumerate(client_calls):
        content.append(
            {
                "type": "tool_use",
                "id": _tool_id("toolu", tool["name"], index, salt),
                "name": tool["name"],
                "input": _arguments(tool, said),
            }
        )
    if client_calls:
        return tuple(content), "tool_use"
    if not ran:
        content.append({"type": "text", "text": _closing_text(body, model, user, said)})
    return tuple(content), "end_turn"


def _thinking(body: Mapping[str, Any], model: SimulatedModel, said: str) -> dict[str, Any]:
    display = (body.get("thinking") or {}).get("display") or model.display
    thought = f"The user says: {_quoted(said)} I am a simulation, so I answer by rule." if said else "I answer by rule."
    return {"type": "thinking", "thinking": "" if display == "omitted" else thought, "signature": ""}


def _quoted(text: str, length: int = QUOTE_LENGTH) -> str:
    shown = " ".join(text.split())
    return f'"{shown}"' if len(shown) <= length else f'"{shown[:length].rstrip()}..."'


def _chosen_tools(body: Mapping[str, Any], turns: Sequence[Turn], said: str) -> list[Mapping[str, Any]]:
    tools = [tool for tool in map(with_name, body.get("tools") or ()) if "name" in tool]
    choice = body.get("tool_choice") or {"type": "auto"}
    if not tools or choice["type"] == "none":
        return []
    if choice["type"] == "tool":
        chosen = [tool for tool in tools if tool["name"] == choice["name"]]
    else:
        last = turns[-1] if turns[-1].role != "system" or len(turns) == 1 else turns[-2]
        has_result = any(block["type"] == "tool_result" for block in last.blocks)
        callable_tools = [tool for tool in tools if "input_schema" in tool or is_server_tool(tool)]
        instruction = text_of(turns[-1].blocks[-1:])
        must = choice["type"] == "any" or bool(MUST_CALL.search(instruction))
        if MUST_CALL.search(instruction):
            callable_tools = _named(instruction, callable_tools) or callable_tools
        chosen = [] if has_result else _named(said, callable_tools)
        if not chosen and len(callable_tools) == 1 and not _has_results(turns):
            chosen = callable_tools
        if not chosen and must:
            chosen = _next_tool(callable_tools, turns)
    return chosen[:1] if choice.get("disable_parallel_tool_use") else chosen


def _next_tool(tools: Sequence[Mapping[str, Any]], turns: Sequence[Turn]) -> list[Mapping[str, Any]]:
    """Choose one: the first that has not been called yet, so that an agent that must always call gets to its end."""
    called = {block["name"] for turn in turns for block in turn.blocks if block["type"] == "tool_use"}
    return [tool for tool in tools if tool["name"] not in called][:1] or list(tools[:1])


def _named(text: str, tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Find the tools that a text names, `get_weather` also as "get weather"."""
    return [tool for tool in tools if _names(text.lower(), tool["name"].lower())]


def _names(lowered_text: str, name: str) -> bool:
    spellings = {re.escape(name), re.escape(name.replace("_", " "))}
    return any(re.search(rf"(?<![\w-]){spelling}(?![\w-])", lowered_text) for spelling in spellings)


def _has_results(turns: Sequence[Turn]) -> bool:
    return any(block["type"].endswith("tool_result") for turn in turns for block in turn.blocks)


def _arguments(tool: Mapping[str, Any], said: str) -> dict[str, Any]:
    if examples := tool.get("input_examples"):
        return dict(examples[0])
    made = _filled(tool["input_schema"], said, [tool["name"]])
    return made if isinstance(made, dict) else {}


def _filled(schema: Mapping[str, Any], said: str, tools: Sequence[str]) -> Any:
    """Fill a schema; where the text writes a call of a tool down, such as `add(1, 2)`, with what it passes."""
    made = make_instance(schema, said[:HINT_LENGTH])
    written = re.search(rf"(?<![\w-])(?:{'|'.join(map(re.escape, tools))})\(([^()]*)\)", said) if tools else None
    if written is None or not isinstance(made, dict):
        return made
    try:
        values = msgspec.json.decode(f"[{written[1]}]")
    except msgspec.DecodeError:
        return made
    passed = zip(made.items(), values, strict=False)
    return made | {name: value for (name, default), value in passed if type(value) is type(default)}


def _closing_text(body: Mapping[str, Any], model: SimulatedModel, user: Turn | None, said: str) -> str:
    schema = ((body.get("output_config") or {}).get("format") or body.get("output_format") or {}).get("schema")
    if schema is not None:
        tools = [tool["name"] for tool in body.get("tools") or () if "name" in tool]
        return msgspec.json.encode(_filled(schema, said, tools)).decode()
    results = [_result_text(block) for block in (user.blocks if user else ()) if block["type"] == "tool_result"]
    if results:
        named = "; ".join(_quoted(result) for result in results)
        return f"The tools answered: {named}. That is all a simulated Claude ({model.id}) can say about it."
    media = sorted({block["type"] for block in (user.blocks if user else ()) if block["type"] in {"image", "document"}})
    seen = (
        f" and sent {' and '.join(f'a {kind}' if kind == 'document' else f'an {kind}' for kind in media)}"
        if media
        else ""
    )
    quoted = f"You wrote {_quoted(said)}{seen}." if said else f"You wrote nothing{seen}."
    return (
        f"{quoted} I am a simulated Claude ({model.id}): I check requests and answer in the right shape, "
        "but I do not think."
    )


def _result_text(block: Mapping[str, Any]) -> str:
    content = block.get("content") or ""
    text = content if isinstance(content, str) else text_of(content) or ", ".join(part["type"] for part in content)
    return f"error: {text}" if block.get("is_error") else text


def _stopped(answer: Answer, sequences: Sequence[str]) -> Answer:
    for index, block in enumerate(answer.content):
        if block["type"] != "text":
            continue
        found = [(block["text"].find(sequence), sequence) for sequence in sequences if sequence in block["text"]]
        if found:
            position, sequence = min(found)
            kept = {**block, "text": block["text"][:position]}
            before = answer.content[:index]
            return replace(
                answer,
                content=(*before, kept) if kept["text"] else before,
                stop_reason="stop_sequence",
                stop_sequence=sequence,
            )
    return answer


def _block_text(block: Mapping[str, Any]) -> str:
    match block["type"]:
        case "text":
            return str(block["text"])
        case "thinking":
            return str(block["thinking"]) or "x" * 200
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return str(block.get("partial_json") or msgspec.json.encode(block["input"]).decode())
        case _:
            return ""


def _measured(answer: Answer, model: SimulatedModel) -> Answer:
    counts = [(block["type"], count_text_tokens(_block_text(block), model)) for block in answer.content]
    return replace(
        answer,
        output_tokens=max(1, sum(count for _, count in counts)),
        thinking_tokens=sum(count for kind, count in counts if kind in {"thinking", "redacted_thinking"}),
        web_searches=sum(
            block["type"] == "server_tool_use" and block["name"] == "web_search" for block in answer.content
        ),
    )


def _cut(answer: Answer, max_tokens: int, model: SimulatedModel) -> Answer:
    if max_tokens == 0:
        return replace(answer, content=(), stop_reason="max_tokens", output_tokens=0, thinking_tokens=0, web_searches=0)
    if answer.output_tokens <= max_tokens:
        return answer
    kept: list[dict[str, Any]] = []
    left = max_tokens
    for block in answer.content:
        text = _block_text(block)
        count = count_text_tokens(text, model)
        if count <= left:
            kept.append(block)
            left -= count
            continue
        shortened = text[: len(text) * left // count]
        if block["type"] == "text" and shortened:
            kept.append({**block, "text": shortened})
        elif block["type"] == "tool_use":
            kept.append({**block, "input": {}, "partial_json": shortened})
        elif block["type"] == "thinking":
            kept.append({**block, "thinking": block["thinking"][: len(shortened)]})
        break
    cut = replace(answer, content=tuple(kept), stop_reason="max_tokens", stop_sequence=None)
    return replace(_measured(cut, model), output_tokens=max_tokens)

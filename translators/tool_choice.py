"""The tool choice, in Claude's terms, also where the model refuses to be forced.

| choice | where the model can be forced | where it refuses |
|---|---|---|
| auto, none | the same | the same |
| required | `any` | as a named function if there is only one tool, else an instruction |
| a function | `tool` | its arguments as structured output if the schema allows it, else an instruction |
| allowed tools | the mode, and an instruction | the same |

Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, override

import msgspec

from translators.errors import OpenAIError
from translators.json_schema import MAX_OPTIONAL_PROPERTIES, MAX_UNIONS, NotExpressibleError, to_grammar_schema
from translators.tools import DeclaredTools, ToolDeclaration, declare_stubs, to_claude_name, to_input_schema
from translators.translation_warning import TranslationWarning

__all__ = ["ToolChoice", "ToolDecision", "build_tools", "choose_tool"]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """The client's choice. `name` belongs to the mode `required`; `allowed` holds names, None for all tools."""

    mode: Literal["none", "auto", "required"]
    name: str | None = None
    allowed: tuple[str, ...] | None = None
    allowed_servers: tuple[str, ...] = ()
    """Remote servers whose tools are allowed beside those."""


class ToolDecision(msgspec.Struct, frozen=True):
    """How the choice is put to Claude."""

    tool_choice: dict[str, Any] | None = None
    instruction: str | None = None
    """A sentence for the end of the conversation, where `tool_choice` cannot say it."""
    forced_tool: str | None = None
    """Client's name of the tool whose arguments Claude writes under `output_config.format`."""
    output_schema: dict[str, Any] | None = None
    """The schema for that."""
    allowed: frozenset[str] | None = None
    """Client's names of the tools that may be called this time; the answer has to be checked."""
    warnings: tuple[TranslationWarning, ...] = ()


def choose_tool(
    choice: ToolChoice | None,
    declared: DeclaredTools,
    *,
    parallel: bool = True,
    may_force: bool = True,
    may_format: bool = True,
) -> ToolDecision:
    """Put the client's tool choice to Claude. The tools themselves are never edited: they begin the cached prefix.

    Args:
        choice: None where the client has none.
        declared: the tools.
        parallel: False for at most one call.
        may_force: False where Claude refuses to be forced: by the model, or by a thinking budget.
        may_format: False where `output_config.format` is taken, or unknown to the model.

    Raises:
        OpenAIError: 400 for a tool that is not declared.
    """
    named = (tool["name"] for tool in declared.server if "name" in tool)
    names = (*(declaration.name for declaration in declared.declarations), *named)
    # A set of tools of a remote server has no name of its own.
    servers = tuple(tool["mcp_server_name"] for tool in declared.server if "mcp_server_name" in tool)
    once: dict[str, Any] = {} if parallel else {"disable_parallel_tool_use": True}
    if choice is None or (choice.mode == "auto" and choice.allowed is None):
        return ToolDecision(None if parallel else {"type": "auto", **once})
    if choice.mode == "none":
        return ToolDecision({"type": "none"})
    _refuse_unknown(choice, names, servers)
    allowed = _read_allowed(choice, names, servers)
    if allowed is not None and not (allowed.names or allowed.servers):
        return ToolDecision({"type": "none"})
    # One tool that has to be called, whichever way the client said so.
    forced = choice.mode == "required"
    candidates, sets = (names, servers) if allowed is None else (tuple(allowed.names), allowed.servers)
    is_only = len(candidates) == 1 and not sets
    single = choice.name or (candidates[0] if forced and is_only else None)
    if not forced:
        return _allow(allowed, {"type": "auto", **once} if once else None)
    if may_force:
        if single is not None and (choice.name is not None or allowed is not None):
            return ToolDecision({"type": "tool", "name": to_claude_name(single), **once})
        return _allow(allowed, {"type": "any", **once})
    return _ask_for_call(single, allowed, declared, once, may_format=may_format)


def build_tools(
    declared: DeclaredTools,
    decision: ToolDecision,
    called: Sequence[str],
) -> tuple[dict[str, Any], frozenset[str] | None, tuple[TranslationWarning, ...]]:
    """Build `tools` and `tool_choice`, and say which tools of the client may be called (by the client's names).

    Args:
        declared: the tools of the client.
        decision: what was chosen for them.
        called: Claude's names of the tools that the history calls.
    """
    tools: list[Mapping[str, Any]] = list(declared.tools)
    tool_choice, allowed = decision.tool_choice, decision.allowed
    warnings: tuple[TranslationWarning, ...] = ()
    # Claude's own tools may have the name of one that was the client's.
    names_taken = {tool.get("name") for tool in declared.server}
    stubs = declare_stubs(name for name in called if name not in names_taken)
    if not tools and stubs:
        tools.extend(stubs)
        # Claude may still use its own tools, so a call of a stub can only be left out of the answer.
        tool_choice = None if declared.server else {"type": "none"}
        allowed = frozenset()
        warnings = (TranslationWarning("tools", "emulated", "the history calls tools that are not declared"),)
    tools.extend(declared.server)
    params: dict[str, Any] = {"tools": tools} if tools else {}
    if tools and tool_choice is not None:
        params["tool_choice"] = tool_choice
    return params, allowed, warnings


@dataclass(frozen=True, slots=True)
class _Allowed:
    """Fewer tools than are declared: the client's names, and servers with all of theirs."""

    names: frozenset[str]
    servers: frozenset[str]

    @override
    def __str__(self) -> str:
        """Name them as Claude knows them."""
        tools = [f"`{to_claude_name(name)}`" for name in sorted(self.names)]
        return ", ".join([*tools, *(f"all of the server `{label}`" for label in sorted(self.servers))])


def _refuse_unknown(choice: ToolChoice, names: Sequence[str], servers: Sequence[str]) -> None:
    asked = [name for name in (choice.name, *(choice.allowed or ())) if name is not None and name not in names]
    asked += [label for label in choice.allowed_servers if label not in servers]
    if asked:
        raise OpenAIError(
            400,
            f"Invalid value: tool choice '{asked[0]}' not found in 'tools'.",
            code="invalid_value",
            param="tool_choice",
        )


def _read_allowed(choice: ToolChoice, names: Sequence[str], servers: Sequence[str]) -> _Allowed | None:
    if choice.allowed is None:
        return None
    allowed = _Allowed(frozenset(choice.allowed), frozenset(choice.allowed_servers))
    return None if allowed == _Allowed(frozenset(names), frozenset(servers)) else allowed


def _allow(allowed: _Allowed | None, tool_choice: dict[str, Any] | None) -> ToolDecision:
    if allowed is None:
        return ToolDecision(tool_choice)
    return ToolDecision(
        tool_choice,
        instruction=f"In your next reply, call no tools other than these: {allowed}.",
        allowed=allowed.names,
        warnings=(TranslationWarning("tool_choice.allowed_tools", "emulated", "by an instruction"),),
    )


def _ask_for_call(
    single: str | None,
    allowed: _Allowed | None,
    declared: DeclaredTools,
    once: dict[str, Any],
    *,
    may_format: bool,
) -> ToolDecision:
    if single is not None and may_format:
        declaration = next((tool for tool in declared.declarations if tool.name == single), None)
        schema = None if declaration is None else _output_schema(declaration)
        if schema is not None:
            return ToolDecision(
                {"type": "none"},
                instruction=f"Your next reply is taken as the arguments of a call of `{to_claude_name(single)}`.",
                forced_tool=single,
                output_schema=schema,
                warnings=(
                    TranslationWarning("tool_choice", "emulated", "the forced call is written as structured output"),
                ),
            )
    if single is not None:
        what = f"the tool `{to_claude_name(single)}`"
        # Nothing else may be called, and the answer can be checked for it.
        allowed = _Allowed(frozenset({single}), frozenset())
    elif allowed is not None:
        what = f"one of these tools: {allowed}"
    else:
        what = "one of the tools"
    return ToolDecision(
        {"type": "auto", **once} if once else None,
        instruction=f"Your next reply must be a call of {what}, and no text.",
        allowed=None if allowed is None else allowed.names,
        warnings=(
            TranslationWarning(
                "tool_choice", "degraded", "this request cannot force a call: an instruction asks for it"
            ),
        ),
    )


def _output_schema(declaration: ToolDeclaration) -> dict[str, Any] | None:
    if declaration.raw_input:
        return None
    schema, wrapped = to_input_schema(declaration.schema)
    if wrapped:
        return None
    try:
        grammar = to_grammar_schema(schema)
    except NotExpressibleError:
        return None
    within = grammar.optional_properties <= MAX_OPTIONAL_PROPERTIES and grammar.unions <= MAX_UNIONS
    return grammar.schema if within else None

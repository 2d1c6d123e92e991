"""Tool declarations, names, ids and arguments, in Claude's terms.

Names and ids outside Claude's alphabet are replaced by a readable form with a hash of the original, so that the
replacement depends on nothing else: the same name gives the same replacement in declarations, history and choice, in
every turn.
Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools, `anthropic.types.ToolParam`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from translators.errors import OpenAIError
from translators.json_schema import (
    MAX_OPTIONAL_PROPERTIES,
    MAX_STRICT_TOOLS,
    MAX_UNIONS,
    GrammarSchema,
    NotExpressibleError,
    UnknownTypeError,
    to_current_draft,
    to_grammar_schema,
)
from translators.model_catalog import ModelCapabilities
from translators.nesting import is_too_deep
from translators.request_errors import invalid_function_schema
from translators.translation_warning import TranslationWarning

__all__ = [
    "DeclaredTools",
    "ToolDeclaration",
    "declare_stubs",
    "declare_tools",
    "holds_to_schemas",
    "parse_arguments",
    "to_claude_id",
    "to_claude_name",
    "to_input_schema",
    "without_strict_tools",
]

_LEGAL = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ILLEGAL_CHARACTERS = re.compile(r"[^a-zA-Z0-9_-]")
_MAX_LENGTH = 64
_HASH_LENGTH = 8
_RAW_INPUT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
_COMPILED_FOR_SURE = 10
"""Optional properties over all schemas that Claude compiles in practice: from 13 on it may refuse what is within its
limits (measured by @ai-sdk/anthropic 3.0). A client that did not ask for a strict tool must not get an error for it."""
_GRAMMARS = {"lark": "this Lark grammar", "regex": "this regular expression"}


@dataclass(frozen=True, slots=True)
class ToolDeclaration:
    """A tool as the client declares it."""

    name: str
    param: str
    """Path of the declaration in the request, for errors."""
    description: str = ""
    schema: Mapping[str, Any] | bool | None = None
    """JSON schema of the arguments; None or a boolean: no arguments."""
    strict: bool | None = False
    """None: where the schema allows it, and nothing is said where it does not (OpenAI's Responses without `strict`)."""
    raw_input: bool = False
    """A custom tool: its input is text, not JSON."""
    grammar: tuple[str, str] | None = None
    """Syntax (lark, regex) and definition of a custom tool's input."""

    @property
    def schema_param(self) -> str:
        """Path of the schema in the request, for errors."""
        return f"{self.param.removesuffix('.name')}.parameters"


class DeclaredTools(msgspec.Struct, frozen=True):
    """The tools as Claude gets them. The sets hold the client's names."""

    tools: tuple[dict[str, Any], ...] = ()
    declarations: tuple[ToolDeclaration, ...] = ()
    renamed: Mapping[str, str] = {}
    """Claude's name to the client's, for the names that had to be changed."""
    custom: frozenset[str] = frozenset()
    wrapped: frozenset[str] = frozenset()
    """Tools whose parameters Claude does not take as they are: declared as `{"input": ...}`."""
    server: tuple[Mapping[str, Any], ...] = ()
    """Claude's own tools, which are declared after the client's."""
    warnings: tuple[TranslationWarning, ...] = ()


def to_claude_name(name: str) -> str:
    """Return the tool's name for Claude: itself where legal, else a legal form with a hash of the original."""
    if _LEGAL.fullmatch(name):
        return name
    digest = sha256(name.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{_ILLEGAL_CHARACTERS.sub('_', name)[: _MAX_LENGTH - _HASH_LENGTH - 1]}_{digest}"


def to_claude_id(tool_call_id: str) -> str:
    """Return the id of a tool call for Claude, in the same way. Ids never travel back: Claude's own are legal."""
    return to_claude_name(tool_call_id)


def parse_arguments(arguments: str, *, wrapped: bool = False) -> dict[str, Any]:
    """Parse the JSON text of a call's arguments to the object that Claude wants, in the order of its keys.

    Nothing at all and null are no arguments; what is no object, and the arguments of a wrapped tool, become `{"input":
    ...}`; what is no JSON (a call that was cut off) becomes `{"_raw": text}`, so that the call itself is never lost.
    """
    if not arguments.strip():
        return {}
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return {"_raw": arguments}
    if is_too_deep(value):
        return {"_raw": arguments}
    if wrapped:
        return {"input": value}
    if isinstance(value, dict):
        return value
    return {} if value is None else {"input": value}


def declare_tools(
    declarations: Sequence[ToolDeclaration],
    capabilities: ModelCapabilities,
    *,
    spent: GrammarSchema | None = None,
) -> DeclaredTools:
    """Declare the client's tools, in the client's order.

    Args:
        declarations: the tools, functions and custom ones.
        capabilities: of the model that answers.
        spent: the schema of `response_format`, which shares the limits of strict tools.

    Raises:
        OpenAIError: 400 for two different tools of one name, and for parameters that are no JSON schema.
    """
    if not declarations:
        return DeclaredTools()
    tools: list[dict[str, Any]] = []
    kept: dict[str, ToolDeclaration] = {}
    wrapped: set[str] = set()
    warnings: list[TranslationWarning] = []
    limits = _Limits(capabilities, spent)
    for declaration in declarations:
        same = kept.get(declaration.name)
        if same is not None:
            _refuse_other(same, declaration)
            warnings.append(TranslationWarning("tools", "changed", "a tool declared twice is sent once"))
            continue
        kept[declaration.name] = declaration
        tool: dict[str, Any] = {"name": to_claude_name(declaration.name)}
        description = _describe(declaration, warnings)
        if description:
            tool["description"] = description
        if declaration.raw_input:
            tool["input_schema"] = _RAW_INPUT_SCHEMA
        else:
            schema, is_wrapped = _input_schema_of(declaration)
            if is_wrapped:
                wrapped.add(declaration.name)
                warnings.append(
                    TranslationWarning(
                        "tools.parameters", "emulated", "parameters that Claude does not take are wrapped in an object"
                    )
                )
            strict = None if declaration.strict is False else limits.to_strict_schema(schema, asked=declaration.strict)
            if declaration.strict and strict is None:
                warnings.append(TranslationWarning("tools.strict", "degraded", limits.reason))
            tool["input_schema"] = schema if strict is None else strict
            if strict is not None:
                tool["strict"] = True
        tools.append(tool)
    return DeclaredTools(
        tools=tuple(tools),
        declarations=tuple(kept.values()),
        renamed={to_claude_name(name): name for name in kept if to_claude_name(name) != name},
        custom=frozenset(name for name, declaration in kept.items() if declaration.raw_input),
        wrapped=frozenset(wrapped),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def declare_stubs(names: Iterable[str]) -> tuple[dict[str, Any], ...]:
    """Declare tools that the history calls and the request no longer declares: some backends refuse it without.

    Args:
        names: Claude's names, in the order of their first call.
    """
    return tuple({"name": name, "input_schema": {"type": "object", "properties": {}}} for name in dict.fromkeys(names))


class _Limits:
    """Counts what strict schemas use up of the request's limits; tools beyond them are not strict."""

    def __init__(self, capabilities: ModelCapabilities, spent: GrammarSchema | None) -> None:
        self._supported = capabilities.structured_outputs
        self._tools = 0
        self._optional = spent.optional_properties if spent else 0
        self._unions = spent.unions if spent else 0
        self.reason = ""

    def to_strict_schema(self, schema: Mapping[str, Any], *, asked: bool | None) -> dict[str, Any] | None:
        """Return the schema to compile, or None with the reason in `reason`. `asked`: the client says `strict`."""
        if not self._supported:
            self.reason = "this model has no strict tools"
            return None
        try:
            grammar = to_grammar_schema(schema)
        except NotExpressibleError as error:
            self.reason = str(error)
            return None
        optional = self._optional + grammar.optional_properties
        unions = self._unions + grammar.unions
        most_optional = MAX_OPTIONAL_PROPERTIES if asked else _COMPILED_FOR_SURE
        if self._tools == MAX_STRICT_TOOLS or optional > most_optional or unions > MAX_UNIONS:
            self.reason = "more strict tools, optional properties or unions than Claude compiles"
            return None
        self._tools, self._optional, self._unions = self._tools + 1, optional, unions
        return grammar.schema


def _input_schema_of(declaration: ToolDeclaration) -> tuple[dict[str, Any], bool]:
    try:
        return to_input_schema(declaration.schema)
    except UnknownTypeError as error:
        raise invalid_function_schema(declaration.name, declaration.schema_param, error.value) from error


def _describe(declaration: ToolDeclaration, warnings: list[TranslationWarning]) -> str:
    description = declaration.description if declaration.description.strip() else ""
    if declaration.grammar is None:
        return description
    syntax, definition = declaration.grammar
    warnings.append(TranslationWarning("tools.custom.format", "emulated", "the grammar is said in the description"))
    rule = f"The value of `input` is raw text that must match {_GRAMMARS.get(syntax, syntax)} exactly:\n{definition}"
    return f"{description}\n\n{rule}" if description else rule


def _refuse_other(same: ToolDeclaration, declaration: ToolDeclaration) -> None:
    def content(tool: ToolDeclaration) -> tuple[Any, ...]:
        return (tool.description, tool.schema, tool.strict, tool.raw_input, tool.grammar)

    if content(same) != content(declaration):
        raise OpenAIError(
            400,
            f"Invalid '{declaration.param}': two different tools are named '{declaration.name}'.",
            code="invalid_value",
            param=declaration.param,
        )


# Input schemas


def to_input_schema(schema: Mapping[str, Any] | bool | None) -> tuple[dict[str, Any], bool]:
    """Make the schema one of an object, with nothing at its root that Claude refuses; say whether it was wrapped.

    Claude refuses unions at the root, and there alone property names outside its alphabet (`$filter`, `file name`).

    Raises:
        UnknownTypeError: it is no JSON schema.
    """
    if not isinstance(schema, Mapping) or not schema:
        return {"type": "object", "properties": {}}, False
    root = {
        key: value for key, value in schema.items() if key != "$schema" and not (key in _NULLABLE and value is None)
    }
    root = to_current_draft(_follow_root_reference(root))
    root_type = root.get("type")
    unions = root.keys() & {"anyOf", "oneOf", "allOf"}
    properties = root.get("properties")
    names = properties if isinstance(properties, Mapping) else ()
    is_object = root_type == "object" or (isinstance(root_type, list) and "object" in root_type)
    if (
        (is_object or (root_type is None and ("properties" in root or not unions)))
        and not unions
        and "enum" not in root
        and all(_PROPERTY.fullmatch(name) for name in names)
    ):
        if root.get("additionalProperties") is False:
            root.setdefault("properties", {})
        return {"type": "object", **{key: value for key, value in root.items() if key != "type"}}, False
    return _wrap(root), True


_PROPERTY = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
_NULLABLE = frozenset({"properties", "required", "description", "$defs", "additionalProperties"})


def _follow_root_reference(root: dict[str, Any]) -> dict[str, Any]:
    """Follow `{"$ref": "#/$defs/Arguments", "$defs": ...}`, as pydantic writes recursive models, to its target."""
    reference = root.get("$ref")
    if not isinstance(reference, str):
        return root
    for keyword in ("$defs", "definitions"):
        definitions = root.get(keyword)
        if isinstance(definitions, Mapping) and reference.startswith(f"#/{keyword}/"):
            target = definitions.get(reference.removeprefix(f"#/{keyword}/"))
            if isinstance(target, Mapping):
                return {**target, **{key: value for key, value in root.items() if key != "$ref"}}
    return root


def _wrap(root: dict[str, Any]) -> dict[str, Any]:
    definitions: dict[str, Any] = {key: root[key] for key in ("$defs", "definitions") if key in root}
    inner = {key: value for key, value in root.items() if key not in definitions}
    return {"type": "object", "properties": {"input": inner}, "required": ["input"], **definitions}


def holds_to_schemas(params: Mapping[str, Any]) -> bool:
    """Whether Claude has to compile schemas of tools for a request."""
    return any(tool.get("strict") for tool in params.get("tools", ()))


def without_strict_tools(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with tools whose schemas Claude knows, but need not hold to."""
    tools = [{key: value for key, value in tool.items() if key != "strict"} for tool in params["tools"]]
    return {**params, "tools": tools}

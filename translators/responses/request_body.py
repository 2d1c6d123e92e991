"""The body of a Responses request: bytes to typed values, or OpenAI's own error for what is wrong with it.

Only shapes and ranges are judged here; what Claude can do with them is the translation's. Items and tools are parsed
one by one, by their `type`, so that an error names its place (`input[2].content[0].text`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from translators.errors import OpenAIError
from translators.metadata import name_wrong_pair
from translators.nesting import is_too_deep
from translators.request_errors import (
    check_range,
    empty_string,
    invalid_value,
    missing_parameter,
    refuse_deep_schema,
    translate_validation_error,
    unparsable_body,
)
from translators.request_json import decode_fields
from translators.responses.item_types import ITEM_TYPES, CompactionTrigger, InputItem, LeftOutItem, Message
from translators.responses.request_types import (
    AllowedToolsChoice,
    CustomChoice,
    FunctionChoice,
    HostedChoice,
    JsonSchemaFormat,
    Reasoning,
    ResponsesParameters,
    ResponsesRequest,
    TextConfig,
    ToolChoice,
)
from translators.responses.tool_types import TOOL_TYPES, FunctionTool, HostedTool, NamespaceTool, Tool, ToolSearchTool

__all__ = ["parse_item", "parse_reasoning", "parse_request", "parse_text", "parse_tool"]

_KNOWN = frozenset(ResponsesParameters.__struct_fields__)
_request_decoder = msgspec.json.Decoder(ResponsesParameters)

_MOVED: Mapping[str, str] = {
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "messages": "input",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
}
"""Parameters of Chat Completions that have another name here. OpenAI refuses each with the name that it means
(https://github.com/lobehub/lobehub/issues/8116, https://github.com/mkht/PSOpenAI/issues/44)."""

_RANGES: dict[str, tuple[float, float | None]] = {
    "max_output_tokens": (16, None),
    "max_tool_calls": (1, None),
    "temperature": (0, 2),
    "top_logprobs": (0, 20),
    "top_p": (0, 1),
}

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_INCLUDABLE = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)
_VALUES: dict[str, tuple[str, ...]] = {
    "content.type": ("input_text", "input_image", "output_text", "refusal", "input_file", "summary_text"),
    "detail": ("low", "high", "auto", "original"),
    "format.syntax": ("lark", "regex"),
    "input.role": ("assistant", "system", "developer", "user"),
    "input.mode": ("score", "block"),
    "output.mode": ("score", "block"),
    "output.type": ("input_text", "input_image", "input_file"),
    "prompt_cache_options.mode": ("implicit", "explicit"),
    "prompt_cache_retention": ("in_memory", "24h"),
    "reasoning.context": ("auto", "current_turn", "all_turns"),
    "reasoning.effort": _EFFORTS,
    "reasoning.generate_summary": ("auto", "concise", "detailed"),
    "reasoning.summary": ("auto", "concise", "detailed"),
    "search_context_size": ("low", "medium", "high"),
    "service_tier": ("auto", "default", "flex", "scale", "priority", "fast", "ultrafast"),
    "text.format.type": ("json_object", "json_schema", "text"),
    "text.verbosity": ("low", "medium", "high"),
    "tool_choice.mode": ("auto", "required"),
    "tools.execution": ("server", "client"),
    "tools.format.type": ("text", "grammar"),
    "tools.tools.type": ("function", "custom"),
    "truncation": ("auto", "disabled"),
}
"""Values of the closed fields, for the message of the error, by the end of the path without indexes."""

_CHOICE_TYPES: Mapping[str, type[FunctionChoice | CustomChoice | AllowedToolsChoice]] = {
    "function": FunctionChoice,
    "custom": CustomChoice,
    "allowed_tools": AllowedToolsChoice,
}
_FIRST_LIST = re.compile(r"\$((?:\.\w+)+)\[\.\.\.\]")


def parse_request(body: bytes, *, deployment: str | None = None) -> ResponsesRequest:
    """Parse and check the body of a request.

    Args:
        body: the JSON text, in UTF-8.
        deployment: the model that the path names (Azure's deployments): taken where the body has none.

    Raises:
        OpenAIError: a status of 400 with OpenAI's words, code and param for what is wrong.
    """
    fields = decode_fields(body)
    _refuse_moved(fields)
    if deployment and bytes(fields.get("model", b"null")) == b"null":
        fields["model"] = Raw(msgspec.json.encode(deployment))
        body = msgspec.json.encode(fields)
    if bytes(fields.get("model", b"null")) == b"null" and "prompt" not in fields:
        raise missing_parameter("model")
    try:
        parameters = _request_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _locate_in_body(body, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unparsable_body() from error
    _check(parameters)
    return ResponsesRequest(
        parameters,
        items=_parse_input(parameters.input),
        tools=tuple(parse_tool(tool, f"tools[{index}]") for index, tool in enumerate(parameters.tools or ())),
        choice=_parse_choice(parameters.tool_choice),
        unknown_parameters=tuple(name for name in fields if name not in _KNOWN),
    )


def parse_item(raw: Mapping[str, Any], path: str) -> InputItem:
    """Parse one item.

    Args:
        raw: its JSON.
        path: its place, for errors.

    Raises:
        OpenAIError: 400 for a known type with wrong fields. Types that are not known are left out later.
    """
    kind = raw.get("type")
    if kind is None:
        # https://platform.openai.com/docs/api-reference/responses/create: both may come without a type.
        kind = "item_reference" if "role" not in raw and "id" in raw else "message"
    if not isinstance(kind, str):
        return _convert(raw, LeftOutItem, path)
    if not isinstance(raw.get("id"), str | None):
        raise translate_validation_error("Expected `str`", {}, f"{path}.id")
    if is_too_deep(raw):  # of unknown types too: they are stored and listed again
        raise OpenAIError(400, f"Invalid '{path}': it is nested too deeply.", code="invalid_value", param=path)
    item_type = ITEM_TYPES.get(kind)
    if item_type is None:
        return LeftOutItem(kind)
    return _convert(raw, item_type, path)


def parse_tool(raw: Mapping[str, Any], path: str) -> Tool:
    """Parse one tool.

    Raises:
        OpenAIError: 400 for a known type with wrong fields, and for a tool without a name.
    """
    kind = raw.get("type")
    tool_type = TOOL_TYPES.get(kind, HostedTool) if isinstance(kind, str) else HostedTool
    tool = _convert(raw, tool_type, path)
    match tool:
        case FunctionTool():
            refuse_deep_schema(f"{path}.parameters", tool.parameters)
        case ToolSearchTool():
            refuse_deep_schema(f"{path}.parameters", tool.parameters)
        case NamespaceTool():
            for index, member in enumerate(tool.tools):
                if not member.name:
                    raise empty_string(f"{path}.tools[{index}].name")
                if isinstance(member, FunctionTool):
                    refuse_deep_schema(f"{path}.tools[{index}].parameters", member.parameters)
        case _:
            pass
    if getattr(tool, "name", None) == "":
        raise empty_string(f"{path}.name")
    return tool


def parse_reasoning(raw: Mapping[str, Any], path: str) -> Reasoning:
    """Parse the `reasoning` of a configuration update.

    Raises:
        OpenAIError: 400.
    """
    return _convert(raw, Reasoning, path)


def parse_text(raw: Mapping[str, Any], path: str) -> TextConfig:
    """Parse the `text` of a configuration update.

    Raises:
        OpenAIError: 400.
    """
    text = _convert(raw, TextConfig, path)
    if isinstance(text.format, JsonSchemaFormat):
        refuse_deep_schema(f"{path}.format.schema", text.format.schema)
    return text


def _parse_input(given: str | list[dict[str, Any]] | None) -> tuple[InputItem, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return (Message("user", given),)
    items = tuple(parse_item(raw, f"input[{index}]") for index, raw in enumerate(given))
    for index, item in enumerate(items[:-1]):
        if isinstance(item, CompactionTrigger):
            raise OpenAIError(
                400,
                f"Invalid 'input[{index}]': an item of type 'compaction_trigger' has to be the last one.",
                code="invalid_value",
                param=f"input[{index}]",
            )
    return items


def _parse_choice(given: str | dict[str, Any] | None) -> ToolChoice | None:
    match given:
        case None | "none" | "auto" | "required":
            return given
        case str():
            raise invalid_value("tool_choice", f"'{given}'", ("none", "auto", "required"))
        case _:
            kind = given.get("type")
            choice_type = _CHOICE_TYPES.get(kind, HostedChoice) if isinstance(kind, str) else HostedChoice
            return _convert(given, choice_type, "tool_choice")


def _refuse_moved(fields: Mapping[str, Raw]) -> None:
    for name, new_name in _MOVED.items():
        if bytes(fields.get(name, b"null")) != b"null":
            raise OpenAIError(
                400,
                f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{new_name}'. "
                "Try again with the new parameter. See the API documentation for more information: "
                "https://platform.openai.com/docs/api-reference/responses/create.",
                code="unsupported_parameter",
            )


def _check(request: ResponsesParameters) -> None:
    if not request.model and request.prompt is None:
        raise missing_parameter("model")
    if not any((request.input is not None, request.previous_response_id, request.prompt, request.conversation)):
        raise OpenAIError(
            400,
            "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
            code="missing_required_parameter",
        )
    for name, (low, high) in _RANGES.items():
        check_range(name, getattr(request, name), low, high)
    for index, entry in enumerate(request.context_management or ()):
        path = f"context_management[{index}]"
        if entry.type != "compaction":
            raise invalid_value(f"{path}.type", f"'{entry.type}'", ("compaction",))
        check_range(f"{path}.compact_threshold", entry.compact_threshold, 1000, None)
    for index, name in enumerate(request.include or ()):
        if name not in _INCLUDABLE:
            raise invalid_value(f"include[{index}]", f"'{name}'", _INCLUDABLE)
    if request.stream_options is not None and not request.stream:
        raise OpenAIError(
            400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if request.previous_response_id and request.conversation is not None:
        raise OpenAIError(
            400,
            "Mutually exclusive parameters: 'previous_response_id' and 'conversation' cannot be used together.",
            code="mutually_exclusive_parameters",
            param="previous_response_id",
        )
    if request.background and request.store is False:
        raise OpenAIError(
            400, "Background responses have to be stored: 'store' cannot be false.", code="invalid_value", param="store"
        )
    if request.text is not None and isinstance(request.text.format, JsonSchemaFormat):
        refuse_deep_schema("text.format.schema", request.text.format.schema)


def _convert[T](raw: Mapping[str, Any], target: type[T], path: str) -> T:
    try:
        return msgspec.convert(raw, type=target)
    except msgspec.ValidationError as error:

        def try_with(field: Sequence[str], member: Any) -> str | None:
            return _refusal(lambda: msgspec.convert(_with_one(raw, field, member), type=target))

        raise translate_validation_error(_locate(raw, str(error), try_with), _VALUES, path) from error


def _locate_in_body(body: bytes, message: str) -> OpenAIError:
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):  # more is wrong: a number out of any range, what is no UTF-8
        return translate_validation_error(message, _VALUES)

    def try_with(field: Sequence[str], member: Any) -> str | None:
        return _refusal(lambda: msgspec.convert(_with_one(raw, field, member), type=ResponsesParameters))

    return translate_validation_error(_locate(raw, name_wrong_pair(message, body), try_with), _VALUES)


def _locate(raw: Any, message: str, try_with: Callable[[Sequence[str], Any], str | None]) -> str:
    """Put the index into a message of msgspec, which writes `[...]`: the first member that is refused by itself."""
    found = _FIRST_LIST.search(message)
    if found is None:
        return message
    field = found[1].removeprefix(".").split(".")
    members: Any = raw
    for name in field:
        members = members.get(name) if isinstance(members, dict) else None
    for index, member in enumerate(members if isinstance(members, list) else ()):
        own = try_with(field, member)
        if own is not None:
            return own.replace("[...]", f"[{index}]", 1)
    return message


def _with_one(raw: Mapping[str, Any], field: Sequence[str], member: Any) -> dict[str, Any]:
    """Return a copy in which the list at `field` has one member."""
    name, *rest = field
    return {**raw, name: _with_one(raw[name], rest, member) if rest else [member]}


def _refusal(convert: Callable[[], Any]) -> str | None:
    try:
        convert()
    except msgspec.ValidationError as error:
        return str(error)
    return None

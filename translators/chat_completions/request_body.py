"""The body of a Chat Completions request: bytes to typed values, or OpenAI's own error for what is wrong with it.

Only shapes and ranges are judged here; what Claude can do with them is the translation's.
"""

import re
from typing import Any

import msgspec
from msgspec import Raw

from translators.chat_completions.request_types import ChatCompletionRequest, FunctionTool, JsonSchemaFormat
from translators.errors import OpenAIError
from translators.nesting import MAX_DEPTH, is_too_deep

__all__ = ["parse_request"]

_KNOWN = frozenset(ChatCompletionRequest.__struct_fields__) - {"unknown_parameters"}
_request_decoder = msgspec.json.Decoder(ChatCompletionRequest)
_fields_decoder = msgspec.json.Decoder(dict[str, Raw])

_RANGES: dict[str, tuple[float, float | None]] = {
    "frequency_penalty": (-2, 2),
    "max_completion_tokens": (1, None),
    "max_tokens": (1, None),
    "n": (1, 128),
    "presence_penalty": (-2, 2),
    "temperature": (0, 2),
    "top_logprobs": (0, 20),
    "top_p": (0, 1),
}

_VALUES: dict[str, tuple[str, ...]] = {
    "allowed_tools.mode": ("auto", "required"),
    "content.type": ("text", "image_url", "input_audio", "refusal", "file"),
    "format.type": ("text", "grammar"),
    "function_call": ("none", "auto"),
    "grammar.syntax": ("lark", "regex"),
    "image_url.detail": ("auto", "low", "high", "original"),
    "input.mode": ("score", "block"),
    "messages.role": ("system", "assistant", "user", "function", "tool", "developer"),
    "modalities": ("text", "audio"),
    "output.mode": ("score", "block"),
    "prompt_cache_options.mode": ("implicit", "explicit"),
    "prompt_cache_retention": ("in_memory", "24h"),
    "reasoning_effort": ("none", "minimal", "low", "medium", "high", "xhigh", "max"),
    "response_format.type": ("json_object", "json_schema", "text"),
    "service_tier": ("auto", "default", "flex", "scale", "priority", "fast"),
    "tool_calls.type": ("function", "custom"),
    "tool_choice": ("none", "auto", "required"),
    "tool_choice.type": ("function", "allowed_tools", "custom"),
    "tools.type": ("function", "custom"),
    "verbosity": ("low", "medium", "high"),
    "web_search_options.search_context_size": ("low", "medium", "high"),
}
"""Values of the closed fields, for the message of the error, by the end of the path without indexes."""

_UNPARSABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON. If you have trouble "
    "figuring out how to fix this, please contact us through our help center at help.openai.com.)"
)


def parse_request(body: bytes, *, deployment: str | None = None) -> ChatCompletionRequest:
    """Parse and check the body of a request.

    Args:
        body: the JSON text, in UTF-8.
        deployment: the model that the path names (Azure's deployments): taken where the body has none.

    Raises:
        OpenAIError: a status of 400 with OpenAI's words, code and param for what is wrong.
    """
    try:
        fields = _fields_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OpenAIError(400, _UNPARSABLE) from error
    if deployment and bytes(fields.get("model", b"null")) == b"null":
        fields["model"] = Raw(msgspec.json.encode(deployment))
        body = msgspec.json.encode(fields)
    for name in ("model", "messages"):
        if name not in fields:
            raise _missing(name)
    try:
        request = _request_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OpenAIError(400, _UNPARSABLE) from error
    _check_ranges(request)
    _check_depth(request)
    unknown = tuple(name for name in fields if name not in _KNOWN)
    return (
        msgspec.structs.replace(request, unknown_parameters=unknown)
        if unknown or request.unknown_parameters
        else request
    )


_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?P<where>.*)`)?$", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(?P<expected>[^`]*)`(?:, got `(?P<got>[^`]*)`)?")
_NAMES = {
    "str": "a string",
    "int": "an integer",
    "float": "a decimal",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


def _invalid(message: str) -> OpenAIError:
    """Turn msgspec's words (`Expected `int`, got `str` - at `$.n``) into OpenAI's."""
    found = _MESSAGE.match(message)
    what, where = (found["what"], found["where"]) if found else (message, None)
    path = _param(where or "$")
    if what.startswith("Object missing required field"):
        field = what.split("`")[1]
        path = f"{path}.{field}" if path else field
        return _missing(path)
    if what.startswith(("Invalid value", "Invalid enum value")):
        value = what.split(" ", 2)[2].removeprefix("value ")
        return OpenAIError(
            400, f"Invalid value: {value}.{_supported_values(path)}", code="invalid_value", param=path or None
        )
    expected = _EXPECTED.match(what)
    if expected is not None:
        wanted = [_NAMES.get(name, name) for name in expected["expected"].split(" | ") if name != "null"]
        if wanted == ["a string", "an array"]:
            wanted[1] = "array of objects" if path.endswith("content") else "array of strings"
        got = f", but got {_NAMES.get(expected['got'], expected['got'])} instead" if expected["got"] else ""
        subject = f" for '{path}'" if path else ""
        return OpenAIError(
            400, f"Invalid type{subject}: expected {_one_of(wanted)}{got}.", code="invalid_type", param=path or None
        )
    return OpenAIError(400, f"Invalid value for '{path}': {what}.", code="invalid_value", param=path or None)


def _missing(path: str) -> OpenAIError:
    return OpenAIError(400, f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path)


def _param(where: str) -> str:
    return where.removeprefix("$").removeprefix(".").replace("[...]", "")


def _one_of(names: list[str]) -> str:
    return f"one of {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)


def _supported_values(path: str) -> str:
    plain = re.sub(r"\[\d*\]", "", path)
    values = next((values for end, values in _VALUES.items() if plain == end or plain.endswith(f".{end}")), None)
    if values is None:
        return ""
    quoted = [f"'{value}'" for value in values]
    separator = " and " if len(quoted) == 2 else ", and "
    return f" Supported values are: {', '.join(quoted[:-1])}{separator}{quoted[-1]}."


def _check_ranges(request: ChatCompletionRequest) -> None:
    if not request.model:
        raise _missing("model")
    if not request.messages:
        raise OpenAIError(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            code="empty_array",
            param="messages",
        )
    for name, (low, high) in _RANGES.items():
        value = getattr(request, name)
        if value is None:
            continue
        kind = "integer" if isinstance(value, int) else "decimal"
        if value < low:
            raise _out_of_range(name, kind, "below minimum", f">= {low:g}", value)
        if high is not None and value > high:
            raise _out_of_range(name, kind, "above maximum", f"<= {high:g}", value)
    if request.stream_options is not None and not request.stream:
        raise OpenAIError(
            400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )


def _check_depth(request: ChatCompletionRequest) -> None:
    schemas: list[tuple[str, Any]] = [
        (f"functions[{index}].parameters", function.parameters)
        for index, function in enumerate(request.functions or ())
    ]
    for index, tool in enumerate(request.tools or ()):
        if isinstance(tool, FunctionTool):
            schemas.append((f"tools[{index}].function.parameters", tool.function.parameters))
    if isinstance(request.response_format, JsonSchemaFormat):
        schemas.append(("response_format.json_schema.schema", request.response_format.json_schema.schema))
    for param, schema in schemas:
        if is_too_deep(schema):
            message = f"Invalid schema for '{param}': it is nested more than {MAX_DEPTH} levels deep."
            raise OpenAIError(400, message, code="invalid_json_schema", param=param)


def _out_of_range(name: str, kind: str, side: str, expected: str, value: float) -> OpenAIError:
    return OpenAIError(
        400,
        f"Invalid '{name}': {kind} {side} value. Expected a value {expected}, but got {value:g} instead.",
        code=f"{kind}_{side.replace('minimum', 'min').replace('maximum', 'max').replace(' ', '_')}_value",
        param=name,
    )

"""OpenAI's own errors for a body that is not what the API takes: no JSON, a missing parameter, a wrong type or value.

The wording is that of recorded answers, and of https://developers.openai.com/api/docs/guides/error-codes. That of a
body which is JSON, but no object, was seen from OpenAI's Agents API; that one takes `[]` and `null` for `{}`.
"""

import re
from collections.abc import Mapping
from typing import Any

from translators.errors import OpenAIError
from translators.nesting import MAX_DEPTH, is_too_deep

__all__ = [
    "check_range",
    "empty_string",
    "invalid_format_schema",
    "invalid_function_schema",
    "invalid_value",
    "missing_parameter",
    "refuse_deep_schema",
    "translate_validation_error",
    "unparsable_body",
    "unsupported_parameter",
]

_UNPARSABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library "
    "correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)"
)
"""Without OpenAI's last sentence, which asks to be written to at its help center: it could not help."""


def unparsable_body() -> OpenAIError:
    """Build the error for a body that is no JSON."""
    return OpenAIError(400, _UNPARSABLE)


def missing_parameter(path: str) -> OpenAIError:
    """Build the error for a parameter that has to be given."""
    return OpenAIError(400, f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path)


def invalid_value(path: str, value: str, supported: tuple[str, ...] = ()) -> OpenAIError:
    """Build the error for a value outside a closed set. `value` is written as given."""
    message = f"Invalid value: {value}.{_list_values(supported)}"
    return OpenAIError(400, message, code="invalid_value", param=path or None)


def unsupported_parameter(param: str) -> OpenAIError:
    """Build the error for a parameter that the model cannot follow."""
    return OpenAIError(
        400,
        f"Unsupported parameter: '{param}' is not supported with this model.",
        code="unsupported_parameter",
        param=param,
    )


def empty_string(path: str) -> OpenAIError:
    """Build the error for a text that must not be empty."""
    return OpenAIError(
        400,
        f"Invalid '{path}': empty string. Expected a string with minimum length 1, but got an empty string instead.",
        code="empty_string",
        param=path,
    )


def check_range(name: str, value: float | None, low: float, high: float | None) -> None:
    """Check a number that may be absent.

    Raises:
        OpenAIError: 400 for a number outside the range.
    """
    if value is None:
        return
    kind = "integer" if isinstance(value, int) else "decimal"
    if value < low:
        raise _out_of_range(name, kind, "below minimum", f">= {low:g}", value)
    if high is not None and value > high:
        raise _out_of_range(name, kind, "above maximum", f"<= {high:g}", value)


def refuse_deep_schema(param: str, schema: Any) -> None:
    """Refuse a JSON schema that is nested too deeply to be walked.

    Raises:
        OpenAIError: 400.
    """
    if is_too_deep(schema):
        message = f"Invalid schema for '{param}': it is nested more than {MAX_DEPTH} levels deep."
        raise OpenAIError(400, message, code="invalid_json_schema", param=param)


def invalid_function_schema(name: str, param: str, unknown_type: str) -> OpenAIError:
    """Build the error for the parameters of a function that are no JSON schema."""
    return OpenAIError(
        400,
        f"Invalid schema for function '{name}': {_no_schema(unknown_type)}",
        code="invalid_function_parameters",
        param=param,
    )


def invalid_format_schema(name: str, param: str, unknown_type: str, code: str | None) -> OpenAIError:
    """Build the error for an answer's format that is no JSON schema. The endpoints differ in `param` and `code`."""
    return OpenAIError(
        400, f"Invalid schema for response_format '{name}': {_no_schema(unknown_type)}", code=code, param=param
    )


def _no_schema(unknown_type: str) -> str:
    return f"'{unknown_type}' is not valid under any of the given schemas."


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


def translate_validation_error(message: str, values: Mapping[str, tuple[str, ...]], at: str = "") -> OpenAIError:
    """Turn msgspec's words (`Expected `int`, got `str` - at `$.n``) into OpenAI's.

    Args:
        message: of the `msgspec.ValidationError`.
        values: the values of closed fields, by the end of the path without indexes.
        at: path of what was decoded, if it was not the whole body.
    """
    found = _MESSAGE.match(message)
    what, where = (found["what"], found["where"]) if found else (message, None)
    path = _param(where or "$", at)
    if what.startswith("Object missing required field"):
        field = what.split("`")[1]
        path = f"{path}.{field}" if path else field
        return missing_parameter(path)
    if what.startswith(("Invalid value", "Invalid enum value")):
        value = what.split(" ", 2)[2].removeprefix("value ")
        return invalid_value(path, value, _supported_values(path, values))
    subject = f" for '{path}'" if path else ""
    expected = _EXPECTED.match(what)
    if expected is not None:
        wanted = [_NAMES.get(name, name) for name in expected["expected"].split(" | ") if name != "null"]
        if wanted == ["a string", "an array"]:
            wanted[1] = "array of objects" if path.endswith(("content", "input", "output")) else "array of strings"
        got = f", but got {_NAMES.get(expected['got'], expected['got'])} instead" if expected["got"] else ""
        return OpenAIError(
            400, f"Invalid type{subject}: expected {_one_of(wanted)}{got}.", code="invalid_type", param=path or None
        )
    return OpenAIError(400, f"Invalid value{subject}: {what}.", code="invalid_value", param=path or None)


def _param(where: str, at: str) -> str:
    inner = where.removeprefix("$").removeprefix(".").replace("[...]", "")
    return f"{at}.{inner}" if at and inner and not inner.startswith("[") else f"{at}{inner}"


def _one_of(names: list[str]) -> str:
    return f"one of {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else "".join(names)


def _supported_values(path: str, values: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    plain = re.sub(r"\[\d*\]", "", path)
    return next((known for end, known in values.items() if plain == end or plain.endswith(f".{end}")), ())


def _list_values(supported: tuple[str, ...]) -> str:
    if not supported:
        return ""
    quoted = [f"'{value}'" for value in supported]
    if len(quoted) == 1:
        return f" Supported values are: {quoted[0]}."
    separator = " and " if len(quoted) == 2 else ", and "
    return f" Supported values are: {', '.join(quoted[:-1])}{separator}{quoted[-1]}."


def _written(value: float) -> str:
    # An integer of any size has digits, but not always a float.
    return str(value)[:64] if isinstance(value, int) else f"{value:g}"


def _out_of_range(name: str, kind: str, side: str, expected: str, value: float) -> OpenAIError:
    return OpenAIError(
        400,
        f"Invalid '{name}': {kind} {side} value. Expected a value {expected}, but got {_written(value)} instead.",
        code=f"{kind}_{side.replace('minimum', 'min').replace('maximum', 'max').replace(' ', '_')}_value",
        param=name,
    )

"""The form of the answer: `response_format` to `output_config.format` or to words, and `stop`.

Where the schema has no place in Claude's subset the answer is asked for in the system prompt: in every turn in the same
words and at the same place, so that the prefix stays the same.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from translators.chat_completions.request_types import ChatCompletionRequest, JsonObjectFormat, JsonSchemaFormat
from translators.json_schema import (
    MAX_OPTIONAL_PROPERTIES,
    MAX_UNIONS,
    GrammarSchema,
    NotExpressibleError,
    to_grammar_schema,
)
from translators.model_catalog import ModelCapabilities
from translators.translation_warning import TranslationWarning

__all__ = ["OutputFormat", "split_stop", "translate_response_format"]

_MAX_STOP_SEQUENCES = 4
"""OpenAI's limit, which Claude surely takes; what is beyond it is found in the text."""

_JSON_OBJECT = "Reply with one JSON object only: no other text, and no code fence around it."
_JSON_SCHEMA = (
    "Reply only with JSON that is valid under this JSON schema: no other text, and no code fence around it.\n"
)


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """How the form of the answer is asked for: by a schema, or by words."""

    schema: dict[str, Any] | None = None
    grammar: GrammarSchema | None = None
    instruction: str | None = None
    warnings: tuple[TranslationWarning, ...] = ()


def translate_response_format(request: ChatCompletionRequest, capabilities: ModelCapabilities) -> OutputFormat:
    """Choose how the form of the answer is asked for."""
    form = request.response_format
    if isinstance(form, JsonSchemaFormat) and form.json_schema.schema is not None:
        try:
            grammar = _compile(form.json_schema.schema, capabilities)
        except NotExpressibleError as error:
            warning = TranslationWarning("response_format", "degraded", f"asked for in words: {error}")
            schema = msgspec.json.encode(form.json_schema.schema).decode()
            return OutputFormat(instruction=_JSON_SCHEMA + schema, warnings=(warning,))
        said = TranslationWarning("response_format", "degraded", f"only described: {', '.join(grammar.said)}")
        return OutputFormat(grammar.schema, grammar, warnings=(said,) if grammar.said else ())
    if isinstance(form, (JsonObjectFormat, JsonSchemaFormat)):
        warning = TranslationWarning("response_format", "emulated", "a JSON object is asked for in words")
        return OutputFormat(instruction=_JSON_OBJECT, warnings=(warning,))
    return OutputFormat()


def _compile(schema: dict[str, Any], capabilities: ModelCapabilities) -> GrammarSchema:
    if not capabilities.structured_outputs:
        raise NotExpressibleError("this model has no structured outputs")
    grammar = to_grammar_schema(schema)
    if grammar.optional_properties > MAX_OPTIONAL_PROPERTIES or grammar.unions > MAX_UNIONS:
        raise NotExpressibleError("more optional properties or unions than Claude compiles")
    return grammar


def split_stop(stops: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Split stop strings: those for Claude, and those to be watched for in its text (white space only, or too many)."""
    each = list(dict.fromkeys(stops))
    native = [stop for stop in each if stop.strip()]
    watched = tuple(stop for stop in each if stop and not stop.strip()) + tuple(native[_MAX_STOP_SEQUENCES:])
    return native[:_MAX_STOP_SEQUENCES], watched

"""The form of the answer: a JSON schema to `output_config.format`, or to words.

Where the schema has no place in Claude's subset the answer is asked for in the system prompt: in every turn in the same
words and at the same place, so that the prefix stays the same.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from translators.json_schema import (
    MAX_OPTIONAL_PROPERTIES,
    MAX_UNIONS,
    GrammarSchema,
    NotExpressibleError,
    UnknownTypeError,
    to_grammar_schema,
)
from translators.model_catalog import ModelCapabilities
from translators.translation_warning import TranslationWarning

__all__ = ["OutputFormat", "ask_for_json_object", "ask_for_json_schema"]

_JSON_OBJECT = "Reply with one JSON object only: no other text, and no code fence around it."
_JSON_SCHEMA = (
    "Reply only with JSON that is valid under this JSON schema: no other text, and no code fence around it.\n"
)


class OutputFormat(msgspec.Struct, frozen=True):
    """How the form of the answer is asked for: by a schema, or by words."""

    schema: dict[str, Any] | None = None
    grammar: GrammarSchema | None = None
    instruction: str | None = None
    warnings: tuple[TranslationWarning, ...] = ()


def ask_for_json_schema(schema: Mapping[str, Any], capabilities: ModelCapabilities, param: str) -> OutputFormat:
    """Ask for JSON of a schema. `param` names the parameter in warnings.

    Raises:
        UnknownTypeError: it is no JSON schema.
    """
    try:
        grammar = _compile(schema, capabilities)
    except UnknownTypeError:
        raise
    except NotExpressibleError as error:
        warning = TranslationWarning(param, "degraded", f"asked for in words: {error}")
        return OutputFormat(instruction=_JSON_SCHEMA + msgspec.json.encode(schema).decode(), warnings=(warning,))
    said = TranslationWarning(param, "degraded", f"only described: {', '.join(grammar.said)}")
    return OutputFormat(grammar.schema, grammar, warnings=(said,) if grammar.said else ())


def ask_for_json_object(param: str) -> OutputFormat:
    """Ask for any JSON object. `param` names the parameter in warnings."""
    warning = TranslationWarning(param, "emulated", "a JSON object is asked for in words")
    return OutputFormat(instruction=_JSON_OBJECT, warnings=(warning,))


def _compile(schema: Mapping[str, Any], capabilities: ModelCapabilities) -> GrammarSchema:
    grammar = to_grammar_schema(schema)
    if not capabilities.structured_outputs:
        raise NotExpressibleError("this model has no structured outputs")
    if grammar.optional_properties > MAX_OPTIONAL_PROPERTIES or grammar.unions > MAX_UNIONS:
        raise NotExpressibleError("more optional properties or unions than Claude compiles")
    return grammar

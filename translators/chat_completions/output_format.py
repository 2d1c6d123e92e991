"""The form of the answer: `response_format`, and `stop`."""

from translators.chat_completions.request_types import ChatCompletionRequest, JsonObjectFormat, JsonSchemaFormat
from translators.model_catalog import ModelCapabilities
from translators.output_format import OutputFormat, ask_for_json_object, ask_for_json_schema

__all__ = ["split_stop", "translate_response_format"]

_MAX_STOP_SEQUENCES = 4
"""OpenAI's limit, which Claude surely takes; what is beyond it is found in the text."""


def translate_response_format(request: ChatCompletionRequest, capabilities: ModelCapabilities) -> OutputFormat:
    """Choose how the form of the answer is asked for."""
    form = request.response_format
    if isinstance(form, JsonSchemaFormat) and form.json_schema.schema is not None:
        return ask_for_json_schema(form.json_schema.schema, capabilities, "response_format")
    if isinstance(form, (JsonObjectFormat, JsonSchemaFormat)):
        return ask_for_json_object("response_format")
    return OutputFormat()


def split_stop(stops: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Split stop strings: those for Claude, and those to be watched for in its text (white space only, or too many)."""
    each = list(dict.fromkeys(stops))
    native = [stop for stop in each if stop.strip()]
    watched = tuple(stop for stop in each if stop and not stop.strip()) + tuple(native[_MAX_STOP_SEQUENCES:])
    return native[:_MAX_STOP_SEQUENCES], watched

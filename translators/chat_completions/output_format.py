"""The form of the answer: `response_format`."""

from translators.chat_completions.request_types import ChatCompletionRequest, JsonObjectFormat, JsonSchemaFormat
from translators.model_catalog import ModelCapabilities
from translators.output_format import OutputFormat, ask_for_json_object, ask_for_json_schema

__all__ = ["translate_response_format"]


def translate_response_format(request: ChatCompletionRequest, capabilities: ModelCapabilities) -> OutputFormat:
    """Choose how the form of the answer is asked for."""
    form = request.response_format
    if isinstance(form, JsonSchemaFormat) and form.json_schema.schema is not None:
        return ask_for_json_schema(form.json_schema.schema, capabilities, "response_format")
    if isinstance(form, (JsonObjectFormat, JsonSchemaFormat)):
        return ask_for_json_object("response_format")
    return OutputFormat()

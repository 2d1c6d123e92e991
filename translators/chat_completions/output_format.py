"""The form of the answer: `response_format`."""

from translators.chat_completions.request_types import ChatCompletionRequest, JsonObjectFormat, JsonSchemaFormat
from translators.json_schema import UnknownTypeError
from translators.model_catalog import ModelCapabilities
from translators.output_format import OutputFormat, ask_for_json_object, ask_for_json_schema
from translators.request_errors import invalid_format_schema

__all__ = ["translate_response_format"]


def translate_response_format(request: ChatCompletionRequest, capabilities: ModelCapabilities) -> OutputFormat:
    """Choose how the form of the answer is asked for.

    Raises:
        OpenAIError: 400 for what is no JSON schema.
    """
    form = request.response_format
    if isinstance(form, JsonSchemaFormat) and form.json_schema.schema is not None:
        try:
            return ask_for_json_schema(form.json_schema.schema, capabilities, "response_format")
        except UnknownTypeError as error:
            raise invalid_format_schema(form.json_schema.name, "response_format", error.value, None) from error
    if isinstance(form, (JsonObjectFormat, JsonSchemaFormat)):
        return ask_for_json_object("response_format")
    return OutputFormat()

"""The body of a Chat Completions request: bytes to typed values, or OpenAI's own error for what is wrong with it.

Only shapes and ranges are judged here; what Claude can do with them is the translation's.
"""

from typing import Any

import msgspec

from translators.chat_completions.request_types import ChatCompletionRequest, FunctionTool, JsonSchemaFormat
from translators.errors import OpenAIError
from translators.request_errors import (
    check_range,
    missing_parameter,
    refuse_deep_schema,
)
from translators.request_json import decode_for_deployment, decode_request

__all__ = ["parse_request"]

_KNOWN = frozenset(ChatCompletionRequest.__struct_fields__) - {"unknown_parameters"}
_request_decoder = msgspec.json.Decoder(ChatCompletionRequest)

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


def parse_request(body: bytes, *, deployment: str | None = None) -> ChatCompletionRequest:
    """Parse and check the body of a request.

    Args:
        body: the JSON text, in UTF-8.
        deployment: the model that the path names (Azure's deployments): it counts, whatever the body says.

    Raises:
        OpenAIError: a status of 400 with OpenAI's words, code and param for what is wrong.
    """
    fields, body = decode_for_deployment(body, ("model", "messages"), deployment)
    request = decode_request(_request_decoder, body, _VALUES)
    _check_ranges(request)
    _check_depth(request)
    unknown = tuple(name for name in fields if name not in _KNOWN)
    return (
        msgspec.structs.replace(request, unknown_parameters=unknown)
        if unknown or request.unknown_parameters
        else request
    )


def _check_ranges(request: ChatCompletionRequest) -> None:
    if not request.model:
        raise missing_parameter("model")
    if not request.messages:
        raise OpenAIError(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            code="empty_array",
            param="messages",
        )
    for name, (low, high) in _RANGES.items():
        if (value := getattr(request, name)) is not None:
            check_range(name, value, low, high)
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
        refuse_deep_schema(param, schema)

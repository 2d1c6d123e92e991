"""Every rule, with a request that breaks it and Claude's own words for that."""

# One rule, one row: a row that is wrapped at 120 columns hides what it says.
# ruff: noqa: E501

import base64
from typing import Any

import pytest

from addon.simulated_claude.errors import ClaudeError
from addon.simulated_claude.validation import check_headers, check_request, parse_body

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10").decode()
WIDE_PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x20\0\0\0\0\x10").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"\0" * 20).decode()
TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def user(*content: Any) -> dict[str, Any]:
    return {
        "role": "user",
        "content": content[0] if len(content) == 1 and isinstance(content[0], str) else list(content),
    }


def assistant(*content: Any) -> dict[str, Any]:
    return {**user(*content), "role": "assistant"}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


def image(data: str, media_type: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


def output(schema: dict[str, Any]) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": schema}}}


def judge(version: str = "2026-10-21", betas: str = "", counting: bool = False, **changes: Any) -> ClaudeError | None:
    body = {"model": "claude-opus-5", "max_tokens": 100, "messages": [user("hi")], **changes}
    body = {name: value for name, value in body.items() if value is not None}
    verdict = check_request({"anthropic-version": version, "anthropic-beta": betas}, body, counting=counting)
    return verdict if isinstance(verdict, ClaudeError) else None


MCP = "mcp-client-2025-11-20"
SERVER = {"type": "url", "name": "s", "url": "https://example.com/"}
TOOLSET = {"type": "mcp_toolset", "mcp_server_name": "s"}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
EPHEMERAL = {"type": "ephemeral"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "max tokens missing": ({"max_tokens": None}, "max_tokens: Field required"),
    "messages missing": ({"messages": None}, "messages: Field required"),
    "messages empty": ({"messages": []}, "messages: at least one message is required"),
    "max tokens a string": ({"max_tokens": "5"}, "max_tokens: Input should be a valid integer"),
    "max tokens a float": ({"max_tokens": 5.5}, "max_tokens: Input should be a valid integer"),
    "max tokens negative": ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    "max tokens too many": (
        {"model": "claude-haiku-4-5", "max_tokens": 64_001},
        "max_tokens: 64001 > 64000, which is the maximum allowed number of output tokens for claude-haiku-4-5-20251001",
    ),
    "unknown field": ({"frequency_penalty": 0}, "frequency_penalty: Extra inputs are not permitted"),
    "name on a message": ({"messages": [{**user("a"), "name": "bob"}]}, "messages.0.name: Extra inputs are not permitted"),
    "temperature under the new version": ({"temperature": 1.0}, "temperature: Extra inputs are not permitted"),
    "top_p under the new version": ({"top_p": 0.99}, "top_p: Extra inputs are not permitted"),
    "top_k under the new version": ({"top_k": 5, "model": "claude-sonnet-4-6"}, "top_k: Extra inputs are not permitted"),
    "temperature of a new model": ({"version": "2023-06-01", "temperature": 0.5}, "`temperature` is deprecated for this model."),
    "top_p of a new model": ({"version": "2023-06-01", "top_p": 0.5}, "`top_p` is deprecated for this model."),
    "temperature above one": (
        {"version": "2023-06-01", "model": "claude-sonnet-4-6", "temperature": 1.5},
        "temperature: Input should be less than or equal to 1",
    ),
    "temperature and top_p": (
        {"version": "2023-06-01", "model": "claude-sonnet-4-6", "temperature": 0.5, "top_p": 0.5},
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
    ),
    "temperature while thinking": (
        {"version": "2023-06-01", "model": "claude-sonnet-4-6", "temperature": 0.5, "thinking": {"type": "adaptive"}},
        "`temperature` may only be set to 1 when thinking is enabled.",
    ),
    "document from the assistant": (
        {"messages": [user("a"), assistant({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}), user("b")]},
        "messages.1.content.0: `document` blocks can only be in `user` messages",
    ),
    "citations from the user": (
        {"messages": [user(text("a", citations=[{"type": "char_location"}]))]},
        "messages.0.content.0.text.citations: Extra inputs are not permitted",
    ),
    "tool role": (
        {"messages": [user("a"), {"role": "tool", "content": "b"}]},
        'messages: Unexpected role "tool". Allowed roles are "user", "assistant" or "system".',
    ),
    "empty text": ({"messages": [user("")]}, "messages: text content blocks must be non-empty"),
    "blank text": ({"messages": [user(text(" \n"))]}, "messages: text content blocks must contain non-whitespace text"),
    "blank answer alone": (
        {"messages": [user("a"), assistant(" "), user("b")]},
        "messages: text content blocks must contain non-whitespace text",
    ),
    "empty system block": ({"system": [text("")]}, "system: text content blocks must be non-empty"),
    "empty text in a result": (
        {"tools": [TOOL], "messages": [user("a"), assistant(CALL), user({**RESULT, "content": [text("")]})]},
        "messages: text content blocks must be non-empty",
    ),
    "no content": (
        {"messages": [user("a"), assistant(), user("b")]},
        "messages.1: all messages must have non-empty content except for the optional final assistant message",
    ),
    "unknown block": (
        {"messages": [user({"type": "input_audio"})]},
        "messages.0.content.0: Input tag 'input_audio' found using 'type' does not match any of the expected tags:",
    ),
    "openai image block": ({"messages": [user({"type": "image_url", "image_url": {}})]}, "messages.0.content.0: Input tag 'image_url'"),
    "text block without text": ({"messages": [user({"type": "text"})]}, "messages.0.content.0.text.text: Field required"),
    "tool use from the user": ({"messages": [user(CALL)]}, "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages"),
    "tool result from the assistant": (
        {"messages": [user("a"), assistant(RESULT)]},
        "messages.1.content.0: `tool_result` blocks can only be in `user` messages",
    ),
    "arguments as a string": (
        {"messages": [user("a"), assistant({**CALL, "input": "{}"}), user(RESULT)]},
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
    ),
    "tool id outside the alphabet": (
        {"messages": [user("a"), assistant({**CALL, "id": "call.1"}), user(RESULT)]},
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
    ),
    "tool result missing": (
        {"tools": [TOOL], "messages": [user("a"), assistant(CALL), user("b")]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
    ),
    "tool result after text": (
        {"tools": [TOOL], "messages": [user("a"), assistant(CALL), user(text("b"), RESULT)]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.",
    ),
    "conversation ends with a call": (
        {"tools": [TOOL], "messages": [user("a"), assistant(CALL)]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.",
    ),
    "tool result without a call": (
        {"messages": [user("a"), user(RESULT)]},
        "messages.0.content.1: unexpected `tool_use_id` found in `tool_result` blocks: toolu_1. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.",
    ),
    "two results for a call": (
        {"tools": [TOOL], "messages": [user("a"), assistant(CALL), user(RESULT, RESULT)]},
        "messages.2.content.1: each tool_use must have a single result. Found multiple `tool_result` blocks with id: toolu_1",
    ),
    "two calls of one id": (
        {"tools": [TOOL], "messages": [user("a"), assistant(CALL, CALL), user(RESULT)]},
        "messages.1.content.1: `tool_use` ids must be unique",
    ),
    "server result without a call": (
        {"messages": [user("a"), assistant({"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}), user("b")]},
        "messages.1.content.0: unexpected `tool_use_id` found in `web_search_tool_result` blocks: srvtoolu_1.",
    ),
    "server call without a result": (
        {"messages": [user("a"), assistant({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}), user("b"), assistant("c"), user("d")]},
        "messages.1: `web_search` tool use with id `srvtoolu_1` was found without a corresponding `web_search_tool_result` block",
    ),
    "words after a server tool that is not done": (
        {"messages": [user("a"), assistant(SEARCH), user("b")]},
        "messages.1: `web_search` tool use with id `srvtoolu_1` was found without a corresponding `web_search_tool_result` block",
    ),
    "words beside the results that a server tool waits for": (
        {"tools": [TOOL], "messages": [user("a"), assistant(CALL, SEARCH), user(RESULT, text("b"))]},
        "messages.1: `web_search` tool use with id `srvtoolu_1` was found without a corresponding `web_search_tool_result` block",
    ),
    "system first": ({"messages": [system("x"), user("a")]}, "messages.0: a `system` message cannot be the first message."),
    "system before a user": (
        {"messages": [user("a"), system("x"), user("b")]},
        "messages.1: a `system` message must be the last message or precede an `assistant` message",
    ),
    "system after an assistant": (
        {"messages": [user("a"), assistant("b"), system("x")]},
        "messages.2: a `system` message must follow a `user` message",
    ),
    "system between call and result": (
        {"tools": [TOOL], "messages": [user("a"), assistant(CALL), system("x"), user(RESULT)]},
        "messages.2: a `system` message must follow a `user` message",
    ),
    "system on a model without": (
        {"model": "claude-opus-4-7", "messages": [user("a"), system("x")]},
        "role 'system' is not supported on this model",
    ),
    "prefill": (
        {"messages": [user("a"), assistant("b")]},
        "This model does not support assistant message prefill. The conversation must end with a user message.",
    ),
    "prefill with trailing blanks": (
        {"model": "claude-haiku-4-5", "messages": [user("a"), assistant("b ")]},
        "messages: final assistant content cannot end with trailing whitespace",
    ),
    "prefill while thinking": (
        {"model": "claude-haiku-4-5", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [user("a"), assistant("b")]},
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`.",
    ),
    "tool loop without its thinking": (
        {"model": "claude-haiku-4-5", "max_tokens": 2000, "tools": [TOOL], "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": [user("a"), assistant(CALL), user(RESULT)]},
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
    ),
    "five breakpoints": (
        {"system": [text(str(n), cache_control=EPHEMERAL) for n in range(4)], "cache_control": EPHEMERAL},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    "breakpoint on empty text": (
        {"system": [text("", cache_control=EPHEMERAL)]},
        "system.0.text: cache_control cannot be set for empty text blocks",
    ),
    "long breakpoint after a short one": (
        {"system": [text("a", cache_control=EPHEMERAL), text("b", cache_control={"type": "ephemeral", "ttl": "1h"})]},
        "system.1.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block.",
    ),
    "breakpoint on thinking": (
        {"messages": [user("a"), assistant({"type": "thinking", "thinking": "", "signature": "x", "cache_control": EPHEMERAL}, text("b")), user("c")]},
        "messages.1.content.0.thinking.cache_control: Extra inputs are not permitted",
    ),
    "wrong media type": (
        {"messages": [user(image(JPEG, "image/png"))]},
        "messages.0.content.0.image.source.base64: The image was specified using the image/png media type, but the image appears to be a image/jpeg image",
    ),
    "wrong media type in a result": (
        {"tools": [TOOL], "messages": [user("a"), assistant(CALL), user({**RESULT, "content": [image(PNG, "image/webp")]})]},
        "messages.2.content.0.content.0.image.source.base64: The image was specified using the image/webp media type",
    ),
    "media type outside the four": (
        {"messages": [user(image(PNG, "image/bmp"))]},
        "messages.0.content.0.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
    ),
    "no image at all": ({"messages": [user(image("aGVsbG8=", "image/png"))]}, "Could not process image"),
    "image as a data url": (
        {"messages": [user({"type": "image", "source": {"type": "url", "url": "data:image/png;base64,AAAA"}})]},
        "messages.0.content.0.image.source.url.url: Only HTTPS URLs are supported.",
    ),
    "image not base64": ({"messages": [user(image("%%%", "image/png"))]}, "messages.0.content.0.image.source.base64.data: Invalid base64 data"),
    "image too wide": (
        {"messages": [user(image(WIDE_PNG, "image/png"))]},
        "messages.0.content.0.image.source.base64.data: At least one of the image dimensions exceed max allowed size: 8000 pixels",
    ),
    "pdf that is none": (
        {"messages": [user({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGVsbG8="}})]},
        "messages.0.content.0.document.source.base64.data: The PDF specified was not valid.",
    ),
    "blank stop sequence": ({"stop_sequences": ["\n"]}, "stop_sequences: each stop sequence must contain non-whitespace"),
    "stop sequences as a string": ({"stop_sequences": "a"}, "stop_sequences: Input should be a valid list"),
    "user id too long": ({"metadata": {"user_id": "x" * 513}}, "metadata.user_id: String should have at most 512 characters"),
    "openai tool": ({"tools": [{"type": "function", "function": {}}]}, "tools.0: Input tag 'function' found using 'type' does not match"),
    "tool name outside the alphabet": (
        {"tools": [{**TOOL, "name": "get.weather"}]},
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
    ),
    "tool name twice": ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    "tool without a schema": ({"tools": [{"name": "a"}]}, "tools.0.custom.input_schema: Field required"),
    "tool schema without a type": ({"tools": [{"name": "a", "input_schema": {}}]}, "tools.0.custom.input_schema.type: Field required"),
    "tool schema of another type": (
        {"tools": [{"name": "a", "input_schema": {"type": "string"}}]},
        "tools.0.custom.input_schema.type: Input should be 'object'",
    ),
    "tool schema with a union on top": (
        {"tools": [{"name": "a", "input_schema": {"type": "object", "anyOf": [{"type": "object"}]}}]},
        "tools.0.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level",
    ),
    "tool schema that is none": (
        {"tools": [{"name": "a", "input_schema": {"type": "object", "properties": {"x": {"type": "int"}}}}]},
        "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12",
    ),
    "tool schema with a count that is none": (
        {"tools": [{"name": "a", "input_schema": {"type": "object", "properties": {"x": {"type": "array", "minItems": "2"}}}}]},
        "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12",
    ),
    "tool schema with a pattern that is none": (
        {"tools": [{"name": "a", "input_schema": {"type": "object", "properties": {"x": {"type": "string", "pattern": 3}}}}]},
        "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12",
    ),
    "tool schema with a number that is none": (
        {"tools": [{"name": "a", "input_schema": {"type": "object", "properties": {"x": {"type": "number", "multipleOf": "1"}}}}]},
        "tools.0.custom.input_schema: JSON schema is invalid. It must match JSON Schema draft 2020-12",
    ),
    "property name outside the alphabet": (
        {"tools": [{"name": "a", "input_schema": {"type": "object", "properties": {"a b": {}}}}]},
        "tools.0.custom.input_schema.properties: Property keys should match pattern '^[a-zA-Z0-9_.-]{1,64}$'",
    ),
    "all tools deferred": ({"tools": [{**TOOL, "defer_loading": True}]}, "At least one tool must have defer_loading=false."),
    "tool choice as a string": ({"tools": [TOOL], "tool_choice": "auto"}, "tool_choice: Input should be a valid dictionary"),
    "tool choice without tools": ({"tool_choice": {"type": "auto"}}, "tool_choice may only be specified while providing tools."),
    "tool choice of a stranger": ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "x"}}, "Tool 'x' not found in provided tools"),
    "no tool, but not parallel": (
        {"tools": [TOOL], "tool_choice": {"type": "none", "disable_parallel_tool_use": True}},
        "tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted",
    ),
    "forced tool on a model without": (
        {"model": "claude-opus-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}},
        'tool_choice: type "tool" and "any" are not supported for this model.',
    ),
    "forced tool when counting": (
        {"model": "claude-sonnet-5-5", "counting": True, "max_tokens": None, "tools": [TOOL], "tool_choice": {"type": "any"}},
        'tool_choice: type "tool" and "any" are not supported for this model.',
    ),
    "forced tool while thinking": (
        {"model": "claude-opus-4-6", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": [TOOL], "tool_choice": {"type": "any"}},
        "Thinking may not be enabled when tool_choice forces tool use.",
    ),
    "thinking with a budget on a new model": (
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
        '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.',
    ),
    "adaptive on an old model": (
        {"model": "claude-haiku-4-5", "thinking": {"type": "adaptive"}},
        "adaptive thinking is not supported on this model",
    ),
    "thinking off where only between tools": (
        {"model": "claude-sonnet-5-5", "thinking": {"type": "disabled"}},
        'To turn thinking off on this model, send "thinking": {"type": "between_tools"} instead of {"type": "disabled"}',
    ),
    "thinking off where it is always on": ({"model": "claude-opus-5-5", "thinking": {"type": "disabled"}}, '"thinking.type.disabled" is not supported'),
    "budget too small": (
        {"model": "claude-haiku-4-5", "max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1000}},
        "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024",
    ),
    "budget above max tokens": (
        {"model": "claude-haiku-4-5", "max_tokens": 1024, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
    ),
    "updates without their header": ({"thinking": {"type": "adaptive", "display": "updates"}}, "thinking.adaptive.display: Input should be 'summarized' or 'omitted'"),
    "block binding without its header": (
        {"thinking": {"type": "adaptive", "block_binding": {}}},
        "thinking.adaptive.block_binding: Extra inputs are not permitted",
    ),
    "effort unknown": ({"output_config": {"effort": "minimal"}}, "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'"),
    "effort of a model without": ({"model": "claude-haiku-4-5", "output_config": {"effort": "low"}}, "This model does not support the effort parameter."),
    "effort too high": (
        {"model": "claude-opus-4-6", "output_config": {"effort": "xhigh"}},
        "This model does not support effort level 'xhigh'. Supported levels: high, low, max, medium.",
    ),
    "effort too high without thinking": (
        {"thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}},
        "output_config.effort 'xhigh' is not supported when thinking is disabled on this model",
    ),
    "format with a name": (
        {"output_config": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}},
        "output_config.format.name: Extra inputs are not permitted",
    ),
    "format json_object": ({"output_config": {"format": {"type": "json_object"}}}, "output_config.format.type: Input should be 'json_schema'"),
    "open object": (
        output({"type": "object", "properties": {}}),
        "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
    ),
    "map": (
        output({"type": "object", "additionalProperties": {"type": "string"}}),
        "output_config.format.schema: For 'object' type, 'additionalProperties: object' is not supported. Please set 'additionalProperties' to false",
    ),
    "bounds": (
        output({**SCHEMA, "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 2}}}),
        "output_config.format.schema: For 'integer' type, properties maximum, minimum are not supported",
    ),
    "array bounds": (
        output({**SCHEMA, "properties": {"a": {"type": "array", "items": {"type": "string"}, "maxItems": 2}}}),
        "output_config.format.schema: For 'array' type, property maxItems is not supported",
    ),
    "one of": (output({**SCHEMA, "properties": {"a": {"oneOf": [{"type": "string"}]}}}), "output_config.format.schema: Schema keyword 'oneOf' is not supported"),
    "recursion": (
        output({**SCHEMA, "properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {**SCHEMA, "properties": {"a": {"$ref": "#/$defs/n"}}}}}),
        "output_config.format.schema: Recursive schemas are not supported",
    ),
    **{
        f"schema that is none: {name}": (
            output({**SCHEMA, **part}),
            "output_config.format.schema: JSON schema is invalid. It must match JSON Schema draft 2020-12",
        )
        for name, part in {
            "properties": {"properties": ["a"]},
            "required": {"required": 1},
            "type": {"type": {"a": 1}},
            "enum": {"properties": {"a": {"enum": 1}}},
            "reference": {"properties": {"a": {"$ref": 1}}},
            "union": {"properties": {"a": {"anyOf": 1}}},
            "format": {"properties": {"a": {"type": "string", "format": ["date"]}}},
            "pattern": {"properties": {"a": {"type": "string", "pattern": 1}}},
            "count": {"properties": {"a": {"type": "array", "items": {"type": "string"}, "minItems": [1]}}},
        }.items()
    },
    "lookahead": (
        output({**SCHEMA, "properties": {"a": {"type": "string", "pattern": "^(?=x)"}}}),
        "output_config.format.schema: For 'string' type, this 'pattern' is not supported",
    ),
    "unknown format": (
        output({**SCHEMA, "properties": {"a": {"type": "string", "format": "iri"}}}),
        "output_config.format.schema: For 'string' type, format 'iri' is not supported",
    ),
    "strict tool with an open object": (
        {"tools": [{**TOOL, "strict": True}]},
        "tools.0.custom: For 'object' type, 'additionalProperties' must be explicitly set to false",
    ),
    "too many strict tools": (
        {"tools": [{"name": f"t{n}", "strict": True, "input_schema": SCHEMA} for n in range(21)]},
        "Too many strict tools (21). The maximum number of strict tools supported is 20.",
    ),
    "too many optional properties": (
        output({**SCHEMA, "properties": {f"p{n}": {"type": "string"} for n in range(25)}, "required": []}),
        "Schemas contains too many optional parameters (25)",
    ),
    "too many unions": (
        output({**SCHEMA, "properties": {f"p{n}": {"type": ["string", "null"]} for n in range(17)}, "required": [f"p{n}" for n in range(17)]}),
        "Schemas contains too many parameters with union types (17 parameters with type arrays or anyOf)",
    ),
    "citations with a format": (
        {**output(SCHEMA), "messages": [user({"type": "document", "citations": {"enabled": True}, "source": {"type": "text", "media_type": "text/plain", "data": "x"}})]},
        "output_config.format: citations are not supported with output formats",
    ),
    "beta field without its header": ({"fallbacks": "default"}, "fallbacks: Extra inputs are not permitted"),
    "toolset with a name": ({"tools": [{"type": "computer_toolset_20260801", "name": ["x"]}]}, "tools.0.computer_toolset_20260801.name: Input should be None"),
    "toolset of no server": ({"betas": MCP, "tools": [{"type": "mcp_toolset"}], "mcp_servers": [{}]}, "tools.0.mcp_toolset.mcp_server_name: Field required"),
    "toolset with a marker that is none": (
        {"betas": MCP, "tools": [{**TOOLSET, "cache_control": "x"}], "mcp_servers": [SERVER]},
        "tools.0.mcp_toolset.cache_control: Input should be a valid dictionary",
    ),
    "toolset with settings that are none": (
        {"betas": MCP, "tools": [{**TOOLSET, "configs": 3}], "mcp_servers": [SERVER]},
        "tools.0.mcp_toolset.configs: Input should be a valid dictionary",
    ),
    "beta result of no call": (
        {"betas": "advisor-tool-2026-03-01", "messages": [user("x"), assistant({"type": "advisor_tool_result"}), user("y")]},
        "messages.1.content.0.advisor_tool_result.tool_use_id: Field required",
    ),
    "beta tool without its header": ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "x"}]}, "tools.0: Input tag 'mcp_toolset' found using 'type'"),
    "beta block without its header": (
        {"messages": [user("a"), assistant({"type": "compaction", "content": "x"}), user("b")]},
        "messages.1.content.0: Input tag 'compaction' found using 'type'",
    ),
    "speed of a model without": ({"model": "claude-haiku-5-5", "speed": "fast"}, "speed: 'fast' is not supported on this model"),
    "speed without its header": ({"speed": "fast"}, "speed: Extra inputs are not permitted"),
    "prompt too long": (
        {"model": "claude-haiku-4-5", "messages": [user("word " * 160_000)]},
        "prompt is too long: 222232 tokens > 200000 maximum",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), REFUSED.values(), ids=REFUSED)
def test_it_refuses_with_claudes_words(changes, words):
    error = judge(**changes)
    assert error is not None
    assert (error.status, error.error_type) == (400, "invalid_request_error")
    assert error.message.startswith(words)


ACCEPTED: dict[str, dict[str, Any]] = {
    "results that a server tool waits for": {"tools": [TOOL], "messages": [user("a"), assistant(CALL, SEARCH), user(RESULT)]},
    "plain": {},
    "system message after the user": {"messages": [user("a"), system("x"), assistant("b"), user("c")]},
    "two system messages in a row at the end": {"messages": [user("a"), system("x"), system("y")]},
    "system message after tool results": {"tools": [TOOL], "messages": [user("a"), assistant(CALL), user(RESULT), system("x")]},
    "system message that Sonnet 5 ignores": {"model": "claude-sonnet-5", "messages": [user("a"), system("x")]},
    "first message of the assistant": {"messages": [assistant("a"), user("b")]},
    "neighbours of one role": {"messages": [user("a"), user("b")]},
    "results spread over neighbours": {
        "tools": [TOOL],
        "messages": [user("a"), assistant(CALL, {**CALL, "id": "toolu_2"}), user(RESULT), user({**RESULT, "tool_use_id": "toolu_2"}, text("c"))],
    },
    "ids of a call from OpenAI": {"messages": [user("a"), assistant({**CALL, "id": "call_Ab-9"}), user({**RESULT, "tool_use_id": "call_Ab-9"})]},
    "the same id in a later turn": {"messages": [user("a"), assistant(CALL), user(RESULT), assistant(CALL), user(RESULT)]},
    "a result without content": {"messages": [user("a"), assistant(CALL), user({"type": "tool_result", "tool_use_id": "toolu_1"})]},
    "blank text beside a call": {"messages": [user("a"), assistant(text(" "), CALL), user(RESULT)]},
    "prefill where it is known": {"model": "claude-haiku-4-5", "messages": [user("a"), assistant("b")]},
    "paused turn sent back": {
        "messages": [user("a"), assistant({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}})]
    },
    "temperature of an older model": {"version": "2023-06-01", "model": "claude-sonnet-4-6", "temperature": 0.2, "top_k": 5},
    "default temperature of a new model": {"version": "2023-06-01", "temperature": 1.0, "top_p": 0.99},
    "document from the assistant under the old version": {
        "version": "2023-06-01",
        "messages": [user("a"), assistant({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}), user("b")],
    },
    "thinking off at low effort": {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}},
    "between tools": {"model": "claude-sonnet-5-5", "thinking": {"type": "between_tools"}, "output_config": {"effort": "high"}},
    "forced tool with adaptive thinking": {"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}},
    "forced tool on 4.6 with adaptive thinking": {
        "model": "claude-opus-4-6", "tools": [TOOL], "tool_choice": {"type": "tool", "name": "get_weather"}, "thinking": {"type": "adaptive"},
    },
    "no tool choice without tools": {"tool_choice": {"type": "none"}},
    "strict tool": {"tools": [{"name": "a", "strict": True, "input_schema": SCHEMA}]},
    "not strict, so any schema": {
        "tools": [{"name": "a", "input_schema": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}, "m": {"oneOf": [{"type": "string"}]}}}}]
    },
    "format with definitions": output({**SCHEMA, "properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": ["string", "null"], "format": "date"}}}),
    "four breakpoints": {"system": [text(str(n), cache_control=EPHEMERAL) for n in range(3)], "cache_control": EPHEMERAL},
    "beta field with its header": {"betas": "server-side-fallback-2026-07-01", "fallbacks": "default"},
    "fast where it is general": {"model": "claude-opus-5-5", "speed": "fast"},
    "no output, to warm the cache": {"max_tokens": 0},
    "png": {"messages": [user(image(PNG, "image/png"))]},
    "too wide, to be made smaller": {"messages": [user({**image(WIDE_PNG, "image/png"), "transformations": {"oversized_image": "downsize"}})]},
    "empty system string": {"system": ""},
    "web search": {"tools": [{"type": "web_search_20260318", "name": "web_search", "max_uses": 3, "user_location": {"type": "approximate", "city": "Graz"}}]},
}  # fmt: skip


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED)
def test_it_takes_what_claude_takes(changes):
    error = judge(**changes)
    assert error is None, error


def test_a_thread_is_refused_so_that_the_sdks_go_on_without():
    continued = {"type": "continue", "previous_message_id": "msg_1"}
    error = judge(betas="message-threads-2026-08-12", thread=continued, messages=[user(RESULT)])
    assert error is not None
    assert error.details == {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


@pytest.mark.parametrize("model", ["gpt-5", "claude-3-opus-20240229", "claude-sonnet-4-20250514", "claude-opus-5-6"])
def test_unknown_and_retired_models_are_not_found(model):
    error = judge(model=model)
    assert error is not None
    assert (error.status, error.error_type, error.message) == (404, "not_found_error", f"model: {model}")


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 401, "x-api-key header is required"),
        ({"x-api-key": ""}, 401, "invalid x-api-key"),
        ({"x-api-key": "sk-ant-invalid-1"}, 401, "invalid x-api-key"),
        ({"authorization": "Bearer sk-ant-invalid-1"}, 401, "Invalid bearer token"),
        ({"authorization": "Basic eDp5"}, 401, "Invalid bearer token"),
        ({"x-api-key": "k"}, 400, "anthropic-version: header is required"),
        (
            {"x-api-key": "k", "anthropic-version": "2024-01-01"},
            400,
            'anthropic-version: "2024-01-01" is not a valid version',
        ),
    ],
)
def test_keys_and_versions_are_checked(headers, status, message):
    error = check_headers(headers)
    assert error is not None
    assert (error.status, error.message) == (status, message)


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize(
    "key",
    [{"x-api-key": "k"}, {"authorization": "Bearer k"}, {"x-api-key": "k", "authorization": "Bearer sk-ant-invalid"}],
)
def test_any_other_key_is_taken_in_either_header_with_either_version(version, key):
    assert check_headers({**key, "anthropic-version": version}) is None


@pytest.mark.parametrize("raw", [b"", b"{", b"{'a': 1}", b"\xff", b'{"a": "\xff"}', b"[" * 100_000])
def test_a_body_that_is_no_json_is_named_so(raw):
    error = parse_body(raw)
    assert isinstance(error, ClaudeError)
    assert error.message.startswith("The request body is not valid JSON")


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"x"'])
def test_a_body_that_is_no_object_is_refused(raw):
    assert isinstance(parse_body(raw), ClaudeError)

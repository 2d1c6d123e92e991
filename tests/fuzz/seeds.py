"""What is right, and changed by the fuzzer: each kind of request, item, event and answer that there is, in few."""

from typing import Any

KEY = b"secret of the fuzzer"
"""What envelopes are sealed with."""
IMAGE_URL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUQAOw=="
PDF = "data:application/pdf;base64,JVBERi0xLjQK"
SCHEMA = {
    "type": "object",
    "properties": {
        "a": {"type": ["string", "null"], "minLength": 2, "enum": ["x", "y"]},
        "b": {"anyOf": [{"$ref": "#/$defs/n"}, {"type": "integer", "minimum": 1}]},
        "c": {"type": "array", "items": {"allOf": [{"type": "object", "properties": {"d": {"const": 1}}}, {}]}},
    },
    "required": ["a", "b", "c"],
    "additionalProperties": False,
    "$defs": {"n": {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "patternProperties": {"^x": {}}}},
}
LAUGHS: dict[str, Any] = {
    # Each level is written out as often as those above name it: 4 ** 24 times at the bottom.
    "$ref": "#/$defs/l0",
    "$defs": {
        **{
            f"l{level}": {"type": "object", "properties": {name: {"$ref": f"#/$defs/l{level + 1}"} for name in "abcd"}}
            for level in range(24)
        },
        "l24": {"type": "string"},
    },
}
JOINED_LAUGHS: dict[str, Any] = {
    "$ref": "#/$defs/l0",
    "$defs": {
        **{f"l{level}": {"allOf": [{"$ref": f"#/$defs/l{level + 1}"}] * 4} for level in range(24)},
        "l24": {"type": "object", "properties": {"a": {"type": "string"}}},
    },
}
SCHEMAS = [
    SCHEMA,
    LAUGHS,
    JOINED_LAUGHS,
    {"type": "object", "properties": {"a": {"anyOf": [LAUGHS, JOINED_LAUGHS]}}, "$defs": LAUGHS["$defs"]},
    {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "number"}], "nullable": True}}},
    {"type": "array", "prefixItems": [{"type": "string"}], "items": False, "minItems": 1, "uniqueItems": True},
    {"definitions": {"n": {"type": "string"}}, "$ref": "#/definitions/n", "if": {}, "then": {}, "not": {}},
    {"type": "object", "dependentRequired": {"a": ["b"]}, "propertyNames": {"pattern": "^x"}, "format": "date"},
]

TOOL = {"type": "function", "function": {"name": "look", "description": "Looks", "parameters": SCHEMA, "strict": True}}
CHATS: list[dict[str, Any]] = [
    {
        "model": "gpt-5.5",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Hi"}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": "b"}'}},
                    {"id": "c2", "type": "custom", "custom": {"name": "patch", "input": "x"}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "ok"}]},
            {"role": "tool", "tool_call_id": "c2", "content": "ok"},
        ],
        "tools": [TOOL, {"type": "custom", "custom": {"name": "patch", "format": {"type": "text"}}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "max_completion_tokens": 500,
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": ["END", " "],
        "store": True,
        "metadata": {"a": "b"},
    },
    {
        "model": "claude-haiku-4-5",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": IMAGE_URL, "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                    {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
                    {"type": "file", "file": {"file_id": "file-1"}},
                    {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "developer", "content": "JSON please"},
        ],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}},
        "functions": [{"name": "old", "parameters": SCHEMA}],
        "function_call": {"name": "old"},
        "temperature": 0.5,
        "top_p": 0.9,
        "n": 2,
        "seed": 1,
        "logit_bias": {"50256": -100},
        "web_search_options": {"search_context_size": "low", "user_location": {"type": "approximate"}},
        "prediction": {"type": "content", "content": "x"},
        "service_tier": "flex",
        "user": "ann",
    },
    {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "response_format": {"type": "json_object"}},
    *(
        {
            "model": "claude-opus-5-5",
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [{"type": "function", "function": {"name": "x", "parameters": schema, "strict": True}}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}},
        }
        for schema in SCHEMAS
    ),
]
COMPLETIONS: list[dict[str, Any]] = [
    {"model": "gpt-3.5-turbo-instruct", "prompt": "Once", "max_tokens": 5, "echo": True, "stop": "\n"},
    {"model": "x", "prompt": ["a", "b"], "n": 2, "best_of": 2, "stream": True, "stream_options": {}, "user": "ann"},
    {"model": "x", "prompt": [1, 2], "logprobs": 1, "suffix": "x", "logit_bias": {"1": 1}, "temperature": 2},
]
ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "id": "msg_1", "content": [{"type": "input_text", "text": "Hi"}]},
    {"role": "assistant", "content": [{"type": "output_text", "text": "Hi", "annotations": []}], "phase": "commentary"},
    {"role": "user", "content": [{"type": "input_image", "image_url": IMAGE_URL, "detail": "auto"}]},
    {"role": "user", "content": [{"type": "input_file", "file_url": "https://example.com/a.pdf", "filename": "a"}]},
    {"role": "developer", "content": "Be short."},
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"a": "b"}', "id": "fc_1"},
    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "ok"}]},
    {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "ok"},
    {"type": "local_shell_call", "call_id": "c3", "action": {"type": "exec", "command": ["ls"], "env": {}}},
    {"type": "local_shell_call_output", "call_id": "c3", "output": "ok"},
    {"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"], "timeout_ms": 1}},
    {"type": "shell_call_output", "call_id": "c4", "output": [{"stdout": "a", "outcome": {"type": "timeout"}}]},
    {"type": "apply_patch_call", "call_id": "c5", "operation": {"type": "create_file", "path": "a", "diff": "+a"}},
    {"type": "apply_patch_call_output", "call_id": "c5", "status": "completed", "output": "ok"},
    {"type": "tool_search_call", "call_id": "c6", "arguments": {"query": "x"}},
    {"type": "tool_search_output", "call_id": "c6", "tools": [{"type": "function", "name": "late"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x"}], "encrypted_content": "x"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
    {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "1", "outputs": []},
    {"type": "mcp_call", "id": "mcp_1", "server_label": "a", "name": "b", "arguments": "{}"},
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "a", "tools": []},
    {"type": "item_reference", "id": "msg_1"},
    {"type": "compaction", "encrypted_content": "x"},
    {"type": "compaction_trigger"},
    {"type": "configuration_update", "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}}},
    {"type": "of_a_later_version", "id": "x_1", "anything": [1]},
]
RESPONSES: list[dict[str, Any]] = [
    {"model": "gpt-5.5", "input": "Hi"},
    {
        "model": "claude-opus-5-5",
        "input": ITEMS,
        "instructions": "Be short.",
        "tools": [
            {"type": "function", "name": "look", "parameters": SCHEMA, "strict": True},
            {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
            {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "look"}]},
            {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}, "user_location": {"city": "x"}},
            {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}},
            {
                "type": "mcp",
                "server_label": "a",
                "server_url": "https://a.example/mcp",
                "authorization": "x",
                "headers": {"authorization": "x"},
                "allowed_tools": ["b"],
                "require_approval": "never",
            },
            {"type": "shell"},
            {"type": "tool_search", "execution": "client"},
            {"type": "image_generation"},
        ],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]},
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}, "verbosity": "low"},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 500,
        "temperature": 1,
        "truncation": "auto",
        "metadata": {"a": "b"},
        "prompt_cache_options": {"mode": "explicit"},
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "safety_identifier": "ann",
        "service_tier": "flex",
    },
    *(
        {
            "model": "claude-opus-5-5",
            "input": [{"role": "user", "content": "Hi"}],
            "tools": [{"type": "function", "name": "x", "parameters": schema, "strict": True}],
            "text": {"format": {"type": "json_schema", "name": "a", "schema": schema}},
        }
        for schema in SCHEMAS
    ),
]
BATCHES: list[dict[str, Any]] = [
    {
        "input_file_id": "file-1",
        "endpoint": "/v1/responses",
        "completion_window": "24h",
        "metadata": {"a": "b"},
        "output_expires_after": {"anchor": "created_at", "seconds": 3600},
    }
]
UPLOADS: list[dict[str, Any]] = [
    {
        "bytes": 5,
        "filename": "a.txt",
        "mime_type": "text/plain",
        "purpose": "user_data",
        "expires_after": {"anchor": "created_at", "seconds": 3600},
    },
    {"part_ids": ["part_1", "part_2"], "md5": "5d41402abc4b2a76b9719d911017c592"},
]
LINES: list[dict[str, Any]] = [
    {"custom_id": f"line-{number}", "method": "POST", "url": url, "body": body}
    for number, (url, body) in enumerate(
        [
            ("/v1/chat/completions", CHATS[0]),
            ("/v1/chat/completions", CHATS[2]),
            ("/v1/completions", COMPLETIONS[0]),
            ("/v1/responses", RESPONSES[1]),
            ("/v1/responses", RESPONSES[0]),
        ]
    )
]

USAGE = {"input_tokens": 11, "output_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 1}}
BLOCKS: list[dict[str, Any]] = [
    {
        "type": "text",
        "text": "Hello",
        "citations": [{"type": "web_search_result_location", "url": "https://a", "title": "t"}],
    },
    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
    {"type": "redacted_thinking", "data": "b3BhcXVl"},
    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": "b"}},
    {"type": "tool_use", "id": "toolu_2", "name": "patch", "input": {"input": "x"}},
    {"type": "tool_use", "id": "toolu_3", "name": "shell", "input": {"commands": ["ls"]}},
    {
        "type": "tool_use",
        "id": "toolu_4",
        "name": "apply_patch",
        "input": {"type": "create_file", "path": "a", "diff": "b"},
    },
    {"type": "tool_use", "id": "toolu_5", "name": "tool_search", "input": {"query": "x"}},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [{"type": "web_search_result", "url": "https://a", "title": "t", "encrypted_content": "x"}],
    },
    {"type": "server_tool_use", "id": "srvtoolu_2", "name": "code_execution", "input": {"code": "1"}},
    {
        "type": "code_execution_tool_result",
        "tool_use_id": "srvtoolu_2",
        "content": {"type": "code_execution_result", "stdout": "1", "stderr": "", "return_code": 0, "content": []},
    },
    {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "b", "server_name": "a", "input": {}},
    {
        "type": "mcp_tool_result",
        "tool_use_id": "mcptoolu_1",
        "is_error": False,
        "content": [{"type": "text", "text": "x"}],
    },
]
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-5",
    "content": BLOCKS,
    "stop_reason": "end_turn",
    "stop_details": {"type": "refusal", "category": "cyber", "explanation": "x"},
    "container": {"id": "container_1", "expires_at": "2026-11-26T00:00:00Z"},
    "usage": USAGE,
}
RESULTS: list[dict[str, Any]] = [
    {"custom_id": "batch_0-1-0", "result": {"type": "succeeded", "message": MESSAGE}},
    {
        "custom_id": "batch_0-1-0",
        "result": {"type": "errored", "error": {"type": "error", "error": {"type": "api_error"}}},
    },
    {"custom_id": "batch_0-1-0", "result": {"type": "expired"}},
]
ERRORS: list[dict[str, Any]] = [
    {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: 2 tokens > 1 maximum"},
    },
    {"type": "error", "error": {"type": "rate_limit_error", "message": "x", "details": {"error_code": "spend_limit"}}},
    {"error": "no route"},
    {"error": {"message": "messages.0.content: wrong", "code": 5}},
]
MODELS: list[dict[str, Any]] = [
    {
        "type": "model",
        "id": "claude-opus-5-5",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "capabilities": {
            "thinking": {"supported": True, "types": {"adaptive": {"supported": True}, "enabled": {"supported": True}}},
            "effort": {"supported": True, "low": {"supported": True}},
            "structured_outputs": {"supported": True},
            "image_input": {"supported": True},
        },
    }
]

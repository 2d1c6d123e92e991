"""The table of parameters is closed, true, and printed in docs/compatibility.md."""

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from openai.types.chat import chat_completion_content_part_param as parts
from openai.types.chat import completion_create_params as create
from openai.types.chat.chat_completion_assistant_message_param import ContentArrayOfContentPart
from openai.types.chat.chat_completion_message_param import ChatCompletionMessageParam
from openai.types.chat.chat_completion_stream_options_param import ChatCompletionStreamOptionsParam
from openai.types.chat.chat_completion_tool_choice_option_param import ChatCompletionToolChoiceOptionParam
from openai.types.chat.chat_completion_tool_union_param import ChatCompletionToolUnionParam

from translators.chat_completions.parameters import PARAMETERS
from translators.errors import OpenAIError

ROOT = Path(__file__).resolve().parents[3]


def literal_of(typed_dict: Any, name: str) -> str:
    return get_args(get_type_hints(typed_dict)[name])[0]


def keys_of_package() -> set[str]:
    keys = set(get_type_hints(create.CompletionCreateParamsBase)) | set(
        get_type_hints(create.CompletionCreateParamsStreaming)
    )
    keys |= {f"stream_options.{name}" for name in get_type_hints(ChatCompletionStreamOptionsParam)}
    for message in get_args(ChatCompletionMessageParam):
        keys |= {f"messages.{literal_of(message, 'role')}.{name}" for name in get_type_hints(message)}
    for part in (*get_args(parts.ChatCompletionContentPartParam), *get_args(ContentArrayOfContentPart)):
        keys.add(f"content.{literal_of(part, 'type')}")
    for tool in get_args(ChatCompletionToolUnionParam):
        kind = literal_of(tool, "type")
        keys |= {f"tools.{kind}.{name}" for name in get_type_hints(get_type_hints(tool)[kind])}
    for choice in get_args(ChatCompletionToolChoiceOptionParam):
        values = get_args(choice)
        keys |= {f"tool_choice.{value}" for value in (values or [literal_of(choice, "type")])}
    keys |= {f"response_format.{literal_of(form, 'type')}" for form in get_args(create.ResponseFormat)}
    return keys


def test_the_table_has_exactly_what_the_openai_package_has():
    assert set(PARAMETERS) == keys_of_package()


PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA7"
HI = {"role": "user", "content": "Hi"}
LOOK = {"type": "function", "function": {"name": "look"}}
OTHER = {"type": "function", "function": {"name": "other"}}
PATCH = {"type": "custom", "custom": {"name": "patch"}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
CALL = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
FUNCTION_CALLED = {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": "{}"}}

type Body = dict[str, Any]


def says(*messages: Body, **more: Any) -> Body:
    return {"messages": list(messages), **more}


def has(part: Body) -> Body:
    return says({"role": "user", "content": [{"type": "text", "text": "Hi"}, part]})


def tools(*declared: Body, **more: Any) -> Body:
    return {"tools": list(declared), **more}


def declares(**fields: Any) -> Body:
    return tools({"type": "function", "function": {"name": "look", **fields}})


def declares_custom(**fields: Any) -> Body:
    return tools({"type": "custom", "custom": {"name": "patch", **fields}})


GRAMMAR = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [LOOK]}}

# One row each: a request without the parameter, and one that differs in nothing else.
ROWS: dict[str, tuple[Body, Body]] = {
    "messages": ({}, says({"role": "user", "content": "Bye"})),
    "model": ({}, {"model": "claude-opus-4-8"}),
    "audio": ({}, {"audio": {"voice": "alloy", "format": "wav"}}),
    "frequency_penalty": ({}, {"frequency_penalty": 0.5}),
    "function_call": ({"functions": [LOOK["function"]]}, {"functions": [LOOK["function"]], "function_call": "none"}),
    "functions": ({}, {"functions": [LOOK["function"]]}),
    "logit_bias": ({}, {"logit_bias": {"50256": -100}}),
    "logprobs": ({}, {"logprobs": True}),
    "max_completion_tokens": ({}, {"max_completion_tokens": 2000}),
    "max_tokens": ({}, {"max_tokens": 2000}),
    "metadata": ({"store": True}, {"store": True, "metadata": {"a": "b"}}),
    "modalities": ({}, {"modalities": ["text", "audio"]}),
    "moderation": ({}, {"moderation": {"model": "m", "policy": {"input": {"mode": "block"}}}}),
    "n": ({}, {"n": 2}),
    "parallel_tool_calls": (tools(LOOK), tools(LOOK, parallel_tool_calls=False)),
    "prediction": ({}, {"prediction": {"type": "content", "content": "a"}}),
    "presence_penalty": ({}, {"presence_penalty": 0.5}),
    "prompt_cache_key": ({}, {"prompt_cache_key": "a"}),
    "prompt_cache_options": ({}, {"prompt_cache_options": {"mode": "explicit"}}),
    "prompt_cache_retention": ({}, {"prompt_cache_retention": "24h"}),
    "reasoning_effort": ({}, {"reasoning_effort": "low"}),
    "response_format": ({}, {"response_format": {"type": "json_object"}}),
    "safety_identifier": ({}, {"safety_identifier": "a"}),
    "seed": ({}, {"seed": 1}),
    "service_tier": ({}, {"service_tier": "default"}),
    "stop": ({}, {"stop": "END"}),
    "store": ({}, {"store": True}),
    "stream": ({}, {"stream": True}),
    "stream_options": ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    "temperature": ({"model": "claude-opus-4-6"}, {"model": "claude-opus-4-6", "temperature": 0.5}),
    "tool_choice": (tools(LOOK), tools(LOOK, tool_choice="none")),
    "tools": ({}, tools(LOOK)),
    "top_logprobs": ({}, {"top_logprobs": 2}),
    "top_p": ({"model": "claude-opus-4-6"}, {"model": "claude-opus-4-6", "top_p": 0.5}),
    "user": ({}, {"user": "a"}),
    "verbosity": ({}, {"verbosity": "low"}),
    "web_search_options": ({}, {"web_search_options": {}}),
    "stream_options.include_usage": ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    "stream_options.include_obfuscation": (
        {"stream": True},
        {"stream": True, "stream_options": {"include_obfuscation": True}},
    ),
    "messages.developer.content": (says(HI), says({"role": "developer", "content": "Be good"}, HI)),
    "messages.developer.name": (
        says({"role": "developer", "content": "Be good"}, HI),
        says({"role": "developer", "content": "Be good", "name": "a"}, HI),
    ),
    "messages.developer.role": (
        says({"role": "user", "content": "Hi"}, HI),
        says({"role": "developer", "content": "Hi"}, HI),
    ),
    "messages.system.content": (says(HI), says({"role": "system", "content": "Be good"}, HI)),
    "messages.system.name": (
        says({"role": "system", "content": "Be good"}, HI),
        says({"role": "system", "content": "Be good", "name": "a"}, HI),
    ),
    "messages.system.role": (
        says({"role": "user", "content": "Hi"}, HI),
        says({"role": "system", "content": "Hi"}, HI),
    ),
    "messages.user.content": (says(HI), says({"role": "user", "content": "Bye"})),
    "messages.user.name": (says(HI), says({**HI, "name": "a"})),
    "messages.user.role": (says(HI, {"role": "system", "content": "Hi"}), says(HI, {"role": "user", "content": "Hi"})),
    "messages.assistant.audio": (
        says(HI, {"role": "assistant", "content": "a"}),
        says(HI, {"role": "assistant", "content": "a", "audio": {"id": "b"}}),
    ),
    "messages.assistant.content": (says(HI, HI), says(HI, {"role": "assistant", "content": "a"}, HI)),
    "messages.assistant.function_call": (says(HI, HI), says(HI, FUNCTION_CALLED, HI)),
    "messages.assistant.name": (
        says(HI, {"role": "assistant", "content": "a"}),
        says(HI, {"role": "assistant", "content": "a", "name": "b"}),
    ),
    "messages.assistant.refusal": (says(HI, HI), says(HI, {"role": "assistant", "content": None, "refusal": "No"}, HI)),
    "messages.assistant.role": (says(HI, HI, HI), says(HI, {"role": "assistant", "content": "Hi"}, HI)),
    "messages.assistant.tool_calls": (says(HI, HI), says(HI, CALLED, HI)),
    "messages.tool.content": (
        says(HI, CALLED, {"role": "tool", "tool_call_id": "a", "content": "a"}),
        says(HI, CALLED, {"role": "tool", "tool_call_id": "a", "content": "b"}),
    ),
    "messages.tool.role": (says(HI, CALLED), says(HI, CALLED, {"role": "tool", "tool_call_id": "a", "content": "a"})),
    "messages.tool.tool_call_id": (
        says(HI, CALLED, {"role": "tool", "tool_call_id": "b", "content": "a"}),
        says(HI, CALLED, {"role": "tool", "tool_call_id": "a", "content": "a"}),
    ),
    "messages.function.content": (
        says(HI, FUNCTION_CALLED, {"role": "function", "name": "look", "content": "a"}),
        says(HI, FUNCTION_CALLED, {"role": "function", "name": "look", "content": "b"}),
    ),
    "messages.function.name": (
        says(HI, FUNCTION_CALLED, {"role": "function", "name": "other", "content": "a"}),
        says(HI, FUNCTION_CALLED, {"role": "function", "name": "look", "content": "a"}),
    ),
    "messages.function.role": (
        says(HI, FUNCTION_CALLED),
        says(HI, FUNCTION_CALLED, {"role": "function", "name": "look", "content": "a"}),
    ),
    "content.text": (says(HI), has({"type": "text", "text": "more"})),
    "content.image_url": (says(HI), has({"type": "image_url", "image_url": {"url": PIXEL}})),
    "content.input_audio": (says(HI), has({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
    "content.file": (
        says(HI),
        has({"type": "file", "file": {"file_data": "data:text/plain;base64,SGk=", "filename": "a.txt"}}),
    ),
    "content.refusal": (
        says(HI, HI),
        says(HI, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}, HI),
    ),
    "tools.function.name": (tools(LOOK), tools(OTHER)),
    "tools.function.description": (tools(LOOK), declares(description="Looks")),
    "tools.function.parameters": (tools(LOOK), declares(parameters=SCHEMA)),
    "tools.function.strict": (declares(parameters=SCHEMA), declares(parameters=SCHEMA, strict=True)),
    "tools.custom.name": ({}, tools(PATCH)),
    "tools.custom.description": (tools(PATCH), declares_custom(description="Patches")),
    "tools.custom.format": (tools(PATCH), declares_custom(format=GRAMMAR)),
    "tool_choice.none": (tools(LOOK), tools(LOOK, tool_choice="none")),
    "tool_choice.auto": (tools(LOOK, tool_choice="none"), tools(LOOK, tool_choice="auto")),
    "tool_choice.required": (tools(LOOK), tools(LOOK, tool_choice="required")),
    "tool_choice.function": (tools(LOOK), tools(LOOK, tool_choice=LOOK)),
    "tool_choice.custom": (tools(PATCH), tools(PATCH, tool_choice=PATCH)),
    "tool_choice.allowed_tools": (tools(LOOK, OTHER), tools(LOOK, OTHER, tool_choice=ALLOWED)),
    "response_format.text": ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "text"}}),
    "response_format.json_object": ({}, {"response_format": {"type": "json_object"}}),
    "response_format.json_schema": (
        {},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}},
    ),
}


def outcome(translated: Any) -> tuple[Any, ...]:
    return (translated.params, translated.headers, translated.copies, translated.reply, translated.kept)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_row_is_true(translate, name):
    without, with_it = ({"model": "claude-opus-4-8", **body} for body in ROWS[name])
    if name == "model":
        without["model"] = "claude-opus-5-5"
    before = translate(**without)
    match PARAMETERS[name].treatment:
        case "refused":
            with pytest.raises(OpenAIError) as caught:
                translate(**with_it)
            assert caught.value.status == 400
        case "ignored":
            after = translate(**with_it)
            assert outcome(after) == outcome(before)
            assert set(after.warnings) > set(before.warnings)
        case "mapped" | "emulated":
            assert outcome(translate(**with_it)) != outcome(before)


@pytest.mark.parametrize("name", [name for name, row in PARAMETERS.items() if row.treatment == "ignored"])
def test_what_is_ignored_is_reported_by_its_name(translate, name):
    without, with_it = ROWS[name]
    new = {warning.param for warning in translate(**with_it).warnings} - {
        warning.param for warning in translate(**without).warnings
    }
    reported = name.replace("messages.assistant.", "messages.")
    assert new == {reported}


def test_the_document_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "compatibility.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

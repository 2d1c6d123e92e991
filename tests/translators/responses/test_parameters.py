"""The table of parameters is closed, true, and printed in docs/compatibility.md."""

import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from openai.types.beta.beta_response_input_item_param import BetaResponseInputItemParam
from openai.types.responses import response_create_params as create
from openai.types.responses.custom_tool_param import CustomToolParam
from openai.types.responses.function_tool_param import FunctionToolParam
from openai.types.responses.response_format_text_config_param import ResponseFormatTextConfigParam
from openai.types.responses.response_includable import ResponseIncludable
from openai.types.responses.response_input_message_content_list_param import ResponseInputContentParam
from openai.types.responses.response_output_message_param import Content as OutputContent
from openai.types.responses.response_text_config_param import ResponseTextConfigParam
from openai.types.responses.tool_choice_options import ToolChoiceOptions
from openai.types.responses.tool_param import ToolParam
from openai.types.responses.web_search_tool_param import WebSearchToolParam
from openai.types.shared_params.reasoning import Reasoning

from tests.translators.responses.translated import Body, translate
from translators.errors import OpenAIError
from translators.model_catalog import ModelCatalog
from translators.responses.parameters import PARAMETERS
from translators.responses.request import TranslatedResponsesRequest

ROOT = Path(__file__).resolve().parents[3]


def values_of(hint: Any) -> set[str]:
    """All strings of a literal, however deep it is wrapped."""
    return {hint} if isinstance(hint, str) else {value for member in get_args(hint) for value in values_of(member)}


def types_of(union: Any) -> set[str]:
    return {name for member in get_args(union) for name in values_of(get_type_hints(member)["type"])}


def keys_of_package() -> set[str]:
    keys = set(get_type_hints(create.ResponseCreateParamsBase)) | set(
        get_type_hints(create.ResponseCreateParamsStreaming)
    )
    for name, fields in (
        ("stream_options", create.StreamOptions),
        ("prompt_cache_options", create.PromptCacheOptions),
        ("reasoning", Reasoning),
        ("text", ResponseTextConfigParam),
    ):
        keys |= {f"{name}.{field}" for field in get_type_hints(fields)}
    keys |= {f"text.format.{name}" for name in types_of(ResponseFormatTextConfigParam)}
    keys |= {f"include.{name}" for name in get_args(ResponseIncludable)}
    keys |= {f"input.{name}" for name in types_of(BetaResponseInputItemParam)}
    keys |= {f"content.{name}" for name in types_of(ResponseInputContentParam) | types_of(OutputContent)}
    keys |= {f"tools.{name}" for name in types_of(ToolParam)}
    for name, fields in (
        ("function", FunctionToolParam),
        ("custom", CustomToolParam),
        ("web_search", WebSearchToolParam),
    ):
        keys |= {f"tools.{name}.{field}" for field in set(get_type_hints(fields)) - {"type"}}
    keys |= {f"tool_choice.{name}" for name in get_args(ToolChoiceOptions)}
    choices = [member for member in get_args(create.ToolChoice) if "type" in getattr(member, "__annotations__", {})]
    keys |= {f"tool_choice.{name}" for member in choices for name in values_of(get_type_hints(member)["type"])}
    return keys


def test_the_table_has_exactly_what_the_openai_package_has():
    assert set(PARAMETERS) == keys_of_package()


PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA7"
HI = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
LOOK: Body = {"type": "function", "name": "look", "strict": False}
PATCH: Body = {"type": "custom", "name": "patch"}
SEARCH: Body = {"type": "web_search"}
MCP: Body = {
    "type": "mcp",
    "server_label": "docs",
    "server_url": "https://mcp.example.com/mcp",
    "require_approval": "never",
}
FUNCTION_CALL = {"type": "function_call", "call_id": "a", "name": "look", "arguments": "{}"}
CUSTOM_CALL = {"type": "custom_tool_call", "call_id": "a", "name": "patch", "input": "x"}
SHELL_CALL = {"type": "shell_call", "call_id": "a", "action": {"commands": ["ls"]}}
LOCAL_SHELL_CALL = {"type": "local_shell_call", "id": "lsh_1", "call_id": "a", "action": {"command": ["ls"]}}
PATCH_CALL = {"type": "apply_patch_call", "call_id": "a", "operation": {"type": "delete_file", "path": "a"}}
SEARCH_CALL = {"type": "tool_search_call", "call_id": "a", "arguments": {"query": "x"}, "execution": "client"}
STDOUT = {"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}
STORED = {"type": "message", "role": "user", "content": "Stored"}


def has(*items: Body, **more: Any) -> Body:
    return {"input": [HI, *items], **more}


def holds(part: Body, role: str = "user") -> Body:
    return {"input": [{"role": role, "content": [part]}, HI]}


def tools(*declared: Body, **more: Any) -> Body:
    return {"tools": list(declared), **more}


def declares(kind: Body, **fields: Any) -> tuple[Body, Body]:
    return tools(kind), tools({**kind, **fields})


def chooses(kind: Body, choice: Any) -> tuple[Body, Body]:
    return tools(kind, LOOK), tools(kind, LOOK, tool_choice=choice)


def says_more(**fields: Any) -> tuple[Body, Body]:
    return {}, fields


# One row each: a request without the parameter, and one that differs in nothing else.
ROWS: dict[str, tuple[Body, Body]] = {
    "access_programs": says_more(access_programs={"cyber": "standard"}),
    "background": says_more(background=True),
    "background_options": says_more(background_options={"completion_window": "2h"}),
    "context_management": (
        has({"role": "assistant", "content": "Hello"}),
        has({"role": "assistant", "content": "Hello"}, context_management=[{"type": "compaction"}]),
    ),
    "conversation": says_more(conversation="conv_1"),
    "image": says_more(image={"context_compression": "enabled"}),
    "include": says_more(include=["web_search_call.action.sources"]),
    "input": says_more(input="Bye"),
    "instructions": says_more(instructions="Be good"),
    "max_output_tokens": says_more(max_output_tokens=2000),
    "max_tool_calls": (tools(SEARCH), tools(SEARCH, max_tool_calls=2)),
    "metadata": says_more(metadata={"a": "b"}),
    "model": says_more(model="claude-opus-4-8"),
    "moderation": says_more(moderation={"model": "m", "policy": {"input": {"mode": "block"}}}),
    "parallel_tool_calls": (tools(LOOK), tools(LOOK, parallel_tool_calls=False)),
    "previous_response_id": says_more(previous_response_id="resp_1"),
    "prompt": says_more(prompt={"id": "pmpt_1"}),
    "prompt_cache_key": says_more(prompt_cache_key="a"),
    "prompt_cache_options": says_more(prompt_cache_options={"mode": "explicit"}),
    "prompt_cache_retention": says_more(prompt_cache_retention="24h"),
    "reasoning": says_more(reasoning={"effort": "low"}),
    "safety_identifier": says_more(safety_identifier="a"),
    "service_tier": says_more(service_tier="default"),
    "store": says_more(store=False),
    "stream": says_more(stream=True),
    "stream_options": ({"stream": True}, {"stream": True, "stream_options": {"include_obfuscation": True}}),
    "temperature": ({"model": "claude-opus-4-6"}, {"model": "claude-opus-4-6", "temperature": 0.5}),
    "text": says_more(text={"format": {"type": "json_object"}}),
    "tool_choice": (tools(LOOK), tools(LOOK, tool_choice="none")),
    "tools": says_more(tools=[LOOK]),
    "top_logprobs": says_more(top_logprobs=2),
    "top_p": ({"model": "claude-opus-4-6"}, {"model": "claude-opus-4-6", "top_p": 0.5}),
    "truncation": says_more(truncation="auto"),
    "user": says_more(user="a"),
    "stream_options.include_obfuscation": (
        {"stream": True},
        {"stream": True, "stream_options": {"include_obfuscation": True}},
    ),
    "prompt_cache_options.mode": says_more(prompt_cache_options={"mode": "explicit"}),
    "prompt_cache_options.ttl": says_more(prompt_cache_options={"ttl": "12h"}),
    "prompt_cache_options.prewarm": says_more(prompt_cache_options={"prewarm": True}),
    "prompt_cache_options.comparison_response_id": says_more(prompt_cache_options={"comparison_response_id": "resp_1"}),
    "reasoning.effort": says_more(reasoning={"effort": "low"}),
    "reasoning.summary": says_more(reasoning={"summary": "auto"}),
    "reasoning.generate_summary": says_more(reasoning={"generate_summary": "auto"}),
    "reasoning.context": says_more(reasoning={"context": "current_turn"}),
    "reasoning.mode": says_more(reasoning={"mode": "pro"}),
    "text.format": says_more(text={"format": {"type": "json_object"}}),
    "text.verbosity": says_more(text={"verbosity": "low"}),
    "text.format.text": (
        {"text": {"format": {"type": "json_object"}}},
        {"text": {"format": {"type": "text"}}},
    ),
    "text.format.json_object": says_more(text={"format": {"type": "json_object"}}),
    "text.format.json_schema": says_more(text={"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}),
    **{f"include.{name}": says_more(include=[name]) for name in get_args(ResponseIncludable)},
    "input.message": (has(), has({"type": "message", "role": "developer", "content": "Be good"})),
    "input.reasoning": (has(), has({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"})),
    "input.function_call": (has(), has(FUNCTION_CALL)),
    "input.function_call_output": (
        has(FUNCTION_CALL),
        has(FUNCTION_CALL, {"type": "function_call_output", "call_id": "a", "output": "b"}),
    ),
    "input.custom_tool_call": (has(), has(CUSTOM_CALL)),
    "input.custom_tool_call_output": (
        has(CUSTOM_CALL),
        has(CUSTOM_CALL, {"type": "custom_tool_call_output", "call_id": "a", "output": "b"}),
    ),
    "input.tool_search_call": (has(), has(SEARCH_CALL)),
    "input.tool_search_output": (
        has(SEARCH_CALL),
        has(SEARCH_CALL, {"type": "tool_search_output", "call_id": "a", "tools": [LOOK]}),
    ),
    "input.additional_tools": (has(), has({"type": "additional_tools", "role": "developer", "tools": [LOOK]})),
    "input.configuration_update": (has(), has({"type": "configuration_update", "reasoning": {"effort": "low"}})),
    "input.shell_call": (has(), has(SHELL_CALL)),
    "input.shell_call_output": (
        has(SHELL_CALL),
        has(SHELL_CALL, {"type": "shell_call_output", "call_id": "a", "output": [STDOUT]}),
    ),
    "input.local_shell_call": (has(), has(LOCAL_SHELL_CALL)),
    "input.local_shell_call_output": (
        has(LOCAL_SHELL_CALL),
        has(LOCAL_SHELL_CALL, {"type": "local_shell_call_output", "id": "lsh_1", "output": "b"}),
    ),
    "input.apply_patch_call": (has(), has(PATCH_CALL)),
    "input.apply_patch_call_output": (
        has(PATCH_CALL),
        has(PATCH_CALL, {"type": "apply_patch_call_output", "call_id": "a", "status": "failed", "output": "b"}),
    ),
    "input.agent_message": (
        has(),
        has(
            {
                "type": "agent_message",
                "author": "/a",
                "recipient": "/b",
                "content": [{"type": "input_text", "text": "a"}],
            }
        ),
    ),
    "input.item_reference": (has(), has({"type": "item_reference", "id": "msg_1"})),
    "input.compaction": (has(), has({"type": "compaction", "encrypted_content": "gAAAA"})),
    "input.compaction_trigger": (has(), has({"type": "compaction_trigger"})),
    "input.web_search_call": (
        has(),
        has({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}),
    ),
    **{
        f"input.{kind}": (has(), has({"type": kind, "id": "x_1"}))
        for kind in (
            "file_search_call",
            "computer_call",
            "computer_call_output",
            "image_generation_call",
            "code_interpreter_call",
            "mcp_list_tools",
            "mcp_approval_request",
            "mcp_approval_response",
            "mcp_call",
            "multi_agent_call",
            "multi_agent_call_output",
            "program",
            "program_output",
        )
    },
    "content.input_text": (has(), holds({"type": "input_text", "text": "a"})),
    "content.input_image": (has(), holds({"type": "input_image", "image_url": PIXEL, "detail": "auto"})),
    "content.input_file": (
        has(),
        holds({"type": "input_file", "file_data": "data:text/plain;base64,SGk=", "filename": "a.txt"}),
    ),
    "content.output_text": (has(), holds({"type": "output_text", "text": "a", "annotations": []}, "assistant")),
    "content.refusal": (has(), holds({"type": "refusal", "refusal": "No"}, "assistant")),
    "tools.function": says_more(tools=[LOOK]),
    "tools.function.name": declares(LOOK, name="a b"),
    "tools.function.description": declares(LOOK, description="Looks"),
    "tools.function.parameters": declares(LOOK, parameters=SCHEMA),
    "tools.function.strict": declares(LOOK, strict=True),
    "tools.function.output_schema": declares(LOOK, output_schema=SCHEMA),
    "tools.function.defer_loading": declares(LOOK, defer_loading=True),
    "tools.function.allowed_callers": declares(LOOK, allowed_callers=["programmatic"]),
    "tools.function.async": declares(LOOK, **{"async": True}),
    "tools.custom": says_more(tools=[PATCH]),
    "tools.custom.name": declares(PATCH, name="a b"),
    "tools.custom.description": declares(PATCH, description="Patches"),
    "tools.custom.format": declares(PATCH, format={"type": "grammar", "syntax": "regex", "definition": "a+"}),
    "tools.custom.defer_loading": declares(PATCH, defer_loading=True),
    "tools.custom.allowed_callers": declares(PATCH, allowed_callers=["programmatic"]),
    "tools.custom.async": declares(PATCH, **{"async": True}),
    "tools.namespace": says_more(tools=[{"type": "namespace", "name": "ns", "description": "d", "tools": [LOOK]}]),
    "tools.tool_search": says_more(tools=[{"type": "tool_search", "execution": "client"}]),
    "tools.web_search.filters": declares(SEARCH, filters={"allowed_domains": ["example.com"]}),
    "tools.web_search.search_context_size": declares(SEARCH, search_context_size="high"),
    "tools.web_search.user_location": declares(SEARCH, user_location={"type": "approximate", "city": "Rome"}),
    "tools.web_search.external_web_access": declares(SEARCH, external_web_access=False),
    **{
        f"tools.{kind}": says_more(tools=[{"type": kind}])
        for kind in (
            "web_search",
            "web_search_2025_08_26",
            "web_search_preview",
            "web_search_preview_2025_03_11",
            "local_shell",
            "shell",
            "apply_patch",
            "file_search",
            "computer",
            "computer_use_preview",
            "code_interpreter",
            "programmatic_tool_calling",
            "image_generation",
        )
    },
    "tools.mcp": says_more(tools=[MCP]),
    "tool_choice.none": chooses(PATCH, "none"),
    "tool_choice.auto": (tools(LOOK, tool_choice="none"), tools(LOOK, tool_choice="auto")),
    "tool_choice.required": chooses(PATCH, "required"),
    "tool_choice.function": chooses(PATCH, {"type": "function", "name": "look"}),
    "tool_choice.custom": chooses(PATCH, {"type": "custom", "name": "patch"}),
    "tool_choice.allowed_tools": chooses(
        PATCH, {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "patch"}]}
    ),
    "tool_choice.shell": chooses({"type": "shell"}, {"type": "shell"}),
    "tool_choice.apply_patch": chooses({"type": "apply_patch"}, {"type": "apply_patch"}),
    **{
        f"tool_choice.{kind}": chooses(SEARCH, {"type": kind})
        for kind in (
            "web_search_preview",
            "web_search_preview_2025_03_11",
            "file_search",
            "computer",
            "computer_use",
            "computer_use_preview",
            "image_generation",
            "programmatic_tool_calling",
        )
    },
    "tool_choice.code_interpreter": chooses({"type": "code_interpreter"}, {"type": "code_interpreter"}),
    "tool_choice.mcp": chooses(MCP, {"type": "mcp", "server_label": "docs"}),
}


def context_of(body: Body) -> Body:
    return {"resolve_item": {"msg_1": STORED}.get, "catalog": ModelCatalog("claude-opus-5-5")} | (
        {"history": [STORED]} if {"conversation", "previous_response_id"} & body.keys() else {}
    )


def run(body: Body) -> TranslatedResponsesRequest:
    return translate(context=context_of(body), **body)


def outcome(translated: TranslatedResponsesRequest, *, with_plan: bool) -> bytes:
    """What is sent, and what the answer will look like."""
    plan = translated.plan
    said = (plan.stream, plan.shows_summary, sorted(plan.include), plan.json_object, plan.is_compaction, plan.store)
    more = [said, dict(plan.echo), plan.input_transformations, translated.compact_threshold] if with_plan else []
    return msgspec.json.encode([translated.params, *more])


def test_every_row_is_tested():
    assert set(ROWS) == set(PARAMETERS)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_row_is_true(name):
    without, with_it = ROWS[name]
    before = run(without)
    match PARAMETERS[name].treatment:
        case "refused":
            with pytest.raises(OpenAIError) as caught:
                run(with_it)
            assert caught.value.status == 400
        case "ignored":
            after = run(with_it)
            assert outcome(after, with_plan=False) == outcome(before, with_plan=False)
            assert set(after.warnings) > set(before.warnings)
        case "mapped" | "emulated":
            assert outcome(run(with_it), with_plan=True) != outcome(before, with_plan=True)


_REPORTED = {"stream_options": "stream_options.include_obfuscation"}


@pytest.mark.parametrize("name", [name for name, row in PARAMETERS.items() if row.treatment == "ignored"])
def test_what_is_ignored_is_reported_by_its_name(name):
    without, with_it = ROWS[name]
    new = {warning.param for warning in run(with_it).warnings} - {warning.param for warning in run(without).warnings}
    reported = name.replace("tools.function.", "tools.").replace("tools.custom.", "tools.")
    assert new == {"include" if name.startswith("include.") else _REPORTED.get(name, reported)}


@pytest.mark.parametrize("name", [name for name in PARAMETERS if name.startswith("tools.") and name.count(".") == 1])
def test_T8_a_tool_that_is_refused_is_named(name):
    if PARAMETERS[name].treatment != "refused":
        return
    with pytest.raises(OpenAIError) as caught:
        run(ROWS[name][1])
    assert name.removeprefix("tools.") in caught.value.message
    assert caught.value.param == "tools[0].type"


def test_the_document_is_up_to_date():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "compatibility.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""Whatever an app asks of whichever model, the simulated Claude, as strict as the real one, accepts what is sent."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.translators.responses.translated import KEY, Body, refusal, translate
from translators.model_catalog import CAPABILITIES, ModelCatalog
from translators.responses.reasoning_envelope import seal, seal_compaction

IMAGE = {"type": "input_image", "image_url": "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUQAOw=="}
FILE = {"type": "input_file", "file_data": "data:text/plain;base64,SGk=", "filename": "a.txt"}
CLOSED = {"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}, "required": ["a"]}
SCHEMAS: list[Any] = [
    None,
    {},
    CLOSED,
    {"type": "object", "additionalProperties": {"type": "string"}},
    {"anyOf": [CLOSED, {"type": "null"}]},
    {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}}},
]
NAMES = ["look", "fs.read", "x" * 70]
BLOCKS: list[list[Body]] = [
    [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}],
    [{"type": "redacted_thinking", "data": "b3BhcXVl"}],
    [{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}],
    [],
]

_text = st.sampled_from(["", "  ", "word", "ends with space ", "JSON please"])
_marked = st.builds(
    lambda text: {"type": "input_text", "text": text, "prompt_cache_breakpoint": {"mode": "explicit"}}, _text
)
_part = st.one_of(_text.map(lambda text: {"type": "input_text", "text": text}), _marked, st.just(IMAGE), st.just(FILE))
_content = st.one_of(_text, st.lists(_part, max_size=3))
_output = st.one_of(_text, st.lists(st.one_of(_marked, st.just(IMAGE)), max_size=2))
_call_id = st.sampled_from(["a", "b", "c:1", ""])
_reasoning = st.builds(
    lambda blocks, model, prefix: {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": seal(blocks, model, KEY, prefix),
    },
    st.sampled_from(BLOCKS),
    st.sampled_from(sorted(CAPABILITIES)),
    st.just("never"),
)
_item = st.one_of(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        st.sampled_from(["system", "developer", "user", "user", "assistant"]),
        _content,
    ),
    st.builds(
        lambda i, name, arguments: {"type": "function_call", "call_id": i, "name": name, "arguments": arguments},
        _call_id,
        st.sampled_from(NAMES),
        st.sampled_from(["", "{}", '{"a": "b"}', "[1]", "{"]),
    ),
    st.builds(lambda i: {"type": "custom_tool_call", "call_id": i, "name": "patch", "input": "x"}, _call_id),
    st.builds(lambda i: {"type": "shell_call", "call_id": i, "action": {"commands": ["ls"]}}, _call_id),
    st.builds(lambda i: {"type": "tool_search_call", "call_id": i, "arguments": {"query": "x"}}, _call_id),
    st.builds(lambda i, output: {"type": "function_call_output", "call_id": i, "output": output}, _call_id, _output),
    st.builds(lambda i, output: {"type": "custom_tool_call_output", "call_id": i, "output": output}, _call_id, _output),
    st.builds(lambda i: {"type": "shell_call_output", "call_id": i, "output": []}, _call_id),
    st.builds(
        lambda i, name: {
            "type": "tool_search_output",
            "call_id": i,
            "tools": [{"type": "function", "name": name, "parameters": CLOSED}],
        },
        _call_id,
        st.sampled_from([*NAMES, "late"]),
    ),
    _reasoning,
    st.just({"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"}),
    st.just({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}),
    st.just({"type": "compaction", "encrypted_content": seal_compaction("Short.", "claude-opus-5-5", KEY)}),
    st.just({"type": "configuration_update", "reasoning": {"effort": "low"}}),
    st.just({"type": "mcp_call", "id": "mcp_1"}),
)
_function = st.builds(
    lambda name, schema, strict: {
        "type": "function",
        "name": name,
        "parameters": schema,
        **({} if strict is None else {"strict": strict}),
    },
    st.sampled_from(NAMES),
    st.sampled_from(SCHEMAS),
    st.sampled_from([True, False, None]),
)
_others = st.lists(
    st.sampled_from(
        [
            {"type": "custom", "name": "patch"},
            {"type": "shell"},
            {"type": "local_shell"},
            {"type": "apply_patch"},
            {"type": "tool_search", "execution": "client"},
            {"type": "web_search"},
            {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "look"}]},
        ]
    ),
    max_size=3,
    unique_by=lambda tool: tool["type"],
)
_tools = st.builds(
    lambda functions, others: [*functions, *others],
    st.lists(_function, max_size=2, unique_by=lambda tool: tool["name"]),
    _others,
)
_format = st.one_of(
    st.just({"type": "json_object"}),
    st.sampled_from(SCHEMAS[2:]).map(lambda schema: {"type": "json_schema", "name": "a", "schema": schema}),
)
_parameters = st.fixed_dictionaries(
    {},
    optional={
        "instructions": _text,
        "max_output_tokens": st.sampled_from([16, 500, 1025, 3000, 10**7]),
        "reasoning": st.builds(
            lambda effort, summary: {"effort": effort, "summary": summary},
            st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max", None]),
            st.sampled_from(["auto", None]),
        ),
        "temperature": st.sampled_from([0, 0.5, 1, 2]),
        "text": _format.map(lambda form: {"format": form}),
        "tool_choice": st.sampled_from(["none", "auto", "required"]),
        "parallel_tool_calls": st.booleans(),
        "prompt_cache_options": st.just({"mode": "explicit"}),
        "prompt_cache_retention": st.just("24h"),
        "service_tier": st.sampled_from(["flex", "priority"]),
        "user": st.just("ann"),
    },
)


@given(
    st.lists(_item, max_size=7),
    _tools,
    _parameters,
    st.sampled_from(sorted(CAPABILITIES)),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_any_request_is_accepted(items, tools, parameters, model, compacts, shows):
    if not CAPABILITIES[model].web_search:
        tools = [tool for tool in tools if tool["type"] != "web_search"]
    trigger = [{"type": "compaction_trigger"}] if compacts else []
    translated = translate(
        model=model,
        input=[*items, *trigger],
        tools=tools,
        context={"catalog": ModelCatalog(model), "show_thinking": "always" if shows else "asked"},
        **parameters,
    )
    assert refusal(translated) is None
    assert refusal(translated.without_thinking()) is None


CHOICES = ["auto", "required", {"type": "function", "name": "look"}, {"type": "web_search_preview"}, {"type": "shell"}]


@pytest.mark.parametrize("model", sorted(CAPABILITIES))
@pytest.mark.parametrize("effort", [None, "none", "minimal", "low", "medium", "high", "xhigh", "max"])
@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_T11_every_effort_and_choice_is_accepted_by_every_model(model, effort, choice):
    tools = [{"type": "function", "name": name, "parameters": CLOSED} for name in ("look", "other")]
    tools += [{"type": "web_search"}, {"type": "shell"}]
    translated = translate(model=model, reasoning={"effort": effort}, tools=tools, tool_choice=choice, temperature=0.3)
    assert refusal(translated) is None

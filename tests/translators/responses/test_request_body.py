"""Bytes to a typed request, and OpenAI's own words for what is wrong, with the place where it is."""

import contextlib
import json
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.beta.beta_response_input_item_param import BetaResponseInputItemParam
from openai.types.responses.response_create_params import ResponseCreateParamsBase, ResponseCreateParamsStreaming
from openai.types.responses.response_includable import ResponseIncludable
from openai.types.responses.response_input_item_param import ResponseInputItemParam
from openai.types.responses.tool_param import ToolParam

from translators.errors import OpenAIError
from translators.responses import request_body
from translators.responses.item_types import ITEM_TYPES, LEFT_OUT, ItemReference, LeftOutItem, Message
from translators.responses.request_body import parse_item, parse_request
from translators.responses.request_types import ResponsesParameters
from translators.responses.tool_types import TOOL_TYPES, HostedTool


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-5", "input": "Hi", **fields}).encode()


def refused(data: bytes) -> OpenAIError:
    with pytest.raises(OpenAIError) as caught:
        parse_request(data)
    error = caught.value
    assert (error.status, error.type) == (400, "invalid_request_error")
    return error


def types_of(union: Any) -> set[str]:
    def strings(hint: Any) -> set[str]:
        return {hint} if isinstance(hint, str) else {value for member in get_args(hint) for value in strings(member)}

    return {name for member in get_args(union) for name in strings(get_type_hints(member)["type"])}


def test_the_request_has_every_parameter_of_the_openai_package():
    of_package = set(get_type_hints(ResponseCreateParamsBase)) | set(get_type_hints(ResponseCreateParamsStreaming))
    assert set(ResponsesParameters.__struct_fields__) == of_package


def test_every_item_type_of_the_openai_package_is_known():
    assert set(ITEM_TYPES) | LEFT_OUT == types_of(BetaResponseInputItemParam) > types_of(ResponseInputItemParam)


def test_every_tool_type_of_the_openai_package_is_known_or_refused_by_name():
    assert set(TOOL_TYPES) <= types_of(ToolParam)
    for name in types_of(ToolParam) - set(TOOL_TYPES):
        (tool,) = parse_request(body(tools=[{"type": name}])).tools
        assert tool == HostedTool(name)


def test_the_values_of_include_are_those_of_the_openai_package():
    assert set(request_body._INCLUDABLE) == set(get_args(ResponseIncludable))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="words"),
        pytest.param(b'{"model": "gpt-5"', id="cut"),
        pytest.param(b"[", id="cut list"),
        pytest.param(b"\xff\xfe{}", id="no-utf-8"),
        pytest.param(b'{"model":"gpt-5","input":"\\ud800"}', id="lone-surrogate"),
        pytest.param(b'{"model":"gpt-5","input":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}", id="deep"),
    ],
)
def test_a_body_that_is_no_json_is_refused_in_openais_words(data):
    assert "could not parse the JSON body" in refused(data).message


ITEM_FAULTS: dict[str, tuple[Any, str, str]] = {
    "a part's text": (
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": 1}]},
        "invalid_type",
        "input[1].content[1].text",
    ),
    "a part's type": (
        {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "sound"}]},
        "invalid_value",
        "input[1].content[1].type",
    ),
    "a part without text": (
        {"role": "user", "content": [{"type": "input_text"}]},
        "missing_required_parameter",
        "input[1].content[0].text",
    ),
    "a role": ({"role": "robot", "content": "a"}, "invalid_value", "input[1].role"),
    "no content": ({"role": "user"}, "missing_required_parameter", "input[1].content"),
    "content": ({"role": "user", "content": 5}, "invalid_type", "input[1].content"),
    "a call without its id": (
        {"type": "function_call", "name": "a", "arguments": "{}"},
        "missing_required_parameter",
        "input[1].call_id",
    ),
    "arguments": (
        {"type": "function_call", "call_id": "a", "name": "a", "arguments": {}},
        "invalid_type",
        "input[1].arguments",
    ),
    "an output's part": (
        {"type": "function_call_output", "call_id": "a", "output": [{"type": "zip"}]},
        "invalid_value",
        "input[1].output[0].type",
    ),
    "no item": ("text", "invalid_type", "input[1]"),
    "a type": ({"type": 5}, "invalid_type", "input[1].type"),
    "a trigger that is not the last": ({"type": "compaction_trigger"}, "invalid_value", "input[1]"),
}


@pytest.mark.parametrize("name", ITEM_FAULTS)
def test_a_fault_in_an_item_is_named_by_its_place(name):
    item, code, param = ITEM_FAULTS[name]
    error = refused(body(input=[{"role": "user", "content": "Hi"}, item, {"role": "user", "content": "Hi"}]))
    assert (error.code, error.param) == (code, param)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        pytest.param({"model": None}, "missing_required_parameter", "model", id="model"),
        pytest.param({"input": None}, "missing_required_parameter", None, id="input"),
        pytest.param({"input": 5}, "invalid_type", "input", id="input type"),
        pytest.param({"max_output_tokens": 15}, "integer_below_min_value", "max_output_tokens", id="small cap"),
        pytest.param({"temperature": 2.5}, "decimal_above_max_value", "temperature", id="temperature"),
        pytest.param({"top_logprobs": 21}, "integer_above_max_value", "top_logprobs", id="top_logprobs"),
        pytest.param({"reasoning": {"effort": "huge"}}, "invalid_value", "reasoning.effort", id="effort"),
        pytest.param({"include": ["all"]}, "invalid_value", "include[0]", id="include"),
        pytest.param({"include": ["reasoning.encrypted_content", 1]}, "invalid_type", "include[1]", id="include type"),
        pytest.param({"tool_choice": "maybe"}, "invalid_value", "tool_choice", id="tool_choice"),
        pytest.param(
            {"tool_choice": {"type": "function"}}, "missing_required_parameter", "tool_choice.name", id="name"
        ),
        pytest.param({"text": {"format": {"type": "xml"}}}, "invalid_value", "text.format.type", id="format"),
        pytest.param({"tools": [{"name": "a"}]}, "missing_required_parameter", "tools[0].type", id="tool without type"),
        pytest.param({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].name", id="tool name"),
        pytest.param({"tools": [{"type": "function", "name": ""}]}, "empty_string", "tools[0].name", id="empty name"),
        pytest.param(
            {
                "tools": [
                    {"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "a"}, {"type": "mcp"}]}
                ]
            },
            "invalid_value",
            "tools[0].tools[1].type",
            id="a tool in a namespace",
        ),
        pytest.param({"stream_options": {}}, None, "stream_options", id="stream_options"),
        pytest.param({"background": True, "store": False}, "invalid_value", "store", id="background"),
        pytest.param(
            {"conversation": "conv_1", "previous_response_id": "resp_1"},
            "mutually_exclusive_parameters",
            "previous_response_id",
            id="two histories",
        ),
    ],
)
def test_a_fault_in_a_parameter_is_named_by_its_place(fields, code, param):
    error = refused(body(**fields))
    assert (error.code, error.param) == (code, param)


@pytest.mark.parametrize(
    ("fields", "new_name"),
    [
        ({"max_completion_tokens": 100}, "max_output_tokens"),
        ({"max_tokens": 100}, "max_output_tokens"),
        ({"messages": [{"role": "user", "content": "Hi"}], "input": None}, "input"),
        ({"reasoning_effort": "high"}, "reasoning.effort"),
        ({"response_format": {"type": "json_object"}}, "text.format"),
        ({"verbosity": "low"}, "text.verbosity"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_parameter_of_chat_completions_is_refused_with_its_name_here(fields, new_name):
    error = refused(body(**fields))
    name = next(iter(fields))
    assert error.message.startswith(
        f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to '{new_name}'."
    )
    assert (error.code, error.param) == ("unsupported_parameter", None)


def test_a_parameter_of_chat_completions_that_is_null_says_nothing():
    assert parse_request(body(response_format=None)).unknown_parameters == ("response_format",)


def test_the_supported_values_are_listed_in_openais_words():
    error = refused(body(input=[{"role": "user", "content": [{"type": "text_input"}]}]))
    assert error.message == (
        "Invalid value: 'text_input'. Supported values are: 'input_text', 'input_image', 'output_text', 'refusal', "
        "'input_file', and 'summary_text'."
    )


@pytest.mark.parametrize("field", ["tools", "text", "search", "item"])
def test_what_is_nested_too_deeply_is_refused(field):
    deep: Any = {}
    for _ in range(200):
        deep = {"items": deep}
    fields: dict[str, Any] = {
        "tools": {"tools": [{"type": "function", "name": "a", "parameters": deep}]},
        "text": {"text": {"format": {"type": "json_schema", "name": "a", "schema": deep}}},
        "search": {"tools": [{"type": "tool_search", "execution": "client", "parameters": deep}]},
        "item": {"input": [{"type": "tool_search_call", "call_id": "a", "arguments": deep}]},
    }[field]
    refused(body(**fields))


def test_a_message_may_come_without_its_type_and_a_reference_too():
    items = parse_request(body(input=[{"role": "user", "content": "Hi"}, {"id": "msg_1"}])).items
    assert items == (Message("user", "Hi"), ItemReference("msg_1"))


def test_an_item_of_an_unknown_type_is_left_out_and_not_refused():
    assert parse_item({"type": "dream", "call_id": 5}, "input[0]") == LeftOutItem("dream")


def test_unknown_fields_are_passed_over_everywhere():
    noise = {"internal_chat_message_metadata_passthrough": {"turn_id": "x"}, "new": [1]}
    request = parse_request(
        body(
            input=[{"role": "user", "content": [{"type": "input_text", "text": "Hi", **noise}], **noise}],
            tools=[{"type": "function", "name": "a", **noise}],
            client_metadata={},
        )
    )
    assert request.unknown_parameters == ("client_metadata",)


def test_the_deployment_of_the_path_is_the_model_where_the_body_has_none():
    assert parse_request(b'{"input": "Hi"}', deployment="mine").parameters.model == "mine"
    assert parse_request(body(), deployment="mine").parameters.model == "gpt-5"


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "name", "call_id", "output", "tools", "input"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
_item = st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from([*ITEM_TYPES, *LEFT_OUT, "dream"]),
    st.dictionaries(
        st.sampled_from(["role", "content", "call_id", "output", "name", "tools", "action", "arguments", "id"]),
        _json,
        max_size=5,
    ),
)


@given(st.dictionaries(st.sampled_from(sorted(ResponsesParameters.__struct_fields__)), _json, max_size=4), st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_comes_is_parsed_or_refused(fields, data):
    given_input = data.draw(st.one_of(st.just("Hi"), st.lists(_item, max_size=3)))
    with contextlib.suppress(OpenAIError):
        assert parse_request(body(**{"input": given_input, **fields})).parameters.model

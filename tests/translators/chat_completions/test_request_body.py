"""Bytes to a typed request, and OpenAI's own words for what is wrong."""

import json
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsBase, CompletionCreateParamsStreaming

from translators.chat_completions import request_body
from translators.chat_completions.request_body import parse_request
from translators.chat_completions.request_types import ChatCompletionRequest
from translators.errors import OpenAIError

HI = [{"role": "user", "content": "Hi"}]


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "gpt-5", "messages": HI, **fields}).encode()


def refused(data: bytes) -> OpenAIError:
    with pytest.raises(OpenAIError) as caught:
        parse_request(data)
    error = caught.value
    assert (error.status, error.type) == (400, "invalid_request_error")
    return error


def test_the_request_has_every_parameter_of_the_openai_package():
    of_package = set(get_type_hints(CompletionCreateParamsBase)) | set(get_type_hints(CompletionCreateParamsStreaming))
    assert set(ChatCompletionRequest.__struct_fields__) - {"unknown_parameters"} == of_package


@pytest.mark.parametrize("name", ["verbosity", "reasoning_effort", "service_tier"])
def test_the_values_named_in_errors_are_those_of_the_openai_package(name):
    def strings(hint: Any) -> set[str]:
        return {hint} if isinstance(hint, str) else {value for member in get_args(hint) for value in strings(member)}

    assert strings(get_type_hints(CompletionCreateParamsBase)[name]) == set(request_body._VALUES[name])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="words"),
        pytest.param(b'{"model": "gpt-5"', id="cut"),
        pytest.param(b"[", id="cut list"),
        pytest.param(b'"text', id="cut string"),
        pytest.param(b"{}x", id="more"),
        pytest.param(b"\xff\xfe{}", id="no-utf-8"),
        pytest.param(b'{"model":"gpt-5","messages":[{"role":"user","content":"\xff"}]}', id="no-utf-8-inside"),
        pytest.param(b'{"model":"gpt-5","messages":[{"role":"user","content":"\\ud800"}]}', id="lone-high-surrogate"),
        pytest.param(b'{"model":"gpt-5","messages":[{"role":"user","content":"\\udc00 x"}]}', id="lone-low-surrogate"),
        pytest.param(b'{"model":"gpt-5","messages":[' + b"[" * 100_000 + b"]" * 100_000 + b"]}", id="deep"),
        pytest.param(b'{"model":"gpt-5","messages":[],"other":' + b"[" * 100_000, id="deep-and-unknown"),
        pytest.param(b'{"model":"gpt-5","messages":[],"n":NaN}', id="NaN"),
    ],
)
def test_what_is_no_json_is_refused(data):
    error = refused(data)
    assert error.message.startswith("We could not parse the JSON body of your request.")
    assert (error.code, error.param) == (None, None)


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"{}", "model"),
        (b'{"model": "gpt-5"}', "messages"),
        (b'{"model": "", "messages": []}', "model"),
        (body(messages=[{"content": "Hi"}]), "messages[0].role"),
        (body(messages=[*HI, {"role": "user"}]), "messages[1].content"),
        (body(messages=[{"role": "user", "content": [{"text": "Hi"}]}]), "messages[0].content[0].type"),
        (body(messages=[{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content[0].text"),
        (body(messages=[{"role": "tool", "content": "ok"}]), "messages[0].tool_call_id"),
        (body(tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
        (body(response_format={"type": "json_schema"}), "response_format.json_schema"),
        (body(tool_choice={"type": "function"}), "tool_choice.function"),
    ],
)
def test_what_is_missing_is_named(data, path):
    error = refused(data)
    assert error.message == f"Missing required parameter: '{path}'."
    assert (error.code, error.param) == ("missing_required_parameter", path)


@pytest.mark.parametrize(
    ("fields", "message", "path"),
    [
        ({"n": "2"}, "Invalid type for 'n': expected an integer, but got a string instead.", "n"),
        ({"n": True}, "Invalid type for 'n': expected an integer, but got a boolean instead.", "n"),
        ({"n": 1.5}, "Invalid type for 'n': expected an integer, but got a decimal instead.", "n"),
        (
            {"temperature": "1"},
            "Invalid type for 'temperature': expected a decimal, but got a string instead.",
            "temperature",
        ),
        ({"messages": None}, "Invalid type for 'messages': expected an array, but got null instead.", "messages"),
        ({"stream": 1}, "Invalid type for 'stream': expected a boolean, but got an integer instead.", "stream"),
        (
            {"stop": 1},
            "Invalid type for 'stop': expected one of a string or array of strings, but got an integer instead.",
            "stop",
        ),
        (
            {"messages": [{"role": "user", "content": None}]},
            (
                "Invalid type for 'messages[0].content': expected one of a string or array of objects, "
                "but got null instead."
            ),
            "messages[0].content",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]},
            "Invalid type for 'messages[0].content[0].text': expected a string, but got an integer instead.",
            "messages[0].content[0].text",
        ),
        (
            {"metadata": {"b": "x", "a": 1}},
            "Invalid type for 'metadata.a': expected a string, but got an integer instead.",
            "metadata.a",
        ),
    ],
)
def test_a_wrong_type_is_named(fields, message, path):
    error = refused(body(**fields))
    assert (error.message, error.code, error.param) == (message, "invalid_type", path)


@pytest.mark.parametrize(
    ("fields", "message", "path"),
    [
        (
            {"messages": [{"role": "robot", "content": "Hi"}]},
            (
                "Invalid value: 'robot'. "
                "Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
            ),
            "messages[0].role",
        ),
        (
            {"tool_choice": "any"},
            "Invalid value: 'any'. Supported values are: 'none', 'auto', and 'required'.",
            "tool_choice",
        ),
        (
            {"tools": [{"type": "mcp"}]},
            "Invalid value: 'mcp'. Supported values are: 'function' and 'custom'.",
            "tools[0].type",
        ),
        (
            {"verbosity": "loud"},
            "Invalid value: 'loud'. Supported values are: 'low', 'medium', and 'high'.",
            "verbosity",
        ),
    ],
)
def test_a_wrong_value_is_named_with_the_right_ones(fields, message, path):
    error = refused(body(**fields))
    assert (error.message, error.code, error.param) == (message, "invalid_value", path)


@pytest.mark.parametrize(
    ("fields", "message", "code"),
    [
        (
            {"temperature": -1},
            "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 instead.",
            "decimal_below_min_value",
        ),
        (
            {"temperature": 2.5},
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
            "decimal_above_max_value",
        ),
        (
            {"n": 0},
            "Invalid 'n': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            "integer_below_min_value",
        ),
        (
            {"n": 129},
            "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 instead.",
            "integer_above_max_value",
        ),
        (
            {"max_tokens": -5},
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got -5 instead.",
            "integer_below_min_value",
        ),
    ],
)
def test_ranges_are_openais(fields, message, code):
    error = refused(body(**fields))
    assert (error.message, error.code, error.param) == (message, code, next(iter(fields)))


def test_an_empty_conversation_is_refused():
    error = refused(body(messages=[]))
    assert (error.code, error.param) == ("empty_array", "messages")


def test_stream_options_need_a_stream():
    assert refused(body(stream_options={"include_usage": True})).param == "stream_options"
    assert parse_request(body(stream=True, stream_options={"include_usage": True})).stream_options is not None


def test_null_is_absent():
    optional = set(ChatCompletionRequest.__struct_fields__) - {"unknown_parameters", "model", "messages"}
    assert parse_request(body(**dict.fromkeys(optional))) == parse_request(body())


def test_unknown_parameters_are_kept_by_name():
    assert parse_request(body(top_k=1, thinking={})).unknown_parameters == ("top_k", "thinking")
    assert parse_request(body(unknown_parameters=["x"])).unknown_parameters == ("unknown_parameters",)


@pytest.mark.parametrize("given", [{}, {"model": None}, {"model": "gpt-5"}], ids=["absent", "null", "another"])
def test_the_deployment_of_the_path_is_the_model_whatever_the_body_says(given):
    data = json.dumps({"messages": HI, **given}).encode()
    assert parse_request(data, deployment="gpt-4o").model == "gpt-4o"
    assert refused(json.dumps({"messages": HI}).encode()).param == "model"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "role", "content", "text", "name", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(ChatCompletionRequest.__struct_fields__)), _json, max_size=6))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_json_is_parsed_or_refused_in_openais_form(fields):
    error: OpenAIError | None = None
    try:
        parse_request(body(**fields))
    except OpenAIError as refusal:
        error = refusal
    assert error is None or (error.status, "`" in error.message) == (400, False)

"""Whatever an app asks of whichever model, the simulated Claude, as strict as the real one, accepts what is sent."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addon.simulated_claude.errors import ClaudeError
from addon.simulated_claude.validation import check_request
from translators.chat_completions.request import TranslatedRequest, TranslationContext, translate_request
from translators.chat_completions.request_body import parse_request
from translators.model_catalog import CAPABILITIES, ModelCatalog

IMAGE = {
    "type": "image_url",
    "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"},
}
FILE = {"type": "file", "file": {"file_data": "data:text/plain;base64,SGk=", "filename": "a.txt"}}
CLOSED = {"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}, "required": ["a"]}
SCHEMAS: list[Any] = [
    None,
    {},
    CLOSED,
    {"type": "object", "additionalProperties": {"type": "string"}},
    {"anyOf": [CLOSED, {"type": "null"}]},
    {"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"enum": ["x", 1]}}},
    {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}}},
]
NAMES = ["look", "fs.read", "x" * 70]

_text = st.sampled_from(["", "  ", "word", "ends with space ", "JSON please"])
_marked = st.builds(lambda text: {"type": "text", "text": text, "prompt_cache_breakpoint": {"mode": "explicit"}}, _text)
_part = st.one_of(_text.map(lambda text: {"type": "text", "text": text}), _marked, st.just(IMAGE), st.just(FILE))
_result_content = st.one_of(_text, st.lists(st.one_of(_marked, st.just(IMAGE)), max_size=2))
_call_id = st.sampled_from(["a", "b", "c:1", ""])
_call = st.builds(
    lambda call_id, name, arguments: {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    },
    _call_id,
    st.sampled_from(NAMES),
    st.sampled_from(["", "{}", '{"a": "b"}', "[1]", "{"]),
)
_message = st.one_of(
    st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["system", "developer"]), _text),
    st.builds(lambda content: {"role": "user", "content": content}, st.one_of(_text, st.lists(_part, max_size=3))),
    st.builds(
        lambda text, calls: {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})},
        st.one_of(st.none(), _text),
        st.lists(_call, max_size=2),
    ),
    st.builds(lambda i, content: {"role": "tool", "tool_call_id": i, "content": content}, _call_id, _result_content),
)
_function = st.builds(
    lambda name, schema, strict: {
        "type": "function",
        "function": {"name": name, "parameters": schema, "strict": strict},
    },
    st.sampled_from(NAMES),
    st.sampled_from(SCHEMAS),
    st.booleans(),
)
_tools = st.lists(_function, max_size=3, unique_by=lambda tool: tool["function"]["name"])
_format = st.one_of(
    st.just({"type": "json_object"}),
    st.sampled_from(SCHEMAS[2:]).map(
        lambda schema: {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    ),
)
_parameters = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.sampled_from([1, 500, 1025, 3000, 10**7]),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
        "temperature": st.sampled_from([0, 0.5, 1, 2]),
        "top_p": st.sampled_from([0.1, 1]),
        "stop": st.sampled_from(["\n", "END", ["", " ", "a", "b", "c", "d", "e"]]),
        "response_format": _format,
        "tool_choice": st.sampled_from(["none", "auto", "required"]),
        "parallel_tool_calls": st.booleans(),
        "web_search_options": st.just({}),
        "prompt_cache_retention": st.just("24h"),
        "prompt_cache_options": st.just({"mode": "explicit"}),
        "service_tier": st.sampled_from(["flex", "priority"]),
        "user": st.just("ann"),
    },
)


def refusal(translated: TranslatedRequest) -> str | None:
    headers = {"anthropic-version": "2026-10-21", **translated.headers}
    judged = check_request(headers, msgspec.json.decode(msgspec.json.encode(translated.params)))
    return judged.message if isinstance(judged, ClaudeError) else None


@given(
    st.lists(_message, min_size=1, max_size=6),
    _tools,
    _parameters,
    st.sampled_from(sorted(CAPABILITIES)),
    st.sampled_from(["asked", "always", "never"]),
)
@settings(max_examples=300, deadline=None)
def test_any_request_is_accepted(messages, tools, parameters, model, show_thinking):
    body = {"model": model, "messages": messages, "tools": tools, **parameters}
    context = TranslationContext(ModelCatalog(model), show_thinking=show_thinking)
    assert refusal(translate_request(parse_request(msgspec.json.encode(body)), context)) is None


@pytest.mark.parametrize("model", sorted(CAPABILITIES))
@pytest.mark.parametrize("effort", [None, "none", "minimal", "low", "medium", "high", "xhigh", "max"])
@pytest.mark.parametrize("choice", ["auto", "required", {"type": "function", "function": {"name": "look"}}], ids=str)
def test_every_effort_and_choice_is_accepted_by_every_model(translate, model, effort, choice):
    tools = [{"type": "function", "function": {"name": name, "parameters": CLOSED}} for name in ("look", "other")]
    translated = translate(model=model, reasoning_effort=effort, tools=tools, tool_choice=choice, temperature=0.3)
    assert refusal(translated) is None

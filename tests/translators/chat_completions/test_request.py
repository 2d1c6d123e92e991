"""Parameters of a request: the P cases, structured output, caching, search, identity, copies, and what is refused."""

from hashlib import sha256
from typing import Any

import pytest

from translators.errors import OpenAIError
from translators.model_catalog import CAPABILITIES, NEWEST, ModelCatalog

LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
SAMPLING_MODELS = [
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-opus-4-5",
    "claude-sonnet-4-5",
    "claude-haiku-4-5-20251001",
]


def warned(translated: Any) -> set[tuple[str, str]]:
    return {(warning.param, warning.action) for warning in translated.warnings}


def test_a_plain_request_is_a_stream_with_the_models_own_maximum(translate):
    translated = translate(model="claude-haiku-4-5")
    assert translated.params == {
        "model": "claude-haiku-4-5",
        "max_tokens": 64_000,
        "stream": True,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
        "cache_control": {"type": "ephemeral"},
    }
    assert (translated.headers, translated.copies, translated.warnings) == ({}, 1, ())
    assert (translated.reply.model, translated.reply.stream) == ("claude-haiku-4-5", False)


def test_the_reply_plan_knows_the_clients_model_and_how_it_streams(translate):
    reply = translate(
        model="gpt-5",
        stream=True,
        stream_options={"include_usage": True},
        context={"catalog": ModelCatalog("claude-opus-5-5")},
    ).reply
    assert (reply.model, reply.stream, reply.include_usage) == ("gpt-5", True, True)


# Sampling


@pytest.mark.parametrize(
    "model", sorted(set(CAPABILITIES) - {name for name in CAPABILITIES if CAPABILITIES[name].sampling})
)
@pytest.mark.parametrize("name", ["temperature", "top_p"])
def test_P1_P2_sampling_is_never_sent_to_models_that_refuse_it(translate, model, name):
    translated = translate(model=model, **{name: 0.2})
    assert not {"temperature", "top_p"} & translated.params.keys()
    assert translated.headers == {}
    assert (name, "ignored") in warned(translated)


@pytest.mark.parametrize("model", SAMPLING_MODELS)
def test_P2_models_that_take_sampling_get_it_under_the_older_version(translate, model):
    translated = translate(model=model, temperature=0.2)
    assert translated.params["temperature"] == 0.2
    assert translated.headers == {"anthropic-version": "2023-06-01"}
    assert translated.warnings == ()


@pytest.mark.parametrize("model", [*SAMPLING_MODELS, "claude-opus-5-5"])
def test_P2_the_default_temperature_is_not_sent_and_not_reported(translate, model):
    translated = translate(model=model, temperature=1, top_p=1.0)
    assert not {"temperature", "top_p"} & translated.params.keys()
    assert (translated.headers, translated.warnings) == ({}, ())


def test_P3_of_temperature_and_top_p_one_is_sent(translate):
    translated = translate(model="claude-opus-4-6", temperature=0.5, top_p=0.9)
    assert (translated.params["temperature"], "top_p" in translated.params) == (0.5, False)
    assert ("top_p", "ignored") in warned(translated)


def test_P3_null_is_not_sent(translate):
    translated = translate(model="claude-opus-4-6", temperature=None, top_p=0.9)
    assert ("temperature" in translated.params, translated.params["top_p"]) == (False, 0.9)


def test_P4_a_temperature_above_1_becomes_1(translate):
    translated = translate(model="claude-opus-4-6", temperature=1.7)
    assert translated.params.get("temperature", 1) == 1
    assert ("temperature", "changed") in warned(translated)


def test_P5_thinking_and_temperature_do_not_go_together(translate):
    translated = translate(model="claude-opus-4-6", temperature=0.2, reasoning_effort="low")
    assert "temperature" not in translated.params
    assert translated.headers == {}
    assert ("temperature", "ignored") in warned(translated)


# Stop


@pytest.mark.parametrize("stop", ["END", ["END"]], ids=["string", "list"])
def test_P6_stop_is_stop_sequences(translate, stop):
    translated = translate(stop=stop)
    assert translated.params["stop_sequences"] == ["END"]
    assert "stop" not in translated.params
    assert translated.reply.stop == ()


def test_P7_stops_of_white_space_are_watched_for(translate):
    translated = translate(stop=["\n\n", "END", " "])
    assert translated.params["stop_sequences"] == ["END"]
    assert translated.reply.stop == ("\n\n", " ")
    assert ("stop", "emulated") in warned(translated)


def test_P7_an_empty_stop_is_ignored(translate):
    translated = translate(stop="")
    assert "stop_sequences" not in translated.params
    assert ("stop", "ignored") in warned(translated)


def test_more_stops_than_four_are_watched_for(translate):
    translated = translate(stop=list("abcdef"))
    assert translated.params["stop_sequences"] == list("abcd")
    assert translated.reply.stop == ("e", "f")


# Caps


@pytest.mark.parametrize("model", sorted(CAPABILITIES))
def test_P8_P9_without_a_cap_the_models_own_maximum_is_sent(translate, model):
    assert translate(model=model).params["max_tokens"] == CAPABILITIES[model].max_output_tokens


def test_P8_the_operators_default_is_sent_where_there_is_one(translate):
    assert translate(context={"default_max_tokens": 9000}).params["max_tokens"] == 9000


@pytest.mark.parametrize(
    ("caps", "sent"),
    [
        ({"max_tokens": 3000}, 3000),
        ({"max_completion_tokens": 3000}, 3000),
        ({"max_tokens": 5000, "max_completion_tokens": 3000}, 3000),
        ({"max_tokens": 3000, "max_completion_tokens": 5000}, 3000),
    ],
)
def test_P10_both_caps_count_and_the_smaller_wins(translate, caps, sent):
    assert translate(**caps).params["max_tokens"] == sent


@pytest.mark.parametrize(
    ("context", "limit"), [({}, 128_000), ({"max_tokens_limit": 2000}, 2000)], ids=["model", "operator"]
)
def test_P11_a_cap_above_the_limit_is_lowered_and_reported(translate, context, limit):
    translated = translate(max_tokens=1_000_000, context=context)
    assert translated.params["max_tokens"] == limit
    assert ("max_tokens", "changed") in warned(translated)


@pytest.mark.parametrize("stream", [True, False])
def test_P12_claude_always_streams(translate, stream):
    translated = translate(stream=stream, max_tokens=100_000)
    assert translated.params["stream"] is True
    assert translated.reply.stream is stream


def test_a_small_cap_leaves_no_room_for_thinking(translate):
    small = translate(model="claude-opus-5", max_tokens=50)
    assert (small.params["thinking"], small.warnings) == ({"type": "disabled"}, ())
    asked = translate(model="claude-opus-5", max_tokens=50, reasoning_effort="high")
    assert asked.params["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert "thinking" not in translate(model="claude-opus-5", max_tokens=5000).params


# Copies, tools, identity


def test_P19_n_is_that_many_calls(translate):
    assert translate(n=3).copies == 3


def test_P19_too_many_copies_are_refused(translate):
    with pytest.raises(OpenAIError) as caught:
        translate(n=9)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "integer_above_max_value", "n")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False, "tool_choice": "required"}, {"type": "any", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
    ],
    ids=["false", "true", "required", "none"],
)
def test_P20_parallel_calls_are_switched_off_and_never_force_one(translate, given, sent):
    assert translate(model="claude-opus-4-8", tools=[LOOK], **given).params.get("tool_choice") == sent


def test_P20_without_tools_parallel_calls_say_nothing(translate):
    assert "tool_choice" not in translate(parallel_tool_calls=False).params


@pytest.mark.parametrize(
    ("given", "name"),
    [({"user": "ann@example.org"}, "ann@example.org"), ({"user": "a", "safety_identifier": "b"}, "b")],
    ids=["user", "safety_identifier-first"],
)
def test_P21_the_user_is_sent_as_a_hash(translate, given, name):
    assert translate(**given).params["metadata"] == {"user_id": sha256(name.encode()).hexdigest()}


@pytest.mark.parametrize(
    ("tier", "sent"),
    [
        ("auto", None),
        ("default", "standard_only"),
        ("flex", "standard_only"),
        ("scale", "standard_only"),
        ("priority", None),
        ("fast", None),
    ],
)
def test_P21_the_service_tier_is_mapped(translate, tier, sent):
    translated = translate(service_tier=tier)
    assert translated.params.get("service_tier") == sent
    assert (("service_tier", "ignored") in warned(translated)) is (tier in {"priority", "fast"})


# Structured output

ANSWER = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}


def json_schema(schema: dict[str, Any] | None) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}


def test_T17_a_json_schema_is_native_and_no_tool(translate):
    translated = translate(response_format=json_schema(ANSWER), tools=[LOOK])
    assert translated.params["output_config"] == {"format": {"type": "json_schema", "schema": ANSWER}}
    assert [tool["name"] for tool in translated.params["tools"]] == ["look"]
    assert "tool_choice" not in translated.params
    assert (translated.reply.structured, translated.reply.json_object, translated.warnings) == (True, False, ())


def test_T16_a_json_object_is_asked_for_in_the_system_prompt(translate):
    translated = translate(
        messages=[{"role": "system", "content": "Be good"}, {"role": "user", "content": "Hi"}],
        response_format={"type": "json_object"},
    )
    assert translated.params["system"][0]["text"] == "Be good"
    assert "JSON" in translated.params["system"][1]["text"]
    assert "output_config" not in translated.params
    assert (translated.reply.json_object, translated.reply.structured) == (True, True)
    assert ("response_format", "emulated") in warned(translated)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {
            "$ref": "#/$defs/Node",
            "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
        },
        {
            "type": "object",
            "properties": {f"p{i}": {"type": ["string", "null"]} for i in range(17)},
            "required": [f"p{i}" for i in range(17)],
        },
        {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(25)}},
    ],
    ids=["T15-map", "recursion", "unions", "optionals"],
)
def test_T15_schemas_outside_the_subset_are_asked_for_in_words(translate, schema):
    translated = translate(response_format=json_schema(schema))
    assert "output_config" not in translated.params
    assert "JSON schema" in translated.params["system"][-1]["text"]
    assert translated.reply.json_object
    assert ("response_format", "degraded") in warned(translated)


def test_a_format_of_a_type_that_json_schema_does_not_have_is_refused_in_openais_words(translate):
    with pytest.raises(OpenAIError) as caught:
        translate(response_format=json_schema({"type": "object", "properties": {"at": {"type": "str"}}}))
    assert caught.value == OpenAIError(
        400,
        "Invalid schema for response_format 'answer': 'str' is not valid under any of the given schemas.",
        param="response_format",
    )


def test_T20_a_model_without_structured_outputs_is_asked_in_words(translate):
    entry = {"id": "claude-plain", "capabilities": {"structured_outputs": {"supported": False}}}
    catalog = ModelCatalog("claude-plain").updated([entry])
    translated = translate(model="claude-plain", response_format=json_schema(ANSWER), context={"catalog": catalog})
    assert "output_config" not in translated.params
    assert ("response_format", "degraded") in warned(translated)


def test_T13_bounds_are_described_and_reported(translate):
    schema = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}, "required": ["age"]}
    translated = translate(response_format=json_schema(schema))
    age = translated.params["output_config"]["format"]["schema"]["properties"]["age"]
    assert age == {"type": "integer", "description": "(minimum: 0)"}
    assert ("response_format", "degraded") in warned(translated)


def test_effort_and_format_share_output_config(translate):
    params = translate(response_format=json_schema(ANSWER), reasoning_effort="low").params
    assert params["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": ANSWER}}


# Prompt caching


def marked(content: str, **mark: Any) -> dict[str, Any]:
    return {"type": "text", "text": content, "prompt_cache_breakpoint": {"mode": "explicit", **mark}}


def marks(params: dict[str, Any]) -> list[str]:
    blocks = [*params.get("system", []), *(block for message in params["messages"] for block in message["content"])]
    return [block.get("text", block["type"]) for block in blocks if "cache_control" in block]


def test_C1_the_prefix_is_cached_by_default(translate):
    assert translate().params["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in translate(context={"prompt_caching": False}).params


@pytest.mark.parametrize(
    "given", [{"prompt_cache_retention": "24h"}, {"prompt_cache_options": {"ttl": "30m"}}], ids=["retention", "options"]
)
def test_a_longer_retention_is_an_hour(translate, given):
    assert translate(**given).params["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_C2_with_the_automatic_mark_three_explicit_ones_are_kept(translate):
    parts = [marked(str(number)) for number in range(6)]
    translated = translate(messages=[{"role": "user", "content": parts}])
    assert marks(translated.params) == ["3", "4", "5"]
    assert "cache_control" in translated.params
    assert ("prompt_cache_breakpoint", "changed") in warned(translated)


def test_C2_without_it_four_are_kept(translate):
    parts = [marked(str(number)) for number in range(6)]
    translated = translate(messages=[{"role": "user", "content": parts}], prompt_cache_options={"mode": "explicit"})
    assert marks(translated.params) == ["2", "3", "4", "5"]
    assert "cache_control" not in translated.params


def test_C3_a_mark_on_empty_text_moves_to_the_block_before(translate):
    content = [{"type": "text", "text": "Hi"}, marked(""), {"type": "text", "text": "Bye"}]
    assert marks(translate(messages=[{"role": "user", "content": content}]).params) == ["Hi"]
    assert marks(translate(messages=[{"role": "user", "content": [marked(" "), *content[2:]]}]).params) == []


def test_one_longer_mark_makes_all_longer(translate):
    messages = [{"role": "system", "content": [marked("S")]}, {"role": "user", "content": [marked("U", ttl="12h")]}]
    params = translate(messages=messages).params
    assert params["system"][0]["cache_control"] == params["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


def test_a_mark_in_a_result_is_on_the_result(translate):
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Look"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": [marked("done")]},
    ]
    sent = translate(messages=messages, tools=[LOOK]).params["messages"][2]["content"]
    assert sent == [
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [{"type": "text", "text": "done"}],
            "cache_control": {"type": "ephemeral"},
        }
    ]


# Web search


@pytest.mark.parametrize(("size", "uses"), [("low", 1), ("medium", 5), ("high", 10), (None, 5)])
def test_web_search_is_a_tool_of_claude(translate, size, uses):
    options = {"user_location": {"type": "approximate", "approximate": {"city": "Rome", "country": "IT"}}}
    if size is not None:
        options["search_context_size"] = size
    params = translate(web_search_options=options, tools=[LOOK]).params
    assert params["tools"][1:] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "max_uses": uses,
            "user_location": {"type": "approximate", "city": "Rome", "country": "IT"},
        }
    ]


def test_a_clients_own_web_search_is_kept(translate):
    own = {"type": "function", "function": {"name": "web_search"}}
    translated = translate(web_search_options={}, tools=[own])
    assert [tool.get("type") for tool in translated.params["tools"]] == [None]
    assert ("web_search_options", "ignored") in warned(translated)


def test_web_search_is_refused_for_models_without_it(translate):
    entry = {"id": "claude-plain", "capabilities": {"server_tools": {"web_search": {"supported": False}}}}
    with pytest.raises(OpenAIError) as caught:
        translate(model="claude-plain", web_search_options={}, context={"catalog": ModelCatalog("x").updated([entry])})
    assert (caught.value.status, caught.value.param) == (400, "web_search_options")


def test_a_function_call_of_no_function_is_refused_in_the_clients_words(translate):
    with pytest.raises(OpenAIError) as caught:
        translate(functions=[{"name": "look"}], function_call={"name": "search"})
    assert caught.value == OpenAIError(
        400,
        "Invalid value for 'function_call': no function named 'search' was specified in the 'functions' parameter.",
        param="function_call",
    )


# Refused and ignored


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities", "invalid_value"),
        ({"modalities": ["audio"], "audio": {"voice": "alloy", "format": "wav"}}, "audio", "invalid_value"),
        ({"moderation": {"model": "m", "policy": {"input": {"mode": "block"}}}}, "moderation", "unsupported_parameter"),
        (
            {"moderation": {"model": "m", "policy": {"output": {"mode": "block"}}}},
            "moderation",
            "unsupported_parameter",
        ),
    ],
    ids=["logprobs", "modalities", "audio", "moderation-input", "moderation-output"],
)
def test_what_must_not_be_left_out_is_refused(translate, given, param, code):
    with pytest.raises(OpenAIError) as caught:
        translate(**given)
    assert (caught.value.status, caught.value.type, caught.value.param, caught.value.code) == (
        400,
        "invalid_request_error",
        param,
        code,
    )


@pytest.mark.parametrize(
    "given",
    [
        {"logprobs": False},
        {"modalities": ["text"]},
        {"frequency_penalty": 0, "presence_penalty": 0},
        {"logit_bias": {}},
        {"store": False},
        {"stream_options": None},
        {"tool_choice": "auto"},
        {"response_format": {"type": "text"}},
        {"verbosity": "medium"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_values_that_change_nothing_are_not_reported(translate, given):
    assert (translate(**given).params, translate(**given).warnings) == (translate().params, ())


def test_P18_unknown_parameters_are_reported_and_never_sent(translate):
    translated = translate(top_k=5, thinking={"type": "enabled"}, **{"x\r\ny": 1})
    assert translated.params == translate().params
    assert warned(translated) == {("top_k", "ignored"), ("thinking", "ignored"), ("unknown", "ignored")}


def test_an_unknown_claude_model_gets_what_the_newest_take(translate):
    translated = translate(model="claude-opus-9", tool_choice="required", tools=[LOOK], temperature=0.1)
    assert translated.params["model"] == "claude-opus-9"
    assert translated.params["max_tokens"] == NEWEST.max_output_tokens
    assert "temperature" not in translated.params
    assert translated.params["tool_choice"] == {"type": "none"}


def test_a_retired_model_is_answered_by_its_successor_and_reported(translate):
    translated = translate(model="claude-3-opus-20240229")
    assert (translated.params["model"], translated.reply.model) == ("claude-opus-4-8", "claude-3-opus-20240229")
    assert ("model", "changed") in warned(translated)

"""Tools: names, schemas, strictness and the choice: the T cases."""

from typing import Any

import pytest

from translators.errors import OpenAIError
from translators.tools import to_claude_name

OBJECT: dict[str, Any] = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
HI = [{"role": "user", "content": "Hi"}]
FORCES = "claude-opus-4-8"
REFUSES = "claude-opus-5-5"


def function(name: str = "look", parameters: Any = OBJECT, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters, **fields}}


def custom(name: str = "patch", **fields: Any) -> dict[str, Any]:
    return {"type": "custom", "custom": {"name": name, **fields}}


def warned(translated: Any) -> set[tuple[str, str]]:
    return {(warning.param, warning.action) for warning in translated.warnings}


@pytest.mark.parametrize("parameters", [None, {}, True, {"type": "object", "additionalProperties": False}])
def test_T1_a_tool_without_parameters_is_an_empty_object(translate, parameters):
    schema = translate(tools=[function(parameters=parameters)]).params["tools"][0]["input_schema"]
    assert schema["type"] == "object"
    assert schema["properties"] == {}


@pytest.mark.parametrize("parameters", [{"type": "object"}, {"type": "object", "properties": None}])
def test_T15_an_object_of_any_properties_is_never_made_an_empty_one(translate, parameters):
    translated = translate(tools=[function(parameters=parameters, strict=True)])
    assert translated.params["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    assert ("tools.strict", "degraded") in warned(translated)
    choice = {"type": "function", "function": {"name": "look"}}
    forced = translate(model="claude-sonnet-5-5", tools=[function(parameters=parameters)], tool_choice=choice)
    assert "output_config" not in forced.params
    assert ("tool_choice", "degraded") in warned(forced)


@pytest.mark.parametrize("description", ["", "  ", None])
def test_T2_an_empty_description_is_left_out(translate, description):
    assert "description" not in translate(tools=[function(description=description)]).params["tools"][0]


@pytest.mark.parametrize(
    "parameters",
    [
        {"type": "string"},
        {"type": "array", "items": {"type": "integer"}},
        {"anyOf": [OBJECT, {"type": "object", "properties": {}}]},
        {"type": "object", "oneOf": [OBJECT]},
        {"enum": ["a"]},
        {"type": "object", "properties": {"$filter": {"type": "string"}}},
        {"type": "object", "properties": {"x" * 65: {"type": "string"}}},
    ],
    ids=["string", "array", "anyOf", "object-oneOf", "enum", "property-alphabet", "property-length"],
)
def test_T3_parameters_that_Claude_does_not_take_are_wrapped(translate, parameters):
    translated = translate(tools=[function(parameters=parameters)])
    schema = translated.params["tools"][0]["input_schema"]
    assert schema == {"type": "object", "properties": {"input": parameters}, "required": ["input"]}
    assert translated.reply.wrapped_tools == {"look"}
    assert ("tools.parameters", "emulated") in warned(translated)


def test_T3_definitions_stay_at_the_root_of_a_wrapped_schema(translate):
    parameters = {"anyOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": OBJECT}}
    schema = translate(tools=[function(parameters=parameters)]).params["tools"][0]["input_schema"]
    assert schema["$defs"] == {"A": OBJECT}
    assert schema["properties"] == {"input": {"anyOf": [{"$ref": "#/$defs/A"}]}}


def test_T3_arguments_of_a_wrapped_tool_are_wrapped_in_the_history(translate):
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"at": "x"}'}}
    messages = [
        *HI,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]
    translated = translate(messages=messages, tools=[function(parameters={"anyOf": [OBJECT]})])
    assert translated.params["messages"][1]["content"][0]["input"] == {"input": {"at": "x"}}


def test_T4_references_pass_as_they_are(translate):
    parameters = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "string"}}}
    assert translate(tools=[function(parameters=parameters)]).params["tools"][0]["input_schema"] == parameters


def test_a_reference_at_the_root_is_followed(translate):
    parameters = {"$ref": "#/$defs/A", "$defs": {"A": OBJECT}}
    schema = translate(tools=[function(parameters=parameters)]).params["tools"][0]["input_schema"]
    assert schema == {**OBJECT, "$defs": {"A": OBJECT}}


def test_the_schemas_own_dialect_is_left_out(translate):
    parameters = {"$schema": "http://json-schema.org/draft-07/schema#", **OBJECT}
    assert translate(tools=[function(parameters=parameters)]).params["tools"][0]["input_schema"] == OBJECT


@pytest.mark.parametrize(
    "name",
    ["fs.read file", "größe", "x" * 65, "mcp__" + "server" * 30],
    ids=["T5-dots", "T5-letters", "T6-65", "T6-mcp"],
)
def test_T5_T6_T7_names_are_replaced_everywhere_and_put_back(translate, name):
    call = {"id": "a", "type": "function", "function": {"name": name, "arguments": "{}"}}
    messages = [
        *HI,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]
    choice = {"type": "function", "function": {"name": name}}
    translated = translate(model=FORCES, messages=messages, tools=[function(name), function()], tool_choice=choice)
    new = translated.params["tools"][0]["name"]
    assert new != name
    assert len(new) <= 64
    assert new.isascii()
    assert translated.params["messages"][1]["content"][0]["name"] == new
    assert translated.params["tool_choice"] == {"type": "tool", "name": new}
    assert translated.reply.tool_names == {new: name}


def test_T5_names_that_look_alike_stay_apart():
    assert len({to_claude_name(name) for name in ("a.b", "a b", "a_b", "a:b")}) == 4
    assert to_claude_name("a_b") == "a_b"


def test_T8_an_unknown_type_of_tool_is_refused_by_its_place(translate):
    with pytest.raises(OpenAIError) as caught:
        translate(tools=[function(), {"type": "file_search"}])
    assert (caught.value.code, caught.value.param) == ("invalid_value", "tools[1].type")
    assert "file_search" in caught.value.message


@pytest.mark.parametrize("model", [FORCES, REFUSES])
def test_T10_none_keeps_the_tools(translate, model):
    translated = translate(model=model, tools=[function()], tool_choice="none")
    assert translated.params["tool_choice"] == {"type": "none"}
    assert len(translated.params["tools"]) == 1


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", None),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "look"}}, {"type": "tool", "name": "look"}),
        ({"type": "custom", "custom": {"name": "patch"}}, {"type": "tool", "name": "patch"}),
    ],
    ids=["auto", "required", "function", "custom"],
)
def test_a_choice_is_mapped_where_the_model_takes_it(translate, choice, sent):
    translated = translate(model=FORCES, tools=[function(), custom()], tool_choice=choice)
    assert translated.params.get("tool_choice") == sent
    assert translated.warnings == ()


@pytest.mark.parametrize(
    "given",
    [
        {"tools": [function(), custom()], "tool_choice": {"type": "function", "function": {"name": "look"}}},
        {"tools": [function()], "tool_choice": "required"},
        {"functions": [{"name": "look", "parameters": OBJECT}, {"name": "other"}], "function_call": {"name": "look"}},
    ],
    ids=["named", "only-one", "legacy"],
)
def test_T11_one_forced_function_is_structured_output_where_the_model_refuses_to_be_forced(translate, given):
    translated = translate(model=REFUSES, **given)
    assert translated.params["tool_choice"] == {"type": "none"}
    assert translated.params["output_config"]["format"]["schema"] == {**OBJECT, "additionalProperties": False}
    assert translated.reply.forced_tool == "look"
    assert not translated.reply.remembers_thinking
    assert ("tool_choice", "emulated") in warned(translated)


@pytest.mark.parametrize(
    "given",
    [
        {"tools": [function(), function("other")], "tool_choice": "required"},
        {"tools": [custom()], "tool_choice": {"type": "custom", "custom": {"name": "patch"}}},
        {
            "tools": [function(parameters={"type": "object", "additionalProperties": {"type": "string"}})],
            "tool_choice": {"type": "function", "function": {"name": "look"}},
        },
        {"tools": [function()], "tool_choice": "required", "response_format": {"type": "json_object"}},
    ],
    ids=["several", "custom", "map", "format-taken"],
)
def test_T11_other_forced_choices_are_asked_for(translate, given):
    translated = translate(model=REFUSES, **given)
    assert translated.params.get("tool_choice") is None
    assert "format" not in translated.params.get("output_config", {})
    last = translated.params["messages"][-1]
    assert last["role"] == "system"
    assert "must be a call" in last["content"][-1]["text"]
    assert ("tool_choice", "degraded") in warned(translated)
    assert not translated.reply.remembers_thinking


def test_T11_a_forced_choice_never_meets_a_budget(translate):
    translated = translate(
        model="claude-sonnet-4-5", tools=[function(), function("b")], tool_choice="required", reasoning_effort="high"
    )
    assert translated.params["thinking"]["type"] == "enabled"
    assert translated.params.get("tool_choice") is None
    assert ("tool_choice", "degraded") in warned(translated)


def test_T11_with_adaptive_thinking_a_choice_is_forced(translate):
    translated = translate(model="claude-opus-4-6", tools=[function()], tool_choice="required", reasoning_effort="high")
    assert translated.params["thinking"]["type"] == "adaptive"
    assert translated.params["tool_choice"] == {"type": "any"}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(("mode", "sent"), [("auto", None), ("required", {"type": "any"})])
def test_allowed_tools_that_are_all_tools_are_the_mode(translate, mode, sent):
    translated = translate(model=FORCES, tools=[function(), function("b")], tool_choice=allowed(mode, "b", "look"))
    assert translated.params.get("tool_choice") == sent
    assert (translated.reply.allowed_tools, translated.warnings) == (None, ())


@pytest.mark.parametrize(
    ("model", "mode", "names", "sent"),
    [
        (FORCES, "auto", ("look",), None),
        (FORCES, "required", ("look", "b"), {"type": "any"}),
        (REFUSES, "auto", ("look",), None),
        (REFUSES, "required", ("look", "b"), None),
    ],
)
def test_allowed_tools_leave_the_tools_and_are_asked_for(translate, model, mode, names, sent):
    tools = [function(), function("b"), function("c")]
    translated = translate(model=model, tools=tools, tool_choice=allowed(mode, *names))
    assert [tool["name"] for tool in translated.params["tools"]] == ["look", "b", "c"]
    assert translated.params.get("tool_choice") == sent
    assert translated.reply.allowed_tools == set(names)
    assert "`look`" in translated.params["messages"][-1]["content"][-1]["text"]


def test_one_allowed_and_required_tool_is_forced(translate):
    translated = translate(model=FORCES, tools=[function(), function("b")], tool_choice=allowed("required", "b"))
    assert translated.params["tool_choice"] == {"type": "tool", "name": "b"}


@pytest.mark.parametrize(
    "choice", [{"type": "function", "function": {"name": "nope"}}, allowed("auto", "nope")], ids=["named", "allowed"]
)
def test_a_choice_of_no_tool_is_refused(translate, choice):
    with pytest.raises(OpenAIError) as caught:
        translate(tools=[function()], tool_choice=choice)
    assert (caught.value.status, caught.value.param) == (400, "tool_choice")


def test_T9_the_web_search_has_no_input_schema(translate):
    assert "input_schema" not in translate(web_search_options={}).params["tools"][0]


@pytest.mark.parametrize("choice", ["auto", "none", "required", {"type": "function", "function": {"name": "look"}}])
@pytest.mark.parametrize("tools", [[], None], ids=["empty", "absent"])
def test_M23_a_choice_without_tools_is_dropped(translate, choice, tools):
    params = translate(tool_choice=choice, tools=tools).params
    assert not {"tools", "tool_choice"} & params.keys()


def test_M24_tools_that_only_the_history_knows_are_declared_and_cannot_be_called(translate):
    call = {"id": "a", "type": "function", "function": {"name": "fs.read", "arguments": "{}"}}
    messages = [
        *HI,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]
    translated = translate(messages=messages)
    assert translated.params["tools"] == [
        {"name": to_claude_name("fs.read"), "input_schema": {"type": "object", "properties": {}}}
    ]
    assert translated.params["tool_choice"] == {"type": "none"}
    assert ("tools", "emulated") in warned(translated)


def test_schemas_of_older_drafts_are_put_in_the_current_one(translate):
    parameters = {
        "type": "object",
        "properties": {
            "n": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "required": True},
            "pair": {"type": "array", "items": [{"type": "integer", "maximum": 9, "exclusiveMaximum": False}]},
            "required": {"type": "string", "default": {"items": []}},
        },
        "required": ["n"],
    }
    assert translate(tools=[function(parameters=parameters)]).params["tools"][0]["input_schema"] == {
        "type": "object",
        "properties": {
            "n": {"type": "number", "exclusiveMinimum": 0},
            "pair": {"type": "array", "prefixItems": [{"type": "integer", "maximum": 9}]},
            "required": {"type": "string", "default": {"items": []}},
        },
        "required": ["n"],
    }


# Strict


def test_T18_strict_is_sent_with_a_schema_that_claude_compiles(translate):
    tool = translate(tools=[function(strict=True)]).params["tools"][0]
    assert (tool["strict"], tool["input_schema"]["additionalProperties"]) == (True, False)


def test_T18_without_strict_the_schema_is_sent_as_it_is(translate):
    parameters = {
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 1}},
        "additionalProperties": {"type": "string"},
    }
    tool = translate(tools=[function(parameters=parameters)]).params["tools"][0]
    assert (tool["input_schema"], "strict" in tool) == (parameters, False)


@pytest.mark.parametrize(
    "tools",
    [
        [function(parameters={"type": "object", "additionalProperties": {"type": "string"}}, strict=True)],
        [
            function(
                parameters={"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(25)}},
                strict=True,
            )
        ],
        [function(f"t{i}", strict=True) for i in range(21)],
    ],
    ids=["T15-map", "optionals", "21-tools"],
)
def test_T15_what_claude_does_not_compile_is_not_strict_and_reported(translate, tools):
    translated = translate(tools=tools)
    last = translated.params["tools"][-1]
    assert "strict" not in last
    assert last["input_schema"].get("additionalProperties") == tools[-1]["function"]["parameters"].get(
        "additionalProperties"
    )
    assert ("tools.strict", "degraded") in warned(translated)
    assert sum("strict" in tool for tool in translated.params["tools"]) == len(tools) - 1


# Custom tools


def test_a_custom_tool_is_declared_with_one_string(translate):
    translated = translate(tools=[custom(description="Patches")])
    tool = translated.params["tools"][0]
    assert (tool["description"], tool["input_schema"]["properties"]) == ("Patches", {"input": {"type": "string"}})
    assert translated.reply.custom_tools == {"patch"}


@pytest.mark.parametrize(("syntax", "words"), [("lark", "Lark grammar"), ("regex", "regular expression")])
def test_a_grammar_is_said_in_words(translate, syntax, words):
    grammar = {"type": "grammar", "grammar": {"syntax": syntax, "definition": "start: WORD"}}
    translated = translate(tools=[custom(description="Patches", format=grammar)])
    description = translated.params["tools"][0]["description"]
    assert description.startswith("Patches")
    assert words in description
    assert description.endswith("start: WORD")
    assert ("tools.custom.format", "emulated") in warned(translated)


def test_calls_of_custom_tools_are_written_as_claude_made_them(translate):
    call = {"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    messages = [
        *HI,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "ok"},
    ]
    sent = translate(messages=messages, tools=[custom()]).params["messages"][1]["content"]
    assert sent == [{"type": "tool_use", "id": "a", "name": "patch", "input": {"input": "*** Begin"}}]


# Legacy functions and doubles


def test_legacy_functions_are_tools_with_one_call_at_a_time(translate):
    translated = translate(functions=[{"name": "look", "parameters": OBJECT}])
    assert [tool["name"] for tool in translated.params["tools"]] == ["look"]
    assert translated.params["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert translated.reply.legacy_function_call


@pytest.mark.parametrize("choice", ["none", "auto", {"name": "look"}], ids=["none", "auto", "named"])
def test_legacy_function_call_is_the_tool_choice(translate, choice):
    sent = translate(model=FORCES, functions=[{"name": "look"}], function_call=choice).params["tool_choice"]
    assert sent["type"] == (choice if isinstance(choice, str) else "tool")


def test_a_tool_declared_twice_is_sent_once(translate):
    translated = translate(tools=[function(), function()])
    assert len(translated.params["tools"]) == 1
    assert ("tools", "changed") in warned(translated)


def test_two_different_tools_of_one_name_are_refused(translate):
    with pytest.raises(OpenAIError) as caught:
        translate(tools=[function(), function(description="Another")])
    assert (caught.value.code, caught.value.param) == ("invalid_value", "tools[1].function.name")


def test_a_tool_without_a_name_is_refused(translate):
    with pytest.raises(OpenAIError) as caught:
        translate(tools=[function("")])
    assert (caught.value.code, caught.value.param) == ("empty_string", "tools[0].function.name")


@pytest.mark.parametrize(
    ("parameters", "unknown"),
    [
        ({"type": "object", "properties": {"at": {"type": "str"}}}, "str"),
        ({"type": "object", "properties": {"at": {"type": ["string", "None"]}}}, "None"),
        ({"type": "object", "properties": {"at": {"type": "array", "items": {"anyOf": [{"type": "any"}]}}}}, "any"),
        ({"type": "object", "$defs": {"At": {"type": "file"}}}, "file"),
        ({"type": "dict"}, "dict"),
    ],
    ids=["property", "list", "inside", "definition", "root"],
)
def test_parameters_of_a_type_that_json_schema_does_not_have_are_refused_in_openais_words(
    translate, parameters, unknown
):
    with pytest.raises(OpenAIError) as caught:
        translate(tools=[function(), function("find", parameters)])
    assert caught.value == OpenAIError(
        400,
        f"Invalid schema for function 'find': '{unknown}' is not valid under any of the given schemas.",
        code="invalid_function_parameters",
        param="tools[1].function.parameters",
    )


def test_names_and_values_inside_a_schema_are_taken_for_no_types(translate):
    parameters = {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": ["str"], "default": {"type": "str"}}},
        "examples": [{"type": "str"}],
    }
    assert translate(tools=[function(parameters=parameters)]).params["tools"][0]["input_schema"] == parameters


def test_a_schema_nested_too_deeply_is_refused(translate):
    parameters: dict[str, Any] = {"type": "string"}
    for _ in range(300):
        parameters = {"type": "array", "items": parameters}
    with pytest.raises(OpenAIError) as caught:
        translate(tools=[function(parameters={"type": "object", "properties": {"a": parameters}})])
    assert (caught.value.status, caught.value.param) == (400, "tools[0].function.parameters")

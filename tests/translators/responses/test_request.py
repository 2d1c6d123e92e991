"""A Responses request becomes Claude's: one test for each rule, and for each known fault of other bridges."""

import json
from typing import Any

import pytest

from tests.translators.responses.translated import KEY, Body, messages_of, refusal, says, translate, warned
from translators.errors import OpenAIError
from translators.responses.reasoning_envelope import seal, seal_compaction
from translators.responses.reply_plan import ToolIdentity
from translators.responses.request import TranslatedResponsesRequest

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA7"
CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "additionalProperties": {"type": "string"}}
LOOK: Body = {"type": "function", "name": "look", "parameters": CLOSED}
PATCH: Body = {
    "type": "custom",
    "name": "apply_patch",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"},
}
HI = says("user", "Hi")


def call(call_id: str = "a", name: str = "look", arguments: str = "{}", **more: Any) -> Body:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, **more}


def result(call_id: str | None = "a", output: Any = "done", **more: Any) -> Body:
    return {"type": "function_call_output", "call_id": call_id, "output": output, **more}


def ask(*items: Body, **fields: Any) -> TranslatedResponsesRequest:
    return translate(input=list(items), **fields)


def texts(content: list[Body]) -> list[str]:
    return [block["text"] for block in content if block["type"] == "text"]


def tool(translated: TranslatedResponsesRequest, name: str) -> Body:
    return next(tool for tool in translated.params["tools"] if tool["name"] == name)


# Messages


def test_M12_instructions_come_first_and_then_those_of_the_head_one_block_each():
    translated = ask(says("developer", "One"), says("system", "Two"), HI, instructions="Zero")
    assert translated.params["system"] == [{"type": "text", "text": text} for text in ("Zero", "One", "Two")]


@pytest.mark.parametrize("instructions", ["", "  \n", None])
def test_M19_empty_instructions_are_left_out(instructions):
    assert "system" not in translate(instructions=instructions).params


@pytest.mark.parametrize(
    ("model", "roles"),
    [("claude-opus-5-5", ["user", "system"]), ("claude-sonnet-5-5", ["user"]), ("claude-haiku-4-5", ["user"])],
)
def test_M13_later_instructions_are_never_moved_to_the_head(model, roles):
    translated = ask(HI, says("developer", "Be brief"), model=model)
    assert "system" not in translated.params
    assert [role for role, _ in messages_of(translated)] == roles


def test_M15_the_parts_of_a_message_stay_apart_and_in_order():
    parts = [{"type": "output_text", "text": "One", "annotations": []}, {"type": "refusal", "refusal": "No"}]
    translated = ask(HI, {"type": "message", "role": "assistant", "content": parts}, HI)
    assert texts(translated.params["messages"][1]["content"]) == ["One", "No"]


def test_what_another_agent_says_is_said_by_the_user_and_its_payload_is_plain_text():
    parts = [
        {"type": "input_text", "text": "Sender: /root\nPayload:\n"},
        {"type": "encrypted_content", "encrypted_content": "Count the files."},
        {"type": "input_image", "image_url": PIXEL},
    ]
    message = {"type": "agent_message", "author": "/root", "recipient": "/root/counting", "content": parts}
    translated = ask(HI, call(), result(), message, tools=[LOOK])
    content = translated.params["messages"][-1]["content"]
    assert [block["type"] for block in content] == ["tool_result", "text", "text", "image"]
    assert texts(content) == ["Sender: /root\nPayload:\n", "Count the files."]
    assert not warned(translated)


def test_M7_M8_blank_text_has_no_block():
    translated = ask(HI, says("assistant", " "), says("user", ""), says("user", "More"))
    assert messages_of(translated) == [("user", ["text", "text"])]


def test_M10_after_a_last_word_of_the_assistant_the_user_asks_it_to_go_on():
    translated = ask(HI, says("assistant", "I was saying"))
    assert [role for role, _ in messages_of(translated)] == ["user", "assistant", "user"]


def test_M18_M21_what_answers_carry_besides_their_text_is_not_sent():
    annotation = {"type": "url_citation", "start_index": 0, "end_index": 1, "title": "A", "url": "https://a.example"}
    part = {"type": "output_text", "text": "Hi", "annotations": [annotation], "logprobs": []}
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "commentary"}
    translated = ask(HI, {**message, "content": [part]}, HI)
    assert translated.params["messages"][1]["content"] == [{"type": "text", "text": "Hi"}]


def test_M20_a_file_of_the_assistant_is_left_out_and_reported():
    part = {"type": "input_file", "file_id": "file_1"}
    translated = ask(HI, {"role": "assistant", "content": [{"type": "output_text", "text": "Here"}, part]}, HI)
    assert messages_of(translated)[1] == ("assistant", ["text"])
    assert ("input.content", "degraded") in warned(translated)


def test_an_image_of_the_developer_is_shown_by_the_user():
    parts = [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": PIXEL}]
    translated = ask({"role": "developer", "content": parts}, HI)
    assert translated.params["system"] == [{"type": "text", "text": "Look"}]
    assert messages_of(translated) == [("user", ["image", "text"])]


@pytest.mark.parametrize(
    ("part", "source"),
    [
        pytest.param({"type": "input_image", "image_url": "https://a.example/a.png"}, "url", id="image url"),
        pytest.param({"type": "input_image", "file_id": "file_1"}, "file", id="image id"),
        pytest.param({"type": "input_image", "image_url": PIXEL, "detail": "high"}, "base64", id="image data"),
        pytest.param({"type": "input_file", "file_url": "https://a.example/a.pdf"}, "url", id="file url"),
        pytest.param({"type": "input_file", "file_id": "file_1"}, "file", id="file id"),
        pytest.param(
            {"type": "input_file", "file_data": "data:text/plain;base64,SGk=", "filename": "a.txt"}, "text", id="text"
        ),
    ],
)
def test_images_and_files_come_by_their_bytes_urls_and_ids(part, source):
    block = ask({"role": "user", "content": [part]}).params["messages"][0]["content"][0]
    assert block["source"]["type"] == source


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "input_image"}, "input[0].content[0].image_url"),
        ({"type": "input_file"}, "input[0].content[0].file_id"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "input[0].content[0]"),
        ({"type": "input_image", "image_url": "ftp://a"}, "input[0].content[0].image_url"),
    ],
)
def test_a_part_that_claude_cannot_have_is_refused_by_its_place(part, param):
    with pytest.raises(OpenAIError) as caught:
        ask({"role": "user", "content": [part]})
    assert (caught.value.status, caught.value.param) == (400, param)


# Calls and results


def test_M1_M2_results_come_first_and_in_one_message():
    translated = ask(HI, call("a"), call("b"), HI, result("b"), result("a"), tools=[LOOK])
    assert messages_of(translated)[1:] == [
        ("assistant", ["tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text"]),
    ]


def test_M3_a_call_without_a_result_gets_one_that_says_so():
    translated = ask(HI, call("a"), HI, tools=[LOOK])
    assert translated.params["messages"][2]["content"][0]["is_error"]


def test_M4_a_result_without_its_call_becomes_text():
    translated = ask(HI, result("lost"))
    assert messages_of(translated) == [("user", ["text", "text", "text"])]
    assert ("input.call_id", "degraded") in warned(translated)


def test_M5_of_two_results_the_last_counts():
    translated = ask(HI, call("a"), result("a", "one"), result("a", "two"), tools=[LOOK])
    (block,) = translated.params["messages"][2]["content"]
    assert texts(block["content"]) == ["two"]


def test_M6_ids_outside_claudes_alphabet_are_replaced_on_both_sides():
    translated = ask(HI, call("functions.look:0"), result("functions.look:0"), tools=[LOOK])
    (use,) = translated.params["messages"][1]["content"]
    (answer,) = translated.params["messages"][2]["content"]
    assert use["id"] == answer["tool_use_id"] != "functions.look:0"


def test_M24_tools_that_the_history_calls_are_declared_and_not_to_be_called():
    translated = ask(HI, call("a"), result("a"))
    assert [tool["name"] for tool in translated.params["tools"]] == ["look"]
    assert translated.params["tool_choice"] == {"type": "none"}
    assert translated.plan.allowed_tools == frozenset()


def test_M24_a_tool_that_is_claudes_own_now_is_declared_once():
    translated = ask(HI, call("a", "web_search"), result("a"), tools=[{"type": "web_search"}])
    assert [tool.get("type") for tool in translated.params["tools"]] == ["web_search_20250305"]
    assert refusal(translated) is None


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ("", {}),
        ("5", {"input": 5}),
        ("null", {}),
        ('{"a": [', {"_raw": '{"a": ['}),
        ('{"b": 1, "a": 2}', {"b": 1, "a": 2}),
    ],
)
def test_M25_arguments_become_an_object_in_their_own_order(arguments, sent):
    (use,) = ask(HI, call(arguments=arguments), tools=[LOOK]).params["messages"][1]["content"]
    assert json.dumps(use["input"]) == json.dumps(sent)


def test_T12_a_result_may_hold_images_and_files():
    parts = [
        {"type": "input_text", "text": "See"},
        {"type": "input_image", "image_url": PIXEL},
        {"type": "input_file", "file_id": "file_1"},
    ]
    translated = ask(HI, call(), result(output=parts), tools=[LOOK])
    (block,) = translated.params["messages"][2]["content"]
    assert [part["type"] for part in block["content"]] == ["text", "image", "document"]


def test_a_result_without_a_call_id_answers_the_last_open_call_of_its_name():
    translated = ask(HI, call("a"), call("b", "other"), call("c"), result(None, "x", name="look"), tools=[LOOK])
    answers = {block["tool_use_id"]: block for block in translated.params["messages"][2]["content"]}
    assert texts(answers["c"]["content"]) == ["x"]
    assert answers["a"]["is_error"]
    assert answers["b"]["is_error"]


def test_reasoning_between_two_calls_stays_between_them():
    first = ask(HI, tools=[LOOK])

    def thought(number: int) -> Body:
        blocks = [{"type": "thinking", "thinking": "", "signature": f"sig{number}"}]
        sealed = seal(blocks, "claude-opus-5-5", KEY, first.plan.prefix)
        return {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": sealed}

    translated = ask(HI, thought(1), call("a"), thought(2), call("b"), result("a"), result("b"), tools=[LOOK])
    assert messages_of(translated)[1] == ("assistant", ["thinking", "tool_use", "thinking", "tool_use"])
    assert translated.replays_thinking


def test_a_cache_mark_inside_a_result_stands_on_the_result():
    part = {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
    translated = ask(HI, call(), result(output=[part]), tools=[LOOK])
    (block,) = translated.params["messages"][2]["content"]
    assert block["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in block["content"][0]


@pytest.mark.parametrize("kind", ["mcp_call", "code_interpreter_call", "image_generation_call", "dream"])
def test_an_item_without_a_place_is_left_out_and_reported(kind):
    translated = ask(HI, {"type": kind, "id": "x_1"})
    assert messages_of(translated) == [("user", ["text"])]
    assert any(action == "degraded" for _, action in warned(translated))


# Tools


@pytest.mark.parametrize(
    ("strict", "sent", "reported"),
    [
        pytest.param({}, True, False, id="absent"),
        pytest.param({"strict": None}, True, False, id="null"),
        pytest.param({"strict": True}, True, False, id="true"),
        pytest.param({"strict": False}, None, False, id="false"),
    ],
)
def test_T19_a_function_is_strict_unless_it_says_otherwise(strict, sent, reported):
    translated = translate(tools=[{**LOOK, **strict}])
    assert tool(translated, "look").get("strict") is sent
    assert (("tools.strict", "degraded") in warned(translated)) is reported


@pytest.mark.parametrize(("strict", "reported"), [({}, False), ({"strict": True}, True)], ids=["absent", "true"])
def test_T19_T15_where_strict_cannot_be_only_a_client_that_asked_is_told(strict, reported):
    translated = translate(tools=[{**LOOK, "parameters": OPEN, **strict}])
    assert "strict" not in tool(translated, "look")
    assert tool(translated, "look")["input_schema"]["additionalProperties"] == {"type": "string"}
    assert (("tools.strict", "degraded") in warned(translated)) is reported


@pytest.mark.parametrize(("optional", "strict"), [(10, True), (11, False)])
def test_T19_what_claude_may_fail_to_compile_is_not_strict_unasked(optional, strict):
    schema = {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(optional)}}
    unasked = translate(tools=[{**LOOK, "parameters": schema}])
    assert ("strict" in tool(unasked, "look")) is strict
    assert not warned(unasked)
    assert tool(translate(tools=[{**LOOK, "parameters": schema, "strict": True}]), "look")["strict"] is True


@pytest.mark.parametrize("strict", [{}, {"strict": True}, {"strict": None}, {"strict": False}], ids=str)
def test_T19_the_answer_says_what_strict_is(strict):
    (echoed,) = translate(tools=[{**LOOK, **strict}]).plan.echo["tools"]
    assert echoed["strict"] is (strict.get("strict") is not False)


def test_the_patch_tool_of_codex_is_kept_with_its_grammar():
    translated = translate(tools=[PATCH])
    declared = tool(translated, "apply_patch")
    assert declared["input_schema"]["required"] == ["input"]
    assert "start: A" in declared["description"]
    assert translated.plan.tools == {"apply_patch": ToolIdentity("custom", "apply_patch")}


def test_a_namespace_is_flattened_and_remembered():
    space = {"type": "namespace", "name": "crm", "description": "Customers", "tools": [LOOK, {**LOOK, "name": "b"}]}
    translated = ask(HI, call(namespace="crm"), result(), tools=[space, LOOK])
    assert [tool["name"] for tool in translated.params["tools"]] == ["crm__look", "crm__b", "look"]
    assert translated.plan.tools["crm__look"] == ToolIdentity("function", "look", "crm")
    assert translated.params["messages"][1]["content"][0]["name"] == "crm__look"
    assert "Customers" in tool(translated, "crm__look")["description"]


def test_T5_T6_T7_a_long_name_in_a_namespace_finds_its_way_back():
    space = {"type": "namespace", "name": "n" * 60, "tools": [{**LOOK, "name": "a.b"}]}
    translated = translate(tools=[space])
    (name,) = translated.plan.tools
    assert len(name) <= 64
    assert translated.params["tools"][0]["name"] == name
    assert translated.plan.tools[name] == ToolIdentity("function", "a.b", "n" * 60)


def test_two_tools_of_one_flattened_name_are_refused():
    space = {"type": "namespace", "name": "a", "tools": [{**LOOK, "name": "b"}]}
    with pytest.raises(OpenAIError, match="two different tools"):
        translate(tools=[space, {**LOOK, "name": "a__b", "description": "Other"}])


def test_T9_web_search_is_claudes_own():
    search = {
        "type": "web_search",
        "filters": {"allowed_domains": ["example.com"]},
        "search_context_size": "high",
        "user_location": {"type": "approximate", "city": "Rome", "country": None},
        "search_content_types": ["text", "image"],
    }
    translated = translate(tools=[search], max_tool_calls=3)
    assert translated.params["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "max_uses": 3,
            "allowed_domains": ["example.com"],
            "user_location": {"type": "approximate", "city": "Rome"},
        }
    ]
    assert translated.plan.tools == {}


def test_a_tool_of_the_client_keeps_claudes_name_of_the_search():
    translated = translate(tools=[{**LOOK, "name": "web_search"}, {"type": "web_search"}])
    assert [it.get("type") for it in translated.params["tools"]] == [None]
    assert ("tools.web_search", "ignored") in warned(translated)


def test_a_search_without_the_web_is_not_declared():
    translated = translate(tools=[{"type": "web_search", "external_web_access": False}])
    assert "tools" not in translated.params
    assert ("tools.external_web_access", "degraded") in warned(translated)


@pytest.mark.parametrize("kind", ["shell", "local_shell", "apply_patch"])
def test_tools_that_the_client_runs_are_declared(kind):
    translated = translate(tools=[{"type": kind}])
    assert translated.plan.tools == {kind: ToolIdentity(kind, kind)}
    assert refusal(translated) is None


def test_a_shell_in_a_container_is_refused_by_name():
    with pytest.raises(OpenAIError, match="container_auto"):
        translate(tools=[{"type": "shell", "environment": {"type": "container_auto"}}])


def test_tools_that_a_search_found_are_declared_after_the_others_and_once():
    search = {"type": "tool_search", "execution": "client", "description": "Find", "parameters": CLOSED}
    found = {"type": "namespace", "name": "crm", "tools": [{**LOOK, "defer_loading": True}]}
    asked = {"type": "tool_search_call", "call_id": "s", "arguments": {"a": "b"}, "execution": "client"}
    output = {"type": "tool_search_output", "call_id": "s", "tools": [found, LOOK], "execution": "client"}
    translated = ask(HI, asked, output, tools=[search, LOOK, {"type": "web_search"}])
    assert [it["name"] for it in translated.params["tools"]] == ["tool_search", "look", "crm__look", "web_search"]
    assert translated.plan.tools["tool_search"].kind == "tool_search"
    assert texts(translated.params["messages"][2]["content"][0]["content"]) == ["Tools found: `crm__look`, `look`."]


def test_additional_tools_are_declared_as_codex_sends_them():
    more = {"type": "additional_tools", "role": "developer", "tools": [LOOK, PATCH, {"type": "web_search"}]}
    translated = ask(more, says("developer", "You are Codex"), HI)
    assert [it["name"] for it in translated.params["tools"]] == ["look", "apply_patch", "web_search"]
    assert translated.params["system"] == [{"type": "text", "text": "You are Codex"}]


def test_a_hosted_tool_among_found_tools_is_left_out_and_reported():
    more = {"type": "additional_tools", "role": "developer", "tools": [LOOK, {"type": "image_generation"}]}
    translated = ask(more, HI)
    assert [it["name"] for it in translated.params["tools"]] == ["look"]
    assert ("input.tools", "degraded") in warned(translated)


def test_with_a_search_that_openai_would_make_every_tool_is_declared():
    translated = translate(tools=[{**LOOK, "defer_loading": True}, {"type": "tool_search"}])
    assert [it["name"] for it in translated.params["tools"]] == ["look"]
    assert ("tools.tool_search", "emulated") in warned(translated)


# Tool choice


def test_M23_a_choice_without_tools_is_left_out():
    translated = translate(tools=[], tool_choice="required")
    assert "tool_choice" not in translated.params
    assert ("tool_choice", "ignored") in warned(translated)


def test_T10_none_keeps_the_tools():
    translated = translate(tools=[LOOK], tool_choice="none")
    assert translated.params["tool_choice"] == {"type": "none"}
    assert len(translated.params["tools"]) == 1


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("required", {"type": "any"}),
        ({"type": "function", "name": "look"}, {"type": "tool", "name": "look"}),
        ({"type": "function", "name": "look", "namespace": "crm"}, {"type": "tool", "name": "crm__look"}),
        ({"type": "custom", "name": "apply_patch"}, {"type": "tool", "name": "apply_patch"}),
        ({"type": "shell"}, {"type": "tool", "name": "shell"}),
        ({"type": "web_search_preview"}, {"type": "tool", "name": "web_search"}),
    ],
    ids=str,
)
def test_a_forced_choice_is_claudes_where_the_model_takes_it(choice, sent):
    space = {"type": "namespace", "name": "crm", "tools": [LOOK]}
    tools = [LOOK, PATCH, space, {"type": "shell"}, {"type": "web_search"}]
    translated = translate(model="claude-opus-4-8", tools=tools, tool_choice=choice)
    assert translated.params["tool_choice"] == sent


def test_T11_a_forced_function_is_written_as_structured_output_where_the_model_refuses_to_be_forced():
    translated = translate(tools=[LOOK, PATCH], tool_choice={"type": "function", "name": "look"})
    assert translated.params["tool_choice"] == {"type": "none"}
    assert translated.plan.forced_tool == "look"
    assert not translated.plan.seals_thinking
    assert refusal(translated) is None


def test_T11_a_forced_search_is_asked_for_where_the_model_refuses_to_be_forced():
    translated = translate(tools=[LOOK, {"type": "web_search"}], tool_choice={"type": "web_search"})
    assert translated.params.get("tool_choice") is None
    assert "`web_search`" in json.dumps(translated.params["messages"])
    assert refusal(translated) is None


def test_allowed_tools_never_edit_the_tools():
    space = {"type": "namespace", "name": "crm", "tools": [LOOK]}
    tools = [LOOK, space, {"type": "web_search"}]
    allowed = [{"type": "namespace", "name": "crm"}, {"type": "web_search_preview"}]
    translated = translate(
        model="claude-opus-4-8", tools=tools, tool_choice={"type": "allowed_tools", "mode": "auto", "tools": allowed}
    )
    assert len(translated.params["tools"]) == 3
    assert translated.plan.allowed_tools == {"crm__look", "web_search"}


@pytest.mark.parametrize(
    "left_out",
    [{"type": "tool_search"}, {"type": "web_search", "external_web_access": False}],
    ids=["search for tools", "search without the web"],
)
def test_tools_that_claude_is_not_told_of_may_be_among_the_allowed(left_out):
    other = {"type": "function", "name": "other"}
    allowed = [{"type": "function", "name": "look"}, {"type": left_out["type"]}]
    translated = translate(
        model="claude-opus-4-8",
        tools=[LOOK, other, left_out],
        tool_choice={"type": "allowed_tools", "mode": "auto", "tools": allowed},
    )
    assert translated.plan.allowed_tools == {"look"}


def test_a_choice_of_a_tool_that_is_not_there_is_refused():
    with pytest.raises(OpenAIError) as caught:
        translate(tools=[LOOK], tool_choice={"type": "file_search"})
    assert (caught.value.status, caught.value.param) == (400, "tool_choice")


# Reasoning, format, settings


@pytest.mark.parametrize("field", ["summary", "generate_summary"])
def test_R6_a_summary_is_asked_of_claude_only_if_the_client_asks(field):
    asked = translate(reasoning={field: "auto"})
    assert asked.params["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert asked.plan.shows_summary
    plain = translate(reasoning={"effort": "high"})
    assert "thinking" not in plain.params
    assert not plain.plan.shows_summary


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-opus-5", "claude-haiku-4-5"])
def test_P16_no_reasoning_is_refused_by_no_model(model):
    # A 400 of another bridge: stdapi#284.
    assert refusal(translate(model=model, reasoning={"effort": "none"})) is None


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-opus-4-8", "claude-haiku-4-5"])
def test_litellm_18926_thinking_may_be_turned_off_after_a_turn_that_had_some(model):
    first = ask(HI, tools=[LOOK], model=model)
    blocks = [{"type": "thinking", "thinking": "", "signature": "sig"}]
    sealed = seal(blocks, model, KEY, first.plan.prefix)
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    turns = HI, thought, call(), result()
    for effort in ("none", "high"):
        assert refusal(ask(*turns, tools=[LOOK], model=model, reasoning={"effort": effort})) is None


def test_the_last_configuration_update_counts():
    form = {"type": "json_schema", "name": "a", "schema": CLOSED}
    translated = ask(
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        HI,
        {"type": "configuration_update", "reasoning": {"effort": "max"}, "text": {"format": form}},
        reasoning={"effort": "high", "summary": "auto"},
    )
    assert translated.params["output_config"]["effort"] == "max"
    assert translated.params["output_config"]["format"]["schema"]["required"] == ["a"]
    assert translated.plan.echo["reasoning"]["effort"] == "max"
    assert translated.plan.echo["reasoning"]["summary"] == "auto"


def test_a_fault_in_a_configuration_update_is_named_by_its_place():
    with pytest.raises(OpenAIError) as caught:
        ask(HI, {"type": "configuration_update", "reasoning": {"effort": "huge"}})
    assert caught.value.param == "input[1].reasoning.effort"


def test_T16_a_json_object_is_asked_for_in_words():
    translated = translate(text={"format": {"type": "json_object"}}, instructions="Be good")
    assert len(translated.params["system"]) == 2
    assert translated.plan.json_object


def test_T17_a_schema_is_claudes_format_beside_tools():
    translated = translate(
        tools=[LOOK], text={"format": {"type": "json_schema", "name": "a", "schema": CLOSED, "strict": True}}
    )
    assert translated.params["output_config"]["format"]["type"] == "json_schema"
    assert translated.params["tools"][0]["name"] == "look"
    assert translated.plan.echo["text"]["format"]["name"] == "a"


@pytest.mark.parametrize(
    ("fields", "message", "code", "param"),
    [
        (
            {"tools": [LOOK, {"type": "function", "name": "find", "parameters": {"type": "dict"}}]},
            "Invalid schema for function 'find': 'dict' is not valid under any of the given schemas.",
            "invalid_function_parameters",
            "tools[1].parameters",
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "dict"}}}},
            "Invalid schema for response_format 'a': 'dict' is not valid under any of the given schemas.",
            "invalid_json_schema",
            "text.format.schema",
        ),
    ],
    ids=["function", "format"],
)
def test_a_type_that_json_schema_does_not_have_is_refused_in_openais_words(fields, message, code, param):
    with pytest.raises(OpenAIError) as caught:
        translate(**fields)
    assert caught.value == OpenAIError(400, message, code=code, param=param)


# State


def test_the_history_comes_before_the_input_and_after_the_instructions():
    stored = [says("user", "Before"), says("assistant", "Yes")]
    translated = translate(
        input="After", instructions="New", previous_response_id="resp_0", context={"history": stored}
    )
    assert [texts(message["content"]) for message in translated.params["messages"]] == [["Before"], ["Yes"], ["After"]]
    assert translated.params["system"] == [{"type": "text", "text": "New"}]
    assert [item["content"][0]["text"] for item in translated.input_items] == ["After"]


def test_a_reference_is_the_stored_item():
    stored = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Yes"}],
    }
    translated = ask(HI, {"type": "item_reference", "id": "msg_1"}, HI, context={"resolve_item": {"msg_1": stored}.get})
    assert texts(translated.params["messages"][1]["content"]) == ["Yes"]
    assert translated.input_items[1]["id"] == "msg_1"


def test_a_reference_to_what_is_not_stored_is_refused_in_openais_words():
    with pytest.raises(OpenAIError) as caught:
        ask(HI, {"type": "item_reference", "id": "rs_1"})
    assert (caught.value.status, caught.value.param, caught.value.code) == (404, "input", None)
    assert caught.value.message == (
        "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false. Try again with `store` "
        "set to true, or remove this item from your input."
    )


def test_reasoning_with_its_content_needs_no_store():
    first = ask(HI)
    blocks = [{"type": "thinking", "thinking": "", "signature": "sig"}]
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": seal(blocks, "claude-opus-5-5", KEY, first.plan.prefix),
    }
    translated = ask(HI, thought, says("assistant", "Yes"), HI, store=False)
    assert translated.replays_thinking
    assert translated.replayed == ("rs_1",)
    assert not translated.plan.store


def test_input_items_are_stored_with_a_type_and_an_id_of_their_own():
    first = translate(input=[HI, call(), {**result(), "id": "fco_1"}, {"type": "compaction_trigger"}])
    kinds = [(item["type"], item["id"].split("_")[0]) for item in first.input_items]
    assert kinds == [("message", "msg"), ("function_call", "fc"), ("function_call_output", "fco")]
    assert first.input_items[0]["content"] == [{"type": "input_text", "text": "Hi"}]
    again = translate(input=[HI], context={"id_seed": "resp_2"})
    assert again.input_items[0]["id"] != first.input_items[0]["id"]


def test_a_compaction_takes_the_place_of_what_came_before():
    item = {"type": "compaction", "encrypted_content": seal_compaction("They want tea.", "claude-opus-5-5", KEY)}
    translated = ask(HI, item, says("user", "Well?"))
    assert messages_of(translated) == [("user", ["text", "text", "text"])]
    assert "They want tea." in translated.params["messages"][0]["content"][1]["text"]


def test_a_compaction_that_cannot_be_read_is_told_and_reported():
    translated = ask(HI, {"type": "compaction", "encrypted_content": "gAAAA"})
    assert "cannot be read" in translated.params["messages"][0]["content"][1]["text"]
    assert ("input.compaction", "degraded") in warned(translated)


def test_a_compaction_is_asked_for_without_tools_or_format():
    form = {"format": {"type": "json_schema", "name": "a", "schema": CLOSED}}
    translated = ask(HI, {"type": "compaction_trigger"}, tools=[LOOK], tool_choice="required", text=form)
    assert translated.plan.is_compaction
    assert translated.params["tool_choice"] == {"type": "none"}
    assert "format" not in translated.params.get("output_config", {})
    assert len(translated.params["tools"]) == 1


# The answer's echo


def test_the_echo_repeats_the_request_with_openais_defaults():
    echo = translate().plan.echo
    assert echo == {
        "background": False,
        "frequency_penalty": 0,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "moderation": None,
        "parallel_tool_calls": True,
        "presence_penalty": 0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"context": "all_turns", "effort": None, "mode": "standard", "summary": None},
        "safety_identifier": None,
        "service_tier": "auto",
        "store": True,
        "temperature": 1,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1,
        "truncation": "disabled",
        "user": None,
    }


def test_the_echo_repeats_tools_and_choice_as_they_were_given():
    choice = {"type": "function", "name": "look"}
    space = {"type": "namespace", "name": "crm", "description": "d", "tools": [LOOK]}
    echo = translate(
        tools=[LOOK, {"type": "custom", "name": "p"}, space, {"type": "web_search"}],
        tool_choice=choice,
        conversation="conv_1",
    ).plan.echo
    assert echo["tool_choice"] == choice
    assert echo["tools"][0] == {"description": None, **LOOK, "strict": True}
    assert echo["tools"][1]["format"] == {"type": "text"}
    assert echo["tools"][2]["tools"][0]["strict"] is True
    assert echo["tools"][3]["search_context_size"] == "medium"
    assert echo["conversation"] == {"id": "conv_1"}


def test_prompts_that_openai_stores_are_refused():
    with pytest.raises(OpenAIError) as caught:
        translate(prompt={"id": "pmpt_1"})
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "prompt")


def test_warnings_carry_this_endpoints_names():
    translated = ask(
        HI, call(), says("developer", "x"), model="claude-sonnet-5-5", reasoning={"effort": "xhigh"}, tools=[LOOK]
    )
    assert not any(param.startswith("messages") or param == "reasoning_effort" for param, _ in warned(translated))

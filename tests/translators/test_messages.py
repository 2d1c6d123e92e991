"""Roles, order, results, names, prefill and replayed thinking: the M and R cases of request translation."""

from typing import Any

import pytest

from translators.errors import OpenAIError

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJ"
THINKING = {"type": "thinking", "thinking": "Let me look.", "signature": "sig-1"}


def user(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **fields}


def system(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "system", "content": content, **fields}


def assistant(content: Any = None, *calls: tuple[str, str, str], **fields: Any) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content, **fields}
    if calls:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in calls
        ]
    return message


def tool(call_id: str, content: Any = "done") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def tool_use(call_id: str, name: str = "look", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def result(call_id: str, *content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": call_id, "content": list(content or (text("done"),))}


LOOK = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


def warned(translated: Any) -> set[tuple[str, str]]:
    return {(warning.param, warning.action) for warning in translated.warnings}


def test_M1_results_of_one_turn_are_one_user_message(translate):
    messages = [user("Look twice"), assistant(None, ("a", "look", "{}"), ("b", "look", "{}")), tool("a"), tool("b")]
    sent = translate(messages=messages, tools=LOOK).params["messages"]
    assert sent[1:] == [
        {"role": "assistant", "content": [tool_use("a"), tool_use("b")]},
        {"role": "user", "content": [result("a"), result("b")]},
    ]


def test_M2_results_come_before_text(translate):
    messages = [user("Look"), assistant(None, ("a", "look", "{}")), user("And?"), tool("a")]
    assert translate(messages=messages, tools=LOOK).params["messages"][2]["content"] == [result("a"), text("And?")]


@pytest.mark.parametrize(
    "after", [[], [user("Never mind")], [assistant("I looked"), user("Well?")]], ids=["last", "user", "assistant"]
)
def test_M3_a_call_without_a_result_gets_an_error_as_its_result(translate, after):
    translated = translate(messages=[user("Look"), assistant(None, ("a", "look", "{}")), *after], tools=LOOK)
    first = translated.params["messages"][2]["content"][0]
    assert (first["type"], first.get("tool_use_id"), first.get("is_error")) == ("tool_result", "a", True)
    assert ("messages.tool_calls", "emulated") in warned(translated)


def test_M4_a_result_without_its_call_becomes_text_of_the_user(translate):
    translated = translate(messages=[user("Hi"), assistant("Hello"), tool("gone", "42"), user("So?")])
    content = translated.params["messages"][2]["content"]
    assert [block["type"] for block in content] == ["text", "text", "text"]
    assert "gone" in content[0]["text"]
    assert content[1:] == [text("42"), text("So?")]
    assert ("messages.tool_call_id", "degraded") in warned(translated)


@pytest.mark.parametrize("arguments", ["", "{", '{"a": '], ids=["empty", "brace", "cut"])
def test_M4_a_call_is_never_lost_for_its_arguments(translate, arguments):
    sent = translate(messages=[user("Look"), assistant(None, ("a", "look", arguments)), tool("a")], tools=LOOK).params[
        "messages"
    ]
    assert sent[1]["content"][0]["id"] == "a"
    assert sent[1]["content"][0]["input"] == ({"_raw": arguments} if arguments else {})
    assert sent[2]["content"] == [result("a")]


def test_M5_of_two_results_of_one_call_the_last_is_sent_in_the_first_place(translate):
    messages = [
        user("Look"),
        assistant(None, ("a", "look", "{}"), ("b", "look", "{}")),
        tool("a", "old"),
        tool("b"),
        tool("a", "new"),
    ]
    translated = translate(messages=messages, tools=LOOK)
    assert translated.params["messages"][2]["content"] == [result("a", text("new")), result("b")]
    assert ("messages.tool_call_id", "changed") in warned(translated)


@pytest.mark.parametrize(
    "call_id", ["functions.Bash:0", "call with spaces", "", "x" * 90], ids=["dots", "spaces", "empty", "long"]
)
def test_M6_foreign_ids_are_replaced_alike_in_call_and_result(translate, call_id):
    sent = translate(
        messages=[user("Look"), assistant(None, (call_id, "look", "{}")), tool(call_id)], tools=LOOK
    ).params["messages"]
    new = sent[1]["content"][0]["id"]
    assert new != call_id
    assert 0 < len(new) <= 64
    assert new.replace("_", "").replace("-", "").isalnum()
    assert sent[2]["content"][0]["tool_use_id"] == new


def test_M6_ids_that_a_client_uses_again_are_told_apart(translate):
    messages = [user("1"), assistant(None, ("call_0", "look", "{}")), tool("call_0", "first")]
    messages += [user("2"), assistant(None, ("call_0", "look", "{}")), tool("call_0", "second")]
    sent = translate(messages=messages, tools=LOOK).params["messages"]
    ids = [block["id"] for message in sent if message["role"] == "assistant" for block in message["content"]]
    assert len(set(ids)) == 2
    assert sent[2]["content"][0] == result(ids[0], text("first"))
    assert sent[4]["content"][0] == result(ids[1], text("second"))


def test_M6_no_two_calls_get_one_id(translate):
    messages = []
    for call_id in ("a", "a_2", "a", "a_2", "a"):
        messages += [user("Look"), assistant(None, (call_id, "look", "{}")), tool(call_id)]
    sent = translate(messages=messages, tools=LOOK).params["messages"]
    ids = [block["id"] for message in sent if message["role"] == "assistant" for block in message["content"]]
    assert len(set(ids)) == 5
    assert [message["content"][0].get("tool_use_id") for message in sent if message["role"] == "user"] == [None, *ids]


@pytest.mark.parametrize(
    "empty", ["", " \n\t", [{"type": "text", "text": ""}], None], ids=["empty", "M8-blank", "part", "null"]
)
def test_M7_empty_text_beside_a_call_has_no_block(translate, empty):
    sent = translate(messages=[user("Look"), assistant(empty, ("a", "look", "{}")), tool("a", "")], tools=LOOK).params[
        "messages"
    ]
    assert sent[1]["content"] == [tool_use("a")]
    assert sent[2]["content"] == [{"type": "tool_result", "tool_use_id": "a"}]


@pytest.mark.parametrize("empty", ["", "  \n"], ids=["M7-empty", "M8-blank"])
def test_M7_an_empty_user_turn_is_kept_by_a_placeholder(translate, empty):
    translated = translate(messages=[user("Hi"), assistant("Yes?"), user(empty), assistant("Still here"), user("Bye")])
    sent = translated.params["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user", "assistant", "user"]
    assert sent[2]["content"][0]["text"].strip()
    assert ("messages.content", "emulated") in warned(translated)


def test_M7_an_empty_assistant_turn_is_left_out(translate):
    sent = translate(messages=[user("Hi"), assistant(""), user("Hello?")]).params["messages"]
    assert sent == [{"role": "user", "content": [text("Hi"), text("Hello?")]}]


def test_M9_a_prefill_loses_its_trailing_white_space(translate):
    sent = translate(model="claude-opus-4-5", messages=[user("Count"), assistant("One, two, \n")]).params["messages"]
    assert sent[-1] == {"role": "assistant", "content": [text("One, two,")]}


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("claude-opus-4-6", {}),
        ("claude-opus-5-5", {}),
        ("claude-opus-4-5", {"reasoning_effort": "high"}),
        (
            "claude-opus-4-5",
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "string"}}}},
        ),
    ],
    ids=["4.6", "5.5", "thinking", "format"],
)
def test_M10_where_prefill_is_refused_the_user_asks_to_continue(translate, model, more):
    translated = translate(model=model, messages=[user("Count"), assistant("One, two, ")], **more)
    assert [message["role"] for message in translated.params["messages"]] == ["user", "assistant", "user"]
    assert ("messages", "emulated") in warned(translated)


def test_M11_instructions_alone_get_a_user_turn(translate):
    params = translate(messages=[system("Say hello.")]).params
    assert params["system"] == [text("Say hello.")]
    assert [message["role"] for message in params["messages"]] == ["user"]


def test_a_conversation_that_begins_with_the_assistant_gets_a_user_turn_first(translate):
    sent = translate(messages=[assistant("How can I help?"), user("Hi")]).params["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]


def test_M12_M22_the_head_becomes_system_blocks_in_order(translate):
    messages = [system("One"), {"role": "developer", "content": [text("Two"), text("Three")]}, user("Hi")]
    params = translate(messages=messages).params
    assert params["system"] == [text("One"), text("Two"), text("Three")]
    assert params["messages"] == [{"role": "user", "content": [text("Hi")]}]


@pytest.mark.parametrize("role", ["system", "developer"], ids=["system", "M14-developer"])
def test_M13_a_later_system_message_stays_where_it_is(translate, role):
    messages = [system("Head"), user("Hi"), {"role": role, "content": "Late"}, assistant("Yes"), user("Bye")]
    params = translate(messages=messages).params
    assert params["system"] == [text("Head")]
    assert params["messages"][:2] == [
        {"role": "user", "content": [text("Hi")]},
        {"role": "system", "content": [text("Late")]},
    ]


@pytest.mark.parametrize(
    "model",
    ["claude-sonnet-5-5", "claude-haiku-5-5", "claude-sonnet-5", "claude-opus-4-7", "claude-haiku-4-5"],
)
def test_M13_models_that_do_not_obey_entries_get_tagged_text(translate, model):
    translated = translate(model=model, messages=[user("Hi"), system("Late")])
    assert translated.params["messages"] == [
        {"role": "user", "content": [text("Hi"), text("<system>\nLate\n</system>")]}
    ]
    assert "system" not in translated.params
    assert ("messages.role", "emulated") in warned(translated)


def test_M13_an_entry_before_the_users_words_is_not_legal_and_is_tagged(translate):
    sent = translate(messages=[user("Hi"), assistant("Yes"), system("Late"), user("Bye")]).params["messages"]
    assert sent[2:] == [{"role": "user", "content": [text("Bye"), text("<system>\nLate\n</system>")]}]


def test_M13_an_entry_after_results_is_native(translate):
    messages = [user("Look"), assistant(None, ("a", "look", "{}")), tool("a"), system("Be brief")]
    sent = translate(messages=messages, tools=LOOK).params["messages"]
    assert sent[2:] == [{"role": "user", "content": [result("a")]}, {"role": "system", "content": [text("Be brief")]}]


def test_M17_messages_of_one_side_are_one_message(translate):
    sent = translate(messages=[user("1"), user("2"), assistant("3"), assistant("4"), user("5")]).params["messages"]
    assert sent == [
        {"role": "user", "content": [text("1"), text("2")]},
        {"role": "assistant", "content": [text("3"), text("4")]},
        {"role": "user", "content": [text("5")]},
    ]


def test_M18_what_an_answer_holds_besides_is_not_sent_back(translate):
    echoed = assistant(
        "Here",
        refusal="I will not say more",
        annotations=[{"type": "url_citation"}],
        audio=None,
        reasoning_content="Hm",
        foo=1,
    )
    sent = translate(messages=[user("Hi"), echoed, user("Ok")]).params["messages"]
    assert sent[1] == {"role": "assistant", "content": [text("Here"), text("I will not say more")]}


@pytest.mark.parametrize("empty", ["", " \n", []], ids=["empty", "blank", "no-parts"])
def test_M19_empty_instructions_are_left_out(translate, empty):
    assert "system" not in translate(messages=[system(empty), user("Hi")]).params


@pytest.mark.parametrize("role", ["assistant", "system"])
def test_M20_a_file_in_a_turn_that_has_text_only_is_refused(translate, role):
    part = {"type": "file", "file": {"file_id": "file_1"}}
    with pytest.raises(OpenAIError) as caught:
        translate(messages=[user("Hi"), {"role": role, "content": [part]}, user("Well?")])
    assert (caught.value.code, caught.value.param) == ("invalid_value", "messages[1].content[0].type")


def test_M21_citations_of_users_are_not_sent(translate):
    part = {"type": "text", "text": "Quoted", "citations": [{"type": "char_location"}], "annotations": []}
    assert translate(messages=[user([part])]).params["messages"] == [{"role": "user", "content": [text("Quoted")]}]


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ("5", {"input": 5}),
        ("[1, 2]", {"input": [1, 2]}),
        ('"word"', {"input": "word"}),
        ("null", {}),
        ("", {}),
        ("[" * 5000 + "]" * 5000, {"_raw": "[" * 5000 + "]" * 5000}),
    ],
    ids=["number", "list", "string", "null", "S4-nothing", "deep"],
)
def test_M25_arguments_are_always_an_object(translate, arguments, sent):
    messages = [user("Look"), assistant(None, ("a", "look", arguments)), tool("a")]
    assert translate(messages=messages, tools=LOOK).params["messages"][1]["content"][0]["input"] == sent


def test_arguments_keep_the_order_of_their_keys(translate):
    messages = [user("Look"), assistant(None, ("a", "look", '{"z": 1, "a": {"y": 2, "b": 3}}')), tool("a")]
    sent = translate(messages=messages, tools=LOOK).params["messages"][1]["content"][0]["input"]
    assert (list(sent), list(sent["a"])) == (["z", "a"], ["y", "b"])


def test_T12_images_in_results_stay_images(translate):
    content = [text("The screen:"), {"type": "image_url", "image_url": {"url": PIXEL}}]
    sent = translate(messages=[user("Look"), assistant(None, ("a", "look", "{}")), tool("a", content)], tools=LOOK)
    blocks = sent.params["messages"][2]["content"][0]["content"]
    assert blocks[0] == text("The screen:")
    assert blocks[1]["source"]["media_type"] == "image/png"


def test_legacy_function_messages_are_results_of_the_call_of_their_name(translate):
    messages = [
        user("Look"),
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": '{"at": 1}'}},
        {"role": "function", "name": "look", "content": "a cat"},
        user("Again"),
        {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": '{"at": 2}'}},
        {"role": "function", "name": "look", "content": "a dog"},
    ]
    sent = translate(messages=messages, functions=[{"name": "look"}]).params["messages"]
    first, second = sent[1]["content"][0], sent[3]["content"][0]
    assert (first["input"], second["input"]) == ({"at": 1}, {"at": 2})
    assert sent[2]["content"][0] == result(first["id"], text("a cat"))
    assert sent[4]["content"] == [result(second["id"], text("a dog"))]


def test_names_of_users_are_said_and_names_of_assistants_are_not(translate):
    translated = translate(messages=[user("Hi", name="alice"), assistant("Hello", name="bot"), user("Bye", name="bob")])
    sent = translated.params["messages"]
    assert sent[0]["content"] == [text("From alice:"), text("Hi")]
    assert sent[1]["content"] == [text("Hello")]
    assert {("messages.name", "emulated"), ("messages.name", "ignored")} <= warned(translated)


# Thinking of earlier turns

STORED = [THINKING, text("Looking."), tool_use("toolu_1", at=1)]
HISTORY = [user("Look"), assistant("Looking.", ("toolu_1", "look", '{"at":1}')), tool("toolu_1")]


def replay(translate: Any, stored: list[dict[str, Any]], history: list[dict[str, Any]] = HISTORY) -> Any:
    return translate(messages=history, tools=LOOK, recall={"toolu_1": stored})


def test_what_Claude_sent_is_put_back_unmodified(translate):
    translated = replay(translate, STORED)
    assert translated.params["messages"][1] == {"role": "assistant", "content": STORED}
    assert translated.replays_thinking


def test_R5_every_block_keeps_its_place(translate):
    stored = [
        THINKING,
        {"type": "redacted_thinking", "data": "opaque"},
        text("Looking."),
        {"type": "thinking", "thinking": "", "signature": "sig-2"},
        tool_use("toolu_1", at=1),
    ]
    assert replay(translate, stored).params["messages"][1]["content"] == stored


def test_S27_a_search_that_waits_for_the_clients_results_goes_back_until_its_own_is_there(translate):
    def searching(number: int) -> dict[str, Any]:
        return {"type": "server_tool_use", "id": f"srvtoolu_{number}", "name": "web_search", "input": {"query": "q"}}

    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    answers = {
        "toolu_1": [THINKING, searching(1), tool_use("toolu_1", at=1)],
        "toolu_2": [found, text("Looking."), tool_use("toolu_2")],
    }
    again = [assistant("Looking.", ("toolu_2", "look", "{}")), tool("toolu_2")]

    def sent(*history: dict[str, Any], **fields: Any) -> Any:
        return translate(
            messages=[*HISTORY[:1], assistant(None, ("toolu_1", "look", '{"at":1}')), *history],
            tools=LOOK,
            recall=answers,
            **fields,
        )

    searches: Any = {"web_search_options": {}}
    waiting = sent(tool("toolu_1"), **searches)
    assert waiting.params["messages"][1]["content"] == answers["toolu_1"]
    assert not warned(waiting)
    after = sent(tool("toolu_1"), *again, **searches)
    assert [message["content"] for message in after.params["messages"][1::2]] == [*answers.values()]
    for lost in (sent(tool("toolu_1")), sent(tool("toolu_1"), user("Wait."), **searches)):
        assert lost.params["messages"][1]["content"] == [THINKING, tool_use("toolu_1", at=1)]
        assert ("messages", "degraded") in warned(lost)


def test_a_search_whose_result_came_in_the_next_answer_is_not_put_back(translate):
    done, pending = (
        {"type": "server_tool_use", "id": f"srvtoolu_{number}", "name": "web_search", "input": {"query": "q"}}
        for number in (1, 2)
    )
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    stored = [THINKING, done, found, text("Looking."), pending, tool_use("toolu_1", at=1)]
    translated = replay(translate, stored, [*HISTORY, assistant("Seen."), user("And now?")])
    assert translated.params["messages"][1]["content"] == [block for block in stored if block is not pending]


@pytest.mark.parametrize("signature", [None, ""], ids=["R2-none", "R3-empty"])
def test_R2_thinking_without_a_signature_is_never_sent(translate, signature):
    unsigned = {
        "type": "thinking",
        "thinking": "Let me look.",
        **({} if signature is None else {"signature": signature}),
    }
    translated = replay(translate, [unsigned, *STORED[1:]])
    assert translated.params["messages"][1]["content"] == STORED[1:]
    assert not translated.replays_thinking


def test_R7_signed_thinking_without_text_is_sent(translate):
    omitted = {"type": "thinking", "thinking": "", "signature": "sig-1"}
    assert replay(translate, [omitted, *STORED[1:]]).params["messages"][1]["content"] == [omitted, *STORED[1:]]


def test_R8_thinking_that_the_client_brings_is_never_sent(translate):
    foreign = assistant(
        "Looking.", ("toolu_9", "look", "{}"), thinking_blocks=[THINKING], reasoning_content="Hm", reasoning=THINKING
    )
    translated = translate(messages=[user("Look"), foreign, tool("toolu_9")], tools=LOOK)
    assert translated.params["messages"][1]["content"] == [text("Looking."), tool_use("toolu_9")]


def test_a_client_that_drops_the_text_beside_a_call_gets_it_put_back(translate):
    history = [user("Look"), assistant(None, ("toolu_1", "look", '{"at": 1}')), tool("toolu_1")]
    assert replay(translate, STORED, history).params["messages"][1]["content"] == STORED


def test_of_an_edited_turn_only_the_thinking_before_the_edit_is_put_back(translate):
    history = [user("Look"), assistant("I look.", ("toolu_1", "look", '{"at": 2}')), tool("toolu_1")]
    assert replay(translate, STORED, history).params["messages"][1]["content"] == [
        THINKING,
        text("I look."),
        tool_use("toolu_1", at=2),
    ]


def test_a_turn_with_a_call_that_Claude_did_not_make_gets_no_thinking(translate):
    history = [
        user("Look"),
        assistant(None, ("toolu_1", "look", '{"at": 1}'), ("mine", "look", "{}")),
        tool("toolu_1"),
        tool("mine"),
    ]
    translated = replay(translate, STORED, history)
    assert translated.params["messages"][1]["content"] == [tool_use("toolu_1", at=1), tool_use("mine")]
    assert not translated.replays_thinking


LATER = {"type": "thinking", "thinking": "", "signature": "sig-2"}
PARALLEL = [THINKING, text("Looking."), tool_use("toolu_1"), LATER, tool_use("toolu_2"), tool_use("toolu_3")]
ONE, TWO, THREE = (assistant(None, (f"toolu_{number}", "look", "{}")) for number in (1, 2, 3))
SAID = assistant("Looking.")
RESULTS = [tool(f"toolu_{number}") for number in (1, 2, 3)]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([ONE, TWO, THREE, *RESULTS], id="the results after all"),
        pytest.param([ONE, RESULTS[0], TWO, RESULTS[1], THREE, RESULTS[2]], id="each before the next call"),
        pytest.param([ONE, TWO, RESULTS[1], RESULTS[0], THREE, RESULTS[2]], id="some before the next call"),
        pytest.param([SAID, ONE, TWO, THREE, *RESULTS], id="the text apart"),
        pytest.param([SAID, ONE, RESULTS[0], TWO, RESULTS[1], THREE, RESULTS[2]], id="all of it apart"),
    ],
)
def test_R5_M1_an_answer_that_comes_back_in_parts_is_one_again(translate, parts):
    recall = {f"toolu_{number}": PARALLEL for number in (1, 2, 3)}
    history = [user("Look"), *parts]
    sent = translate(messages=[*history, user("And now?")], tools=LOOK, recall=recall).params["messages"]
    assert sent[1]["content"] == PARALLEL
    assert sorted(block["tool_use_id"] for block in sent[2]["content"][:3]) == ["toolu_1", "toolu_2", "toolu_3"]
    assert sent[2]["content"][3:] == [text("And now?")]
    # What is said after it changes nothing of it.
    more = [*history, assistant("Seen."), user("And now?")]
    assert translate(messages=more, tools=LOOK, recall=recall).params["messages"][1]["content"] == PARALLEL


def test_R5_of_an_answer_in_parts_that_was_edited_the_thinking_comes_once(translate):
    edited = assistant("I look.", ("toolu_2", "look", '{"at": 2}'))
    history = [user("Look"), ONE, RESULTS[0], edited, RESULTS[1]]
    recall = {f"toolu_{number}": PARALLEL for number in (1, 2, 3)}
    sent = translate(messages=history, tools=LOOK, recall=recall).params["messages"]
    assert sent[1]["content"] == [THINKING, text("I look."), tool_use("toolu_1"), tool_use("toolu_2", at=2)]
    assert sent[2]["content"] == [result("toolu_1"), result("toolu_2")]


@pytest.mark.parametrize("between", [[user("Go on")], [assistant("Seen.")], []], ids=["words", "text", "nothing"])
def test_R5_calls_of_two_answers_stay_apart(translate, between):
    answers = {"toolu_1": [THINKING, tool_use("toolu_1")], "toolu_2": [LATER, tool_use("toolu_2")]}
    history = [user("Look"), ONE, RESULTS[0], *between, TWO, RESULTS[1]]
    sent = translate(messages=history, tools=LOOK, recall=answers).params["messages"]
    assert sent[1]["content"] == answers["toolu_1"]
    assert sent[3]["content"][-2:] == answers["toolu_2"]


@pytest.mark.parametrize("between", [user("Wait."), assistant("Seen.")], ids=["words", "text"])
def test_R5_a_part_after_other_words_stays_there_without_the_thinking(translate, between):
    recall = {f"toolu_{number}": PARALLEL for number in (1, 2, 3)}
    history = [user("Look"), ONE, RESULTS[0], between, TWO, RESULTS[1]]
    sent = translate(messages=history, tools=LOOK, recall=recall).params["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user", "assistant", "user"]
    assert [block["type"] for message in sent for block in message["content"]].count("thinking") == 1
    assert sent[3]["content"][-1] == tool_use("toolu_2")


def test_without_thinking_leaves_all_else(translate):
    translated = replay(translate, STORED)
    retried = translated.without_thinking()
    assert retried.params["messages"][1]["content"] == STORED[1:]
    assert {**retried.params, "messages": None} == {**translated.params, "messages": None}
    assert (retried.replays_thinking, retried.reply) == (False, translated.reply)
    assert translated.params["messages"][1]["content"] == STORED


def test_without_thinking_has_no_budget_either(translate):
    translated = translate(
        model="claude-opus-4-5", messages=HISTORY, tools=LOOK, recall={"toolu_1": STORED}, reasoning_effort="high"
    )
    assert translated.params["thinking"]["type"] == "enabled"
    assert "thinking" not in translated.without_thinking().params


def test_a_budget_is_not_asked_in_a_tool_loop_whose_thinking_is_lost(translate):
    translated = translate(model="claude-opus-4-5", messages=HISTORY, tools=LOOK, reasoning_effort="high")
    assert "thinking" not in translated.params
    assert ("reasoning_effort", "degraded") in warned(translated)

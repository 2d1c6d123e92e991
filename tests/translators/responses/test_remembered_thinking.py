"""Thinking for clients that send calls back without the reasoning items beside them."""

from dataclasses import replace

import pytest

from tests.translators.responses.blocks import PLAN, REDACTED, TEXT, THINKING, tool
from tests.translators.responses.translated import messages_of, refusal, says, translate

LOOK = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
HI = says("user", "Hello")
FOREIGN = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "of another"}


def call(number=1):
    return {"type": "function_call", "call_id": f"toolu_{number}", "name": "get_weather", "arguments": "{}"}


def result(number=1):
    return {"type": "function_call_output", "call_id": f"toolu_{number}", "output": "sunny"}


def ask(*items, answer):
    """Translate items of a client whose calls came in this answer of Claude."""
    remembered = {block["id"]: answer for block in answer if block["type"] == "tool_use"}
    return translate(input=list(items), tools=[LOOK], context={"recall": remembered.get})


def test_calls_without_their_reasoning_get_what_was_thought_before_them():
    translated = ask(HI, call(), result(), answer=[THINKING, REDACTED, tool()])
    assert messages_of(translated)[1] == ("assistant", ["thinking", "redacted_thinking", "tool_use"])
    assert translated.params["messages"][1]["content"][:2] == [THINKING, REDACTED]
    assert translated.replays_thinking
    assert refusal(translated) is None


def test_parallel_calls_of_one_answer_get_it_once():
    translated = ask(HI, call(1), call(2), result(1), result(2), answer=[THINKING, tool(1), tool(2)])
    assert messages_of(translated)[1] == ("assistant", ["thinking", "tool_use", "tool_use"])


def test_R5_an_answer_whose_calls_come_back_each_with_its_result_gets_it_once():
    items = [call(1), result(1), call(2), result(2), call(3), result(3)]
    translated = ask(HI, *items, answer=[THINKING, tool(1), tool(2), tool(3)])
    assert messages_of(translated)[1:] == [
        ("assistant", ["thinking", *["tool_use"] * 3]),
        ("user", ["tool_result"] * 3),
    ]
    assert refusal(translated) is None


def test_R5_a_call_after_words_of_the_user_stays_there_without_it():
    items = [call(1), result(1), says("user", "Wait."), call(2), result(2)]
    translated = ask(HI, *items, answer=[THINKING, tool(1), tool(2)])
    assert messages_of(translated)[1::2] == [("assistant", ["thinking", "tool_use"]), ("assistant", ["tool_use"])]
    assert refusal(translated) is None


def test_R5_calls_of_two_answers_each_get_their_own():
    answers = {"toolu_1": [THINKING, tool(1)], "toolu_2": [REDACTED, tool(2)]}
    items = [HI, call(1), result(1), call(2), result(2)]
    translated = translate(input=items, tools=[LOOK], context={"recall": answers.get})
    assert messages_of(translated)[1::2] == [
        ("assistant", ["thinking", "tool_use"]),
        ("assistant", ["redacted_thinking", "tool_use"]),
    ]


def test_the_text_before_the_calls_stays_behind_the_thinking():
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}
    translated = ask(HI, said, call(), result(), answer=[THINKING, TEXT, tool()])
    assert messages_of(translated)[1] == ("assistant", ["thinking", "text", "tool_use"])


@pytest.mark.parametrize(
    ("items", "answer"),
    [
        pytest.param([FOREIGN], [THINKING, tool()], id="a client that sends reasoning items"),
        pytest.param([], [{**THINKING, "signature": ""}, tool()], id="thinking that was cut"),
        pytest.param([], [tool()], id="an answer without thinking"),
    ],
)
def test_nothing_is_put_back_where_there_is_nothing_to_put_back(items, answer):
    translated = ask(HI, *items, call(), result(), answer=answer)
    assert messages_of(translated)[1] == ("assistant", ["tool_use"])


def test_an_answer_with_thinking_and_calls_is_to_be_remembered(cut, read):
    blocks = [THINKING, TEXT, tool()]
    assert read(cut(blocks, "tool_use")).stream.content_to_remember == blocks


@pytest.mark.parametrize(
    ("blocks", "plan"),
    [
        pytest.param([tool()], PLAN, id="without thinking"),
        pytest.param([THINKING, TEXT], PLAN, id="without calls"),
        pytest.param([THINKING, tool()], replace(PLAN, seals_thinking=False), id="after a passing instruction"),
        pytest.param([THINKING, tool(), tool(2, "other")], PLAN, id="with a call that the client does not see"),
    ],
)
def test_an_answer_that_cannot_come_back_is_not(cut, read, blocks, plan):
    assert read(cut(blocks, "tool_use"), plan=plan).stream.content_to_remember is None

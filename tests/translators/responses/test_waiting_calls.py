"""Calls of Claude's own tools beside calls of the client's: they wait, and go back as they came. S27, R5."""

import msgspec
import pytest

from tests.translators.claude_messages import cut_message
from tests.translators.recordings import ABSENT, RECORDS
from tests.translators.responses.blocks import THINKING, found, search, tool
from tests.translators.responses.conftest import read_answer
from tests.translators.responses.translated import messages_of, refusal, says, translate, warned

LOOK = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
SEARCH = {"type": "web_search"}
CODE = {"type": "code_interpreter", "container": {"type": "auto"}}
DOCS = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example.com", "require_approval": "never"}
TOOLS = [LOOK, SEARCH, CODE, DOCS]
HI = says("user", "Hello")
RESULT = {"type": "function_call_output", "call_id": "toolu_1", "output": "sunny"}
RUN = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "bash_code_execution", "input": {"command": "ls"}}
RAN = {
    "type": "bash_code_execution_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": {"type": "bash_code_execution_result", "stdout": "a", "stderr": "", "return_code": 0, "content": []},
}
ASK = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "ask", "server_name": "docs", "input": {"question": "Why?"}}
ASKED = {
    "type": "mcp_tool_result",
    "tool_use_id": "mcptoolu_1",
    "is_error": False,
    "content": [{"type": "text", "text": "Because."}],
}
TEXT = {"type": "text", "text": "So it is."}


def ask(*items, tools=TOOLS):
    return translate(input=[HI, *items], tools=tools)


def answered(request, *blocks, stop_reason="end_turn"):
    """The items of Claude's answer to a request."""
    return read_answer([cut_message(blocks, stop_reason)], request.plan).output


def begun(*blocks):
    """The items of a first answer that calls tools of both sides."""
    return answered(ask(), *blocks, stop_reason="tool_use")


KINDS = pytest.mark.parametrize(
    ("call", "result", "item_type"),
    [
        pytest.param(search(), found(1, "https://a"), "web_search_call", id="search"),
        pytest.param(RUN, RAN, "code_interpreter_call", id="code"),
        pytest.param(ASK, ASKED, "mcp_call", id="remote server"),
    ],
)


@KINDS
@pytest.mark.parametrize("is_last", [False, True], ids=["before the client's call", "after it"])
def test_S27_R5_a_call_that_waits_goes_back_and_its_result_after_it(call, result, item_type, is_last):
    beginning = [THINKING, tool(), call] if is_last else [THINKING, call, tool()]
    items = begun(*beginning)
    waiting = ask(*items, RESULT)
    assert waiting.params["messages"][1]["content"] == beginning
    assert waiting.params["messages"][2]["content"][0]["type"] == "tool_result"
    assert (refusal(waiting), warned(waiting)) == (None, set())

    more = answered(waiting, result, TEXT)
    after = ask(*items, RESULT, *more, says("user", "Thanks."))
    assert after.params["messages"][:3] == waiting.params["messages"]
    assert after.params["messages"][3]["content"] == [result, TEXT]
    assert (refusal(after), warned(after)) == (None, set())


@KINDS
def test_a_call_that_waited_is_shown_whole_in_the_answer_that_has_its_result(call, result, item_type):
    items = begun(call, tool())
    assert [item["status"] for item in items if item["type"] == item_type] == ["incomplete"]
    bare = [item for item in items if item["type"] != "reasoning"]
    assert (f"input.{item_type}", "degraded") in warned(ask(*bare, RESULT))
    more = answered(ask(*items, RESULT), result, TEXT)
    assert [item["type"] for item in more] == [item_type, "reasoning", "message"]
    assert more[0]["status"] == "completed"
    # Whoever leaves the reasoning out loses what came of it, and is told.
    shown = [item for item in [*items, RESULT, *more] if item["type"] != "reasoning"]
    assert (f"input.{item_type}", "degraded") in warned(ask(*shown, says("user", "Thanks.")))


def test_calls_that_wait_have_their_results_in_the_answer_that_calls_again():
    items = begun(search(1), tool(1))
    more = answered(ask(*items, RESULT), found(1), search(2), tool(2), stop_reason="tool_use")
    again = ask(*items, RESULT, *more, {**RESULT, "call_id": "toolu_2"})
    assert again.params["messages"][1]["content"] == [search(1), tool(1)]
    assert again.params["messages"][3]["content"] == [found(1), search(2), tool(2)]
    assert (refusal(again), warned(again)) == (None, set())


@pytest.mark.parametrize(
    ("after", "tools"),
    [
        pytest.param([RESULT, says("user", "Wait.")], TOOLS, id="the user speaks"),
        pytest.param([RESULT, says("developer", "Be brief.")], TOOLS, id="the developer speaks"),
        pytest.param([RESULT, {"type": "compaction_trigger"}], TOOLS, id="a summary is asked for"),
        pytest.param([RESULT], [LOOK], id="the tool is not declared any more"),
        pytest.param([RESULT, says("assistant", "It is sunny."), says("user", "So?")], TOOLS, id="it never had one"),
    ],
)
def test_a_call_that_will_not_be_run_is_left_out_and_reported(after, tools):
    request = ask(*begun(THINKING, tool(), search()), *after, tools=tools)
    assert messages_of(request)[1] == ("assistant", ["thinking", "tool_use"] if tools is TOOLS else ["tool_use"])
    assert refusal(request) is None
    assert ("input", "degraded") in warned(request)


def test_a_result_whose_call_was_left_out_is_left_out_too():
    items = begun(search(), tool())
    more = answered(ask(*items, RESULT), found(1), TEXT)
    request = ask(*items, RESULT, says("user", "An aside."), *more, says("user", "So?"))
    assert messages_of(request)[1] == ("assistant", ["tool_use"])
    assert messages_of(request)[3] == ("assistant", ["text"])
    assert refusal(request) is None


def test_an_answer_of_which_nothing_can_go_back_keeps_its_place():
    items = begun(search(), tool())
    more = answered(ask(*items, RESULT), found(1), stop_reason="max_tokens")
    request = ask(*items, RESULT, says("user", "An aside."), *more, says("user", "So?"))
    assert [role for role, _ in messages_of(request)] == ["user", "assistant", "user", "assistant", "user"]
    assert refusal(request) is None


IN_FLIGHT = [pytest.param(record, id=record["id"]) for record in RECORDS if "_in_flight_" in record["id"]] or [ABSENT]


@pytest.mark.parametrize("record", IN_FLIGHT)
def test_what_claude_was_recorded_to_take_is_what_it_gets(record):
    asked, calls, results = record["request"]["body"]["messages"]
    (call,) = [block for block in calls["content"] if block["type"] == "tool_use"]
    (result,) = results["content"]
    servers = record["request"]["body"].get("mcp_servers", [])
    tools = [
        {"type": "function", "name": call["name"], "parameters": {"type": "object", "properties": {}}},
        SEARCH,
        *({**DOCS, "server_label": server["name"], "server_url": server["url"]} for server in servers),
    ]
    beginning = [says("user", asked["content"][0]["text"])]
    first = translate(input=beginning, tools=tools)
    history = [
        *beginning,
        *answered(first, *calls["content"], stop_reason="tool_use"),
        {"type": "function_call_output", "call_id": call["id"], "output": result["content"][0]["text"]},
    ]
    waiting = translate(input=history, tools=tools)
    assert waiting.params["messages"][1] == calls
    assert waiting.params["messages"][2]["content"][0]["tool_use_id"] == call["id"]
    assert (refusal(waiting), warned(waiting)) == (None, set())

    answer = record["response"]["body"]["content"]
    history += [*answered(waiting, *answer), says("user", "Thanks.")]
    after = translate(input=history, tools=tools)
    sent = after.params["messages"][3]["content"]
    results = [block for block in answer if block["type"].endswith("_tool_result")]
    assert results
    assert msgspec.json.encode(sent[: len(results)]) == msgspec.json.encode(results)
    assert refusal(after) is None

from dataclasses import replace

import pytest

from tests.translators.responses.blocks import PLAN, TEXT
from translators.responses.code_interpreter import find_container_ids

SHOWN = replace(PLAN, include=frozenset({"code_interpreter_call.outputs"}))


def run(number=1, name="bash_code_execution", **asked):
    asked = asked or {"command": "python3 -c 'print(4)'"}
    return {"type": "server_tool_use", "id": f"srvtoolu_{number}", "name": name, "input": asked}


def ran(number=1, **result):
    content = {"type": "bash_code_execution_result", "stdout": "4\n", "stderr": "", "return_code": 0, "content": []}
    return {
        "type": "bash_code_execution_tool_result",
        "tool_use_id": f"srvtoolu_{number}",
        "content": {**content, **result},
    }


def test_a_run_is_streamed_in_the_recorded_order(cut, read):
    answer = read(cut([run(), ran(), TEXT]))
    call = answer.output[0]
    assert call == {
        "id": call["id"],
        "type": "code_interpreter_call",
        "status": "completed",
        "code": "python3 -c 'print(4)'",
        "container_id": call["container_id"],
        "outputs": None,
    }
    assert call["id"].startswith("ci_")
    assert call["container_id"].startswith("cntr_")
    assert [event["type"].removeprefix("response.") for event in answer.events[2:9]] == [
        "output_item.added",
        "code_interpreter_call.in_progress",
        "code_interpreter_call_code.delta",
        "code_interpreter_call_code.done",
        "code_interpreter_call.interpreting",
        "code_interpreter_call.completed",
        "output_item.done",
    ]


def test_what_came_of_it_is_sealed_beside_it(cut, read):
    answer = read(cut([run(), ran(), TEXT]))
    assert answer.types == ["code_interpreter_call", "reasoning", "message"]
    assert answer.sealed == [run(), ran()]


@pytest.mark.parametrize(
    ("result", "logs"),
    [
        (ran(), ["4"]),
        (ran(stdout="", stderr="oh no\n", return_code=1), ["oh no"]),
        (ran(stdout="4\n", stderr="a warning"), ["4\na warning"]),
        (ran(stdout=""), []),
    ],
)
def test_what_code_printed_is_shown_where_it_was_asked_for(cut, read, result, logs):
    call = read(cut([run(), result, TEXT]), plan=SHOWN).output[0]
    assert call["outputs"] == [{"type": "logs", "logs": each} for each in logs]
    assert call["status"] == "completed"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"code": "print(4)"}, "print(4)"),
        ({"command": "view", "path": "/tmp/a"}, "view /tmp/a"),
        ({"command": "create", "path": "/tmp/a", "file_text": "b\nc"}, "create /tmp/a\nb\nc"),
        (
            {"command": "str_replace", "path": "/tmp/a", "old_str": "b", "new_str": "c"},
            'str_replace /tmp/a\n{"old_str":"b","new_str":"c"}',
        ),
    ],
)
def test_the_code_is_what_was_run(cut, read, asked, code):
    answer = read(cut([run(name="text_editor_code_execution", **asked), TEXT]))
    assert answer.output[0]["code"] == code


def test_a_run_that_failed_says_so_and_why(cut, read):
    failed = {
        "type": "bash_code_execution_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "bash_code_execution_tool_result_error", "error_code": "execution_time_exceeded"},
    }
    call = read(cut([run(), failed, TEXT]), plan=SHOWN).output[0]
    assert call["status"] == "failed"
    assert call["outputs"] == [{"type": "logs", "logs": "execution_time_exceeded"}]


def test_a_run_without_a_result_is_incomplete(cut, read):
    assert read(cut([run(), TEXT])).output[0]["status"] == "incomplete"


def test_runs_and_searches_that_run_together_are_items_one_after_the_other(cut, read):
    search = {"type": "server_tool_use", "id": "srvtoolu_2", "name": "web_search", "input": {"query": "x"}}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_2", "content": []}
    answer = read(cut([run(1), search, found, ran(1), TEXT]))
    assert answer.types[:2] == ["code_interpreter_call", "web_search_call"]
    assert [item["status"] for item in answer.output[:2]] == ["completed", "completed"]


def test_all_runs_of_a_response_share_a_container_and_a_known_one_keeps_its_id(cut, read):
    blocks = [run(1), ran(1), TEXT, run(2), ran(2), TEXT]
    fresh = read(cut(blocks)).of_type("code_interpreter_call")
    assert len({call["container_id"] for call in fresh}) == 1
    known = read(cut(blocks), plan=replace(PLAN, container_id="cntr_1")).of_type("code_interpreter_call")
    assert {call["container_id"] for call in known} == {"cntr_1"}


@pytest.mark.parametrize(
    ("tools", "items", "expected"),
    [
        ([], [{"type": "code_interpreter_call", "container_id": "cntr_1"}], []),
        ([{"type": "code_interpreter", "container": {"type": "auto"}}], [], []),
        (
            [{"type": "code_interpreter", "container": {"type": "auto"}}],
            [
                {"type": "code_interpreter_call", "container_id": "cntr_1"},
                {"type": "code_interpreter_call", "container_id": "cntr_2"},
                {"type": "code_interpreter_call", "container_id": None},
            ],
            ["cntr_2", "cntr_1"],
        ),
        (
            [{"type": "code_interpreter", "container": "cntr_3"}],
            [{"type": "code_interpreter_call", "container_id": "cntr_1"}],
            ["cntr_3"],
        ),
    ],
    ids=["no-tool", "nothing-used", "used-last-first", "named"],
)
def test_code_goes_on_where_the_client_says_or_where_it_ran_last(tools, items, expected):
    assert find_container_ids(tools, items) == expected

import json
from dataclasses import replace

import pytest

from tests.translators.responses.blocks import (
    PLAN,
    SILENT,
    tool,
)
from translators.responses.reply_plan import ToolIdentity


def test_namespaces_are_restored(cut, read):
    tools = {"crm__find": ToolIdentity("function", "find", "crm"), "x": ToolIdentity("custom", "x", "crm")}
    blocks = [tool(1, "crm__find"), tool(2, "x", input="y")]
    function, custom = read(cut(blocks, "tool_use"), plan=replace(PLAN, tools=tools)).output
    assert (function["name"], function["namespace"]) == ("find", "crm")
    assert (custom["name"], custom["namespace"]) == ("x", "crm")


def test_a_wrapped_tool_is_answered_without_the_object_around_it(cut, read):
    tools = {"a": ToolIdentity("function", "a", wrapped=True)}
    answer = read(cut([tool(1, "a", input=[1, 2])], "tool_use"), plan=replace(PLAN, tools=tools))
    assert answer.output[0]["arguments"] == "[1, 2]"


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_custom_tool_streams_its_raw_input(cut, read, size):
    # A tool of this kind was dropped by others: BerriAI/litellm#20905.
    tools = {"apply_patch": ToolIdentity("custom", "apply_patch")}
    patch = '*** Begin Patch\n+ "Olá" 🌞\t\\n\n*** End Patch'
    plan = replace(PLAN, tools=tools)
    answer = read(cut([tool(1, "apply_patch", input=patch)], "tool_use", size=size), plan=plan)
    (call,) = answer.output
    assert list(call) == ["id", "type", "status", "call_id", "input", "name"]
    assert call["input"] == patch
    assert (call["status"], call["id"][:4]) == ("completed", "ctc_")
    assert "".join(answer.said("response.custom_tool_call_input.delta")) == patch


def test_a_shell_call_has_its_commands(cut, read):
    plan = replace(PLAN, tools={"shell": ToolIdentity("shell", "shell")})
    answer = read(cut([tool(1, "shell", commands=["ls", "pwd"], timeout_ms=500)], "tool_use"), plan=plan)
    (call,) = answer.output
    assert call == {
        "id": call["id"],
        "type": "shell_call",
        "status": "completed",
        "action": {"commands": ["ls", "pwd"], "max_output_length": None, "timeout_ms": 500},
        "call_id": "toolu_1",
        "environment": {"type": "local"},
    }
    assert answer.said("response.shell_call_command.delta") == ["ls", "pwd"]


def test_a_local_shell_call_has_its_command(cut, read):
    plan = replace(PLAN, tools={"local_shell": ToolIdentity("local_shell", "local_shell")})
    asked = {"command": ["ls", "-a"], "env": {"A": "b"}, "working_directory": "/tmp"}
    (call,) = read(cut([tool(1, "local_shell", **asked)], "tool_use"), plan=plan).output
    assert (call["type"], call["status"], call["call_id"]) == ("local_shell_call", "completed", "toolu_1")
    assert call["action"] == {"type": "exec", **asked}


@pytest.mark.parametrize(
    "operation",
    [
        {"type": "create_file", "diff": "+a\n", "path": "a.txt"},
        {"type": "update_file", "diff": "@@\n-a\n+b\n", "path": "a.txt"},
        {"type": "delete_file", "path": "a.txt"},
    ],
    ids=["create", "update", "delete"],
)
def test_a_patch_has_its_operation(cut, read, operation):
    plan = replace(PLAN, tools={"apply_patch": ToolIdentity("apply_patch", "apply_patch")})
    answer = read(cut([tool(1, "apply_patch", **operation)], "tool_use"), plan=plan)
    (call,) = answer.output
    assert list(call) == ["id", "type", "status", "call_id", "operation"]
    assert (call["type"], call["status"], call["operation"]) == ("apply_patch_call", "completed", operation)
    added = next(event["item"] for event in answer.events if event["type"] == "response.output_item.added")
    assert added["operation"]["path"] == "a.txt"
    assert "".join(answer.said("response.apply_patch_call_operation_diff.delta")) == operation.get("diff", "")


def test_a_tool_search_is_the_clients(cut, read):
    plan = replace(PLAN, tools={"tool_search": ToolIdentity("tool_search", "tool_search")})
    (call,) = read(cut([tool(1, "tool_search", query="mail", limit=3)], "tool_use"), plan=plan).output
    assert call == {
        "id": call["id"],
        "type": "tool_search_call",
        "status": "completed",
        "arguments": {"query": "mail", "limit": 3},
        "call_id": "toolu_1",
        "execution": "client",
    }


@pytest.mark.parametrize("kind", ["shell", "local_shell", "apply_patch", "tool_search", "custom"])
@pytest.mark.parametrize("arguments", [{}, {"commands": "ls", "command": 5, "type": 7, "diff": None, "env": "x"}])
def test_an_input_of_another_shape_is_still_a_call(cut, read, kind, arguments):
    answer = read(
        cut([tool(1, "a", **arguments)], "tool_use"), plan=replace(PLAN, tools={"a": ToolIdentity(kind, "a")})
    )
    assert [item["call_id"] for item in answer.output] == ["toolu_1"]


@pytest.mark.parametrize("kind", ["shell", "local_shell", "apply_patch", "tool_search", "custom"])
def test_S24_a_typed_call_that_was_cut_is_not_completed(cut, read, kind):
    start, ping, opening, empty, piece, *_, delta, stop = cut([tool(1, "a", diff="Oslo")], "max_tokens")
    plan = replace(PLAN, tools={"a": ToolIdentity(kind, "a")})
    (call,) = read([start, ping, opening, empty, piece, delta, stop], plan=plan).output
    assert call["status"] == ("in_progress" if kind == "apply_patch" else "incomplete")


def test_calls_of_stubs_and_of_tools_that_are_not_allowed_are_left_out(cut, read):
    answer = read(
        cut([tool(1, "stub"), tool(2, "a"), tool(3, "b")], "tool_use"), plan=replace(PLAN, allowed_tools=frozenset("b"))
    )
    assert [item["call_id"] for item in answer.output] == ["toolu_3"]
    assert answer.stream.tool_call_ids == ["toolu_3"]


@pytest.mark.parametrize("kind", ["function", "custom", "shell"])
def test_a_forced_tool_is_called_with_claudes_text(cut, read, kind):
    # Claude would refuse the choice with a 400 on these models: oh-my-pi#12939.
    plan = replace(PLAN, tools={"a": ToolIdentity(kind, "a")}, forced_tool="a")
    arguments = {"function": {"x": 1}, "custom": {"input": "raw"}, "shell": {"commands": ["ls"]}}[kind]
    halves = json.dumps(arguments)
    answer = read(cut([SILENT, {"type": "text", "text": halves[:4]}, {"type": "text", "text": halves[4:]}]), plan=plan)
    _, call = answer.output
    assert call["call_id"].startswith("call_")
    match kind:
        case "function":
            assert call["arguments"] == '{"x": 1}'
        case "custom":
            assert call["input"] == "raw"
        case "shell":
            assert call["action"]["commands"] == ["ls"]

"""Tool calls as the client declared its tools: wrapped, renamed, custom, legacy functions, forced by other means."""

import json

import pytest
from msgspec.structs import replace

from translators.chat_completions.reply_plan import ReplyPlan

PLAN = ReplyPlan("gpt-5.5")
THINKING = {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmF0dXJl"}
TEXT = {"type": "text", "text": "It is sunny in São Paulo 🌞."}


def tool(number=1, name="get_weather", **arguments):
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}


@pytest.mark.parametrize(
    ("value", "arguments"),
    [(5, "5"), ([1, 2], "[1, 2]"), (None, "null"), ("x", '"x"'), ({"a": 1}, '{"a": 1}')],
    ids=["number", "list", "null", "string", "object"],
)
def test_M25_wrapped_arguments_are_unwrapped_on_the_way_back(cut, read, value, arguments):
    plan = replace(PLAN, wrapped_tools=frozenset({"calc"}))
    answer = read(cut([tool(1, "calc", input=value)], "tool_use", size=2), plan=plan)
    assert answer.message["tool_calls"][0]["function"] == {"name": "calc", "arguments": arguments}
    assert answer.stream.content == [tool(1, "calc", input=value)]


def test_M25_a_tool_with_a_parameter_named_input_is_not_unwrapped(cut, read):
    call = read(cut([tool(1, "calc", input=5)], "tool_use")).message["tool_calls"][0]
    assert call["function"]["arguments"] == '{"input": 5}'


def test_T7_a_changed_tool_name_comes_back_as_the_clients(cut, read):
    plan = replace(PLAN, tool_names={"fs_read_1a2b": "fs.read file"})
    answer = read(cut([tool(1, "fs_read_1a2b", path="/")], "tool_use"), plan=plan)
    assert answer.message["tool_calls"][0]["function"]["name"] == "fs.read file"
    assert answer.stream.content[0]["name"] == "fs_read_1a2b"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    "text",
    ['*** Begin Patch\n+ é 🙂 "q" \\ \t\u2028\n*** End Patch', "", "\ud83d\ude42" * 3, "plain"],
    ids=["patch", "empty", "emoji", "plain"],
)
@pytest.mark.parametrize("ensure_ascii", [False, True])
def test_custom_tools_get_their_raw_text_piece_by_piece(cut, read, text, size, ensure_ascii):
    plan = replace(PLAN, custom_tools=frozenset({"apply_patch"}))
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    events = cut([tool(1, "apply_patch", input=text)], "tool_use", size=size)
    if ensure_ascii:
        arguments = json.dumps({"input": text})
        pieces = [arguments[i : i + size] for i in range(0, len(arguments), size)]
        events = [
            *events[:3],
            *(
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "input_json_delta", "partial_json": piece},
                }
                for piece in pieces
            ),
            *events[-3:],
        ]
    answer = read(events, plan=plan, gathered=False)
    assert answer.message["tool_calls"] == [
        {"id": "toolu_1", "type": "custom", "custom": {"name": "apply_patch", "input": text}}
    ]
    opening, *rest = [call for delta in answer.deltas for call in delta.get("tool_calls", [])]
    assert opening == {"index": 0, "id": "toolu_1", "type": "custom", "custom": {"name": "apply_patch", "input": ""}}
    assert all(call.keys() == {"index", "custom"} and call["custom"]["input"] for call in rest)
    if size == 1:
        assert len(rest) == len(text)
    assert answer.finish_reason == "tool_calls"


def test_legacy_functions_get_a_function_call(cut, read):
    answer = read(cut([TEXT, tool(1, city="Oslo")], "tool_use", size=4), plan=replace(PLAN, legacy_function_call=True))
    assert answer.message["function_call"] == {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    assert "tool_calls" not in answer.message
    assert answer.finish_reason == "function_call"
    calls = [delta["function_call"] for delta in answer.deltas if "function_call" in delta]
    assert calls[0] == {"name": "get_weather", "arguments": ""}
    assert all(call.keys() == {"arguments"} for call in calls[1:])


def test_M25_wrapped_arguments_of_a_legacy_function_are_unwrapped_too(cut, read):
    plan = replace(PLAN, legacy_function_call=True, wrapped_tools=frozenset({"calc"}))
    answer = read(cut([tool(1, "calc", input=[1, 2])], "tool_use", size=2), plan=plan)
    assert answer.message["function_call"] == {"name": "calc", "arguments": "[1, 2]"}


def test_legacy_functions_get_the_first_call_alone(cut, read):
    answer = read(cut([tool(1, a=1), tool(2, b=2)], "tool_use"), plan=replace(PLAN, legacy_function_call=True))
    assert answer.message["function_call"]["arguments"] == '{"a": 1}'


def test_T17_a_forced_tool_is_written_from_the_text(cut, read):
    text = {"type": "text", "text": '{"city": "São Paulo"}'}
    plan = replace(PLAN, forced_tool="get_weather")
    answer = read(cut([THINKING, text], size=3), plan=plan)
    (call,) = answer.message["tool_calls"]
    assert call["function"] == {"name": "get_weather", "arguments": text["text"]}
    assert answer.message["content"] is None
    assert answer.finish_reason == "tool_calls"
    assert answer.stream.tool_call_ids == [call["id"]]
    assert answer.stream.content == [THINKING, text]
    assert read(cut([THINKING, text], size=9), plan=plan).message["tool_calls"][0]["id"] == call["id"]


def test_a_forced_custom_tool_gets_its_raw_text(cut, read):
    plan = replace(PLAN, forced_tool="apply_patch", custom_tools=frozenset({"apply_patch"}))
    answer = read(cut([{"type": "text", "text": '{"input": "a\\nb"}'}], size=3), plan=plan, gathered=False)
    assert answer.message["tool_calls"][0]["custom"] == {"name": "apply_patch", "input": "a\nb"}


def test_a_forced_legacy_function_is_written_from_the_text(cut, read):
    plan = replace(PLAN, forced_tool="f", legacy_function_call=True)
    answer = read(cut([{"type": "text", "text": '{"a": 1}'}], size=3), plan=plan)
    assert answer.message["function_call"] == {"name": "f", "arguments": '{"a": 1}'}
    assert answer.finish_reason == "function_call"


def test_a_forced_tool_that_was_cut_off_ends_with_length(cut, read):
    answer = read(cut([{"type": "text", "text": '{"a": '}], "max_tokens"), plan=replace(PLAN, forced_tool="f"))
    assert answer.message["tool_calls"][0]["function"]["arguments"] == '{"a": '
    assert answer.finish_reason == "length"


def test_a_forced_tool_that_claude_refused_to_write_is_no_call(cut, read):
    answer = read(cut([], "refusal"), plan=replace(PLAN, forced_tool="f"))
    assert "tool_calls" not in answer.message
    assert answer.finish_reason == "content_filter"

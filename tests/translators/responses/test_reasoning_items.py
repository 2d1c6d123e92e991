from dataclasses import replace

import pytest

from tests.translators.responses.blocks import PLAN, REDACTED, SILENT, TEXT, THINKING, found, search, tool


def test_R1_R5_every_block_of_thinking_is_sealed_in_its_order_and_unmodified(cut, read):
    blocks = [THINKING, REDACTED, SILENT, tool(1), THINKING, TEXT, SILENT, tool(2)]
    answer = read(cut(blocks, "tool_use"))
    assert answer.types == ["reasoning", "function_call", "reasoning", "message", "reasoning", "function_call"]
    assert answer.sealed == [THINKING, REDACTED, SILENT, THINKING, SILENT]
    assert answer.stream.has_thinking


def test_R4_redacted_thinking_is_a_reasoning_item_without_summary(cut, read):
    answer = read(cut([REDACTED, TEXT]), plan=replace(PLAN, shows_summary=True))
    assert answer.output[0]["summary"] == []
    assert answer.sealed == [REDACTED]


def test_R7_thinking_with_a_signature_alone_is_kept(cut, read):
    answer = read(cut([SILENT, TEXT]), plan=replace(PLAN, shows_summary=True))
    assert answer.output[0]["summary"] == []
    assert answer.sealed == [SILENT]


def test_R9_R10_thinking_is_a_reasoning_item_before_the_message(cut, read):
    answer = read(cut([THINKING, {**THINKING, "thinking": "Yes."}, TEXT]), plan=replace(PLAN, shows_summary=True))
    reasoning, _ = answer.output
    assert list(reasoning) == ["id", "type", "content", "encrypted_content", "summary"]
    assert reasoning["summary"] == [
        {"type": "summary_text", "text": "Let me see."},
        {"type": "summary_text", "text": "Yes."},
    ]
    kinds = [event["type"].removeprefix("response.") for event in answer.events[2:]]
    assert kinds[: kinds.index("output_item.done")] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
    ]


def test_R6_no_summary_is_shown_that_was_not_asked_for(cut, read):
    answer = read(cut([THINKING, TEXT]))
    assert answer.output[0]["summary"] == []
    assert answer.sealed == [THINKING]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"seals_thinking": False}, id="an instruction that the next request will not hold"),
        pytest.param({"forced_tool": "a"}, id="a forced tool that Claude never called"),
    ],
)
def test_thinking_that_cannot_be_put_back_is_sealed_empty(cut, read, fields):
    answer = read(cut([THINKING, search(), found(1), {"type": "text", "text": "{}"}]), plan=replace(PLAN, **fields))
    assert answer.types[:2] == ["reasoning", "web_search_call"]
    assert answer.sealed == []


def test_thinking_after_a_call_that_was_left_out_is_sealed_empty(cut, read):
    answer = read(cut([SILENT, tool(1), THINKING, TEXT]), plan=replace(PLAN, allowed_tools=frozenset({"a"})))
    assert answer.types == ["reasoning", "message"]
    assert answer.sealed == []

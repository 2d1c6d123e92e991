"""What is left out of a conversation that is too long: the oldest turns, whole, and never what has to stay."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.errors import OpenAIError, translate_claude_error
from translators.responses.conversation import PlacedItem
from translators.responses.item_types import Message
from translators.responses.request_body import parse_item
from translators.responses.truncation import choose_dropped_turns, measure_turns, without_turns

RULES = {"role": "developer", "content": "Rules."}
SUMMARY = {"type": "compaction", "id": "cmp_1", "encrypted_content": "x"}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "look", "arguments": "{}"}


def result(call_id: str | None) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "name": "look", "output": "seen"}


def placed(*raws: dict[str, Any]) -> list[PlacedItem]:
    return [PlacedItem(parse_item(raw, "input"), f"input[{index}]") for index, raw in enumerate(raws)]


def left(raws: Sequence[dict[str, Any]], dropped: int) -> list[dict[str, Any]]:
    return [raws[int(kept.path[6:-1])] for kept in without_turns(placed(*raws), dropped)]


CASES: dict[str, tuple[list[dict[str, Any]], list[int]]] = {
    "turns": ([user("1"), said("a"), user("2"), said("b"), user("3")], [2, 2, 1]),
    "users_together": ([user("1"), user("and"), said("a"), user("2")], [3, 1]),
    "rules_between_users": ([user("1"), RULES, user("and"), said("a"), user("2")], [4, 1]),
    "begins_with_the_assistant": ([said("Hello."), user("1"), said("a"), user("2")], [3, 1]),
    "calls": ([user("1"), call("a"), result("a"), said("b"), user("2")], [4, 1]),
    "tool_loop_at_the_end": ([user("1"), said("a"), user("2"), call("a"), result("a")], [2, 3]),
    "user_between_call_and_result": ([user("1"), call("a"), user("wait"), result("a"), user("2")], [4, 1]),
    "two_calls_over_two_turns": (
        [user("1"), call("a"), call("b"), result("a"), user("x"), result("b"), user("2")],
        [6, 1],
    ),
    "result_that_never_comes": ([user("1"), call("a"), user("2"), said("b"), user("3")], [2, 2, 1]),
    "result_without_a_name": ([user("1"), call("a"), user("x"), result(None), said("b"), user("2")], [5, 1]),
    "local_shell": (
        [
            user("1"),
            {"type": "local_shell_call", "id": "lsh_1", "call_id": "c", "action": {}},
            user("x"),
            {"type": "local_shell_call_output", "id": "lsh_1", "output": "y"},
            user("2"),
        ],
        [4, 1],
    ),
    "one": ([user("1")], [1]),
    "no_user": ([said("a"), RULES], []),
    "nothing": ([], []),
}


@pytest.mark.parametrize(("raws", "lengths"), CASES.values(), ids=CASES.keys())
def test_a_turn_goes_from_the_users_words_to_the_next_ones(raws: list[dict[str, Any]], lengths: list[int]) -> None:
    assert len(measure_turns(placed(*raws))) == len(lengths)
    start = 0
    for dropped, length in enumerate(lengths):
        gone = [raw for raw in raws[:start] if raw != RULES]
        assert left(raws, dropped) == [raw for raw in raws if raw not in gone]
        start += length


def test_instructions_and_summaries_stay() -> None:
    raws = [RULES, SUMMARY, user("1"), {**RULES, "content": "More."}, said("a"), user("2"), said("b"), user("3")]
    assert left(raws, 2) == [RULES, SUMMARY, {**RULES, "content": "More."}, user("3")]
    assert len(measure_turns(placed(*raws))) == 3


@given(
    st.lists(
        st.sampled_from(
            [user("x"), said("y"), RULES, *(call(name) for name in "abc"), *(result(name) for name in "abc")]
        ),
        max_size=25,
    )
)
def test_no_result_is_left_without_its_call_and_the_newest_words_stay(raws: list[dict[str, Any]]) -> None:
    items = placed(*raws)
    calls = {raw["call_id"] for raw in raws if raw.get("type") == "function_call"}
    for dropped in range(max(0, len(measure_turns(items)))):
        kept = left(raws, dropped)
        known = {raw["call_id"] for raw in kept if raw.get("type") == "function_call"}
        results = {raw["call_id"] for raw in kept if raw.get("type") == "function_call_output"}
        last = max(
            (index for index, it in enumerate(items) if isinstance(it.item, Message) and it.item.role == "user"),
            default=None,
        )
        assert last is None or raws[last] in kept
        first_results = _results_before_calls(raws)
        assert results & calls - first_results <= known


def _results_before_calls(raws: list[dict[str, Any]]) -> set[str]:
    """Find the calls that have a result before themselves: orphans already."""
    seen: set[str] = set()
    orphans = set()
    for raw in raws:
        if raw.get("type") == "function_call":
            seen.add(raw["call_id"])
        elif raw.get("type") == "function_call_output" and raw["call_id"] not in seen:
            orphans.add(raw["call_id"])
    return orphans


def too_long(message: str) -> OpenAIError:
    body = f'{{"type": "error", "error": {{"type": "invalid_request_error", "message": "{message}"}}}}'
    error = translate_claude_error(400, body.encode(), {})
    assert error.code == "context_length_exceeded"
    return error


TWICE = too_long("prompt is too long: 400000 tokens > 200000 maximum")
SLIGHTLY = too_long("prompt is too long: 201000 tokens > 200000 maximum")
WITH_OUTPUT = too_long("input length and `max_tokens` exceed context limit: 380000 + 20000 > 200000")
SOMEHOW = too_long("Input is too long for requested model.")


@pytest.mark.parametrize(
    ("sizes", "dropped", "error", "chosen"),
    [
        ([10] * 10, 0, TWICE, 6),
        ([10] * 10, 0, WITH_OUTPUT, 6),
        ([10] * 10, 0, SOMEHOW, 6),
        ([10] * 100, 0, SLIGHTLY, 6),
        ([1000, 1, 1, 1], 0, SLIGHTLY, 1),
        ([1, 1, 1000], 0, TWICE, 2),
        ([10] * 10, 4, SLIGHTLY, 6),
        ([10] * 10, 8, SLIGHTLY, 9),
        ([10] * 10, 9, SLIGHTLY, None),
        ([10], 0, TWICE, None),
        ([], 0, TWICE, None),
    ],
)
def test_so_many_turns_are_left_out_as_are_too_much(
    sizes: list[int], dropped: int, error: OpenAIError, chosen: int | None
) -> None:
    assert choose_dropped_turns(sizes, dropped, error) == chosen


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300), st.sampled_from([TWICE, SLIGHTLY, SOMEHOW]))
def test_few_attempts_reach_the_newest_turn(sizes: list[int], error: OpenAIError) -> None:
    dropped: int = 0
    attempts = 0
    while (chosen := choose_dropped_turns(sizes, dropped, error)) is not None:
        assert dropped < chosen < len(sizes)
        dropped = chosen
        attempts += 1
    assert dropped == len(sizes) - 1
    assert attempts <= 20

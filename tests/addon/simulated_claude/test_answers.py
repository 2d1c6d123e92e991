"""Which tools the simulated Claude calls, and with what."""

import json
from typing import Any

import pytest

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a", "b"]}
TOOLS: list[Any] = [{"name": name, "input_schema": SCHEMA} for name in ("first", "second", "third")]
USED = [
    {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "first", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}]},
]


async def calls(client, words: str, *after: Any, **changes: Any) -> list[Any]:
    messages = [{"role": "user", "content": words}, *after]
    message = await client.messages.create(
        model=changes.pop("model", "claude-opus-5-5"), max_tokens=1000, messages=messages, tools=TOOLS, **changes
    )
    return [block for block in message.content if block.type == "tool_use"]


def instruction(words: str) -> dict[str, str]:
    return {"role": "system", "content": words}


@pytest.mark.parametrize(
    ("words", "after", "called"),
    [
        ("Hello.", [], []),
        ("Use second.", [], ["second"]),
        ("Use second and first.", [], ["first", "second"]),
        ("Hello.", [instruction("Your next reply must be a call of one of the tools.")], ["first"]),
        ("Hello.", [instruction("Your next reply must be a call of the tool `third`.")], ["third"]),
        ("Use second.", [instruction("Your next reply must be a call of one of the tools.")], ["second"]),
        ("Use first.", USED, []),
        (
            "Hello.",
            [*USED, {"role": "assistant", "content": "Well."}, {"role": "user", "content": "Use first."}],
            ["first"],
        ),
        ("Use first.", [*USED, instruction("Your next reply must be a call of one of the tools.")], ["second"]),
    ],
    ids=["none", "named", "two", "told", "told which", "told and named", "answered", "asked again", "told again"],
)
async def test_tools_are_called_where_they_are_named_or_have_to_be(client, words, after, called):
    assert [call.name for call in await calls(client, words, *after)] == called


async def test_a_forced_call_takes_a_tool_that_was_not_called_yet(client):
    forced: dict[str, Any] = {"model": "claude-opus-4-8", "tool_choice": {"type": "any"}}
    assert [call.name for call in await calls(client, "Hello.", *USED, **forced)] == ["second"]


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ('Call second(7, "x").', {"a": 7, "b": "x"}),
        ("Call second(7).", {"a": 7}),
        ('Call second("x", "y").', {"a": 1, "b": "y"}),
        ("Call second(now).", {"a": 1}),
    ],
)
async def test_a_call_that_is_written_down_is_made_so_as_far_as_it_fits(client, words, given):
    [call] = await calls(client, words)
    assert call.input.items() >= given.items()


async def test_structured_output_is_filled_with_a_call_that_is_written_down(client):
    output = {"format": {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}}
    message = await client.messages.create(
        model="claude-opus-5-5",
        max_tokens=1000,
        messages=[{"role": "user", "content": "The arguments of second(7), please."}],
        tools=TOOLS,
        tool_choice={"type": "none"},
        output_config=output,
    )
    assert json.loads(message.content[-1].text)["a"] == 7

"""The official SDK and its types judge what the simulated Claude sends."""

import json
import re
from typing import Any, get_args

import anthropic
import pytest
from anthropic.types import Message, Model, ModelInfo, RawMessageStreamEvent
from pydantic import TypeAdapter

from addon.simulated_claude.model_table import find_model, list_models

TOOLS: list[Any] = [
    {
        "name": "get_weather",
        "description": "Tells the weather",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
        },
    },
    {"name": "get_time", "input_schema": {"type": "object", "properties": {}}},
]
EVENT = TypeAdapter[Any](RawMessageStreamEvent)
WEB_SEARCH = {"type": "web_search_20260318", "name": "web_search"}
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "score": {"type": "integer"}},
    "required": ["answer", "score"],
    "additionalProperties": False,
}

REQUESTS: dict[str, dict[str, Any]] = {
    "text": {},
    "thinking": {"thinking": {"type": "adaptive", "display": "summarized"}},
    "tool": {"tools": TOOLS, "messages": [{"role": "user", "content": "use get_weather"}]},
    "two tools": {"tools": TOOLS, "messages": [{"role": "user", "content": "use get_weather and get_time"}]},
    "structured output": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    "web search": {"tools": [WEB_SEARCH]},
    "stopped": {"stop_sequences": ["simulated"]},
    "cut": {"max_tokens": 5},
    "older model": {"model": "claude-haiku-4-5"},
    "cached": {"cache_control": {"type": "ephemeral"}, "system": "word " * 5000},
}


def request(**changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-opus-5-5",
        "max_tokens": 1000,
        "messages": [{"role": "user", "content": "hello there"}],
        **changes,
    }


@pytest.mark.parametrize("changes", REQUESTS.values(), ids=REQUESTS)
async def test_a_whole_answer_is_a_strict_message(http, changes):
    async with http.post("/v1/messages", json=request(**changes)) as response:
        assert response.status == 200
        Message.model_validate_json(await response.read(), strict=True)


@pytest.mark.parametrize("changes", REQUESTS.values(), ids=REQUESTS)
async def test_every_event_is_strict_and_in_order(http, changes):
    async with http.post("/v1/messages", json=request(stream=True, **changes)) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        raw = (await response.read()).decode()
    records = raw.removesuffix("\n\n").split("\n\n")
    events = []
    for record in records:
        name, data = record.split("\n")
        assert data.startswith("data: ")
        if name == "event: ping":
            continue
        events.append(EVENT.validate_json(data.removeprefix("data: "), strict=True))
        assert name == f"event: {events[-1].type}"
    types = "".join(
        {"message_start": "M", "content_block_start": "(", "content_block_delta": ".", "content_block_stop": ")",
         "message_delta": "D", "message_stop": "E"}[event.type]
        for event in events
    )  # fmt: skip
    assert re.fullmatch(r"M(\(\.*\))*DE", types)
    indexes = [event.index for event in events if event.type == "content_block_start"]
    assert indexes == list(range(len(indexes)))


@pytest.mark.parametrize("changes", REQUESTS.values(), ids=REQUESTS)
async def test_streamed_and_whole_answers_are_equal(simulation, client, changes):
    whole = await client.messages.create(**request(**changes))
    async with client.messages.stream(**request(**changes)) as stream:
        streamed = await stream.get_final_message()
    plain = [
        [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content]
        for message in (whole, streamed)
    ]
    assert plain[0] == plain[1]
    assert (whole.stop_reason, whole.stop_sequence) == (streamed.stop_reason, streamed.stop_sequence)
    assert whole.usage.output_tokens == streamed.usage.output_tokens
    totals = [
        usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        for usage in (whole.usage, streamed.usage)
    ]
    assert totals[0] == totals[1]


async def test_the_text_says_that_it_is_simulated_and_quotes_the_user(client):
    message = await client.messages.create(**request(model="claude-opus-4-8"))
    assert [block.type for block in message.content] == ["text"]
    assert "simulated Claude" in message.content[0].text
    assert "hello there" in message.content[0].text


async def test_thinking_goes_round_a_tool_loop_unharmed(client):
    messages: list[Any] = [{"role": "user", "content": "weather in Graz? use get_weather"}]
    asked = request(tools=TOOLS, messages=messages, thinking={"type": "adaptive", "display": "summarized"})
    first = await client.messages.create(**asked)
    assert [block.type for block in first.content] == ["thinking", "tool_use"]
    assert first.content[0].thinking
    assert first.stop_reason == "tool_use"
    call = first.content[1]
    assert set(call.input) == {"city", "unit"}
    assert call.input["unit"] == "celsius"
    messages += [
        first.to_param(),
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny, 21 degrees"}]},
    ]
    async with client.messages.stream(**{**asked, "messages": messages}) as stream:
        second = await stream.get_final_message()
    assert [block.type for block in second.content] == ["thinking", "text"]
    assert "sunny, 21 degrees" in second.content[1].text
    messages += [second.to_param(), {"role": "user", "content": "thanks"}]
    third = await client.messages.create(**{**asked, "messages": messages})
    assert third.stop_reason == "end_turn"


async def test_omitted_thinking_has_a_signature_and_no_text(client):
    message = await client.messages.create(**request())
    assert (message.content[0].type, message.content[0].thinking) == ("thinking", "")
    assert message.content[0].signature
    assert message.usage.output_tokens_details.thinking_tokens > 0


async def test_two_tools_named_are_two_calls_unless_parallel_is_off(client):
    asked = request(tools=TOOLS, messages=[{"role": "user", "content": "get_weather and get_time please"}])
    both = await client.messages.create(**asked)
    assert [block.name for block in both.content if block.type == "tool_use"] == ["get_weather", "get_time"]
    one = await client.messages.create(**asked, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert [block.name for block in one.content if block.type == "tool_use"] == ["get_weather"]
    none = await client.messages.create(**asked, tool_choice={"type": "none"})
    assert all(block.type != "tool_use" for block in none.content)


async def test_a_forced_tool_is_called(client):
    forced = request(model="claude-opus-5", tools=TOOLS, tool_choice={"type": "tool", "name": "get_time"})
    message = await client.messages.create(**forced)
    assert [block.name for block in message.content if block.type == "tool_use"] == ["get_time"]
    some = await client.messages.create(**{**forced, "tool_choice": {"type": "any"}})
    assert some.stop_reason == "tool_use"


async def test_structured_output_parses(client):
    message = await client.messages.create(
        **request(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    )
    value = json.loads(message.content[-1].text)
    assert set(value) == {"answer", "score"}
    assert isinstance(value["score"], int)


async def test_web_search_answers_with_citations(client):
    message = await client.messages.create(**request(model="claude-opus-4-8", tools=[WEB_SEARCH]))
    assert [block.type for block in message.content] == [
        "server_tool_use", "web_search_tool_result", "text", "text", "text",
    ]  # fmt: skip
    citation = message.content[3].citations[0]
    assert (citation.type, citation.url) == ("web_search_result_location", "https://example.com/")
    assert message.usage.server_tool_use.web_search_requests == 1
    # The blocks go back as they came.
    again = request(model="claude-opus-4-8", tools=[WEB_SEARCH])
    again["messages"] = [*again["messages"], message.to_param(), {"role": "user", "content": "and?"}]
    assert (await client.messages.create(**again)).stop_reason == "end_turn"


async def test_a_stop_sequence_ends_the_text_before_it(client):
    message = await client.messages.create(**request(model="claude-opus-4-8", stop_sequences=["zzz", "there"]))
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "there")
    assert message.content[0].text == 'You wrote "hello '


async def test_max_tokens_cut_text_and_tool_calls(client):
    text = await client.messages.create(**request(model="claude-opus-4-8", max_tokens=3))
    assert (text.stop_reason, text.usage.output_tokens) == ("max_tokens", 3)
    tool = request(model="claude-opus-4-8", max_tokens=4, tools=TOOLS[:1])
    cut = await client.messages.create(**tool)
    assert (cut.stop_reason, cut.content[0].type, cut.content[0].input) == ("max_tokens", "tool_use", {})
    events = await client.messages.create(**tool, stream=True)
    arguments = "".join([event.delta.partial_json async for event in events if event.type == "content_block_delta"])
    assert arguments.startswith('{"city')
    assert not arguments.endswith("}")


async def test_no_output_tokens_give_no_output(client):
    message = await client.messages.create(**request(max_tokens=0))
    assert (message.content, message.stop_reason, message.usage.output_tokens) == ([], "max_tokens", 0)


async def test_counted_tokens_are_those_of_the_usage(client):
    asked = request(model="claude-opus-5", tools=TOOLS, system="Be kind.")
    counted = await client.messages.count_tokens(
        **{name: value for name, value in asked.items() if name != "max_tokens"}
    )
    message = await client.messages.create(**asked)
    assert counted.input_tokens == message.usage.input_tokens > 500


async def test_a_cached_prefix_is_written_once_and_then_read(client):
    asked = request(model="claude-haiku-4-5", system="word " * 4000, cache_control={"type": "ephemeral", "ttl": "1h"})
    first = (await client.messages.create(**asked)).usage
    assert first.cache_read_input_tokens == 0
    assert first.cache_creation_input_tokens == first.cache_creation.ephemeral_1h_input_tokens > 4096
    longer = [*asked["messages"], {"role": "assistant", "content": "ok"}, {"role": "user", "content": "more"}]
    second = (await client.messages.create(**{**asked, "messages": longer})).usage
    assert second.cache_read_input_tokens == first.cache_creation_input_tokens
    assert 0 < second.cache_creation_input_tokens < 100
    changed = (await client.messages.create(**{**asked, "system": "other " * 4000})).usage
    assert changed.cache_read_input_tokens == 0


async def test_short_prompts_are_not_cached(client):
    usage = (await client.messages.create(**request(cache_control={"type": "ephemeral"}))).usage
    assert (usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (0, 0)


async def test_models_are_listed_page_by_page_and_have_strict_types(client, http):
    listed = [model.id async for model in client.models.list(limit=4)]
    assert listed == [model.id for model in list_models()]
    async with http.get("/v1/models", params={"limit": 1000}) as response:
        page = await response.json()
    assert (page["has_more"], page["first_id"], page["last_id"]) == (False, listed[0], listed[-1])
    for info in page["data"]:
        ModelInfo.model_validate_json(json.dumps(info), strict=True)


async def test_models_can_be_filtered_and_found_by_alias(client):
    deprecated = [model.id async for model in client.models.list(lifecycle=["deprecated"])]
    assert deprecated == ["claude-mythos-preview", "claude-sonnet-4-5-20250929"]
    before = await client.models.list(before_id="claude-haiku-5-5", limit=1)
    assert [model.id for model in before.data] == ["claude-mythos-5-2"]
    found = await client.models.retrieve("claude-sonnet-4-5")
    assert (found.id, found.capabilities.thinking.types.adaptive.supported) == ("claude-sonnet-4-5-20250929", False)
    with pytest.raises(anthropic.NotFoundError, match="model: claude-2"):
        await client.models.retrieve("claude-2")


def test_every_model_of_the_sdk_is_served():
    named = [name for option in get_args(Model) for name in get_args(option)]
    assert len(named) > 15
    assert [name for name in named if find_model(name) is None] == []


async def test_a_bad_key_is_an_authentication_error(simulation):
    async with anthropic.AsyncAnthropic(
        api_key="sk-ant-invalid-x", base_url=simulation.base_url, max_retries=0
    ) as client:
        with pytest.raises(anthropic.AuthenticationError) as raised:
            await client.messages.create(**request())
    assert raised.value.type == "authentication_error"


async def test_thinking_that_is_dropped_is_reported_at_the_start(client):
    first = await client.messages.create(**request())
    moved = [{"role": "user", "content": "other"}, first.to_param(), {"role": "user", "content": "so?"}]
    binding = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    stream = await client.beta.messages.create(
        **request(messages=moved, thinking=binding), betas=["thinking-binding-controls-2026-08-01"], stream=True
    )
    events = [event async for event in stream]
    reported = events[0].message.input_transformations
    assert [(entry.path, entry.reason) for entry in reported] == [("messages.1.content.0", "prefix_binding_mismatch")]
    assert events[-1].type == "message_stop"
    with pytest.raises(anthropic.BadRequestError, match="bound to a different conversation"):
        await client.messages.create(**request(messages=moved))

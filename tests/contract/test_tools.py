"""Tools over several turns, in each form that OpenAI's clients know, with Claude's thinking put back each time."""

import json
from typing import Any

import pydantic
import pytest
from openai import AsyncOpenAI, OpenAI, pydantic_function_tool

from tests.contract.proxy_process import Way
from tests.contract.simulated_upstream import SimulatedUpstream, events_of, simulate

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: Any = {"type": "function", "function": {"name": "get_weather", "description": "Weather.", "parameters": CITY}}
CLOCK: Any = {"type": "function", "function": {"name": "get_time", "description": "Time.", "parameters": CITY}}
SIGNATURE = "RXF1YWwgdG8gdGhlIGJ5dGU+Pz8/+/==Äß"
THINKING = "Two calls at once: 天気, ⏰ …\n\n  and trailing space "


def ask(client: OpenAI, how: str, **request: Any) -> Any:
    """Ask in one of the three ways of the SDK, and return the message: what a stock client would send back."""
    match how:
        case "whole":
            return client.chat.completions.create(**request).choices[0]
        case "stream_helper":
            with client.chat.completions.stream(**request) as stream:
                return stream.get_final_completion().choices[0]
    return gather(client.chat.completions.create(stream=True, **request))


class Gathered(pydantic.BaseModel):
    """What an app puts together by hand, as OpenAI's guide on function calling tells it to."""

    message: dict[str, Any]
    finish_reason: str | None = None


def gather(chunks: Any) -> Gathered:
    message: dict[str, Any] = {"role": "assistant", "content": None}
    finish_reason = None
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        [choice] = chunk.choices
        finish_reason = choice.finish_reason or finish_reason
        if choice.delta.content:
            message["content"] = (message["content"] or "") + choice.delta.content
        for delta in choice.delta.tool_calls or ():
            if delta.index not in calls:
                calls[delta.index] = delta.model_dump(exclude={"index"})
            else:
                calls[delta.index]["function"]["arguments"] += delta.function.arguments
    if calls:
        message["tool_calls"] = [calls[index] for index in sorted(calls)]
    return Gathered(message=message, finish_reason=finish_reason)


def sent_back(choice: Any) -> Any:
    return choice.message if isinstance(choice.message, dict) else choice.message.model_dump(exclude_none=True)


def calls_of(choice: Any) -> list[tuple[str, dict[str, Any]]]:
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in sent_back(choice).get("tool_calls") or ()
    ]


def results(choice: Any, text: str = "sunny") -> list[Any]:
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": f"{text} ({index})"}
        for index, call in enumerate(sent_back(choice)["tool_calls"])
    ]


HOWS = pytest.mark.parametrize("how", ["whole", "streamed", "stream_helper"])


@HOWS
def test_S1_S2_R1_three_turns_with_parallel_tools_keep_the_thinking(
    client: OpenAI, claude: SimulatedUpstream, how: str
) -> None:
    content = [
        {"type": "thinking", "thinking": THINKING, "signature": SIGNATURE},
        {"type": "text", "text": "I look both up."},
        {"type": "tool_use", "id": "toolu_a", "name": "get_weather", "input": {"city": "東京"}},
        {"type": "tool_use", "id": "toolu_b", "name": "get_time", "input": {"city": "Zürich"}},
    ]
    again = [
        {"type": "thinking", "thinking": "Once more.", "signature": "c2Vjb25k"},
        {"type": "redacted_thinking", "data": "c2VhbGVk"},
        {"type": "tool_use", "id": "toolu_c", "name": "get_weather", "input": {"city": "Bern"}},
    ]
    messages: list[Any] = [{"role": "user", "content": simulate("Weather and time?", content=content)}]
    request = {"model": "gpt-4o", "tools": [WEATHER, CLOCK], "messages": messages}

    first = ask(client, how, **request)
    assert first.finish_reason == "tool_calls"
    assert calls_of(first) == [("get_weather", {"city": "東京"}), ("get_time", {"city": "Zürich"})]
    assert sent_back(first)["content"] == "I look both up."
    messages += [sent_back(first), *results(first), {"role": "user", "content": simulate("And?", content=again)}]

    second = ask(client, how, **request)
    assert calls_of(second) == [("get_weather", {"city": "Bern"})]
    echoed = claude.last["messages"][1]
    assert echoed["role"] == "assistant"
    # The signature is of the thinking as it came: byte for byte, and before the calls.
    assert echoed["content"][0] == {"type": "thinking", "thinking": THINKING, "signature": SIGNATURE}
    assert [block["type"] for block in echoed["content"]] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block["type"] for block in claude.last["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]
    messages += [sent_back(second), *results(second)]

    third = ask(client, how, **request)
    assert third.finish_reason == "stop"
    assert "sunny (0)" in sent_back(third)["content"]
    history = claude.last["messages"]
    assert history[1] == echoed
    assert history[3]["content"][:2] == again[:2]
    assert [entry.status for entry in claude.calls] == [200, 200, 200]


@HOWS
def test_R1_thinking_that_claude_bound_to_the_conversation_is_taken_back(
    client: OpenAI, claude: SimulatedUpstream, how: str
) -> None:
    """The signatures of the newest models name everything before them: they hold only in the same conversation."""
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Please call get_weather and get_time."},
    ]
    request = {"model": "gpt-4o", "tools": [WEATHER, CLOCK], "messages": messages, "reasoning_effort": "high"}
    for question in ("And get_time once more?", "And get_weather again?"):
        choice = ask(client, how, **request)
        assert calls_of(choice)
        messages += [sent_back(choice), *results(choice)]
        messages.append(sent_back(ask(client, how, **request)))
        messages.append({"role": "user", "content": question})
    ask(client, how, **request)
    assert all(entry.status == 200 for entry in claude.calls)
    assert len(claude.calls) == 5
    echoed = [message["content"] for message in claude.last["messages"] if message["role"] == "assistant"]
    with_calls = [blocks for blocks in echoed if any(block["type"] == "tool_use" for block in blocks)]
    assert len(with_calls) == 2
    assert all(blocks[0]["type"] == "thinking" and blocks[0]["signature"] for blocks in with_calls)


def test_R1_long_thinking_is_kept_too(client: OpenAI, claude: SimulatedUpstream) -> None:
    thinking = "Think about it from every side. " * 2000
    content = [
        {"type": "thinking", "thinking": thinking, "signature": "bG9uZw=="},
        {"type": "tool_use", "name": "get_weather", "input": {"city": "Bern"}},
    ]
    messages: list[Any] = [{"role": "user", "content": simulate("Weather?", content=content)}]
    first = client.chat.completions.create(model="gpt-4o", tools=[WEATHER], messages=messages).choices[0]
    messages += [sent_back(first), *results(first)]
    client.chat.completions.create(model="gpt-4o", tools=[WEATHER], messages=messages)
    assert claude.last["messages"][1]["content"][0] == content[0]


def test_thinking_of_one_client_is_never_put_back_for_another(way: Way, claude: SimulatedUpstream) -> None:
    content = [
        {"type": "thinking", "thinking": "Mine.", "signature": "bWluZQ=="},
        {"type": "tool_use", "name": "get_weather", "input": {"city": "Bern"}},
    ]
    messages: list[Any] = [{"role": "user", "content": simulate("Weather?", content=content)}]
    with way.client(api_key="sk-proj-client-one") as one, way.client(api_key="sk-proj-client-two") as two:
        first = one.chat.completions.create(model="gpt-4o", tools=[WEATHER], messages=messages).choices[0]
        messages += [sent_back(first), *results(first)]
        two.chat.completions.create(model="gpt-4o", tools=[WEATHER], messages=messages)
        assert [block["type"] for block in claude.last["messages"][1]["content"]] == ["tool_use"]
        one.chat.completions.create(model="gpt-4o", tools=[WEATHER], messages=messages)
        assert [block["type"] for block in claude.last["messages"][1]["content"]] == ["thinking", "tool_use"]


async def test_the_async_client_calls_tools_in_a_stream(async_client: AsyncOpenAI, claude: SimulatedUpstream) -> None:
    messages: list[Any] = [{"role": "user", "content": "Please call get_weather and get_time."}]
    async with async_client.chat.completions.stream(
        model="gpt-4o", tools=[WEATHER, CLOCK], messages=messages
    ) as stream:
        events = [event async for event in stream]
        choice = (await stream.get_final_completion()).choices[0]
    done = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert [(event.index, event.name) for event in done] == [(0, "get_weather"), (1, "get_time")]
    messages += [sent_back(choice), *results(choice)]
    answer = await async_client.chat.completions.create(model="gpt-4o", tools=[WEATHER, CLOCK], messages=messages)
    assert "sunny (1)" in (answer.choices[0].message.content or "")
    assert claude.last["messages"][1]["content"][0]["type"] == "thinking"


def test_S4_a_tool_without_arguments_is_called_with_an_empty_object(client: OpenAI, claude: SimulatedUpstream) -> None:
    tool: Any = {"type": "function", "function": {"name": "ping"}}
    messages: list[Any] = [{"role": "user", "content": "Please ping."}]
    for how in ("whole", "streamed", "stream_helper"):
        choice = ask(client, how, model="gpt-4o", tools=[tool], messages=messages)
        assert [call["function"]["arguments"] for call in sent_back(choice)["tool_calls"]] == ["{}"]
    messages += [sent_back(choice), *results(choice)]
    client.chat.completions.create(model="gpt-4o", tools=[tool], messages=messages)
    assert claude.last["messages"][1]["content"][-1]["input"] == {}


def test_S24_a_call_that_the_cap_cuts_off_is_kept(client: OpenAI) -> None:
    cut = {"type": "input_json_delta", "partial_json": '{"city": "Be'}
    block = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
    events = events_of(cut, block=block, stop_reason="max_tokens")
    messages: list[Any] = [{"role": "user", "content": simulate(events=events)}]
    for how in ("whole", "streamed"):
        choice = ask(client, how, model="gpt-4o", tools=[WEATHER], messages=messages)
        assert choice.finish_reason == "length"
        assert [call["function"]["arguments"] for call in sent_back(choice)["tool_calls"]] == ['{"city": "Be']


@HOWS
def test_T5_T7_names_outside_claudes_alphabet_come_back_as_they_were(
    client: OpenAI, claude: SimulatedUpstream, how: str
) -> None:
    tool: Any = {"type": "function", "function": {"name": "fs.read file", "parameters": CITY}}
    messages: list[Any] = [{"role": "user", "content": "Read it."}]
    choice = ask(client, how, model="gpt-4o", tools=[tool], messages=messages)
    assert [name for name, _ in calls_of(choice)] == ["fs.read file"]
    messages += [sent_back(choice), *results(choice)]
    ask(client, how, model="gpt-4o", tools=[tool], messages=messages)
    declared = claude.last["tools"][0]["name"]
    assert [block["name"] for block in claude.last["messages"][1]["content"] if block["type"] == "tool_use"] == [
        declared
    ]


def test_P20_one_call_at_a_time_where_the_client_says_so(client: OpenAI, claude: SimulatedUpstream) -> None:
    choice = client.chat.completions.create(
        model="gpt-4o",
        tools=[WEATHER, CLOCK],
        parallel_tool_calls=False,
        messages=[{"role": "user", "content": "Please call get_weather and get_time."}],
    ).choices[0]
    assert len(calls_of(choice)) == 1
    assert claude.last["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_T10_tools_stay_declared_where_none_may_be_called(client: OpenAI, claude: SimulatedUpstream) -> None:
    choice = client.chat.completions.create(
        model="gpt-4o",
        tools=[WEATHER],
        tool_choice="none",
        messages=[{"role": "user", "content": "Please call get_weather."}],
    ).choices[0]
    assert choice.finish_reason == "stop"
    assert choice.message.tool_calls is None
    assert claude.last["tool_choice"] == {"type": "none"}
    assert len(claude.last["tools"]) == 1


NAMED: Any = {"type": "function", "function": {"name": "get_time"}}


@HOWS
def test_T11_a_named_choice_holds_on_a_model_that_refuses_force(
    client: OpenAI, claude: SimulatedUpstream, how: str
) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is up in Bern?"}]
    choice = ask(client, how, model="gpt-4o", tools=[WEATHER, CLOCK], tool_choice=NAMED, messages=messages)
    assert claude.last["model"] == "claude-sonnet-5-5"
    [(name, arguments)] = calls_of(choice)
    assert name == "get_time"
    assert isinstance(arguments["city"], str)
    assert choice.finish_reason == "tool_calls"
    messages += [sent_back(choice), *results(choice)]
    answer = ask(client, how, model="gpt-4o", tools=[WEATHER, CLOCK], messages=messages)
    assert "sunny (0)" in sent_back(answer)["content"]


def test_T11_a_named_choice_is_passed_on_to_a_model_that_takes_it(client: OpenAI, claude: SimulatedUpstream) -> None:
    choice = client.chat.completions.create(
        model="claude-opus-4-8",
        tools=[WEATHER, CLOCK],
        tool_choice=NAMED,
        messages=[{"role": "user", "content": "What is up in Bern?"}],
    ).choices[0]
    assert claude.last["tool_choice"] == {"type": "tool", "name": "get_time"}
    assert [name for name, _ in calls_of(choice)] == ["get_time"]


@HOWS
@pytest.mark.parametrize("tools", [[WEATHER], [WEATHER, CLOCK]], ids=["one_tool", "two_tools"])
def test_T11_a_required_choice_is_answered_on_a_model_that_refuses_force(
    client: OpenAI, claude: SimulatedUpstream, how: str, tools: list[Any]
) -> None:
    messages: list[Any] = [{"role": "user", "content": "Use get_weather for Bern."}]
    choice = ask(client, how, model="gpt-4o", tools=tools, tool_choice="required", messages=messages)
    assert [name for name, _ in calls_of(choice)] == ["get_weather"]
    assert (claude.last.get("tool_choice") or {}).get("type") not in {"any", "tool"}


def test_custom_tools_get_and_give_raw_text(client: OpenAI, claude: SimulatedUpstream) -> None:
    tool: Any = {"type": "custom", "custom": {"name": "run_code", "description": "Runs Python."}}
    code = 'print("Grüße")\n\tif x: "\\n" 👋'
    content = [{"type": "tool_use", "name": "run_code", "input": {"input": code}}]
    messages: list[Any] = [{"role": "user", "content": simulate("Run.", content=content)}]
    choice = client.chat.completions.create(model="gpt-4o", tools=[tool], messages=messages).choices[0]
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls or ()
    assert call.type == "custom"
    assert (call.custom.name, call.custom.input) == ("run_code", code)
    messages += [sent_back(choice), {"role": "tool", "tool_call_id": call.id, "content": "Grüße"}]
    answer = client.chat.completions.create(model="gpt-4o", tools=[tool], messages=messages).choices[0]
    assert "Grüße" in (answer.message.content or "")
    assert claude.last["messages"][1]["content"][-1]["input"] == {"input": code}


def test_custom_tools_are_streamed_as_on_openais_wire(way: Way) -> None:
    """The SDK has no type for it, so only the client that does not insist on types gets it."""
    tool: Any = {"type": "custom", "custom": {"name": "run_code"}}
    content = [{"type": "tool_use", "name": "run_code", "input": {"input": "print(1)\nprint(2)"}}]
    messages: list[Any] = [{"role": "user", "content": simulate("Run.", content=content)}]
    with way.client() as client:
        chunks = list(client.chat.completions.create(model="gpt-4o", tools=[tool], messages=messages, stream=True))
    deltas = [delta for chunk in chunks for delta in chunk.choices[0].delta.tool_calls or ()]
    assert deltas[0].type == "custom"
    assert deltas[0].model_extra["custom"]["name"] == "run_code"
    assert "".join(delta.model_extra["custom"]["input"] for delta in deltas) == "print(1)\nprint(2)"
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_legacy_functions_are_answered_with_a_function_call(
    client: OpenAI, claude: SimulatedUpstream, stream: bool
) -> None:
    functions: Any = [{"name": "get_weather", "parameters": CITY}, {"name": "get_time", "parameters": CITY}]
    messages: list[Any] = [{"role": "user", "content": "Please call get_weather for Bern."}]
    answer: Any = client.chat.completions.create(
        model="gpt-3.5-turbo", functions=functions, messages=messages, stream=stream
    )
    if stream:
        chunks = list(answer)
        deltas = [chunk.choices[0].delta.function_call for chunk in chunks if chunk.choices[0].delta.function_call]
        call = {"name": deltas[0].name, "arguments": "".join(delta.arguments for delta in deltas)}
        finish_reason = chunks[-1].choices[0].finish_reason
    else:
        finish_reason = answer.choices[0].finish_reason
        call = answer.choices[0].message.function_call.model_dump()
        assert answer.choices[0].message.tool_calls is None
    assert finish_reason == "function_call"
    assert call["name"] == "get_weather"
    assert "city" in json.loads(call["arguments"])
    messages += [
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "get_weather", "content": "sunny"},
    ]
    answer = client.chat.completions.create(model="gpt-3.5-turbo", functions=functions, messages=messages)
    assert "sunny" in answer.choices[0].message.content
    assert [block["type"] for block in claude.last["messages"][1]["content"]] == ["tool_use"]
    assert claude.last["messages"][2]["content"][0]["type"] == "tool_result"


def test_legacy_function_call_by_name_is_honoured(client: OpenAI) -> None:
    functions: Any = [{"name": "get_weather", "parameters": CITY}, {"name": "get_time", "parameters": CITY}]
    message = (
        client.chat.completions.create(
            model="gpt-3.5-turbo",
            functions=functions,
            function_call={"name": "get_time"},
            messages=[{"role": "user", "content": "What is up in Bern?"}],
        )
        .choices[0]
        .message
    )
    assert message.function_call is not None
    assert message.function_call.name == "get_time"
    assert "city" in json.loads(message.function_call.arguments)


class GetWeather(pydantic.BaseModel):
    """Weather of a city."""

    city: str
    days: int


def test_T18_the_parse_helper_reads_strict_tools(client: OpenAI, claude: SimulatedUpstream) -> None:
    tool = pydantic_function_tool(GetWeather)
    messages: list[Any] = [{"role": "user", "content": "Please call GetWeather."}]
    message = client.chat.completions.parse(model="gpt-4o", tools=[tool], messages=messages).choices[0].message
    [call] = message.tool_calls or ()
    assert isinstance(call.function.parsed_arguments, GetWeather)
    assert claude.last["tools"][0]["strict"] is True
    with client.chat.completions.stream(model="gpt-4o", tools=[tool], messages=messages) as stream:
        [call] = stream.get_final_completion().choices[0].message.tool_calls or ()
    assert isinstance(call.function.parsed_arguments, GetWeather)


def test_T12_the_parts_of_a_tool_result_reach_claude(client: OpenAI, claude: SimulatedUpstream) -> None:
    messages: list[Any] = [{"role": "user", "content": "Please call get_weather."}]
    choice = client.chat.completions.create(model="gpt-4o", tools=[WEATHER], messages=messages).choices[0]
    parts = [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]
    [call] = choice.message.tool_calls or ()
    messages += [sent_back(choice), {"role": "tool", "tool_call_id": call.id, "content": parts}]
    client.chat.completions.create(model="gpt-4o", tools=[WEATHER], messages=messages)
    [result] = claude.last["messages"][2]["content"]
    assert [part["text"] for part in result["content"]] == ["One", "Two"]


def test_M3_M5_histories_that_were_trimmed_are_still_answered(client: OpenAI, claude: SimulatedUpstream) -> None:
    call = {"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages: list[Any] = [
        {"role": "tool", "tool_call_id": "call_gone", "content": "orphan"},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "user", "content": "Never mind."},
    ]
    answer = client.chat.completions.create(model="gpt-4o", messages=messages)
    assert answer.choices[0].message.content
    assert [entry.status for entry in claude.calls] == [200]


@HOWS
def test_a_history_that_was_edited_gets_along_without_its_thinking(
    client: OpenAI, claude: SimulatedUpstream, how: str
) -> None:
    """Claude refuses thinking whose conversation was changed before it: it is asked once more, without."""
    messages: list[Any] = [{"role": "user", "content": "Please call get_weather."}]
    choice = ask(client, how, model="gpt-4o", tools=[WEATHER], messages=messages)
    edited: list[Any] = [{"role": "user", "content": "Edited. Please."}, sent_back(choice), *results(choice)]
    answer = ask(client, how, model="gpt-4o", tools=[WEATHER], messages=edited)
    assert "sunny (0)" in sent_back(answer)["content"]
    assert [entry.status for entry in claude.calls] == [200, 400, 200]

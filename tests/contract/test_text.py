"""Text, whole and streamed, with each of the client's ways to ask for it."""

import json
import re

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.contract.proxy_process import Way
from tests.contract.simulated_upstream import SimulatedUpstream, simulate

HELLO = [{"role": "user", "content": "Hello there"}]
ANSWER = 'Grüße aus 東京, 👋 with a \\ and a "quote"\nand a second line.'


def test_a_whole_answer_has_every_field(client: OpenAI, claude: SimulatedUpstream) -> None:
    completion = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": simulate(text=ANSWER)}]
    )
    assert re.fullmatch(r"chatcmpl-[0-9a-zA-Z]{29}", completion.id)
    assert completion.object == "chat.completion"
    assert completion.model == "gpt-4o"
    assert completion.service_tier == "default"
    [choice] = completion.choices
    assert choice.index == 0
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    assert choice.message.content == ANSWER
    assert choice.message.refusal is None
    assert choice.message.tool_calls is None
    usage = completion.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0
    assert completion._request_id.startswith("req_")
    assert claude.last["model"] == "claude-sonnet-5-5"


def test_S6_S25_a_streamed_answer_is_one_completion_in_pieces(client: OpenAI) -> None:
    messages = [{"role": "user", "content": simulate(text=ANSWER)}]
    chunks = list(client.chat.completions.create(model="gpt-4o", messages=messages, stream=True))
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert [chunk.choices[0].delta.role for chunk in chunks].count("assistant") == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len(chunks) > 5
    assert all(chunk.usage is None for chunk in chunks)


def test_S14_usage_comes_in_a_last_chunk_of_its_own(client: OpenAI) -> None:
    messages = [{"role": "user", "content": simulate(text=ANSWER)}]
    whole = client.chat.completions.create(model="gpt-4o", messages=messages)
    *chunks, last = client.chat.completions.create(
        model="gpt-4o", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    assert last.choices == []
    assert last.usage == whole.usage
    assert last.id == chunks[0].id


def test_the_stream_helper_gathers_the_answer(client: OpenAI) -> None:
    messages = [{"role": "user", "content": simulate(text=ANSWER)}]
    with client.chat.completions.stream(
        model="gpt-4o", messages=messages, stream_options={"include_usage": True}
    ) as stream:
        events = list(stream)
        final = stream.get_final_completion()
    assert "".join(event.delta for event in events if event.type == "content.delta") == ANSWER
    assert [event.content for event in events if event.type == "content.done"] == [ANSWER]
    assert final.choices[0].message.content == ANSWER
    assert final.usage is not None
    assert final.usage.completion_tokens > 0


async def test_the_async_client_gets_the_same(async_client: AsyncOpenAI) -> None:
    messages = [{"role": "user", "content": simulate(text=ANSWER)}]
    whole = await async_client.chat.completions.create(model="gpt-4o", messages=messages)
    assert whole.choices[0].message.content == ANSWER
    streamed = await async_client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in streamed]) == ANSWER
    async with async_client.chat.completions.stream(model="gpt-4o", messages=messages) as stream:
        final = await stream.get_final_completion()
    assert final.choices[0].message.content == ANSWER


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_E4_the_raw_response_has_openais_headers(client: OpenAI, stream: bool) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, seed=7, stream=stream)
    headers = raw.headers
    assert raw.request_id == headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])
    assert headers["openai-version"] == "2020-10-01"
    assert int(headers["openai-processing-ms"]) >= 0
    assert headers["x-ratelimit-limit-requests"] == "4000"
    assert headers["x-ratelimit-remaining-requests"] == "3999"
    assert headers["x-ratelimit-limit-tokens"] == "2400000"
    assert re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h))+", headers["x-ratelimit-reset-tokens"])
    assert headers["x-claude-proxy-warnings"] == "seed=ignored"
    assert headers["content-type"] == ("text/event-stream; charset=utf-8" if stream else "application/json")
    parsed = raw.parse()
    if stream:
        list(parsed)
    else:
        assert parsed.choices[0].message.content


def test_the_wire_of_a_stream_is_openais(way: Way) -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": simulate(text="One two")}], "stream": True}
    with way.http() as http:
        response = http.post("/chat/completions", json=body)
    *events, end, nothing = response.text.split("\n\n")
    assert nothing == ""
    assert end == "data: [DONE]"
    assert all(event.startswith("data: {") for event in events)
    first = json.loads(events[0].removeprefix("data: "))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert first["choices"][0]["finish_reason"] is None
    last = json.loads(events[-1].removeprefix("data: "))
    assert last["choices"][0]["delta"] == {}
    assert "usage" not in last


def test_M14_system_and_developer_messages_reach_claude_as_its_system(
    client: OpenAI, claude: SimulatedUpstream
) -> None:
    client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": "Hello"},
        ],
    )
    assert [block["text"] for block in claude.last["system"]] == ["Be brief.", "Be kind."]
    assert [message["role"] for message in claude.last["messages"]] == ["user"]


def test_a_long_conversation_is_continued(client: OpenAI, claude: SimulatedUpstream) -> None:
    messages: list = [{"role": "system", "content": "Be brief."}]
    for turn in range(3):
        messages.append({"role": "user", "content": f"Turn {turn}"})
        message = client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message
        messages.append(message.model_dump(exclude_none=True))
    assert [message["role"] for message in claude.last["messages"]] == ["user", "assistant"] * 2 + ["user"]
    # C4: a later request begins with the bytes of an earlier one, so that Claude's cache is found.
    earlier, later = claude.bodies[-2], claude.bodies[-1]
    assert later["messages"][: len(earlier["messages"])] == earlier["messages"]
    assert later["system"] == earlier["system"]


def test_thinking_that_claude_shows_comes_beside_the_answer(client: OpenAI) -> None:
    content = [{"type": "thinking", "thinking": "Let me see."}, {"type": "text", "text": "Done."}]
    messages = [{"role": "user", "content": simulate(content=content)}]
    message = client.chat.completions.create(model="gpt-4o", messages=messages).choices[0].message
    assert message.content == "Done."
    assert message.model_dump()["reasoning_content"] == "Let me see."
    with client.chat.completions.stream(model="gpt-4o", messages=messages) as stream:
        final = stream.get_final_completion().choices[0].message
    assert final.content == "Done."
    assert final.model_dump()["reasoning_content"] == "Let me see."


def test_R6_claude_is_asked_to_show_its_thinking_only_where_the_client_asks_for_some(
    client: OpenAI, claude: SimulatedUpstream
) -> None:
    client.chat.completions.create(model="gpt-4o", messages=HELLO)
    client.chat.completions.create(model="gpt-4o", messages=HELLO, reasoning_effort="high")
    plain, asked = claude.bodies
    assert "display" not in plain.get("thinking", {})
    assert asked["thinking"]["display"] == "summarized"

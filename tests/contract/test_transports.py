"""The same answers over whatever an app's SDK is built on: HTTP/2, aiohttp, many at once, streams left early."""

import asyncio
import ssl
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, DefaultAioHttpClient, DefaultAsyncHttpx2Client, OpenAI

from tests.contract.proxy_process import APP_KEY, ProxyProcess, Way
from tests.contract.simulated_upstream import SimulatedUpstream, simulate

TEXT = "Grüße aus 東京 " * 50
MESSAGES: Any = [{"role": "user", "content": simulate(text=TEXT)}]


async def text_of_stream(client: AsyncOpenAI, messages: Any = MESSAGES) -> str:
    chunks = await client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])


async def test_the_sdk_over_http2_is_answered_through_the_proxy(proxy: ProxyProcess) -> None:
    way = proxy.way("https_proxy")
    # A context of its own: httpx2 puts its protocols on it.
    options = {**way.httpx_options(), "verify": ssl.create_default_context(cafile=str(proxy.ca)), "http2": True}
    versions = []

    async def note_version(response: httpx2.Response) -> None:
        versions.append(response.http_version)

    http_client = DefaultAsyncHttpx2Client(**options, event_hooks={"response": [note_version]})
    async with AsyncOpenAI(base_url=way.base_url, api_key=APP_KEY, max_retries=0, http_client=http_client) as client:
        texts = await asyncio.gather(*(text_of_stream(client) for _ in range(20)))
        whole = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert {*texts, whole.choices[0].message.content} == {TEXT}
    assert set(versions) == {"HTTP/2"}


async def test_the_sdk_on_aiohttp_is_answered(proxy: ProxyProcess) -> None:
    way = proxy.way("base_url")
    http_client = DefaultAioHttpClient(trust_env=False)
    async with AsyncOpenAI(base_url=way.base_url, api_key=APP_KEY, max_retries=0, http_client=http_client) as client:
        assert await text_of_stream(client) == TEXT
        whole = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    assert whole.choices[0].message.content == TEXT


async def test_many_at_once_each_get_their_own_answer(async_client: AsyncOpenAI, claude: SimulatedUpstream) -> None:
    questions: list[Any] = [[{"role": "user", "content": simulate(text=f"{n} " * 20)}] for n in range(40)]
    answers = await asyncio.gather(*(text_of_stream(async_client, question) for question in questions))
    assert answers == [f"{n} " * 20 for n in range(40)]
    assert len(claude.calls) == 40


def test_a_stream_that_the_app_leaves_early_leaves_the_client_usable(client: OpenAI, claude: SimulatedUpstream) -> None:
    slow: Any = [{"role": "user", "content": simulate(text=TEXT, event_interval=0.01)}]
    with client.chat.completions.create(model="gpt-4o", messages=slow, stream=True) as stream:
        assert next(iter(stream)).choices[0].delta.role == "assistant"
    assert client.chat.completions.create(model="gpt-4o", messages=MESSAGES).choices[0].message.content == TEXT
    assert len(claude.calls) == 2


def test_a_streamed_response_can_be_read_line_by_line(client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=MESSAGES, stream=True
    ) as response:
        lines = [line for line in response.iter_lines() if line]
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert lines[-1] == "data: [DONE]"


@pytest.mark.parametrize("n", [2, 3])
def test_P19_the_stream_helper_keeps_choices_apart(client: OpenAI, n: int) -> None:
    tool: Any = {"type": "function", "function": {"name": "get_time"}}
    messages: Any = [{"role": "user", "content": "Please call get_time."}]
    with client.chat.completions.stream(model="gpt-4o", messages=messages, tools=[tool], n=n) as stream:
        choices = stream.get_final_completion().choices
    assert [choice.index for choice in choices] == list(range(n))
    assert all(choice.finish_reason == "tool_calls" and choice.message.tool_calls for choice in choices)


def test_an_answer_longer_than_any_buffer_comes_whole(way: Way) -> None:
    text = "0123456789abcdef " * 10_000
    messages: Any = [{"role": "user", "content": simulate(text=text)}]
    with way.client() as client:
        chunks = client.chat.completions.create(model="gpt-4o", messages=messages, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == text
        whole = client.chat.completions.create(model="gpt-4o", messages=messages)
    assert whole.choices[0].message.content == text

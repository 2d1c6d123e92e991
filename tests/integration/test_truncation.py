"""Conversations that are longer than the model's context, with `truncation` and without."""

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.integration.raw_upstream import Call, raw_upstream
from tests.integration.responses_api import REVERSE, check, client_of, settings_with_store
from tests.integration.responses_socket import create, receive_response, socket_of
from tests.integration.running_proxy import ProxyStarter, RunningProxy

SMALL = "claude-haiku-4-5"
"""A model with a context of 200,000 tokens."""
LONG = "All work and no play makes Jack a dull boy. " * 2000
"""Some 20,000 tokens."""


@pytest.fixture
async def proxy(start_proxy: ProxyStarter, simulation: RunningSimulation) -> AsyncIterator[RunningProxy]:
    async with start_proxy(REVERSE, settings=settings_with_store(simulation.base_url, ":memory:")) as running:
        yield running


def conversation(turns: int) -> list[Any]:
    items: list[Any] = [{"role": "developer", "content": "Answer in rhymes."}]
    for number in range(turns):
        items += [
            {"role": "user", "content": f"Question {number}. {LONG}"},
            {"type": "function_call", "call_id": f"call_{number}", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": f"call_{number}", "output": "seen"},
            {"role": "assistant", "content": f"Answer {number}."},
        ]
    return [*items, {"role": "user", "content": "The last question."}]


def answered(simulation: RunningSimulation) -> list[dict[str, Any]]:
    return [entry.body for entry in simulation.journal if entry.path == "/v1/messages" and entry.status == 200]


def asked(simulation: RunningSimulation) -> int:
    return sum(entry.path == "/v1/messages" for entry in simulation.journal)


async def test_without_truncation_it_is_refused(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        for given in ({}, {"truncation": "disabled"}):
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(model=SMALL, input=conversation(11), **given)
            assert refused.value.code == "context_length_exceeded"
    assert asked(simulation) == 2


@pytest.mark.parametrize("how", ["whole", "stream", "background", "websocket"])
async def test_with_truncation_the_oldest_turns_are_left_out(
    proxy: RunningProxy, simulation: RunningSimulation, how: str
) -> None:
    more: dict[str, Any] = {"model": SMALL, "truncation": "auto"}
    async with client_of(proxy) as client:
        match how:
            case "whole":
                raw = await client.responses.with_raw_response.create(input=conversation(11), **more)
                assert "truncation=emulated" in raw.headers["x-claude-proxy-warnings"]
                final = raw.parse().to_dict(mode="json")
            case "stream":
                stream = await client.responses.create(input=conversation(11), stream=True, **more)
                final = check([event async for event in stream])
            case "background":
                stream = await client.responses.create(input=conversation(11), stream=True, background=True, **more)
                final = check([event async for event in stream])
            case _:
                async with socket_of(proxy) as socket:
                    await create(socket, conversation(11), **more)
                    final = await receive_response(socket)
    assert (final["status"], final["truncation"]) == ("completed", "auto")
    assert final["usage"]["input_tokens"] <= 200_000
    [body] = answered(simulation)
    assert asked(simulation) <= 3
    text = json.dumps(body)
    assert "Answer in rhymes." in json.dumps(body["system"])
    assert "The last question." in text
    assert "Question 0." not in text
    assert "Question 10." in text
    assert final["usage"]["input_tokens"] > 100_000, "more was left out than had to be"


async def test_a_chain_keeps_what_one_answer_did_without(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        first = await client.responses.create(model=SMALL, input=conversation(11), truncation="auto")
        items = [item async for item in client.responses.input_items.list(first.id, limit=100)]
        assert len(items) == len(conversation(11))
        second = await client.responses.create(
            model=SMALL, input="And now?", truncation="auto", previous_response_id=first.id
        )
        assert second.status == "completed"
    assert len(answered(simulation)) == 2


async def test_a_question_that_alone_is_too_long_is_refused(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model=SMALL, input=LONG * 11, truncation="auto")
        assert refused.value.code == "context_length_exceeded"
    assert asked(simulation) == 1


async def test_what_is_counted_is_what_would_be_sent(start_proxy: ProxyStarter) -> None:
    async def count(call: Call) -> None:
        too_long = b"Question 0." in call.body
        body: dict[str, Any] = {"input_tokens": 150_000}
        if too_long:
            message = "prompt is too long: 220000 tokens > 200000 maximum"
            body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
        encoded = json.dumps(body).encode()
        head = b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n\r\n"
        await call.send(head % (400 if too_long else 200, len(encoded)) + encoded)

    async with raw_upstream(count) as upstream:
        settings = settings_with_store(upstream.base_url, ":memory:")
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            counted = await client.responses.input_tokens.count(model=SMALL, input=conversation(5), truncation="auto")
            assert counted.input_tokens == 150_000
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.input_tokens.count(model=SMALL, input=conversation(5))
            assert refused.value.code == "context_length_exceeded"
    assert len(upstream.calls) == 3

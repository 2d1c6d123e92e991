"""Conversations that are compacted without being asked: before the answer, in it, and in the turns after it."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from structlog.testing import capture_logs

from addon.simulated_claude.server import RunningSimulation
from tests.integration.raw_upstream import (
    EVENTS_HEAD,
    Call,
    RawUpstream,
    event,
    message_start,
    raw_upstream,
    whole_answer,
)
from tests.integration.responses_api import (
    REVERSE,
    WEATHER,
    check,
    client_of,
    http_of,
    parse_events,
    settings_with_store,
    thinking_in,
)
from tests.integration.responses_socket import create, receive_response, socket_of
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.translators.responses.checker import check_stream
from translators.claude_events import Usage

LONG = "All work and no play makes Jack a dull boy. " * 300
"""Some 3,000 tokens."""
MANAGED: dict[str, Any] = {
    "model": "gpt-5",
    "context_management": [{"type": "compaction", "compact_threshold": 2000}],
}
RULES = {"role": "developer", "content": "Answer in rhymes."}
CONVERSATION: list[Any] = [
    RULES,
    {"role": "user", "content": f"A story. {LONG}"},
    {"role": "assistant", "content": "A fine story."},
    {"role": "user", "content": "What was it about?"},
]


@pytest.fixture
async def proxy(start_proxy: ProxyStarter, simulation: RunningSimulation) -> AsyncIterator[RunningProxy]:
    async with start_proxy(REVERSE, settings=settings_with_store(simulation.base_url, ":memory:")) as running:
        yield running


def sent(simulation: RunningSimulation) -> list[dict[str, Any]]:
    return [entry.body for entry in simulation.journal if entry.path == "/v1/messages"]


def counted(simulation: RunningSimulation) -> int:
    return sum(entry.path == "/v1/messages/count_tokens" for entry in simulation.journal)


def types_of(response: dict[str, Any]) -> list[str]:
    return [item["type"] for item in response["output"] if item["type"] != "reasoning"]


@pytest.mark.parametrize("how", ["whole", "stream", "background", "websocket"])
async def test_the_answer_begins_with_a_compaction_and_goes_on_from_it(
    proxy: RunningProxy, simulation: RunningSimulation, how: str
) -> None:
    async with client_of(proxy) as client:
        if how == "whole":
            final = (await client.responses.create(input=CONVERSATION, **MANAGED)).to_dict(mode="json")
        elif how == "websocket":
            async with socket_of(proxy) as socket:
                await create(socket, CONVERSATION, **MANAGED)
                final = await receive_response(socket)
        else:
            stream = await client.responses.create(
                input=CONVERSATION, stream=True, background=how == "background", **MANAGED
            )
            final = check([event async for event in stream])
    assert final["status"] == "completed"
    assert final["output"][0]["type"] == "compaction"
    assert types_of(final) == ["compaction", "message"]
    summary, answer = sent(simulation)
    assert counted(simulation) == 1
    assert "A story." in json.dumps(summary["messages"])
    assert "What was it about?" not in json.dumps(summary["messages"])
    text = json.dumps(answer["messages"])
    assert "A story." not in text
    assert "summary of the conversation" in text
    # What the user said last is there word for word.
    assert answer["messages"][-1]["content"][-1]["text"] == "What was it about?"
    for body in (summary, answer):
        assert "Answer in rhymes." in json.dumps(body["system"])
    # Both calls are paid for.
    assert final["usage"]["input_tokens"] > 3000


async def test_both_calls_are_charged_and_logged_once(start_proxy: ProxyStarter, simulation: RunningSimulation) -> None:
    limits = {"requests_per_minute": 0, "tokens_per_minute": 600}
    settings = settings_with_store(simulation.base_url, ":memory:", rate_limiting=limits)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        with capture_logs() as logs:
            response = await client.responses.create(input=CONVERSATION, **MANAGED)
            with pytest.raises(openai.RateLimitError) as refused:
                await client.responses.create(model="gpt-5", input="And?")
        assert response.usage is not None
        # Ten tokens come back each second.
        seconds = (response.usage.total_tokens - 600) / 10
        assert seconds - 5 < float(refused.value.response.headers["retry-after-ms"]) / 1000 <= seconds + 1
        (logged,) = [entry for entry in logs if entry["event"] == "exchange" and entry["outcome"] == "ok"]
        used = response.usage.input_tokens, response.usage.output_tokens
        assert (logged["input_tokens"], logged["output_tokens"]) == used
        gateway = proxy.addon._gateway
        assert gateway is not None
        (cost,) = re.findall(rb"claude_proxy_cost_dollars_total{.*} (.*)", gateway.metrics.encode())
        assert float(cost) > gateway.prices.cost(logged["claude_model"], Usage(input_tokens=2500))


async def test_below_the_threshold_nothing_is_compacted_and_what_is_short_is_not_even_counted(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        more = {**MANAGED, "context_management": [{"type": "compaction", "compact_threshold": 5000}]}
        response = await client.responses.create(input=CONVERSATION, **more)
        assert types_of(response.to_dict(mode="json")) == ["message"]
        assert (len(sent(simulation)), counted(simulation)) == (1, 1)
        more = {**MANAGED, "context_management": [{"type": "compaction", "compact_threshold": 50_000}]}
        await client.responses.create(input=CONVERSATION, **more)
        # There is nothing to summarise of one question.
        await client.responses.create(input=[RULES, {"role": "user", "content": LONG}], **MANAGED)
        assert (len(sent(simulation)), counted(simulation)) == (3, 1)


@pytest.mark.parametrize("way", ["previous_response_id", "items", "items_since", "conversation", "websocket"])
async def test_later_turns_go_on_from_the_compaction(
    proxy: RunningProxy, simulation: RunningSimulation, way: str
) -> None:
    question: list[Any] = [{"role": "user", "content": "And then?"}]
    thinks = {**MANAGED, "reasoning": {"effort": "medium"}}
    async with client_of(proxy, strict=False) as client:
        match way:
            case "previous_response_id":
                first = await client.responses.create(input=CONVERSATION, **thinks)
                second = await client.responses.create(input=question, previous_response_id=first.id, **thinks)
                final = second.to_dict(mode="json")
            case "items" | "items_since":
                first = await client.responses.create(input=CONVERSATION, store=False, **thinks)
                outputs: Any = [item.to_dict(mode="json") for item in first.output]
                before = CONVERSATION if way == "items" else [RULES]
                second = await client.responses.create(input=[*before, *outputs, *question], store=False, **thinks)
                final = second.to_dict(mode="json")
            case "conversation":
                conversation = await client.conversations.create()
                await client.responses.create(input=CONVERSATION, conversation=conversation.id, **thinks)
                second = await client.responses.create(input=question, conversation=conversation.id, **thinks)
                final = second.to_dict(mode="json")
            case _:
                async with socket_of(proxy) as socket:
                    await create(socket, CONVERSATION, **thinks)
                    by_socket = await receive_response(socket)
                    await create(socket, question, previous_response_id=by_socket["id"], **thinks)
                    final = await receive_response(socket)
    assert types_of(final) == ["message"], "it was compacted again"
    _, answer, later = sent(simulation)
    assert len(later["messages"]) == len(answer["messages"]) + 2
    assert json.dumps(later["messages"]).count("What was it about?") == 1
    assert "A story." not in json.dumps(later["messages"])
    # The thinking of the answer is bound to what came before it, which is the same.
    assert thinking_in(later) == 1


async def test_a_tool_loop_is_compacted_with_its_results(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    items = [
        *CONVERSATION,
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "4 degrees"},
    ]
    async with client_of(proxy) as client:
        response = await client.responses.create(input=items, tools=[WEATHER], tool_choice="none", **MANAGED)
    assert types_of(response.to_dict(mode="json")) == ["compaction", "message"]
    summary, answer = sent(simulation)
    assert "4 degrees" in json.dumps(summary["messages"])
    assert len(answer["messages"]) == 1
    assert [tool["name"] for tool in answer["tools"]] == ["get_weather"]


def answered_with(status: int, body: dict[str, Any]) -> bytes:
    encoded = json.dumps(body).encode()
    return b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n\r\n%b" % (status, len(encoded), encoded)


def error(status: int, kind: str) -> bytes:
    return answered_with(status, {"type": "error", "error": {"type": kind, "message": "No."}})


REFUSAL = (
    EVENTS_HEAD
    + message_start()
    + event({"type": "content_block_stop", "index": 0})
    + event({"type": "message_delta", "delta": {"stop_reason": "refusal"}, "usage": {"output_tokens": 1}})
    + event({"type": "message_stop"})
    + b"0\r\n\r\n"
)
COUNT = answered_with(200, {"input_tokens": 9000})
ANSWER = whole_answer("An answer.")


@contextlib.asynccontextmanager
async def claude_says(
    start_proxy: ProxyStarter, count: bytes, summary: bytes
) -> AsyncIterator[tuple[RunningProxy, RawUpstream]]:
    """Run a proxy whose Claude counts so, and answers the first question so; the others it answers."""
    answers = [summary]

    async def say(call: Call) -> None:
        if b"/count_tokens" in call.head:
            await call.send(count)
        else:
            await call.send(answers.pop() if answers else ANSWER)

    async with raw_upstream(say) as upstream:
        settings = settings_with_store(upstream.base_url, ":memory:")
        async with start_proxy(REVERSE, settings=settings) as proxy:
            yield proxy, upstream


@pytest.mark.parametrize(
    ("count", "first", "calls"),
    [
        (COUNT, REFUSAL, 3),
        (COUNT, error(400, "invalid_request_error"), 3),
        (error(429, "rate_limit_error"), ANSWER, 2),
    ],
    ids=["refusal", "error", "no_count"],
)
async def test_what_claude_does_not_summarise_or_count_is_answered_as_it_is(
    start_proxy: ProxyStarter, count: bytes, first: bytes, calls: int
) -> None:
    async with claude_says(start_proxy, count, first) as (proxy, upstream), client_of(proxy) as client:
        with capture_logs() as logs:
            response = await client.responses.create(input=CONVERSATION, **MANAGED)
        assert types_of(response.to_dict(mode="json")) == ["message"]
        assert response.output_text == "An answer."
        assert len(upstream.calls) == calls
        assert b"A story." in upstream.calls[-1].body
    [line] = [entry for entry in logs if entry["event"] == "exchange"]
    assert line["warnings"] == ["context_management=degraded"]


async def test_a_failure_while_it_is_compacted_is_one_of_the_response(start_proxy: ProxyStarter) -> None:
    overloaded = error(529, "overloaded_error")
    async with claude_says(start_proxy, COUNT, overloaded) as (proxy, upstream), http_of(proxy) as http:
        body = {**MANAGED, "input": CONVERSATION, "stream": True}
        failed = check_stream(parse_events((await http.post("/v1/responses", json=body)).text))
        assert failed["error"]["code"] == "server_is_overloaded"
        assert len(upstream.calls) == 2


@pytest.mark.parametrize(
    ("entry", "param"),
    [({"type": "compaction", "compact_threshold": 999}, "compact_threshold"), ({"type": "clearing"}, "type")],
)
async def test_what_no_compaction_is_is_refused(proxy: RunningProxy, entry: Any, param: str) -> None:
    async with client_of(proxy) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(input="Hi", model="gpt-5", context_management=[entry])
        assert refused.value.param == f"context_management[0].{param}"

"""Message Batches with the official SDK: limits, processing, results, cancelling, errors."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import anthropic
import pytest
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
from pydantic import TypeAdapter

from addon.simulated_claude.server import RunningSimulation, SimulationSettings, start

BATCH = TypeAdapter[Any](MessageBatch)
RESULT = TypeAdapter[Any](MessageBatchIndividualResponse)


def request(custom_id: str, words: str = "hi", **changes: Any) -> dict[str, Any]:
    params = {"model": "claude-opus-4-8", "max_tokens": 99, "messages": [{"role": "user", "content": words}]}
    return {"custom_id": custom_id, "params": {**params, **changes}}


async def ended(client: anthropic.AsyncAnthropic, batch_id: str) -> MessageBatch:
    async with asyncio.timeout(60):
        while (batch := await client.messages.batches.retrieve(batch_id)).processing_status != "ended":
            await asyncio.sleep(0.01)
    return batch


async def results_of(client: anthropic.AsyncAnthropic, batch_id: str) -> dict[str, Any]:
    return {line.custom_id: line.result async for line in await client.messages.batches.results(batch_id)}


@pytest.fixture
async def slow() -> AsyncIterator[RunningSimulation]:
    """A simulated Claude that takes a while for a batch."""
    running = await start(settings=SimulationSettings(batch_delay=30))
    yield running
    await running.close()


@pytest.fixture
async def slow_client(slow: RunningSimulation) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="sk-test", base_url=slow.base_url, max_retries=0) as made:
        yield made


async def test_a_batch_is_processed_and_its_results_come_in_another_order(client, http):
    made = await client.messages.batches.create(requests=[request("one"), request("two"), request("three")])
    assert (made.processing_status, made.request_counts.processing, made.results_url) == ("in_progress", 3, None)
    batch = await ended(client, made.id)
    assert (batch.request_counts.succeeded, batch.request_counts.processing) == (3, 0)
    assert batch.expires_at > batch.ended_at >= batch.created_at
    async with http.get(f"/v1/messages/batches/{made.id}") as response:
        BATCH.validate_python(await response.json(), strict=False)
    async with http.get(f"/v1/messages/batches/{made.id}/results") as response:
        lines = (await response.text()).splitlines()
    assert [RESULT.validate_json(line).custom_id for line in lines] == ["three", "two", "one"]
    assert json.loads(lines[0])["result"]["message"]["usage"]["service_tier"] == "batch"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": "none"}, "messages: Input should be a valid list"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages.0.content: Input should be a valid list"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text.text: Field req"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}]}]}, "messages.0.content.0.text.text"),
        ({"model": "claude-none"}, "model: claude-none"),
        ({"stream": True}, "stream"),
        ({"speed": "fast"}, "speed"),
        ({"fallbacks": ["x"]}, "fallbacks"),
        ({"temperature": 0.2}, "temperature: Extra inputs are not permitted"),
    ],
    ids=[
        *("max_tokens", "prewarm", "no_messages", "no_list", "no_content", "no_block", "no_text", "text", "model"),
        *("stream", "fast", "fallbacks", "temperature"),
    ],
)
async def test_wrong_parameters_are_an_errored_result_and_not_an_error_at_creation(client, changes, said):
    made = await client.messages.batches.create(requests=[request("good"), request("bad", **changes)])
    batch = await ended(client, made.id)
    assert (batch.request_counts.succeeded, batch.request_counts.errored) == (1, 1)
    results = await results_of(client, made.id)
    assert results["good"].type == "succeeded"
    assert said in results["bad"].error.error.message


async def test_a_fault_in_an_answer_that_has_begun_cuts_it(simulation, client, http):
    made = await client.messages.batches.create(requests=[request("one"), request("two")])
    await ended(client, made.id)
    simulation.simulation.batches.find(made.id)._results[0] = object()
    async with http.get(f"/v1/messages/batches/{made.id}/results") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_fault_of_its_own_is_an_errored_result_and_holds_no_batch_up(simulation, client):
    simulation.simulation.answer = None
    made = await client.messages.batches.create(requests=[request("one")])
    await ended(client, made.id)
    assert (await results_of(client, made.id))["one"].error.error.type == "api_error"


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ([], "requests: List should have at least 1 item"),
        ([request("a b")], "requests.0.custom_id: String should match pattern"),
        ([request("a" * 65)], "requests.0.custom_id: String should match pattern"),
        ([request("a"), request("a")], "requests.1.custom_id"),
        ([{"custom_id": "a"}], "requests.0.params: Field required"),
        ([{**request("a"), "method": "POST"}], "requests.0.method: Extra inputs are not permitted"),
    ],
    ids=["none", "alphabet", "length", "twice", "no_params", "extra"],
)
async def test_a_wrong_batch_is_refused(client, requests, said):
    with pytest.raises(anthropic.BadRequestError, match=said):
        await client.messages.batches.create(requests=requests)


async def test_more_requests_than_the_limit_are_refused(http):
    requests = [{"custom_id": str(number), "params": {}} for number in range(100_001)]
    body = io.BytesIO(json.dumps({"requests": requests}).encode())
    async with http.post("/v1/messages/batches", data=body) as response:
        assert response.status == 400
        assert "at most 100000 items" in (await response.json())["error"]["message"]


async def test_a_message_is_no_larger_than_before(http):
    async with http.post("/v1/messages", data=io.BytesIO(b" " * (32 * 1024 * 1024 + 1))) as response:
        assert response.status == 413


async def test_scripts_decide_what_becomes_of_a_request(client):
    refused = '[[simulate: {"status": 529, "error": {"type": "overloaded_error", "message": "Overloaded"}}]]'
    made = await client.messages.batches.create(
        requests=[
            request("errored", refused),
            request("expired", '[[simulate: {"batch_result": "expired"}]]'),
            request("said", '[[simulate: {"text": "As you wish."}]]'),
        ]
    )
    await ended(client, made.id)
    results = await results_of(client, made.id)
    assert results["errored"].error.error.type == "overloaded_error"
    assert results["expired"].type == "expired"
    assert results["said"].message.content[0].text == "As you wish."


async def test_a_batch_is_cancelled_before_its_requests_are_processed(slow_client):
    batches = slow_client.messages.batches
    made = await batches.create(requests=[request("one"), request("two")])
    with pytest.raises(anthropic.BadRequestError, match="finished processing"):
        await batches.delete(made.id)
    cancelled = await batches.cancel(made.id)
    assert cancelled.processing_status == "canceling"
    assert cancelled.cancel_initiated_at is not None
    batch = await ended(slow_client, made.id)
    assert batch.request_counts.canceled == 2
    assert {result.type for result in (await results_of(slow_client, made.id)).values()} == {"canceled"}
    with pytest.raises(anthropic.BadRequestError, match="already ended"):
        await batches.cancel(made.id)


async def test_batches_are_listed_newest_first_in_pages_and_deleted(client):
    batches = client.messages.batches
    made = [(await batches.create(requests=[request("one")])).id for _ in range(3)]
    assert [batch.id async for batch in batches.list(limit=2)] == made[::-1]
    page = await batches.list(before_id=made[0], limit=1)
    assert [batch.id for batch in page.data] == [made[1]]
    await ended(client, made[0])
    assert (await batches.delete(made[0])).id == made[0]
    assert [batch.id async for batch in batches.list()] == made[:0:-1]
    for attempt in (batches.retrieve, batches.cancel, batches.delete, batches.results):
        with pytest.raises(anthropic.NotFoundError):
            await attempt(made[0])

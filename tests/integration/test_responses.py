"""POST /v1/responses with the stock client: whole and streamed, in both ways in, and what is kept of it."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.responses_api import (
    REGULAR,
    REVERSE,
    WEATHER,
    blocking_client_of,
    check,
    client_of,
    http_of,
    parse_events,
    results_of,
    settings_with_store,
    thinking_in,
    without_marks,
)
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.translators.responses.checker import check_stream


@pytest.fixture
async def proxy(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> AsyncIterator[RunningProxy]:
    settings = settings_with_store(simulation.base_url, tmp_path / "state" / "store.sqlite3")
    async with start_proxy(REVERSE, REGULAR, settings=settings) as running:
        yield running


def sent(simulation: RunningSimulation) -> list[dict[str, Any]]:
    return [entry.body for entry in simulation.journal if entry.path == "/v1/messages"]


@pytest.mark.parametrize("way", ["base_url", "https_proxy"])
async def test_a_response_comes_whole_and_is_there_again(proxy: RunningProxy, way: str) -> None:
    async with client_of(proxy, way=way) as client:
        made = await client.responses.create(model="gpt-5", input="Hello.", metadata={"job": "1"})
        assert made.status == "completed"
        assert made.output_text
        assert made.model == "gpt-5"
        assert made.usage is not None
        assert made.usage.input_tokens > 0
        again = await client.responses.retrieve(made.id)
        assert again.to_dict() == made.to_dict()


@pytest.mark.parametrize("way", ["base_url", "https_proxy"])
async def test_the_blocking_client_gets_the_same(proxy: RunningProxy, way: str) -> None:
    def ask() -> tuple[Any, list[Any]]:
        with blocking_client_of(proxy, way=way) as client:
            whole = client.responses.create(model="gpt-5", input="Hello.")
            with client.responses.create(model="gpt-5", input="Hello.", stream=True) as stream:
                return whole, list(stream)

    whole, events = await asyncio.to_thread(ask)
    final = check(events)
    assert final["status"] == whole.status == "completed"
    assert final["output"][-1]["content"] == whole.to_dict()["output"][-1]["content"]


@pytest.mark.parametrize("way", ["base_url", "https_proxy"])
async def test_a_stream_is_well_formed_and_what_it_ends_with_is_stored(proxy: RunningProxy, way: str) -> None:
    async with client_of(proxy, way=way) as client:
        stream = await client.responses.create(
            model="gpt-5", input="Hello.", stream=True, reasoning={"summary": "auto", "effort": "medium"}
        )
        final = check([event async for event in stream])
        again = await client.responses.retrieve(final["id"])
        assert again.to_dict(mode="json") == final


async def test_the_stream_helper_of_the_sdk_takes_the_stream(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        async with client.responses.stream(model="gpt-5", input="Hello.", tools=[WEATHER]) as stream:
            async for _ in stream:
                pass
            final = await stream.get_final_response()
        assert [item.type for item in final.output][-1] == "function_call"


class City(BaseModel):
    name: str
    country: str


async def test_structured_output_is_parsed(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        parsed = await client.responses.parse(model="gpt-5", input="A city.", text_format=City)
        assert isinstance(parsed.output_parsed, City)


def goes_on_with_all_thinking(simulation: RunningSimulation) -> bool:
    """Say whether each request began with the one before it, and gave back the thinking of every answer between."""
    bodies = [without_marks(body) for body in sent(simulation)]
    for shorter, longer in pairwise(bodies):
        assert longer["messages"][: len(shorter["messages"])] == shorter["messages"]
        assert longer["tools"] == shorter["tools"]
    return [thinking_in(body) for body in bodies] == list(range(len(bodies)))


async def test_four_turns_with_tools_by_the_id_of_the_previous_response(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        response = await client.responses.create(model="gpt-5", input="Weather in Oslo?", tools=[WEATHER])
        for _ in range(3):
            response = await client.responses.create(
                model="gpt-5", previous_response_id=response.id, input=results_of(response), tools=[WEATHER]
            )
    assert goes_on_with_all_thinking(simulation)


async def test_four_turns_with_tools_by_references_to_items(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    """As the AI SDK does: `store` left open, and every earlier item by its id."""
    async with client_of(proxy) as client:
        items: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
        for _ in range(4):
            response = await client.responses.create(model="gpt-5", input=items, tools=[WEATHER])
            references = [{"type": "item_reference", "id": item.id} for item in response.output]
            items += [*references, *results_of(response)]
    assert goes_on_with_all_thinking(simulation)


async def test_four_turns_with_tools_and_encrypted_content_need_no_store(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    """As Codex and opencode do. There is no folder where a store could be.

    Others asked the store for the reasoning items of such a client: opencode#7724.
    """
    (tmp_path / "file").write_text("")
    store = {"path": str(tmp_path / "file" / "store.sqlite3"), "secret": "of the test"}
    settings = load_settings({"claude": {"api_key": "sk-ant-test", "base_url": simulation.base_url}, "store": store})
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        items: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
        for _ in range(4):
            response = await client.responses.create(
                model="gpt-5", input=items, tools=[WEATHER], store=False, include=["reasoning.encrypted_content"]
            )
            items += [item.to_dict(mode="json") for item in response.output] + results_of(response)
    assert goes_on_with_all_thinking(simulation)


async def test_what_is_not_to_be_stored_is_not_there(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await client.responses.create(model="gpt-5", input="Hello.", store=False)
        with pytest.raises(openai.NotFoundError) as failure:
            await client.responses.retrieve(made.id)
        assert failure.value.body == {
            "message": f"Response with id '{made.id}' not found.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }
        reference: Any = {"type": "item_reference", "id": made.output[0].id}
        with pytest.raises(openai.NotFoundError) as failure:
            await client.responses.create(model="gpt-5", input=[reference])
        assert failure.value.param == "input"
        assert "Items are not persisted when `store` is set to false." in failure.value.message


async def test_an_unknown_previous_response_is_refused_in_openais_words(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        with pytest.raises(openai.BadRequestError) as failure:
            await client.responses.create(model="gpt-5", input="Hello.", previous_response_id="resp_gone")
        assert failure.value.body == {
            "message": "Previous response with id 'resp_gone' not found.",
            "type": "invalid_request_error",
            "param": "previous_response_id",
            "code": "previous_response_not_found",
        }


async def test_instructions_are_not_carried_over(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        first = await client.responses.create(model="gpt-5", input="Hello.", instructions="Speak like a pirate.")
        await client.responses.create(model="gpt-5", input="And now?", previous_response_id=first.id)
    first_body, second_body = sent(simulation)
    assert "pirate" in str(first_body["system"])
    assert "pirate" not in str(second_body)


async def test_nothing_of_one_client_is_found_by_another(proxy: RunningProxy) -> None:
    async with client_of(proxy) as one, client_of(proxy, "sk-two") as two:
        made = await one.responses.create(model="gpt-5", input="My secret.")
        reference: Any = {"type": "item_reference", "id": made.output[-1].id}
        with pytest.raises(openai.NotFoundError):
            await two.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            await two.responses.input_items.list(made.id)
        with pytest.raises(openai.NotFoundError):
            await two.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await two.responses.cancel(made.id)
        with pytest.raises(openai.BadRequestError):
            await two.responses.create(model="gpt-5", input="And?", previous_response_id=made.id)
        with pytest.raises(openai.NotFoundError):
            await two.responses.create(model="gpt-5", input=[reference])
        assert (await one.responses.retrieve(made.id)).id == made.id


async def test_what_is_deleted_is_gone(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await client.responses.create(model="gpt-5", input="Hello.")
        await client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.delete(made.id)
        reference: Any = {"type": "item_reference", "id": made.output[-1].id}
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(model="gpt-5", input=[reference])


async def test_the_items_of_the_input_are_listed_in_pages(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        given: list[Any] = [{"role": "user", "content": f"Number {number}."} for number in range(5)]
        made = await client.responses.create(model="gpt-5", input=given)
        newest_first = await client.responses.input_items.list(made.id)
        texts = [item.content[0].text for item in newest_first.data]
        assert texts == [f"Number {number}." for number in (4, 3, 2, 1, 0)]
        page = await client.responses.input_items.list(made.id, limit=2, order="asc")
        assert page.has_more
        following = [item async for item in page]
        assert [item.id for item in following] == [item.id for item in reversed(newest_first.data)]
        with pytest.raises(openai.BadRequestError) as failure:
            await client.responses.input_items.list(made.id, limit=101)
        assert failure.value.param == "limit"


async def test_only_background_responses_can_be_cancelled_or_followed(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await client.responses.create(model="gpt-5", input="Hello.")
        with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
            await client.responses.cancel(made.id)
        with pytest.raises(openai.BadRequestError) as failure:
            await client.responses.retrieve(made.id, stream=True)
        assert failure.value.param == "stream"


async def test_an_error_before_the_first_event_is_plain(proxy: RunningProxy) -> None:
    script = '[[simulate: {"status": 529, "error": {"message": "Overloaded"}}]]'
    async with client_of(proxy) as client:
        for stream in (False, True):
            with pytest.raises(openai.APIStatusError) as failure:
                await client.responses.create(model="gpt-5", input=f"Hello. {script}", stream=stream)
            assert failure.value.status_code == 503
            assert failure.value.code == "server_is_overloaded"


async def test_an_error_in_the_stream_is_told_twice_and_the_failed_response_is_kept(proxy: RunningProxy) -> None:
    script = '[[simulate: {"text": "one two three", "error_after_events": 4, "error": {"type": "overloaded_error"}}]]'
    body = {"model": "gpt-5", "input": f"Hello. {script}", "stream": True}
    # The SDK's type has fewer codes than are on the wire.
    async with http_of(proxy) as http, client_of(proxy, strict=False) as client:
        response = await http.post("/v1/responses", json=body)
        assert response.status_code == 200
        events = parse_events(response.text)
        final = check_stream(events)
        assert events[-2]["error"]["code"] == "server_is_overloaded"
        assert final["status"] == "failed"
        kept = await client.responses.retrieve(final["id"])
        assert kept.status == "failed"
        with pytest.raises(openai.APIError):
            async for _ in await client.responses.create(**body):
                pass


async def test_a_whole_response_that_breaks_off_is_a_plain_error(proxy: RunningProxy) -> None:
    script = '[[simulate: {"text": "one two three", "error_after_events": 4, "error": {"type": "overloaded_error"}}]]'
    async with client_of(proxy) as client:
        with pytest.raises(openai.APIStatusError) as failure:
            await client.responses.create(model="gpt-5", input=f"Hello. {script}")
        assert failure.value.status_code == 503


@pytest.mark.parametrize("path", ["/openai/v1/responses", "/api/v1/responses", "/openai/responses", "/responses"])
async def test_every_prefix_is_served(proxy: RunningProxy, path: str) -> None:
    async with http_of(proxy) as http:
        made = (await http.post(path, json={"model": "gpt-5", "input": "hi"})).json()
        assert (await http.get(f"{path}/{made['id']}")).json() == made


async def test_input_tokens_are_those_of_the_answer(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        request: dict[str, Any] = {"model": "gpt-5", "input": "Weather in Oslo?", "tools": [WEATHER]}
        counted = await client.responses.input_tokens.count(**request)
        made = await client.responses.create(**request)
        assert made.usage is not None
        assert counted.input_tokens == made.usage.input_tokens


async def test_a_compacted_conversation_goes_on_from_its_summary(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    # The SDK has no messages of the user in its type of the output, which the documentation has.
    async with client_of(proxy, strict=False) as client:
        given: list[Any] = [
            {"role": "user", "content": "My name is Ada."},
            {"role": "assistant", "content": "Hello Ada."},
            {"role": "user", "content": "What is my name?"},
        ]
        compacted = await client.responses.compact(model="gpt-5", input=given)
        assert [item.type for item in compacted.output] == ["message", "message", "compaction"]
        summary: Any = [item.to_dict(mode="json", warnings=False) for item in compacted.output]
        await client.responses.create(model="gpt-5", input=[*summary, {"role": "user", "content": "And now?"}])
    texts = str(sent(simulation)[-1]["messages"])
    assert "summary of the conversation" in texts
    assert "Hello Ada." not in texts


async def test_the_turn_after_a_compaction_in_a_chain_has_the_summary_alone(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        first = await client.responses.create(model="gpt-5", input="A very long story.")
        trigger: Any = [{"type": "compaction_trigger"}]
        second = await client.responses.create(model="gpt-5", input=trigger, previous_response_id=first.id)
        assert [item.type for item in second.output] == ["compaction"]
        await client.responses.create(model="gpt-5", input="Go on.", previous_response_id=second.id)
    texts = str(sent(simulation)[-1]["messages"])
    assert "A very long story." not in texts
    assert "summary of the conversation" in texts

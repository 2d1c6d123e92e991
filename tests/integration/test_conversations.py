"""/v1/conversations with the stock client, and responses that belong to one."""

import asyncio
from typing import Any

import openai
import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.integration.responses_api import (
    WEATHER,
    check,
    client_of,
    http_of,
    results_of,
    thinking_in,
)
from tests.integration.running_proxy import RunningProxy


def message(text: str) -> Any:
    return {"type": "message", "role": "user", "content": text}


async def test_a_conversation_is_made_changed_and_deleted(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await client.conversations.create(metadata={"topic": "weather"})
        assert made.id.startswith("conv_")
        assert made.metadata == {"topic": "weather"}
        assert await client.conversations.retrieve(made.id) == made
        changed = await client.conversations.update(made.id, metadata={"topic": "news"})
        assert changed.metadata == {"topic": "news"}
        assert await client.conversations.retrieve(made.id) == changed
        deleted = await client.conversations.delete(made.id)
        assert deleted.deleted
        with pytest.raises(openai.NotFoundError, match="Conversation with id"):
            await client.conversations.retrieve(made.id)


async def test_items_are_added_listed_and_deleted(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await client.conversations.create(items=[message("one"), message("two")])
        added = await client.conversations.items.create(made.id, items=[message("three")])
        assert len(added.data) == 1
        listed = await client.conversations.items.list(made.id, order="asc", limit=2)
        items = [item async for item in listed]
        texts = [item.content[0].text for item in items]
        assert texts == ["one", "two", "three"]
        assert items[2].id == added.data[0].id
        assert (await client.conversations.items.retrieve(items[1].id, conversation_id=made.id)).id == items[1].id
        assert (await client.conversations.items.delete(items[1].id, conversation_id=made.id)).id == made.id
        with pytest.raises(openai.NotFoundError):
            await client.conversations.items.retrieve(items[1].id, conversation_id=made.id)
        left = [item.id async for item in await client.conversations.items.list(made.id, order="asc")]
        assert left == [items[0].id, items[2].id]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_conversation_grows_by_its_responses(
    proxy: RunningProxy, simulation: RunningSimulation, stream: bool
) -> None:
    async with client_of(proxy) as client:
        conversation = await client.conversations.create(items=[message("My name is Ada.")])
        given: Any = "Weather in Oslo?"
        for _ in range(3):
            if stream:
                made = await client.responses.create(
                    model="gpt-5", input=given, conversation=conversation.id, tools=[WEATHER], stream=True
                )
                final = check([event async for event in made])
                response: Any = await client.responses.retrieve(final["id"])
            else:
                response = await client.responses.create(
                    model="gpt-5", input=given, conversation={"id": conversation.id}, tools=[WEATHER]
                )
            assert response.conversation.id == conversation.id
            given = results_of(response)
        items = [item.type async for item in await client.conversations.items.list(conversation.id, order="asc")]
    assert items[0] == "message"
    assert items.count("function_call") == items.count("function_call_output")
    bodies = [entry.body for entry in simulation.journal if entry.path == "/v1/messages"]
    assert [thinking_in(body) for body in bodies] == [0, 1, 2]
    assert "Ada" in str(bodies[2]["messages"][0])


async def test_items_of_a_conversation_can_be_referred_to(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        conversation = await client.conversations.create(items=[message("My name is Ada.")])
        (item,) = (await client.conversations.items.list(conversation.id)).data
        reference: Any = {"type": "item_reference", "id": item.id}
        await client.responses.create(model="gpt-5", input=[reference, message("Who am I?")])
    assert "Ada" in str([entry.body for entry in simulation.journal if entry.path == "/v1/messages"][-1])


async def test_a_conversation_and_a_previous_response_exclude_each_other(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        conversation = await client.conversations.create()
        made = await client.responses.create(model="gpt-5", input="Hello.")
        with pytest.raises(openai.BadRequestError) as failure:
            await client.responses.create(
                model="gpt-5", input="Hello.", conversation=conversation.id, previous_response_id=made.id
            )
        assert failure.value.code == "mutually_exclusive_parameters"


async def test_an_unknown_conversation_is_refused(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        with pytest.raises(openai.NotFoundError) as failure:
            await client.responses.create(model="gpt-5", input="Hello.", conversation="conv_gone")
        assert failure.value.body == {
            "message": "Conversation with id 'conv_gone' not found.",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }


async def test_a_failed_response_adds_nothing(proxy: RunningProxy) -> None:
    script = '[[simulate: {"text": "one two three", "error_after_events": 4}]]'
    async with client_of(proxy, strict=False) as client:
        conversation = await client.conversations.create()
        with pytest.raises(openai.APIError):
            async for _ in await client.responses.create(
                model="gpt-5", input=script, conversation=conversation.id, stream=True
            ):
                pass
        assert (await client.conversations.items.list(conversation.id)).data == []


async def test_a_conversation_that_is_deleted_while_it_is_answered_stays_deleted(proxy: RunningProxy) -> None:
    script = '[[simulate: {"text": "one two three", "event_interval": 0.1}]]'
    async with client_of(proxy) as client:
        conversation = await client.conversations.create()
        answering = asyncio.create_task(
            client.responses.create(model="gpt-5", input=script, conversation=conversation.id, store=False)
        )
        await asyncio.sleep(0.3)
        await client.conversations.delete(conversation.id)
        answer = await answering
        assert answer.output_text == "one two three"
        reference: Any = {"type": "item_reference", "id": answer.output[-1].id}
        with pytest.raises(openai.NotFoundError, match="Item with id"):
            await client.responses.create(model="gpt-5", input=[reference, message("What was it?")])


async def test_nothing_of_one_client_is_found_by_another(proxy: RunningProxy) -> None:
    async with client_of(proxy) as one, client_of(proxy, "sk-two") as two:
        conversation = await one.conversations.create(items=[message("My secret.")])
        (item,) = (await one.conversations.items.list(conversation.id)).data
        reference: Any = {"type": "item_reference", "id": item.id}
        refused = [
            lambda: two.conversations.retrieve(conversation.id),
            lambda: two.conversations.update(conversation.id, metadata={}),
            lambda: two.conversations.delete(conversation.id),
            lambda: two.conversations.items.list(conversation.id),
            lambda: two.conversations.items.create(conversation.id, items=[message("x")]),
            lambda: two.conversations.items.retrieve(item.id, conversation_id=conversation.id),
            lambda: two.conversations.items.delete(item.id, conversation_id=conversation.id),
            lambda: two.responses.create(model="gpt-5", input="And?", conversation=conversation.id),
            lambda: two.responses.create(model="gpt-5", input=[reference]),
        ]
        for ask in refused:
            with pytest.raises(openai.NotFoundError):
                await ask()


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/conversations", {"items": "text"}, "items"),
        ("/v1/conversations", {"metadata": {"a": 1}}, "metadata"),
        ("/v1/conversations", {"items": [{"type": "message", "role": "nobody", "content": "x"}]}, "items[0].role"),
        ("/v1/conversations/conv_x/items", {}, "items"),
        ("/v1/conversations/conv_x", {}, "metadata"),
    ],
)
async def test_a_wrong_body_is_refused_by_the_place(
    proxy: RunningProxy, path: str, body: dict[str, Any], param: str
) -> None:
    async with http_of(proxy) as http:
        refused = await http.post(path, json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"].startswith(param)

"""/v1/chat/completions/{id} with the stock client: completions that are kept because `store` was asked."""

from pathlib import Path
from typing import Any

import openai
import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.integration.responses_api import REVERSE, client_of, http_of, settings_with_store
from tests.integration.running_proxy import ProxyStarter, RunningProxy

HI: Any = [{"role": "user", "content": "Hi"}]


async def test_a_stored_completion_is_got_changed_and_deleted(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await client.chat.completions.create(model="gpt-4o", messages=HI, store=True, metadata={"a": "1"})
        kept = await client.chat.completions.retrieve(made.id)
        assert kept.choices == made.choices
        assert (kept.usage, kept.metadata, kept.model) == (made.usage, {"a": "1"}, "gpt-4o")
        assert kept.to_dict()["request_id"] == made._request_id
        changed = await client.chat.completions.update(made.id, metadata={"b": "2"})
        assert changed.metadata == {"b": "2"}
        assert await client.chat.completions.retrieve(made.id) == changed
        deleted = await client.chat.completions.delete(made.id)
        assert (deleted.id, deleted.deleted) == (made.id, True)
        for gone in (client.chat.completions.retrieve, client.chat.completions.delete):
            with pytest.raises(openai.NotFoundError):
                await gone(made.id)


async def test_a_streamed_completion_is_stored_before_its_end_is_known(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=HI, store=True, n=2, stream=True)
        texts = {0: "", 1: ""}
        async for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
        kept = await client.chat.completions.retrieve(chunk.id)
        assert {choice.index: choice.message.content for choice in kept.choices} == texts
        assert kept.usage is not None


async def test_without_store_nothing_is_kept(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await client.chat.completions.create(model="gpt-4o", messages=HI, metadata={"a": "1"})
        with pytest.raises(openai.NotFoundError, match=made.id):
            await client.chat.completions.retrieve(made.id)
        assert [kept async for kept in client.chat.completions.list()] == []


async def test_completions_are_listed_oldest_first_and_filtered(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = [
            await client.chat.completions.create(
                model=model, messages=HI, store=True, metadata={"number": str(number), "all": "yes"}
            )
            for number, model in enumerate(["gpt-4o", "gpt-5.5", "gpt-4o"])
        ]
        ids = [completion.id for completion in made]
        assert [kept.id async for kept in client.chat.completions.list()] == ids
        assert [kept.id async for kept in client.chat.completions.list(limit=1)] == ids
        assert [kept.id async for kept in client.chat.completions.list(order="desc", limit=2)] == ids[::-1]
        assert [kept.id async for kept in client.chat.completions.list(model="gpt-5.5")] == [ids[1]]
        by_metadata = client.chat.completions.list(metadata={"number": "2", "all": "yes"})
        assert [kept.id async for kept in by_metadata] == [ids[2]]
        page = await client.chat.completions.list(after=ids[0], limit=1)
        assert ([kept.id for kept in page.data], page.has_more) == ([ids[1]], True)
        for wrong in ({"limit": 0}, {"order": "up"}):
            with pytest.raises(openai.BadRequestError):
                await client.chat.completions.list(**wrong)


async def test_the_messages_of_a_stored_completion_are_listed(proxy: RunningProxy) -> None:
    asked: Any = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
    ]
    async with client_of(proxy, strict=False) as client:  # the package knows messages of the assistant alone
        made = await client.chat.completions.create(model="gpt-4o", messages=asked, store=True)
        listed = [message async for message in client.chat.completions.messages.list(made.id, limit=1)]
        assert [(message.id, message.content) for message in listed] == [
            (f"{made.id}-0", "Be brief"),
            (f"{made.id}-1", None),
        ]
        assert listed[1].content_parts is not None
        assert listed[1].content_parts[0].to_dict()["text"] == "a"
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.messages.list("chatcmpl-none")


async def test_nothing_of_one_key_is_found_with_another(proxy: RunningProxy) -> None:
    async with client_of(proxy) as one, client_of(proxy, "sk-two") as two:
        made = await one.chat.completions.create(model="gpt-4o", messages=HI, store=True)
        for attempt in (
            two.chat.completions.retrieve(made.id),
            two.chat.completions.update(made.id, metadata={}),
            two.chat.completions.delete(made.id),
        ):
            with pytest.raises(openai.NotFoundError):
                await attempt
        assert [kept async for kept in two.chat.completions.list()] == []
        assert (await one.chat.completions.retrieve(made.id)).id == made.id


@pytest.mark.parametrize("body", [b"{}", b"[", b'{"metadata": 1}', b'{"metadata": {"a": 1}}'])
async def test_an_update_that_is_none_is_a_400(proxy: RunningProxy, body: bytes) -> None:
    async with http_of(proxy) as client:
        answer = await client.post("/v1/chat/completions/chatcmpl-1", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_an_answer_is_given_though_it_cannot_be_stored(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    settings = settings_with_store(simulation.base_url, tmp_path)  # a folder is no file
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        made = await client.chat.completions.create(model="gpt-4o", messages=HI, store=True)
        assert made.choices[0].message.content
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.retrieve(made.id)
        assert caught.value.status_code == 503

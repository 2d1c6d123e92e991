"""Stored responses and conversations, and where their items are found again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from addon.responses.conversation_records import ConversationRecords
from addon.responses.item_places import renewal_of
from addon.responses.records import ResponseRecords
from addon.storage.sqlite_store import IN_MEMORY, SqliteStore
from addon.storage.store import Key, Store

ITEM: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "user", "content": [], "status": "completed"}


type Jump = Callable[[float], None]


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    opened = SqliteStore(IN_MEMORY, 3600, 10_000_000)
    yield opened
    await opened.close()


def response(response_id: str, *output: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"id": response_id, "output": output})


async def delete_response(store: Store) -> None:
    records = ResponseRecords(store, "ada")
    await records.save(response("resp_1", ITEM), [])
    await records.delete("resp_1")


async def delete_conversation(store: Store) -> None:
    conversations = ConversationRecords(store, "ada")
    conversation = await conversations.create({})
    await conversations.append(conversation["id"], [ITEM])
    await conversations.delete(conversation["id"])


async def delete_item(store: Store) -> None:
    conversations = ConversationRecords(store, "ada")
    conversation = await conversations.create({})
    await conversations.append(conversation["id"], [ITEM])
    await conversations.delete_item(conversation["id"], ITEM["id"])


@pytest.mark.parametrize("delete", [delete_response, delete_conversation, delete_item])
async def test_an_item_that_is_sent_again_after_its_deletion_is_found(
    store: Store, delete: Callable[[Store], Awaitable[None]]
) -> None:
    await delete(store)
    assert await ResponseRecords(store, "ada").find_items(["msg_1"]) == {}
    await ResponseRecords(store, "ada").save(response("resp_2"), [ITEM])
    assert await ResponseRecords(store, "ada").find_items(["msg_1"]) == {"msg_1": ITEM}


async def test_an_item_is_found_where_it_was_last_when_what_held_it_before_is_deleted(store: Store) -> None:
    records, conversations = ResponseRecords(store, "ada"), ConversationRecords(store, "ada")
    await records.save(response("resp_1"), [ITEM])
    await conversations.append((await conversations.create({}))["id"], [ITEM])
    await records.delete("resp_1")
    assert await records.find_items(["msg_1"]) == {"msg_1": ITEM}


async def test_what_holds_an_item_that_is_sent_again_is_kept_as_long_as_its_place(store: Store, jump: Jump) -> None:
    records, key = ResponseRecords(store, "ada"), Key("response", "ada", "resp_1")
    await records.save(response("resp_1", ITEM), [])
    await store.save(await store.load([key]), 30)
    await records.save(response("resp_2"), [ITEM])
    jump(40)
    assert await ResponseRecords(store, "ada").find_items(["msg_1"]) == {"msg_1": ITEM}


OLD, NEW = {**ITEM, "id": "msg_old"}, {**ITEM, "id": "msg_new"}


async def add_to(store: Store, conversation_id: str) -> None:
    await ConversationRecords(store, "ada").append(conversation_id, [{**ITEM, "id": "msg_newer"}])


async def change(store: Store, conversation_id: str) -> None:
    await ConversationRecords(store, "ada").update(conversation_id, {"about": "all"})


async def refer_to_an_item_of(store: Store, _conversation_id: str) -> None:
    records = ResponseRecords(store, "ada")
    await records.find_items(["msg_new"])
    await records.save(response("resp_1"), [{**ITEM, "id": "msg_other"}])


async def send_an_item_again_of(store: Store, _conversation_id: str) -> None:
    await ResponseRecords(store, "ada").save(response("resp_1"), [NEW])


@pytest.mark.parametrize("use", [add_to, change, refer_to_an_item_of, send_an_item_again_of])
async def test_items_are_found_for_as_long_as_their_conversation_is_renewed(
    store: Store, use: Callable[[Store, str], Awaitable[None]], jump: Jump
) -> None:
    conversations = ConversationRecords(store, "ada")
    conversation_id = (await conversations.create({}))["id"]
    await conversations.append(conversation_id, [OLD, NEW])
    aged = [Key("conversation", "ada", conversation_id), Key("item", "ada", "msg_old"), Key("item", "ada", "msg_new")]
    await store.save(await store.load(aged), 30)
    await store.delete([renewal_of("ada", conversation_id)])
    await use(store, conversation_id)
    jump(40)
    for item in (OLD, NEW):
        assert await ResponseRecords(store, "ada").find_items([item["id"]]) == {item["id"]: item}
    assert await conversations.load(conversation_id)


async def test_a_place_elsewhere_is_not_renewed_with_a_conversation(store: Store, jump: Jump) -> None:
    records, conversations = ResponseRecords(store, "ada"), ConversationRecords(store, "ada")
    conversation_id = (await conversations.create({}))["id"]
    await conversations.append(conversation_id, [OLD])
    await records.save(response("resp_1", OLD), [])
    aged = [Key("item", "ada", "msg_old"), Key("response", "ada", "resp_1")]
    await store.save(await store.load(aged), 30)
    await store.delete([renewal_of("ada", conversation_id)])
    await conversations.append(conversation_id, [NEW])
    jump(40)
    # A place without what it names would be taken for the item's, when it is sent again.
    assert await store.load(aged) == {}

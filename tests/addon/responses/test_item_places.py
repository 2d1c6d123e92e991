"""How long the items of a conversation are to be found, and what that costs, in every store."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from addon.responses.conversation_records import ConversationRecords
from addon.responses.item_places import load_places
from addon.responses.records import ResponseRecords
from addon.storage.redis_store import RedisStore
from addon.storage.sqlite_store import IN_MEMORY, SqliteStore
from addon.storage.store import Key, Store

type MakeStore = Callable[[float], Store]


class Work(NamedTuple):
    """What a store did."""

    steps: int
    """Instructions of SQLite's virtual machine, of which a row that is looked at takes several; commands of Redis."""
    bytes_sent: int = 0
    """By Redis."""


@pytest.fixture(params=["file", "memory", "redis"])
async def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeStore]:
    made: list[Store] = []
    url = request.getfixturevalue("redis_url") if request.param == "redis" else ""

    def make(lives: float) -> Store:
        path = tmp_path / "store.sqlite3" if request.param == "file" else IN_MEMORY
        made.append(RedisStore(url, lives) if url else SqliteStore(path, lives, 1 << 30))
        return made[-1]

    yield make
    for store in made:
        await store.close()


def message(number: int = 0) -> dict[str, Any]:
    return {"id": f"msg_{uuid.uuid4().hex}_{number:06}", "type": "message", "role": "user", "content": "Hi"}


async def work_of(store: Store, work: Callable[[], Awaitable[Any]]) -> Work:
    if isinstance(store, SqliteStore):
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        assert store._connection is not None
        store._connection.set_progress_handler(count, 1)
        await work()
        store._connection.set_progress_handler(None, 1)
        return Work(steps)
    assert isinstance(store, RedisStore)
    before = await store._redis.info("stats")
    await work()
    after = await store._redis.info("stats")
    names = "total_commands_processed", "total_net_output_bytes"
    return Work(*(after[name] - before[name] for name in names))


async def end_of(store: Store, key: Key) -> float:
    """When a value will be forgotten, on the clock of its store."""
    if isinstance(store, SqliteStore):
        assert store._connection is not None
        query = "SELECT expires_at FROM entries WHERE kind = ? AND owner = ? AND id = ?"
        return float(store._connection.execute(query, key).fetchone()[0])
    assert isinstance(store, RedisStore)
    return float(await store._redis.pexpiretime(f"claude-proxy:{key.kind}:{key.owner}:{key.id}")) / 1000


async def test_to_add_an_item_costs_the_same_however_many_there_are(make_store: MakeStore) -> None:
    store = make_store(3600)
    conversations = ConversationRecords(store, "ada")

    async def work_of_appending(length: int) -> Work:
        conversation_id = (await conversations.create({}))["id"]
        await conversations.append(conversation_id, [message(number) for number in range(length)])
        return await work_of(store, lambda: conversations.append(conversation_id, [message()]))

    short, long = await work_of_appending(10), await work_of_appending(1000)
    assert short.steps > 0
    assert long.steps < short.steps * 1.2
    # The answer to INFO itself differs by a few digits.
    assert long.bytes_sent < short.bytes_sent + 200


async def test_to_refer_to_an_item_renews_no_others_that_were_renewed_lately(make_store: MakeStore) -> None:
    store = make_store(3600)
    conversations = ConversationRecords(store, "ada")

    async def work_of_answering(length: int) -> Work:
        conversation_id = (await conversations.create({}))["id"]
        items = [message(number) for number in range(length)]
        await conversations.append(conversation_id, items)
        records = ResponseRecords(store, "ada")
        response = b'{"id":"resp_%d","output":[]}' % length
        return await work_of(store, lambda: records.save(response, items[:1]))

    short, long = await work_of_answering(10), await work_of_answering(1000)
    assert long.steps < short.steps * 1.2
    assert long.bytes_sent < short.bytes_sent + 200


async def test_an_old_item_is_found_for_as_long_as_its_conversation_is_used(make_store: MakeStore) -> None:
    lives = 1.5
    store = make_store(lives)
    conversations = ConversationRecords(store, "ada")
    conversation_id, old = (await conversations.create({}))["id"], message()
    await conversations.append(conversation_id, [old])
    end = time.monotonic() + 1.25 * lives
    while time.monotonic() < end:
        await conversations.append(conversation_id, [message()])
        await asyncio.sleep(0.05)
    assert await ResponseRecords(store, "ada").find_items([old["id"]])
    await asyncio.sleep(1.25 * lives)
    assert await ResponseRecords(store, "ada").find_items([old["id"]]) == {}


async def test_no_item_is_forgotten_before_its_conversation_however_long_ago_it_was_renewed(
    make_store: MakeStore,
) -> None:
    lives = 64.0
    store = make_store(lives)
    conversations = ConversationRecords(store, "ada")
    conversation_id, old = (await conversations.create({}))["id"], message()
    await conversations.append(conversation_id, [old])
    ends = set()
    end = time.monotonic() + lives / 25
    while time.monotonic() < end:
        await conversations.append(conversation_id, [message()])
        ends.add(item_end := await end_of(store, Key("item", "ada", old["id"])))
        assert item_end > await end_of(store, Key("conversation", "ada", conversation_id))
        await asyncio.sleep(0.05)
    assert 1 < len(ends) < 5, "renewed, but not with each item"


async def test_an_item_has_no_place_in_a_conversation_that_is_gone(make_store: MakeStore) -> None:
    store = make_store(3600)
    conversations = ConversationRecords(store, "ada")
    conversation_id, item = (await conversations.create({}))["id"], message()
    await conversations.append(conversation_id, [item])
    assert await load_places(store, "ada", [item["id"]])
    await store.delete([Key("conversation", "ada", conversation_id)])
    assert await load_places(store, "ada", [item["id"]]) == {}
    records = ResponseRecords(store, "ada")
    await records.save(b'{"id":"resp_1","output":[]}', [item])
    assert list(await records.find_items([item["id"]])) == [item["id"]]

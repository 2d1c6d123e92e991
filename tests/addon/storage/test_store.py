"""What every store does, on a real SQLite file, in memory, and on a real Redis."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from addon.storage.redis_store import RedisStore
from addon.storage.sqlite_store import IN_MEMORY, SqliteStore
from addon.storage.store import PIECE_BYTES, Key, Store, StoreUnavailableError, scope_of
from tests.reserved_ports import reserved_port

LIVES = 100.0
ONE = Key("response", "owner", "resp_1")
TWO = Key("response", "owner", "resp_2")
LIST = Key("conversation", "owner", "conv_1")


@pytest.fixture(params=["file", "memory", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store
    match request.param:
        case "file":
            made = SqliteStore(tmp_path / "folder" / "store.sqlite3", LIVES, 1 << 24)
        case "memory":
            made = SqliteStore(IN_MEMORY, LIVES, 1 << 24)
        case _:
            made = RedisStore(request.getfixturevalue("redis_url"), LIVES)
            await made.delete([ONE, TWO, LIST])
    yield made
    await made.close()


async def test_values_are_saved_loaded_replaced_and_deleted(store: Store) -> None:
    await store.save({ONE: b"first", TWO: b"second"})
    assert await store.load([ONE, TWO, LIST]) == {ONE: b"first", TWO: b"second"}
    await store.save({ONE: b"new"})
    await store.delete([TWO, LIST])
    assert await store.load([ONE, TWO]) == {ONE: b"new"}
    assert await store.load([]) == {}
    await store.delete([])
    await store.renew([])


@pytest.mark.parametrize("size", [1, PIECE_BYTES, 3 * PIECE_BYTES - 1, 5 << 20], ids=["small", "one", "some", "large"])
async def test_a_value_is_read_in_pieces(store: Store, size: int) -> None:
    value = os.urandom(size)
    await store.save({ONE: b"an earlier value", TWO: b"beside"})
    await store.save({ONE: value})
    start = 0
    while piece := await store.read_piece(ONE, start):
        assert len(piece) <= PIECE_BYTES
        assert piece == value[start : start + len(piece)]
        start += len(piece)
    assert start == size
    assert await store.read_piece(ONE, size // 2) != b""
    assert await store.read_piece(ONE, size + 1) == b""
    assert await store.read_piece(LIST, 0) == b""
    await store.append(LIST, [b"a member"])
    assert await store.read_piece(LIST, 0) == b""
    await store.save({ONE: b"short"})
    assert await store.load([ONE, TWO]) == {ONE: b"short", TWO: b"beside"}
    assert await store.read_piece(ONE, 1) == b"hort"


async def test_a_large_value_is_forgotten_whole(store: Store) -> None:
    for _ in range(2):
        await store.save({ONE: os.urandom(5 << 20)}, 2)
        assert len(await store.read_piece(ONE, 4 << 20)) > 0
        await asyncio.sleep(2.1)
        assert await store.read_piece(ONE, 4 << 20) == b""
        await store.save({ONE: os.urandom(5 << 20)})
        await store.delete([ONE])
        assert await store.read_piece(ONE, 4 << 20) == b""
        assert await store.load([ONE]) == {}


async def test_a_key_is_kind_owner_and_id(store: Store) -> None:
    await store.save({ONE: b"mine"})
    others = [ONE._replace(owner="other"), ONE._replace(kind="item"), ONE._replace(id="resp_")]
    assert await store.load(others) == {}
    await store.delete(others)
    assert await store.load([ONE]) == {ONE: b"mine"}


async def test_lists_grow_and_lose_members(store: Store) -> None:
    await store.append(LIST, [b"a", b"b"])
    await store.append(LIST, [b"c"])
    await store.append(LIST, [])
    assert await store.read_list(LIST) == [b"a", b"b", b"c"]
    assert await store.read_list(LIST, 1) == [b"b", b"c"]
    assert await store.read_list(LIST, 9) == []
    await store.remove(LIST, b"b")
    await store.remove(LIST, b"never there")
    assert await store.read_list(LIST) == [b"a", b"c"]
    assert await store.read_list(LIST._replace(owner="other")) == []


async def test_a_value_and_a_list_of_one_key_are_deleted_together(store: Store) -> None:
    await store.append(LIST, [b"a"])
    assert await store.load([LIST]) == {}
    await store.save({LIST: b"value"})
    assert await store.load([LIST]) == {LIST: b"value"}
    assert await store.read_list(LIST) == [b"a"]
    await store.delete([LIST])
    assert await store.load([LIST]) == {}
    assert await store.read_list(LIST) == []
    await store.append(LIST, [b"b"])
    assert await store.read_list(LIST) == [b"b"]


async def test_values_and_lists_are_forgotten_in_time(store: Store) -> None:
    await store.save({ONE: b"short"}, 0.1)
    await store.append(LIST, [b"short"], 0.1)
    await store.save({TWO: b"long"})
    await asyncio.sleep(0.2)
    assert await store.load([ONE, TWO]) == {TWO: b"long"}
    assert await store.read_list(LIST) == []
    await store.append(LIST, [b"new"])
    assert await store.read_list(LIST) == [b"new"]


async def test_what_is_used_again_is_kept(store: Store) -> None:
    await store.save({ONE: b"value"}, 2)
    await store.append(LIST, [b"a"], 2)
    await store.renew([ONE, LIST, TWO])
    await asyncio.sleep(2.1)
    assert await store.load([ONE, TWO]) == {ONE: b"value"}
    assert await store.read_list(LIST) == [b"a"]


async def test_many_at_once_lose_nothing(store: Store) -> None:
    keys = [Key("response", "owner", f"many_{number}") for number in range(50)]
    await asyncio.gather(
        *(store.save({key: key.id.encode()}) for key in keys),
        *(store.append(LIST, [key.id.encode()]) for key in keys),
    )
    assert await store.load(keys) == {key: key.id.encode() for key in keys}
    assert sorted(await store.read_list(LIST)) == sorted(key.id.encode() for key in keys)


async def test_a_caller_that_leaves_leaves_nothing_half_done(store: Store) -> None:
    saving = asyncio.create_task(store.save({ONE: b"one", TWO: b"two"}))
    await asyncio.sleep(0)
    saving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await saving
    await store.save({LIST: b"after"})
    assert len(await store.load([ONE, TWO])) in (0, 2)
    assert await store.load([LIST]) == {LIST: b"after"}


async def test_two_connections_to_one_redis_see_the_same(redis_url: str) -> None:
    one, other = RedisStore(redis_url, LIVES), RedisStore(redis_url, LIVES)
    await one.save({ONE: b"shared"})
    assert await other.load([ONE]) == {ONE: b"shared"}
    await one.close()
    await other.close()


async def test_a_redis_that_is_away_is_unavailable() -> None:
    with reserved_port() as port:
        store = RedisStore(f"redis://:a-password@127.0.0.1:{port}/0", LIVES)
        with pytest.raises(StoreUnavailableError) as failure:
            await store.load([ONE])
    assert failure.value.status == 503
    assert failure.value.code == "store_unavailable"
    assert "a-password" not in failure.value.reason
    await store.close()


async def test_a_redis_that_is_full_is_unavailable(redis_url: str) -> None:
    store = RedisStore(redis_url, LIVES)
    await store._redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailableError):
            await store.save({ONE: b"value"})
    finally:
        await store._redis.config_set("maxmemory", "0")
    await store.save({ONE: b"value"})
    await store.close()


def test_a_key_cannot_be_read_from_a_scope() -> None:
    assert "sk-proj" not in scope_of("Bearer sk-proj-secret")
    assert scope_of("Bearer a") != scope_of("Bearer b")

"""A lock in the store, by which two processes do work once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import addon.storage.store_lock
from addon.storage.redis_store import RedisStore
from addon.storage.sqlite_store import SqliteStore
from addon.storage.store import Key, Store
from addon.storage.store_lock import hold

KEY = Key("run", "owner", "batch_1")


@pytest.fixture(params=["sqlite", "redis"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two that share what they keep, as those of two processes do."""

    def make() -> Store:
        if request.param == "sqlite":
            return SqliteStore(tmp_path / "store.sqlite3", 1000, 1 << 20)
        return RedisStore(request.getfixturevalue("redis_url"), 1000)

    one, two = make(), make()
    await one.delete([KEY])
    yield one, two
    await one.close()
    await two.close()


async def test_one_of_many_holds_it(stores: tuple[Store, Store]) -> None:
    held = 0
    most = 0

    async def work(store: Store) -> None:
        nonlocal held, most
        async with hold(store, KEY) as is_held:
            held += is_held
            most = max(most, held)
            await asyncio.sleep(0.05)
            held -= is_held

    await asyncio.gather(*(work(store) for store in stores for _ in range(10)))
    assert most == 1


async def test_it_is_given_up_at_the_end_and_by_an_error(stores: tuple[Store, Store]) -> None:
    one, two = stores
    async with hold(one, KEY) as first, hold(two, KEY) as second:
        assert (first, second) == (True, False)
    with contextlib.suppress(RuntimeError):
        async with hold(two, KEY) as third:
            assert third
            raise RuntimeError
    async with hold(one, KEY) as fourth:
        assert fourth


async def test_that_of_a_process_that_died_runs_out_and_that_of_a_living_one_does_not(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addon.storage.store_lock, "LEASE_SECONDS", 1.5)
    monkeypatch.setattr(addon.storage.store_lock, "_RENEWAL_SECONDS", 0.1)
    one, two = stores
    await one.append(KEY, [b"of one that died"], 1.5)
    async with hold(two, KEY) as early:
        assert not early
    await asyncio.sleep(1.6)
    async with hold(two, KEY) as late:
        assert late
        await asyncio.sleep(2)
        async with hold(one, KEY) as other:
            assert not other


async def test_one_whose_lease_has_run_out_does_not_give_up_what_another_holds(stores: tuple[Store, Store]) -> None:
    one, two = stores
    async with hold(one, KEY) as first:
        assert first
        await one.delete([KEY])  # as time does
        async with contextlib.AsyncExitStack() as later:
            assert await later.enter_async_context(hold(two, KEY))
            late = later.pop_all()
    async with late, hold(one, KEY) as third:
        assert not third
    async with hold(one, KEY) as fourth:
        assert fourth

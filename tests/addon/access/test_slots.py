"""Places for requests at the same time, in memory and in a real Redis."""

import asyncio
import time

from redis.asyncio import Redis

from addon.access.redis_slots import LEASE_SECONDS, RedisSlots
from addon.access.slots import MemorySlots


async def test_memory_forgets_places_that_are_given_back():
    slots = MemorySlots()
    assert await slots.take("a", 1)
    await slots.give_back("a")
    assert not slots._taken


async def test_the_places_of_a_process_that_died_are_free_after_its_lease(redis_url, jump):
    async with Redis.from_url(redis_url) as redis:
        name = f"died-{time.time_ns()}"
        dead, alive = RedisSlots(redis), RedisSlots(redis)
        assert await dead.take(name, 1)
        await dead.close()
        assert not await alive.take(name, 1)
        jump(LEASE_SECONDS)
        assert await alive.take(name, 1)
        await alive.close()


async def renewed(redis, name):
    """Wait until the one place is taken for nearly a lease from now."""
    async with asyncio.timeout(60):
        while (await redis.zrange(f"claude-proxy:slots:{name}", 0, -1, withscores=True))[0][1] < time.time() + 20:
            await asyncio.sleep(0.01)


async def test_places_are_renewed_while_the_process_lives(redis_url, monkeypatch, jump):
    monkeypatch.setattr("addon.access.redis_slots._RENEWAL_SECONDS", 0.1)
    async with Redis.from_url(redis_url) as redis:
        name = f"lives-{time.time_ns()}"
        slots = RedisSlots(redis)
        assert await slots.take(name, 1)
        for _ in range(2):
            jump(0.6 * LEASE_SECONDS)
            await renewed(redis, name)
        assert not await slots.take(name, 1)
        await slots.give_back(name)
        assert await slots.take(name, 1)
        await slots.close()

"""How many requests run at the same time in all processes on one Redis: see `addon.access.slots`."""

import asyncio
import contextlib
import time
import uuid
from typing import Any

from mitmproxy.utils import asyncio_utils
from redis.exceptions import RedisError

__all__ = ["RedisSlots"]

LEASE_SECONDS = 30.0
"""How long the places of a process that died stay taken."""
_RENEWAL_SECONDS = 10.0


class RedisSlots:
    """The places of all processes on one Redis: a sorted set for each name, of members that expire.

    Args:
        redis: the client, which its owner closes.
    """

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._members: dict[str, list[str]] = {}
        self._renewal: asyncio.Task[None] | None = None

    async def take(self, name: str, limit: int) -> bool:
        """See `Slots`. Two that come at once for the last place may both be refused; never are both let in."""
        key, member, now = _key_of(name), uuid.uuid4().hex, time.time()
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.zremrangebyscore(key, "-inf", now)
        pipeline.zadd(key, {member: now + LEASE_SECONDS})
        pipeline.zcard(key)
        pipeline.expire(key, int(LEASE_SECONDS) + 1)
        _, _, taken, _ = await pipeline.execute()
        if taken > limit:
            await self._redis.zrem(key, member)
            return False
        self._members.setdefault(name, []).append(member)
        if self._renewal is None:
            self._renewal = asyncio_utils.create_task(self._renew(), name="renew slots", keep_ref=True)
        return True

    async def give_back(self, name: str) -> None:
        """See `Slots`."""
        if members := self._members.get(name):
            member = members.pop()
            if not members:
                del self._members[name]
            await self._redis.zrem(_key_of(name), member)

    async def close(self) -> None:
        """See `Slots`."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEWAL_SECONDS)
            until = time.time() + LEASE_SECONDS
            pipeline = self._redis.pipeline(transaction=True)
            for name, members in self._members.items():
                pipeline.zadd(_key_of(name), dict.fromkeys(members, until), xx=True)
                pipeline.expire(_key_of(name), int(LEASE_SECONDS) + 1)
            with contextlib.suppress(RedisError, OSError):  # the next renewal comes in time
                await pipeline.execute()


def _key_of(name: str) -> str:
    return f"claude-proxy:slots:{name}"

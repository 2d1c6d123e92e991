"""The store in Redis, which many machines may share."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from addon.storage.store import PIECE_BYTES, Key, StoreUnavailableError

__all__ = ["RedisStore"]

_TIMEOUT_SECONDS = 2.0
"""How long a command may take. A finished answer waits that long for its end, at most."""


class RedisStore:
    """See `addon.storage.store.Store`. Names begin with `claude-proxy:`: the database may hold other things too.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        seconds_to_live: how long values are kept.
    """

    def __init__(self, url: str, seconds_to_live: float) -> None:
        self._seconds_to_live = seconds_to_live
        self._redis: Any = redis.asyncio.Redis.from_url(  # its types are of both kinds, to be awaited and not
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
        )

    async def load(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """Load the values that there are."""
        if not keys:
            return {}
        found = await _run(self._redis.mget([_value_name(key) for key in keys]))
        return {key: value for key, value in zip(keys, found, strict=True) if value is not None}

    async def read_piece(self, key: Key, start: int) -> bytes:
        """Read a piece of a value from byte `start` on."""
        piece: bytes = await _run(self._redis.getrange(_value_name(key), start, start + PIECE_BYTES - 1))
        return piece

    async def save(
        self, values: Mapping[Key, bytes], seconds_to_live: float | None = None, *, lifetimes: float = 1.0
    ) -> None:
        """Save all of the values or none."""
        pipeline = self._redis.pipeline(transaction=True)
        for key, value in values.items():
            pipeline.set(_value_name(key), value, px=self._milliseconds(seconds_to_live, lifetimes))
            if seconds_to_live is None:
                pipeline.pexpire(_list_name(key), self._milliseconds(None, lifetimes))
        await _run(pipeline.execute())

    async def renew(self, keys: Sequence[Key], *, lifetimes: float = 1.0) -> None:
        """Keep values and lists for the usual time from now on."""
        pipeline = self._redis.pipeline(transaction=True)
        for key in keys:
            pipeline.pexpire(_value_name(key), self._milliseconds(None, lifetimes))
            pipeline.pexpire(_list_name(key), self._milliseconds(None, lifetimes))
        await _run(pipeline.execute())

    async def delete(self, keys: Sequence[Key]) -> None:
        """Delete values and lists."""
        if keys:
            await _run(self._redis.delete(*(name for key in keys for name in (_value_name(key), _list_name(key)))))

    async def append(self, key: Key, members: Sequence[bytes], seconds_to_live: float | None = None) -> None:
        """Add to the end of a list."""
        pipeline = self._redis.pipeline(transaction=True)
        if members:
            pipeline.rpush(_list_name(key), *members)
        pipeline.pexpire(_list_name(key), self._milliseconds(seconds_to_live))
        pipeline.pexpire(_value_name(key), self._milliseconds(seconds_to_live))
        await _run(pipeline.execute())

    async def read_list(self, key: Key, start: int = 0) -> list[bytes]:
        """Read a list from its member number `start` on."""
        members: list[bytes] = await _run(self._redis.lrange(_list_name(key), start, -1))
        return members

    async def remove(self, key: Key, member: bytes) -> None:
        """Take out the members of a list that are equal to one."""
        await _run(self._redis.lrem(_list_name(key), 0, member))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    def _milliseconds(self, seconds_to_live: float | None, lifetimes: float = 1.0) -> int:
        seconds = min(seconds_to_live or self._seconds_to_live, self._seconds_to_live)
        return max(1, int(seconds * lifetimes * 1000))


async def _run(command: Awaitable[Any]) -> Any:
    try:
        return await command
    except (RedisError, OSError) as error:
        raise StoreUnavailableError(type(error).__name__) from error


def _value_name(key: Key) -> str:
    return f"claude-proxy:{key.kind}:{key.owner}:{key.id}"


def _list_name(key: Key) -> str:
    return f"{_value_name(key)}:list"

"""Stored objects that are found by their id and listed by the time of their making: stored completions, files, batches.

A list that grows for ever would have to be read whole for each page. So the ids of each day have a list of their own,
which is forgotten with its objects.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from addon.store import Key, Kind, Store

__all__ = ["ListedRecords"]

_DAY = 24 * 3600
_LOADED_AT_ONCE = 50
_MAX_DAYS = 366
"""How far back lists go, however long objects are kept."""


@dataclass(frozen=True, slots=True)
class ListedRecords:
    """The objects of one kind of one client. Every method raises OpenAIError, 503, if the store is not there."""

    store: Store
    owner: str
    """`scope_of` of the client's credentials."""
    kind: Kind
    """Of the objects."""
    lists: Kind
    """Of the lists of their ids."""
    seconds_to_live: float
    """How long objects are kept."""
    created: Literal["created", "created_at"] = "created_at"
    """The field of an object that says when it was made, in seconds since 1970."""

    async def add(self, record: dict[str, Any], seconds_to_live: float | None = None) -> None:
        """Keep a new object, which has an `id`."""
        await self.save(record, seconds_to_live)
        await self.store.append(self._day_key(self._day_of(record)), [record["id"].encode()])

    async def put(self, record: dict[str, Any], seconds_to_live: float | None = None) -> None:
        """Keep an object that may be there already, because work that was cut off is done again."""
        known = await self.load(record["id"])
        await (self.add if known is None else self.save)(record, seconds_to_live)

    async def save(self, record: dict[str, Any], seconds_to_live: float | None = None) -> None:
        """Keep an object in the place of the one that has its id."""
        await self.store.save({self.key(record["id"]): msgspec.json.encode(record)}, seconds_to_live)

    async def load(self, record_id: str) -> dict[str, Any] | None:
        """Find an object."""
        found = await self._load([record_id])
        return found[0] if found else None

    async def known(self, record_ids: Sequence[str]) -> set[str]:
        """Say which of these there are."""
        return {key.id for key in await self.store.load([self.key(record_id) for record_id in record_ids])}

    async def delete(self, record: dict[str, Any]) -> None:
        """Delete an object."""
        await self.store.delete([self.key(record["id"])])
        await self.store.remove(self._day_key(self._day_of(record)), record["id"].encode())

    async def page(
        self,
        limit: int,
        order: Literal["asc", "desc"],
        after: dict[str, Any] | None,
        wanted: Callable[[dict[str, Any]], bool],
    ) -> tuple[list[dict[str, Any]], bool]:
        """List objects, and say whether there are more.

        Args:
            limit: how many, at most.
            order: oldest or newest first.
            after: the object before the first, which may have been deleted since; None: from the start.
            wanted: whether an object is to be listed.
        """
        found: list[dict[str, Any]] = []
        async for record in self._walk(order, after):
            if wanted(record):
                if len(found) == limit:
                    return found, True
                found.append(record)
        return found, False

    async def _walk(self, order: Literal["asc", "desc"], after: dict[str, Any] | None) -> AsyncIterator[dict[str, Any]]:
        today = int(time.time()) // _DAY
        oldest = today - min(int(self.seconds_to_live // _DAY) + 1, _MAX_DAYS)
        start = None if after is None else self._day_of(after)
        days = range(max(oldest, start or oldest), today + 1)
        if order == "desc":
            days = range(today if start is None else start, oldest - 1, -1)
        for day in days:
            ids = [member.decode() for member in await self.store.read_list(self._day_key(day))]
            if order == "desc":
                ids.reverse()
            is_gone = after is not None and day == start and after["id"] not in ids
            if after is not None and after["id"] in ids:
                del ids[: ids.index(after["id"]) + 1]
            for start_of_some in range(0, len(ids), _LOADED_AT_ONCE):
                for record in await self._load(ids[start_of_some : start_of_some + _LOADED_AT_ONCE]):
                    if after is not None and is_gone and not self._comes_later(record, after, order):
                        continue
                    yield record

    def _comes_later(self, record: dict[str, Any], after: dict[str, Any], order: Literal["asc", "desc"]) -> bool:
        made, known = record[self.created], after[self.created]
        return bool(made < known if order == "desc" else made > known)

    def _day_of(self, record: dict[str, Any]) -> int:
        return int(record[self.created] // _DAY)

    async def _load(self, record_ids: Sequence[str]) -> list[dict[str, Any]]:
        keys = [self.key(record_id) for record_id in record_ids]
        found = await self.store.load(keys)
        return [msgspec.json.decode(found[key]) for key in keys if key in found]

    def key(self, record_id: str) -> Key:
        """Name an object in the store."""
        return Key(self.kind, self.owner, record_id)

    def _day_key(self, day: int) -> Key:
        return Key(self.lists, self.owner, str(day))

"""Stored objects that are found by their id and listed by the time of their making: stored completions, files, batches.

A list that grows for ever would have to be read whole for each page. So the ids of each day have a list of their own,
which is forgotten with the last of its objects. An empty value beside it says that there is one, so that days without
any need not be read.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from addon.storage.store import Key, Kind, Store

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
    created: Literal["created", "created_at"] = "created_at"
    """The field of an object that says when it was made, in seconds since 1970."""

    async def add(self, record: dict[str, Any], seconds_to_live: float | None = None) -> None:
        """Keep a new object, which has an `id`."""
        await self.save(record, seconds_to_live)
        await self.store.append(self._list_of(record), [record["id"].encode()])

    async def put(self, record: dict[str, Any], seconds_to_live: float | None = None) -> None:
        """Keep an object that may be there already, because work that was cut off is done again."""
        known = await self.load(record["id"])
        await (self.add if known is None else self.save)(record, seconds_to_live)

    async def save(self, record: dict[str, Any], seconds_to_live: float | None = None) -> None:
        """Keep an object in the place of the one that has its id."""
        entries = self.entries_of(record)
        if seconds_to_live is None:
            await self.store.save(entries)
        else:
            # The list is there for others too.
            key = self.key(record["id"])
            await self.store.save({key: entries.pop(key)}, seconds_to_live)
            await self.store.save(entries)

    def entries_of(self, record: dict[str, Any]) -> dict[Key, bytes]:
        """Give what is to be saved of an object: itself, and that there is a list with it."""
        return {self.key(record["id"]): msgspec.json.encode(record), self._list_of(record): b""}

    def keys_of(self, record: Mapping[str, Any]) -> tuple[Key, ...]:
        """Name what is to be renewed with an object that is used: itself, and the list with it."""
        return self.key(record["id"]), self._list_of(record)

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
        await self.store.remove(self._list_of(record), record["id"].encode())

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
        start = None if after is None else self._day_of(after)
        days = [
            day for day in await self._days() if start is None or (day >= start if order == "asc" else day <= start)
        ]
        for day in days if order == "asc" else reversed(days):
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

    async def _days(self) -> list[int]:
        """Find the days that have a list, the oldest first."""
        today = int(time.time()) // _DAY
        lists = await self.store.load([self._day_key(day) for day in range(today - _MAX_DAYS, today + 1)])
        return sorted(int(key.id) for key in lists)

    def _comes_later(self, record: dict[str, Any], after: dict[str, Any], order: Literal["asc", "desc"]) -> bool:
        made, known = record[self.created], after[self.created]
        return bool(made < known if order == "desc" else made > known)

    def _list_of(self, record: Mapping[str, Any]) -> Key:
        return self._day_key(self._day_of(record))

    def _day_of(self, record: Mapping[str, Any]) -> int:
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

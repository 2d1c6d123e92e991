"""Where items are to be found again by their ids: which response or conversation holds each.

Places in a conversation live a little longer than it, so that not all of them have to be renewed whenever it is used,
but once in a while: to add to a conversation costs the same however many items it has.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from addon.storage.store import Key, Store

__all__ = ["ItemPlace", "load_places", "places_in", "renew_places", "renewal_of", "save_in_conversation"]

_SPARE = 1 / 32
"""How much longer places in a conversation live, in lifetimes: a day in a month."""
_BETWEEN_RENEWALS = _SPARE / 2
"""In lifetimes: less than what is spare, which so covers the time that a renewal takes."""


class ItemPlace(msgspec.Struct, frozen=True):
    """Which response or conversation holds an item."""

    kind: Literal["response", "conversation"]
    id: str

    def holder(self, owner: str) -> Key:
        """Name what holds the item in the store."""
        return Key(self.kind, owner, self.id)


class _Identity(msgspec.Struct, frozen=True):
    """Of an item, what names it."""

    id: str


_decoder = msgspec.json.Decoder(ItemPlace)
_identity_decoder = msgspec.json.Decoder(_Identity)


async def load_places(store: Store, owner: str, item_ids: Iterable[str]) -> dict[Key, ItemPlace]:
    """Find the places of items, as far as they have one. That in a conversation which is gone is none.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    found = await store.load([Key("item", owner, item_id) for item_id in dict.fromkeys(item_ids)])
    places = {key: _decoder.decode(place) for key, place in found.items()}
    holders = {place.holder(owner) for place in places.values() if place.kind == "conversation"}
    gone = holders - (await store.load(list(holders))).keys()
    return {key: place for key, place in places.items() if place.holder(owner) not in gone}


async def places_in(store: Store, owner: str, place: ItemPlace, item_ids: Iterable[str]) -> list[Key]:
    """Name the places of these items that are in this response or conversation: they live and go with it.

    A place that stayed would be kept for the item when it is sent again, and nothing found there.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    return [key for key, found in (await load_places(store, owner, item_ids)).items() if found == place]


async def save_in_conversation(store: Store, owner: str, conversation_id: str, item_ids: Iterable[str]) -> None:
    """Note that these items are in this conversation, whatever was their place before.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    place = msgspec.json.encode(ItemPlace("conversation", conversation_id))
    await store.save({Key("item", owner, item_id): place for item_id in item_ids}, lifetimes=1 + _SPARE)


async def renew_places(store: Store, owner: str, conversation_id: str) -> None:
    """Keep all items of a conversation, which has just been renewed itself, to be found for as long as it.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    place, renewal = ItemPlace("conversation", conversation_id), renewal_of(owner, conversation_id)
    if renewal in await store.load([renewal]):
        return
    items = await store.read_list(place.holder(owner))
    item_ids = [_identity_decoder.decode(item).id for item in items]
    await store.renew(await places_in(store, owner, place, item_ids), lifetimes=1 + _SPARE)
    await store.save({renewal: b""}, lifetimes=_BETWEEN_RENEWALS)


def renewal_of(owner: str, conversation_id: str) -> Key:
    """Name the mark that the places in a conversation were renewed lately."""
    return Key("places", owner, conversation_id)

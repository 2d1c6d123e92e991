"""Where items are to be found again by their ids: which response or conversation holds each."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from addon.store import Key, Store

__all__ = ["ItemPlace", "load_places", "places_in", "places_in_conversation"]


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
    """Find the places of items, as far as they have one.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    found = await store.load([Key("item", owner, item_id) for item_id in dict.fromkeys(item_ids)])
    return {key: _decoder.decode(place) for key, place in found.items()}


async def places_in(store: Store, owner: str, place: ItemPlace, item_ids: Iterable[str]) -> list[Key]:
    """Name the places of these items that are in this response or conversation: they live and go with it.

    A place that stayed would be kept for the item when it is sent again, and nothing found there.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    return [key for key, found in (await load_places(store, owner, item_ids)).items() if found == place]


async def places_in_conversation(store: Store, owner: str, conversation_id: str) -> list[Key]:
    """Name the places of all items of a conversation, to be renewed with it.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    place = ItemPlace("conversation", conversation_id)
    items = await store.read_list(place.holder(owner))
    return await places_in(store, owner, place, [_identity_decoder.decode(item).id for item in items])

"""Where items are to be found again by their ids: which response or conversation holds each."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from addon.store import Key, Store

__all__ = ["ItemPlace", "load_places", "places_to_forget"]


class ItemPlace(msgspec.Struct, frozen=True):
    """Which response or conversation holds an item."""

    kind: Literal["response", "conversation"]
    id: str

    def holder(self, owner: str) -> Key:
        """Name what holds the item in the store."""
        return Key(self.kind, owner, self.id)


_decoder = msgspec.json.Decoder(ItemPlace)


async def load_places(store: Store, owner: str, item_ids: Iterable[str]) -> dict[Key, ItemPlace]:
    """Find the places of items, as far as they have one.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    found = await store.load([Key("item", owner, item_id) for item_id in dict.fromkeys(item_ids)])
    return {key: _decoder.decode(place) for key, place in found.items()}


async def places_to_forget(store: Store, owner: str, place: ItemPlace, item_ids: Iterable[str]) -> list[Key]:
    """Name what is to be deleted with these items of a response or conversation: not the places elsewhere.

    A place that stayed would be kept for the item when it is sent again, and nothing found there.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    return [key for key, found in (await load_places(store, owner, item_ids)).items() if found == place]

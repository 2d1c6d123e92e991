"""What is stored of conversations: each with the list of its items."""

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from addon.responses.item_places import ItemPlace, places_in, renew_places, renewal_of, save_in_conversation
from addon.storage.store import Key, Store
from translators.errors import OpenAIError
from translators.responses.conversation import normalise_item

__all__ = ["ConversationRecords"]


class ConversationRecords:
    """The conversations of one client.

    Args:
        store: where they are.
        owner: `scope_of` of the client's credentials.

    Raises:
        OpenAIError: every method; 404 for what is not there, 503 if the store is not.
    """

    def __init__(self, store: Store, owner: str) -> None:
        self._store = store
        self._owner = owner

    async def create(self, metadata: Mapping[str, str]) -> dict[str, Any]:
        """Make a conversation."""
        return await self._save(
            {
                "id": f"conv_{uuid.uuid4().hex}{uuid.uuid4().hex[:18]}",
                "object": "conversation",
                "created_at": int(time.time()),
                "metadata": dict(metadata),
            }
        )

    async def load(self, conversation_id: str) -> dict[str, Any]:
        """Load a conversation, without its items."""
        key = self._key(conversation_id)
        found = (await self._store.load([key])).get(key)
        if found is None:
            raise OpenAIError(404, f"Conversation with id '{conversation_id}' not found.")
        conversation: dict[str, Any] = msgspec.json.decode(found)
        return conversation

    async def update(self, conversation_id: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        """Change what is noted of a conversation."""
        changed = await self._save({**await self.load(conversation_id), "metadata": dict(metadata)})
        await renew_places(self._store, self._owner, conversation_id)
        return changed

    async def delete(self, conversation_id: str) -> None:
        """Delete a conversation and its items."""
        item_ids = [item["id"] for item in await self.items(conversation_id)]
        places = await self._places(conversation_id, item_ids)
        await self._store.delete([self._key(conversation_id), renewal_of(self._owner, conversation_id), *places])

    async def items(self, conversation_id: str) -> list[dict[str, Any]]:
        """Load the items of a conversation, in their order."""
        await self.load(conversation_id)
        return [msgspec.json.decode(encoded) for encoded in await self._store.read_list(self._key(conversation_id))]

    async def item(self, conversation_id: str, item_id: str) -> dict[str, Any]:
        """Load one item."""
        for item in await self.items(conversation_id):
            if item["id"] == item_id:
                return item
        raise OpenAIError(404, f"Item with id '{item_id}' not found in conversation with id '{conversation_id}'.")

    async def append(self, conversation_id: str, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Add items to the end of a conversation; return them as they are listed."""
        seed = uuid.uuid4().hex
        added = [normalise_item(item, f"{seed}:{index}") for index, item in enumerate(items)]
        if added:
            await self._store.append(self._key(conversation_id), [msgspec.json.encode(item) for item in added])
            await save_in_conversation(self._store, self._owner, conversation_id, (item["id"] for item in added))
            await renew_places(self._store, self._owner, conversation_id)
        return added

    async def delete_item(self, conversation_id: str, item_id: str) -> dict[str, Any]:
        """Delete one item; return the conversation."""
        item = await self.item(conversation_id, item_id)
        await self._store.remove(self._key(conversation_id), msgspec.json.encode(item))
        await self._store.delete(await self._places(conversation_id, [item_id]))
        return await self.load(conversation_id)

    async def _save(self, conversation: dict[str, Any]) -> dict[str, Any]:
        await self._store.save({self._key(conversation["id"]): msgspec.json.encode(conversation)})
        return conversation

    async def _places(self, conversation_id: str, item_ids: Sequence[str]) -> list[Key]:
        return await places_in(self._store, self._owner, ItemPlace("conversation", conversation_id), item_ids)

    def _key(self, conversation_id: str) -> Key:
        return Key("conversation", self._owner, conversation_id)

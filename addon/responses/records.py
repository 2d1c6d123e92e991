"""What is stored of responses: each with its input, and where every item is to be found again."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import structlog

from addon.responses.item_places import ItemPlace, load_places, places_in, renew_places
from addon.storage.file_records import FileRecords
from addon.storage.store import Key, Store, StoreUnavailableError
from translators.errors import OpenAIError
from translators.responses.code_interpreter import Container
from translators.uploaded_files import is_uploaded

__all__ = ["ResponseRecord", "ResponseRecords", "since_compaction"]

log = structlog.get_logger(__name__)


class ResponseRecord(msgspec.Struct, frozen=True):
    """A stored response."""

    response: msgspec.Raw
    """The response object, as its client gets it."""
    input_items: tuple[dict[str, Any], ...]
    """The request's own items, each with an id."""
    chain: tuple[str, ...] = ()
    """Ids of the responses before it that it goes on from, the first one first."""
    history: tuple[dict[str, Any], ...] = ()
    """What was said before it in responses that are not stored: it goes on from that without them."""

    @property
    def fields(self) -> dict[str, Any]:
        """The response object, decoded."""
        decoded: dict[str, Any] = msgspec.json.decode(self.response)
        return decoded


_decoder = msgspec.json.Decoder(ResponseRecord)
_container_decoder = msgspec.json.Decoder(Container)


class ResponseRecords:
    """The stored responses of one client.

    Args:
        store: where they are.
        owner: `scope_of` of the client's credentials.
    """

    def __init__(self, store: Store, owner: str) -> None:
        self._store = store
        self._owner = owner
        self._used: dict[Key, None] = {}
        """What was read for a request: kept for as long as what is made from it."""

    async def load(self, response_id: str) -> ResponseRecord:
        """Load a response.

        Raises:
            OpenAIError: 404 if it is not there, 503 if the store is not.
        """
        key = self._key(response_id)
        found = (await self._store.load([key])).get(key)
        if found is None:
            raise OpenAIError(404, f"Response with id '{response_id}' not found.")
        return _decoder.decode(found)

    async def load_chain(self, previous_id: str) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
        """Load what a request goes on from: the ids of all responses up to `previous_id`, and their items.

        Raises:
            OpenAIError: 400 if one of them is not there, 503 if the store is not.
        """
        key = self._key(previous_id)
        found = await self._store.load([key])
        if key not in found:
            raise _previous_not_found(previous_id)
        last = _decoder.decode(found[key])
        earlier = [self._key(earlier_id) for earlier_id in last.chain]
        found = await self._store.load(earlier)
        items: list[dict[str, Any]] = []
        for earlier_key in earlier:
            if earlier_key not in found:
                raise _previous_not_found(earlier_key.id)
            items += _said_in(_decoder.decode(found[earlier_key]))
        chain = (*last.chain, previous_id)
        self.note_use(chain)
        return chain, since_compaction([*items, *_said_in(last)])

    def note_use(self, response_ids: Iterable[str]) -> None:
        """Note what a request goes on from: it is kept for as long as what is made from it."""
        self._used.update(dict.fromkeys(map(self._key, response_ids)))

    async def find_items(self, item_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Find stored items by their ids.

        Raises:
            OpenAIError: 503 if the store is not there.
        """
        wanted = dict.fromkeys(item_ids)
        places = await load_places(self._store, self._owner, wanted)
        self._used.update(dict.fromkeys(_in_responses(places)))
        responses = {place.id: None for place in places.values() if place.kind == "response"}
        records = await self._store.load([self._key(response_id) for response_id in responses])
        self._used.update(dict.fromkeys(records))
        found: dict[str, dict[str, Any]] = {}
        for record in records.values():
            found.update((item["id"], item) for item in _items_of(_decoder.decode(record)) if item["id"] in wanted)
        for conversation_id in {place.id: None for place in places.values() if place.kind == "conversation"}:
            key = Key("conversation", self._owner, conversation_id)
            self._used[key] = None
            for encoded in await self._store.read_list(key):
                item = msgspec.json.decode(encoded)
                if item["id"] in wanted:
                    found[item["id"]] = item
        return found

    async def save(
        self,
        response: bytes,
        input_items: Sequence[Mapping[str, Any]],
        chain: Sequence[str] = (),
        history: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Save a response, and make its items known by their ids.

        Args:
            response: the response object, encoded.
            input_items: the request's own items.
            chain: ids of the stored responses that it goes on from.
            history: what it goes on from besides, which is stored nowhere else.

        Raises:
            OpenAIError: 503 if the store is not there.
        """
        record = ResponseRecord(
            msgspec.Raw(response), tuple(map(dict, input_items)), tuple(chain), tuple(map(dict, history))
        )
        fields = record.fields
        place = msgspec.json.encode(ItemPlace("response", fields["id"]))
        outputs = {Key("item", self._owner, item["id"]): place for item in fields["output"]}
        # An item that is sent again stays where it is, so that it is not lost with this response.
        known = await load_places(self._store, self._owner, (item["id"] for item in input_items))
        inputs = (Key("item", self._owner, item["id"]) for item in input_items)
        places = {key: place for key in inputs if key not in known}
        await self._store.save({self._key(fields["id"]): msgspec.json.encode(record), **places, **outputs})
        holders = (found.holder(self._owner) for found in known.values())
        renewed = dict.fromkeys([*self._used, *_in_responses(known), *holders])
        await self._store.renew(list(renewed))
        for key in renewed:
            if key.kind == "conversation":
                await renew_places(self._store, self._owner, key.id)

    async def save_or_report(
        self,
        response: bytes,
        input_items: Sequence[Mapping[str, Any]],
        chain: Sequence[str] = (),
        history: Sequence[Mapping[str, Any]] = (),
    ) -> bool:
        """Save a response that is answered whether it can be stored or not; say whether it was."""
        try:
            await self.save(response, input_items, chain, history)
        except StoreUnavailableError as error:
            log.warning("response_not_stored", reason=error.reason)
            return False
        return True

    async def find_containers(self, container_ids: Sequence[str]) -> dict[str, Container]:
        """Find containers that code ran in before, in the same order, with those of their files that are still there.

        Raises:
            OpenAIError: 503 if the store is not there.
        """
        keys = [Key("container", self._owner, container_id) for container_id in container_ids]
        found = await self._store.load(keys) if keys else {}
        containers = {key.id: _container_decoder.decode(found[key]) for key in keys if key in found}
        uploaded = {file_id for each in containers.values() for file_id in each.file_ids if is_uploaded(file_id)}
        lost = uploaded - await FileRecords(self._store, self._owner).listed.known(list(uploaded))
        return {container_id: _without_files(container, lost) for container_id, container in containers.items()}

    async def save_container(self, container_id: str, container: Container) -> None:
        """Keep what is known of a container. One that cannot be kept is a new one for the next code."""
        try:
            await self._store.save({Key("container", self._owner, container_id): msgspec.json.encode(container)})
        except StoreUnavailableError as error:
            log.warning("container_not_stored", reason=error.reason)

    async def delete(self, response_id: str) -> None:
        """Delete a response and its events.

        Raises:
            OpenAIError: 404 if it is not there, 503 if the store is not.
        """
        item_ids = [item["id"] for item in _items_of(await self.load(response_id))]
        places = await places_in(self._store, self._owner, ItemPlace("response", response_id), item_ids)
        await self._store.delete([self._key(response_id), Key("events", self._owner, response_id), *places])

    def _key(self, response_id: str) -> Key:
        return Key("response", self._owner, response_id)


def since_compaction(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items from the last compaction on, and of those before it the instructions.

    The summary takes the place of the rest (https://developers.openai.com/api/docs/guides/compaction).
    """
    start = max((index for index, item in enumerate(items) if item.get("type") == "compaction"), default=0)
    instructions = [item for item in items[:start] if item.get("role") in ("system", "developer")]
    return [*instructions, *items[start:]]


def _without_files(container: Container, lost: Collection[str]) -> Container:
    kept = tuple(file_id for file_id in container.file_ids if file_id not in lost)
    return replace(container, file_ids=kept, has_lost_files=len(kept) < len(container.file_ids))


def _in_responses(places: Mapping[Key, ItemPlace]) -> list[Key]:
    """Name the places that are renewed one by one; `renew_places` renews the others."""
    return [key for key, place in places.items() if place.kind == "response"]


def _items_of(record: ResponseRecord) -> list[dict[str, Any]]:
    return [*record.input_items, *record.fields["output"]]


def _said_in(record: ResponseRecord) -> list[dict[str, Any]]:
    """Return what a response adds to those of its chain."""
    return [*record.history, *_items_of(record)]


def _previous_not_found(response_id: str) -> OpenAIError:
    return OpenAIError(
        400,
        f"Previous response with id '{response_id}' not found.",
        code="previous_response_not_found",
        param="previous_response_id",
    )

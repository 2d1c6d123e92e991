"""/v1/responses/{id}: get, follow, cancel and delete what is stored, and list the input."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from addon.exchanges.exchange import Exchange
from addon.responses.background import EVENTS_SECONDS, LEASE_SECONDS, BackgroundResponse, find_made_here
from addon.responses.records import ResponseRecord, ResponseRecords
from addon.storage.pages import read_page
from addon.storage.store import Key
from addon.storage.store_lock import hold
from translators.errors import OpenAIError
from translators.responses.response import encode_response
from translators.sse import encode_named

__all__ = ["answer_cancel", "answer_delete", "answer_input_items", "answer_stored_response"]

_POLL_SECONDS = 0.5
"""How often the store is asked for events that another process makes."""
_CANCEL_SECONDS = 5.0
"""How long another process has to cancel a response before it is answered as it is."""
_MOST_EVENTS = 2**31
"""More than a response can have. The stores count no further than 64 bits."""
_UNFINISHED = frozenset({"queued", "in_progress"})


async def answer_stored_response(exchange: Exchange) -> None:
    """Answer with a stored response; with `stream=true`, with its events, from the one after `starting_after` on.

    Raises:
        OpenAIError: 404 if it is not there, 400 if it has no events, 503 if the store is away.
    """
    stored = _StoredResponse(exchange)
    if exchange.flow.request.query.get("stream", "").lower() != "true":
        await exchange.respond(await stored.current())
        return
    exchange.figures.stream = True
    start = _read_starting_after(exchange) + 1
    async for events in await stored.follow(start):
        await exchange.write(events)
    if not exchange.is_streamed:
        await exchange.write(b"")
    await exchange.end_stream()


async def answer_cancel(exchange: Exchange) -> None:
    """Cancel a response that is made in the background; answer with it. One that has ended stays as it is.

    Raises:
        OpenAIError: 404 if it is not there, 400 if it is not made in the background, 503 if the store is away.
    """
    await exchange.respond(await _StoredResponse(exchange).cancel())


async def answer_delete(exchange: Exchange) -> None:
    """Delete a response. One that is being made is cancelled first.

    Raises:
        OpenAIError: 404 if it is not there, 503 if the store is away.
    """
    stored = _StoredResponse(exchange)
    await stored.delete()
    await exchange.respond(msgspec.json.encode({"id": stored.id, "object": "response", "deleted": True}))


async def answer_input_items(exchange: Exchange) -> None:
    """List the items of the request that a response answers.

    Raises:
        OpenAIError: 404 if it is not there, 503 if the store is away.
    """
    stored = _StoredResponse(exchange)
    record = await stored.records.load(stored.id)
    await exchange.respond(read_page(list(record.input_items), exchange.flow.request.query))


class _StoredResponse:
    """The response that an exchange names, wherever it is: in the store, in this process, or made by another."""

    def __init__(self, exchange: Exchange) -> None:
        self.id = exchange.named
        self._gateway = exchange.gateway
        self._owner = exchange.scope
        self.records = ResponseRecords(self._gateway.store, self._owner)

    @property
    def _made_here(self) -> BackgroundResponse | None:
        return find_made_here(self._gateway, self._owner, self.id)

    async def current(self) -> bytes:
        """Return the response as of now, encoded."""
        made_here = self._made_here
        return encode_response(made_here.response) if made_here else bytes((await self._load()).response)

    async def cancel(self) -> bytes:
        """Cancel the response; return it, encoded."""
        if made_here := self._made_here:
            await made_here.cancel()
            return encode_response(made_here.response)
        record = await self._load()
        if not record.fields["background"]:
            raise OpenAIError(400, "Cannot cancel a synchronous response.")
        if record.fields["status"] in _UNFINISHED:
            await self._gateway.store.save({Key("cancel", self._owner, self.id): b""}, LEASE_SECONDS)
            latest = time.monotonic() + _CANCEL_SECONDS
            while record.fields["status"] in _UNFINISHED and time.monotonic() < latest:
                await asyncio.sleep(_POLL_SECONDS)
                record = await self._load()
        return bytes(record.response)

    async def delete(self) -> None:
        """Delete the response, when nobody makes it any more: whoever did would store it again."""
        if self._made_here or (await self._load()).fields["status"] in _UNFINISHED:
            await self.cancel()
        await self.records.delete(self.id)
        # One that could not be stored at first is still there.
        self._gateway.background.pop((self._owner, self.id), None)

    async def follow(self, start: int) -> AsyncIterator[bytes]:
        """Find the events from number `start` on."""
        if made_here := self._made_here:
            return made_here.follow(start)
        record = await self._load()
        if not record.fields["background"]:
            raise OpenAIError(
                400,
                "This response cannot be streamed because it was not created with background=true.",
                code="invalid_request_error",
                param="stream",
            )
        return self._poll(record, start)

    async def _poll(self, record: ResponseRecord, start: int) -> AsyncIterator[bytes]:
        key = Key("events", self._owner, self.id)
        while True:
            # Asked for before the events: the last ones are stored after the response and before the lease ends.
            is_made = await self._has_lease()
            events = await self._gateway.store.read_list(key, start)
            if events:
                start += len(events)
                yield b"".join(events)
            elif record.fields["status"] not in _UNFINISHED and not is_made:
                return
            else:
                await asyncio.sleep(_POLL_SECONDS)
            record = await self._load()

    async def _load(self) -> ResponseRecord:
        """Load the response. One whose process has died has failed."""
        record = await self.records.load(self.id)
        if record.fields["status"] not in _UNFINISHED or await self._has_lease():
            return record
        async with hold(self._gateway.store, Key("run", self._owner, self.id)) as is_held:
            if is_held:  # else another is at it
                await self._note_failure()
        return await self.records.load(self.id)

    async def _note_failure(self) -> None:
        record = await self.records.load(self.id)
        fields = record.fields
        if fields["status"] not in _UNFINISHED:
            return
        message = "The proxy ended while it made the response."
        failed = {**fields, "status": "failed", "error": {"code": "server_error", "message": message}}
        await self._append_failure(failed, message)
        await self.records.save(msgspec.json.encode(failed), record.input_items, record.chain)

    async def _has_lease(self) -> bool:
        """Say whether a process makes the response, and gives signs of life."""
        return bool(await self._gateway.store.load([Key("run", self._owner, self.id)]))

    async def _append_failure(self, failed: dict[str, Any], message: str) -> None:
        key = Key("events", self._owner, self.id)
        number = len(await self._gateway.store.read_list(key))
        error = {"type": "server_error", "code": "server_error", "message": message, "param": None}
        events = [
            {"type": "error", "error": error, "sequence_number": number},
            {"type": "response.failed", "response": failed, "sequence_number": number + 1},
        ]
        encoded = [encode_named(str(event["type"]).encode(), msgspec.json.encode(event)) for event in events]
        await self._gateway.store.append(key, encoded, EVENTS_SECONDS)


def _read_starting_after(exchange: Exchange) -> int:
    given = exchange.flow.request.query.get("starting_after")
    if given is None:
        return -1
    try:
        return min(max(-1, int(given)), _MOST_EVENTS)
    except ValueError as error:
        message = f"Invalid type for 'starting_after': expected an integer, but got {given!r} instead."
        raise OpenAIError(400, message, code="invalid_type", param="starting_after") from error

"""Whose the batches and files of Claude's workspace are, where clients share it.

Claude knows the proxy by its key alone, so a client of Claude's own API could read the batches and files of every
other client of the proxy, those that were made through OpenAI's API among them. A client with a key of the proxy finds
its own, which are noted when they are made. One that brings its own key for Claude has a workspace of its own; where
there are no keys, all clients are the operator's.
"""

import contextlib
import re
import time
from dataclasses import dataclass
from typing import Literal

import msgspec

from addon.claude.errors import UNREADABLE
from addon.exchanges.exchange import Exchange
from addon.routing import normalise_path
from addon.storage.listed_records import ListedRecords
from translators.errors import OpenAIError

__all__ = ["WorkspaceShare", "share_of"]

_RESOURCE = re.compile(r"/v1/(?P<collection>messages/batches|files)(?:/(?P<id>[^/]+)(?P<rest>/.*)?)?")


class _Made(msgspec.Struct):
    id: str | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceShare:
    """What one request has to do with batches or files of a workspace that its client shares."""

    owned: ListedRecords
    """Those of the client: `id`, and `created_at` in seconds since 1970, with fractions."""
    is_of_files: bool
    """Whether it is about files; else about batches."""
    resource_id: str | None
    """Which one; None: all, or a new one."""
    does: Literal["list", "make", "delete", "other"]

    async def check(self) -> None:
        """Let nobody reach what another client made, and keep the note of what is the client's.

        Raises:
            OpenAIError: 404, in Claude's words, for what is not the client's; 405 for what could be about all; 503, the
                store.
        """
        if self.resource_id is None:
            if self.does == "other":
                raise OpenAIError(405, "Method Not Allowed")
            return
        resource_id = self.resource_id.encode("utf-8", "replace").decode()  # a store takes no bytes that are no UTF-8
        record = await self.owned.load(resource_id)
        if record is None:
            raise OpenAIError(404, f"Not found: {resource_id[:64]}")
        await self.owned.store.renew(self.owned.keys_of(record))

    async def note(self, body: bytes) -> None:
        """Note what was made, by Claude's answer. One that cannot be read is the client's to judge."""
        made = _Made()
        with contextlib.suppress(*UNREADABLE):
            made = msgspec.json.decode(body, type=_Made)
        if made.id is not None:
            await self.owned.add({"id": made.id, "created_at": time.time()})

    async def forget(self) -> None:
        """Forget what was deleted."""
        record = None if self.resource_id is None else await self.owned.load(self.resource_id)
        if record is not None:
            await self.owned.delete(record)


def share_of(exchange: Exchange) -> WorkspaceShare | None:
    """Find what a request has to do with batches or files that its client shares; None: nothing."""
    client, request = exchange.client, exchange.flow.request
    if client.key is None or client.claude_key is not None:
        return None
    found = _RESOURCE.fullmatch(normalise_path(request.path.partition("?")[0]))
    if found is None:
        return None
    store, is_of_files = exchange.gateway.store, found["collection"] == "files"
    owned = (
        ListedRecords(store, exchange.scope, "claude_file", "claude_files")
        if is_of_files
        else ListedRecords(store, exchange.scope, "claude_batch", "claude_batches")
    )
    does: Literal["list", "make", "delete", "other"] = "other"
    match request.method, found["id"], found["rest"]:
        case "GET", None, _:
            does = "list"
        case "POST", None, _:
            does = "make"
        case "DELETE", str(), None:
            does = "delete"
    return WorkspaceShare(owned, is_of_files, found["id"], does)

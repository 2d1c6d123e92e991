"""Whose the batches and files of Claude's workspace are, where clients share it.

Claude knows the proxy by its key alone, so a client of Claude's own API could read the batches and files of every
other client of the proxy, those that were made through OpenAI's API among them. A client with a key of the proxy finds
its own, which are noted when they are made. One that brings its own key for Claude has a workspace of its own; where
there are no keys, all clients are the operator's.
"""

import re

import msgspec

from addon.exchange import Exchange
from addon.routing import normalise_path
from addon.store import Key
from translators.errors import OpenAIError

__all__ = ["WorkspaceShare", "share_of"]

_RESOURCE = re.compile(r"/v1/(?P<kind>messages/batches|files)(?:/(?P<id>[^/]+))?(?P<rest>/.*)?")


class _Made(msgspec.Struct):
    id: str | None = None


class WorkspaceShare:
    """What one request has to do with batches or files of a workspace that its client shares."""

    def __init__(self, exchange: Exchange, kind: str, resource_id: str | None) -> None:
        self._exchange = exchange
        self._kind = kind
        self._id = resource_id
        self._store = exchange.gateway.store

    @property
    def makes_one(self) -> bool:
        """Whether the request makes a batch or a file."""
        return self._id is None and self._exchange.flow.request.method == "POST"

    async def check(self) -> None:
        """Let nobody see what another client made.

        Raises:
            OpenAIError: 404, in Claude's words, for what is not the client's; 403 for a list of all; 503, the store.
        """
        if self.makes_one:
            return
        if self._id is None:
            message = "Batches and files are not listed for this key: it shares Claude's workspace with others."
            raise OpenAIError(403, message, code="permission_denied")
        key = self._key(self._id)
        if key not in await self._store.load([key]):
            raise OpenAIError(404, f"Not found: {self._id[:64]}")
        await self._store.renew([key])

    async def note(self, body: bytes) -> None:
        """Note what was made, by Claude's answer."""
        made = msgspec.json.decode(body, type=_Made)
        if made.id is not None:
            await self._store.save({self._key(made.id): b"1"})

    def _key(self, resource_id: str) -> Key:
        return Key("owned", self._exchange.scope, f"{self._kind} {resource_id}")


def share_of(exchange: Exchange) -> WorkspaceShare | None:
    """Find what a request has to do with batches or files that its client shares; None: nothing."""
    client = exchange.client
    if client.key is None or client.claude_key is not None:
        return None
    found = _RESOURCE.fullmatch(normalise_path(exchange.flow.request.path.partition("?")[0]))
    return None if found is None else WorkspaceShare(exchange, found["kind"], found["id"])

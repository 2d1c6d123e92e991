"""Where what clients name later is kept: values and lists by kind, owner and id, forgotten after a time.

Two stores keep them: a SQLite file (`addon.storage.sqlite_store`), or Redis (`addon.storage.redis_store`). Both are
shared by all processes that name the same one. The owner is part of every key, so that nothing of one client is found
by another.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from translators.errors import OpenAIError

__all__ = ["PIECE_BYTES", "Key", "Kind", "Store", "StoreUnavailableError", "scope_of"]

PIECE_BYTES = 256 * 1024
"""Of a value that is read in pieces, in each."""

type Kind = Literal[
    "response",
    "item",
    "events",
    "run",
    "cancel",
    "conversation",
    "places",
    "completion",
    "completions",
    "messages",
    "file",
    "files",
    "content",
    "upload",
    "part",
    "copy",
    "claude_file",
    "claude_files",
    "claude_batch",
    "claude_batches",
    "container",
    "cache",
    "thinking",
    "batch",
    "batches",
    "lines",
]
"""`response`: a response with its input; `item`: where an item is to be found; `events`: the list of a background
response's events; `run`: the sign of life of the process that makes it, and the lock of what is done to a batch or an
upload alone; `cancel`: that it is to stop; `conversation`: a conversation, and the list of its items; `places`: that
the places of these items were renewed lately; `completion`: a stored chat completion; `completions`: the list of those
of one day; `messages`: the messages that it answers; `file`: an uploaded file; `files`: the list of those of one day;
`content`: the bytes of one, or of a batch's input; `upload`: an upload in parts, and the list of the parts with their
sizes; `part`: the bytes of one; `copy`: Claude's copy of a file; `claude_file`, `claude_batch`: that a file or a batch
of Claude's own API is the owner's, or, without an owner, that a batch of Claude's is in a `batch`; `claude_files`,
`claude_batches`: the lists of those of one day; `container`: Claude's id of the container that code ran in, and the
files in it; `cache`: an answer that is given again; `thinking`: the answer that made a tool call, with its thinking;
`batch`: a batch; `batches`: the list of those of one day; `lines`: what was found of a batch's lines when they were
sent."""


class Key(NamedTuple):
    """Names a value, and a list beside it."""

    kind: Kind
    owner: str
    """`scope_of` of the client's credentials."""
    id: str


def scope_of(authorization: str | None) -> str:
    """Derive the name of a client from its credentials, so that nothing of one client is found for another."""
    return hashlib.blake2b((authorization or "").encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


class StoreUnavailableError(OpenAIError):
    """The store cannot be read or written: it is locked, full, out of reach or broken. A status of 503.

    `reason` is for the log: it may name files and hosts, which are no business of a client.
    """

    def __init__(self, reason: str) -> None:
        message = "The storage of responses and conversations is not available at the moment."
        super().__init__(503, message, "server_error", "store_unavailable", None, {"retry-after": "1"})
        self.reason = reason


class Store(Protocol):
    """Keeps values and lists. Every method may raise StoreUnavailableError, and has then changed nothing."""

    async def load(self, keys: Sequence[Key]) -> dict[Key, bytes]:
        """Load the values that there are."""

    async def read_piece(self, key: Key, start: int) -> bytes:
        """Read a piece of a value from byte `start` on: `PIECE_BYTES` at most, none at its end or if there is no value.

        The next piece is that of the value as it is then.
        """

    async def save(
        self, values: Mapping[Key, bytes], seconds_to_live: float | None = None, *, lifetimes: float = 1.0
    ) -> None:
        """Save all of the values or none, for the store's usual time or a shorter one, so many times over."""

    async def renew(self, keys: Sequence[Key], *, lifetimes: float = 1.0) -> None:
        """Keep values and lists for the usual time from now on, so many times over. Unknown keys are passed over."""

    async def delete(self, keys: Sequence[Key]) -> None:
        """Delete values and lists. Unknown keys are passed over."""

    async def append(self, key: Key, members: Sequence[bytes], seconds_to_live: float | None = None) -> None:
        """Add to the end of a list, which begins where there is none."""

    async def read_list(self, key: Key, start: int = 0) -> list[bytes]:
        """Read a list from its member number `start` on."""

    async def remove(self, key: Key, member: bytes) -> None:
        """Take out the members of a list that are equal to one."""

    async def close(self) -> None:
        """Close what is open. The store is not used any more."""

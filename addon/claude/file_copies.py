"""Claude's copies of uploaded files: made when a request first names one, and named by the requests after it.

A file stays in our own store, from which clients read it and other backends get it. Where there can be no copy, the
content goes with the request: so nothing here fails a request.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import msgspec
import structlog
from cachetools import TTLCache

from addon.claude.files import LONGEST_SECONDS, SHORTEST_SECONDS, ClaudeFiles
from addon.storage.file_records import FileRecords
from addon.storage.store import Key
from translators.errors import OpenAIError
from translators.uploaded_files import CopyKind, FileForClaude, UploadedFile, prepare_container_copy, prepare_copy

__all__ = ["ClaudeCopy", "FileCopies"]

_LEAST_BYTES = 32 * 1024
"""A smaller file goes with the request: a call of its own costs more than its bytes."""
_PAUSE_SECONDS = 60.0
"""How long no copy is made with a key after one was refused: it may not, its quota is used up, there is no such API."""
_MOST_PAUSED = 1000
"""Keys of which that is remembered."""

log = structlog.get_logger(__name__)


class ClaudeCopy(msgspec.Struct, frozen=True):
    """What is known of a copy."""

    claude_file_id: str
    kind: CopyKind
    bytes: int
    expires_at: int
    """When Claude forgets it, in seconds since 1970."""


@dataclass(eq=False)
class FileCopies:
    """The copies that this process knows of, or makes.

    Args:
        claude: the calls about them.
        seconds_to_live: how long a file is kept that has no time of its own.
        wanted: whether there are to be any.
    """

    claude: ClaudeFiles
    seconds_to_live: float
    wanted: bool
    _making: WeakValueDictionary[Key, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _paused: TTLCache[str, bool] = field(default_factory=lambda: TTLCache(_MOST_PAUSED, _PAUSE_SECONDS))
    """The accounts (`ClaudeFiles.account`) where a copy was refused."""

    async def find(  # noqa: PLR0913 - whose file, for what and how long, and who is told
        self,
        records: FileRecords,
        file: Mapping[str, Any],
        key: str | None,
        lasting: float,
        on_upload: Callable[[], None],
        *,
        for_container: bool = False,
    ) -> ClaudeCopy | None:
        """Find Claude's copy of a file, or make it; None if there is none to be had.

        Args:
            records: the files of the client.
            file: the file's object.
            key: the client's own key for Claude, if it has one.
            lasting: for how many seconds from now on it is needed.
            on_upload: told before Claude is asked to take it.
            for_container: it is for the sandbox that code runs in, which takes any file, and none but a copy.

        Raises:
            OpenAIError: 503, the store is away.
        """
        if not self.wanted or (file["bytes"] < _LEAST_BYTES and not for_container):
            return None
        name = self._name(records, file["id"], key, for_container=for_container)
        prepare = prepare_container_copy if for_container else prepare_copy
        async with self._making.setdefault(name, asyncio.Lock()):
            found = (await records.store.load([name])).get(name)
            if found is not None:
                copy = msgspec.json.decode(found, type=ClaudeCopy)
                if copy.expires_at > time.time() + lasting:
                    return copy
            seconds = self._seconds_for(file)
            # No copy is to outlive its file.
            if seconds < SHORTEST_SECONDS or seconds <= lasting or self.claude.account(key) in self._paused:
                return None
            try:
                prepared = prepare(UploadedFile(file["filename"], await records.content(file["id"])))
            except OpenAIError as error:
                if error.status != 400:
                    raise
                return None  # whoever puts its content into the request says what is wrong with it
            on_upload()
            made = await self._make(file, prepared, seconds, key)
            if made is not None:
                await records.store.save({name: msgspec.json.encode(made)}, seconds)
                if await records.listed.load(file["id"]) is None:
                    # It was deleted meanwhile, when there was no copy yet.
                    await self.delete(records, file["id"], key)
                    return None
            return made

    def _seconds_for(self, file: Mapping[str, Any]) -> int:
        left = self.seconds_to_live if file["expires_at"] is None else file["expires_at"] - time.time()
        return int(min(left, LONGEST_SECONDS))

    async def _make(
        self, file: Mapping[str, Any], prepared: FileForClaude, seconds: int, key: str | None
    ) -> ClaudeCopy | None:
        now = int(time.time())
        try:
            claude_file_id = await self.claude.upload(prepared, seconds, key)
        except OpenAIError as error:
            self._paused[self.claude.account(key)] = True
            log.warning("file_not_copied", file_id=file["id"], status=error.status, reason=error.code or error.type)
            return None
        return ClaudeCopy(claude_file_id, prepared.kind, file["bytes"], now + seconds)

    async def forget(self, records: FileRecords, file_id: str, key: str | None) -> None:
        """Forget the copies of a file that Claude does not have any more."""
        await records.store.delete(self._names(records, file_id, key))

    async def delete(self, records: FileRecords, file_id: str, key: str | None) -> None:
        """Delete the copies of a file that is deleted. What Claude does not delete now expires by itself."""
        found = await records.store.load(self._names(records, file_id, key))
        await records.store.delete(list(found))
        for copy in found.values():
            try:
                await self.claude.delete(msgspec.json.decode(copy, type=ClaudeCopy).claude_file_id, key)
            except OpenAIError as error:
                if error.status != 404:
                    reason = error.code or error.type
                    log.warning("copy_not_deleted", file_id=file_id, status=error.status, reason=reason)

    def _name(self, records: FileRecords, file_id: str, key: str | None, *, for_container: bool) -> Key:
        use = " container" if for_container else ""
        return Key("copy", records.owner, f"{file_id} {self.claude.account(key)}{use}")

    def _names(self, records: FileRecords, file_id: str, key: str | None) -> list[Key]:
        return [self._name(records, file_id, key, for_container=use) for use in (False, True)]

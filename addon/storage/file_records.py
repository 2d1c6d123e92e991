"""Uploaded files, and those that a batch writes: what they are, and their content."""

import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from addon.storage.listed_records import ListedRecords
from addon.storage.store import Key, Store
from translators.file_expiry import FileExpiry
from translators.uploaded_files import file_not_found

__all__ = ["FileRecords", "seconds_of"]

_BATCH_SECONDS = 30 * 24 * 3600
"""How long files of batches are kept where nothing is said: OpenAI's own time."""


@dataclass(frozen=True, slots=True)
class FileRecords:
    """The files of one client. Every method raises OpenAIError: 404 for a file that is not there, 503 for the store."""

    store: Store
    owner: str
    """`scope_of` of the client's credentials."""

    @property
    def listed(self) -> ListedRecords:
        """The file objects, as OpenAI has them (`openai.types.FileObject`)."""
        return ListedRecords(self.store, self.owner, "file", "files")

    async def create(
        self, filename: str, purpose: str, content: bytes, seconds: int | None = None, file_id: str | None = None
    ) -> dict[str, Any]:
        """Keep a file, for `seconds` if they are given, in the place of one that has its id; return its object."""
        created = int(time.time())
        file: dict[str, Any] = {
            "id": file_id or f"file-{uuid.uuid4().hex[:24]}",
            "object": "file",
            "bytes": len(content),
            "created_at": created,
            "expires_at": None if seconds is None else created + seconds,
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
            "status_details": None,
        }
        # The content first: a file that is listed can be read.
        await self.store.save({self._content_key(file["id"]): content}, seconds)
        await (self.listed.add if file_id is None else self.listed.put)(file, seconds)
        return file

    async def load(self, file_id: str) -> dict[str, Any]:
        """Find a file's object."""
        file = await self.listed.load(file_id)
        if file is None:
            raise file_not_found(file_id)
        return file

    async def content(self, file_id: str) -> bytes:
        """Load the content of a file. What is used is kept longer, unless it has a time of its own."""
        file = await self.load(file_id)
        key = self._content_key(file_id)
        found = (await self.store.load([key])).get(key)
        if found is None:
            raise file_not_found(file_id)
        await self.renew(file)
        return found

    async def pieces(self, file: Mapping[str, Any]) -> AsyncGenerator[bytes]:
        """Read the content of a file piece by piece, each when it is wanted. What is used is kept longer, as above.

        Raises:
            OpenAIError: when a piece is wanted and the file is not there any more, too.
        """
        key, start = self._content_key(file["id"]), 0
        while start < file["bytes"]:
            piece = await self.store.read_piece(key, start)
            if not piece:
                raise file_not_found(file["id"])
            if start == 0:
                await self.renew(file)
            yield piece
            start += len(piece)

    async def renew(self, file: Mapping[str, Any]) -> None:
        """Keep a file longer that is used, unless it has a time of its own."""
        if file["expires_at"] is None:
            await self.store.renew([self._content_key(file["id"]), *self.listed.keys_of(file)])

    async def delete(self, file_id: str) -> None:
        """Delete a file."""
        await self.listed.delete(await self.load(file_id))
        await self.store.delete([self._content_key(file_id)])

    def _content_key(self, file_id: str) -> Key:
        return Key("content", self.owner, file_id)


def seconds_of(purpose: str, expiry: FileExpiry | None) -> int | None:
    """Say how long a file of this purpose is kept; None: as long as others, after its last use."""
    if expiry is not None:
        return expiry.seconds
    return _BATCH_SECONDS if purpose == "batch" else None

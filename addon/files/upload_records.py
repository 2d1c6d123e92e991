"""Uploads in parts: what they are, and their parts, until they become a file."""

import asyncio
import hashlib
import io
import time
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from addon.storage.store import Key, Store
from translators.errors import OpenAIError

__all__ = ["UploadRecords", "file_id_of"]

_SECONDS_TO_LIVE = 3600
"""How long an upload takes parts, as the `openai` package says of `uploads.create`."""


@dataclass(frozen=True, slots=True)
class UploadRecords:
    """The uploads of one client. Every method raises OpenAIError: 404 for one that is not there, 503 for the store."""

    store: Store
    owner: str
    """`scope_of` of the client's credentials."""

    async def create(self, filename: str, purpose: str, size: int, seconds: int | None) -> dict[str, Any]:
        """Begin an upload of `size` bytes; return its object. The file is to be kept for `seconds`, if they are given.

        Besides the fields of `openai.types.Upload` the object has `file_seconds`.
        """
        created = int(time.time())
        upload: dict[str, Any] = {
            "id": f"upload_{uuid.uuid4().hex}",
            "object": "upload",
            "bytes": size,
            "created_at": created,
            "expires_at": created + _SECONDS_TO_LIVE,
            "filename": filename,
            "purpose": purpose,
            "status": "pending",
            "file": None,
            "file_seconds": seconds,
        }
        await self.save(upload)
        return upload

    async def load(self, upload_id: str) -> dict[str, Any]:
        """Find the object of an upload."""
        key = self._key(upload_id)
        found = (await self.store.load([key])).get(key)
        if found is None:
            raise OpenAIError(404, f"No such Upload object: {upload_id}", param="id")
        upload: dict[str, Any] = msgspec.json.decode(found)
        return upload

    async def save(self, upload: dict[str, Any]) -> None:
        """Keep the object of an upload, until it expires."""
        await self.store.save({self._key(upload["id"]): msgspec.json.encode(upload)}, _seconds_left(upload))

    async def add_part(self, upload: dict[str, Any], data: bytes) -> str:
        """Keep a part; return its id. The same data has the same one, so that what is sent again counts once.

        Raises:
            OpenAIError: 400 too, if there are more bytes than the upload is to have.
        """
        # In a thread: the streams need not wait for 64 MB.
        part_id = f"part_{await asyncio.to_thread(_digest_of, data)}"
        sizes = await self._sizes(upload["id"])
        if part_id in sizes:
            return part_id
        if sum(sizes.values()) + len(data) > upload["bytes"]:
            message = f"The parts have more than the {upload['bytes']} bytes that the upload was created with."
            raise OpenAIError(400, message, code="invalid_value", param="data")
        # The data first: a part that is listed can be read.
        await self.store.save({self._part_key(upload["id"], part_id): data}, _seconds_left(upload))
        await self.store.append(self._key(upload["id"]), [f"{part_id} {len(data)}".encode()], _seconds_left(upload))
        return part_id

    async def join_parts(self, upload: dict[str, Any], part_ids: list[str]) -> bytes:
        """Join parts in the order given.

        Raises:
            OpenAIError: 400 too, for ids that no parts have, and for another size than the upload is to have.
        """
        sizes = await self._sizes(upload["id"])
        for part_id in part_ids:
            if part_id not in sizes:
                raise OpenAIError(400, f"No such part: {part_id[:64]}", code="invalid_value", param="part_ids")
        size = sum(sizes[part_id] for part_id in part_ids)
        if size != upload["bytes"]:
            message = f"The parts have {size} bytes, but the upload was created with {upload['bytes']}."
            raise OpenAIError(400, message, code="invalid_value", param="part_ids")
        joined = io.BytesIO()  # what it gives in the end is no copy
        for part_id in part_ids:
            key = self._part_key(upload["id"], part_id)
            found = await self.store.load([key])
            if key not in found:
                raise OpenAIError(404, f"No such Upload object: {upload['id']}", param="id")  # it has just expired
            joined.write(found[key])
        return joined.getvalue()

    async def delete_parts(self, upload: dict[str, Any]) -> None:
        """Forget the parts."""
        await self.store.delete([self._part_key(upload["id"], part_id) for part_id in await self._sizes(upload["id"])])

    def run_key(self, upload_id: str) -> Key:
        """Name the lock of the request that ends an upload."""
        return Key("run", self.owner, upload_id)

    async def _sizes(self, upload_id: str) -> dict[str, int]:
        """Find the sizes of the parts by their ids."""
        members = [member.decode().split() for member in await self.store.read_list(self._key(upload_id))]
        return {part_id: int(size) for part_id, size in members}

    def _key(self, upload_id: str) -> Key:
        return Key("upload", self.owner, upload_id)

    def _part_key(self, upload_id: str, part_id: str) -> Key:
        return Key("part", self.owner, f"{upload_id} {part_id}")


def file_id_of(upload: dict[str, Any]) -> str:
    """Name the file that an upload becomes."""
    return f"file-{upload['id'].removeprefix('upload_')[:24]}"


def _digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _seconds_left(upload: dict[str, Any]) -> float:
    left: float = upload["expires_at"] - time.time()
    return max(1.0, left)

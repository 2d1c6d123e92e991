"""The files of the Files API, and their content in the place of their ids.

https://platform.claude.com/docs/en/build-with-claude/files, `anthropic.types.FileMetadata`. What is uploaded cannot be
downloaded; only what tools make can, and the simulation's tools make nothing.
"""

import base64
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.images import sniff_media_type

__all__ = ["Files", "SimulatedFile"]

SHORTEST_SECONDS, LONGEST_SECONDS = 3600, 7_776_000


@dataclass(frozen=True, slots=True)
class SimulatedFile:
    """One file."""

    id: str
    filename: str
    media_type: str
    content: bytes
    created_at: datetime
    expires_at: datetime | None

    def describe(self) -> dict[str, Any]:
        """Say what the file is (`anthropic.types.FileMetadata`)."""
        return {
            "id": self.id,
            "type": "file",
            "filename": self.filename,
            "mime_type": self.media_type,
            "size_bytes": len(self.content),
            "created_at": _written(self.created_at),
            "downloadable": False,
            "expires_at": None if self.expires_at is None else _written(self.expires_at),
        }


class Files:
    """The files that there are, in the order of their making."""

    def __init__(self) -> None:
        self._files: dict[str, SimulatedFile] = {}
        self.refusal: ClaudeError | None = None
        """What every upload is answered with, if anything: for tests of who uploads."""

    def __iter__(self) -> Iterator[SimulatedFile]:
        return iter(list(self._files.values()))

    def create(
        self, file_id: str, filename: str, media_type: str | None, content: bytes, seconds: int | None
    ) -> SimulatedFile:
        """Keep a file. Raises ClaudeError for what Claude does not keep."""
        if self.refusal is not None:
            raise self.refusal
        if not content:
            raise invalid_request("file: the file is empty")
        if seconds is not None and not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
            raise invalid_request(f"expires_in_seconds: must be between {SHORTEST_SECONDS} and {LONGEST_SECONDS}")
        now = datetime.now(UTC)
        name = filename.replace("\\", "/").rpartition("/")[2]
        kind = media_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        expires_at = None if seconds is None else now + timedelta(seconds=seconds)
        made = SimulatedFile(file_id, name or "unnamed", kind, content, now, expires_at)
        self._files[file_id] = made
        return made

    def find(self, file_id: str) -> SimulatedFile:
        """Find a file. Raises ClaudeError, 404, for one that is not there or has expired."""
        found = self._files.get(file_id)
        if found is None:
            raise ClaudeError(404, f"File not found: {file_id}")
        if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
            raise ClaudeError(404, f"File expired: {file_id}", details={"error_code": "file_expired"})
        return found

    def delete(self, file_id: str) -> None:
        """Delete a file. Raises ClaudeError, 404, for one that is not there."""
        del self._files[self.find(file_id).id]

    def put_into(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body with the content of files in the place of their ids, for whoever judges or counts it.

        What is not well-formed stays: it is judged later. Raises ClaudeError for a file that cannot stand there.
        """
        messages = body.get("messages")
        if not isinstance(messages, list):
            return dict(body)
        put = [
            {**message, "content": self._put_list(message["content"], f"messages.{index}.content")}
            if isinstance(message, dict) and isinstance(message.get("content"), list)
            else message
            for index, message in enumerate(messages)
        ]
        return {**body, "messages": put}

    def _put_list(self, blocks: list[Any], path: str) -> list[Any]:
        return [self._put(block, f"{path}.{position}") for position, block in enumerate(blocks)]

    def _put(self, block: Any, path: str) -> Any:
        if not isinstance(block, dict):
            return block
        if block.get("type") == "tool_result" and isinstance(block.get("content"), list):
            return {**block, "content": self._put_list(block["content"], f"{path}.content")}
        if block.get("type") == "container_upload" and isinstance(block.get("file_id"), str):
            self.find(block["file_id"])
            return block
        source = block.get("source")
        if block.get("type") not in ("image", "document") or not isinstance(source, dict):
            return block
        if source.get("type") != "file" or not isinstance(source.get("file_id"), str):
            return block
        file = self.find(source["file_id"])
        return {**block, "source": _source(block["type"], file, f"{path}.{block['type']}.source.file")}


def _source(kind: str, file: SimulatedFile, path: str) -> dict[str, str]:
    """Make the source that a file stands for. Its declared kind is what Claude goes by."""
    if kind == "image" and file.media_type.startswith("image/"):
        media_type = sniff_media_type(file.content) or file.media_type
        return {"type": "base64", "media_type": media_type, "data": base64.b64encode(file.content).decode()}
    if kind == "document" and file.media_type == "application/pdf":
        return {"type": "base64", "media_type": file.media_type, "data": base64.b64encode(file.content).decode()}
    if kind == "document" and file.media_type == "text/plain":
        return {"type": "text", "media_type": "text/plain", "data": file.content.decode(errors="replace")}
    raise invalid_request(f"{path}: a file of type {file.media_type} cannot be used in a block of type {kind}")


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")

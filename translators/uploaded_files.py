"""Uploaded files that a request names by their id, put into it: with their content, or as Claude's own copy of it.

A copy is on Claude's Files API (https://platform.claude.com/docs/en/build-with-claude/files), and is named by its own
id there. Every backend takes content; not every one has that API. The same file makes the same bytes each time, so the
prefix stays cached.
"""

import base64
import mimetypes
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from translators.content import PDF, Block, sniff_media_type, translate_file, translate_image, unsupported_image
from translators.errors import OpenAIError

__all__ = [
    "CopiedFile",
    "CopyKind",
    "FileForClaude",
    "NamedIds",
    "UploadedFile",
    "add_container_files",
    "file_not_found",
    "find_file_ids",
    "is_uploaded",
    "prepare_container_copy",
    "prepare_copy",
    "put_files",
]

_PREFIX = "file-"
"""How OpenAI's ids of files begin."""
_SHOWS_FILE = frozenset({"image", "document", "container_upload"})
"""Blocks that may name a file."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An uploaded file."""

    filename: str
    content: bytes


type CopyKind = Literal["document", "image", "container_upload"]
"""The block that a file can stand in."""


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """An uploaded file that Claude has a copy of."""

    filename: str
    claude_file_id: str
    kind: CopyKind


@dataclass(frozen=True, slots=True)
class FileForClaude:
    """A file as Claude's Files API takes it."""

    filename: str
    media_type: str
    content: bytes
    kind: CopyKind


def prepare_container_copy(file: UploadedFile) -> FileForClaude:
    """Write a file for the sandbox that code runs in: any file, as it is."""
    name = _name_for_claude(file.filename)
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return FileForClaude(name, media_type, file.content, "container_upload")


def add_container_files(messages: Sequence[dict[str, Any]], file_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the messages with files for the sandbox, in the user's first, where later turns leave them."""
    added = list(messages)
    index = next((index for index, message in enumerate(added) if message["role"] == "user"), None)
    if file_ids and index is not None:
        uploads = [{"type": "container_upload", "file_id": file_id} for file_id in file_ids]
        added[index] = {**added[index], "content": [*added[index]["content"], *uploads]}
    return added


_REFUSED_IN_NAMES = re.compile(r'[<>:"|?*\\/\x00-\x1f]')
_LONGEST_NAME = 255
"""https://platform.claude.com/docs/en/build-with-claude/files, "Invalid filename"."""


def prepare_copy(file: UploadedFile) -> FileForClaude:
    """Write a file as Claude's Files API takes it, of the media type that it goes by.

    Raises:
        OpenAIError: 400 for a file that Claude cannot read.
    """
    name = _name_for_claude(file.filename)
    media_type = sniff_media_type(file.content)
    if media_type is not None:  # it may have half a gigabyte, and goes as it is
        return FileForClaude(name, media_type, file.content, "document" if media_type == PDF else "image")
    data = base64.b64encode(file.content).decode("ascii")
    source = translate_file(data, None, file.filename, "file_id")["source"]
    return FileForClaude(name, source["media_type"], source["data"].encode(), "document")


def _name_for_claude(filename: str) -> str:
    return _REFUSED_IN_NAMES.sub("_", filename)[-_LONGEST_NAME:]


def is_uploaded(file_id: str) -> bool:
    """Whether an id is that of an uploaded file. Others (`file_...`) are those of Claude's own Files API."""
    return file_id.startswith(_PREFIX)


def file_not_found(file_id: str, status: int = 404) -> OpenAIError:
    """Build the error for an id that no file has."""
    return OpenAIError(status, f"No such File object: {file_id}", param="id" if status == 404 else "file_id")


class NamedIds(NamedTuple):
    """Ids of uploaded files, each once, in their order."""

    shown: list[str]
    """Of files that Claude looks at."""
    for_container: list[str]
    """Of those that lie in the sandbox of its code."""


def find_file_ids(params: Mapping[str, Any]) -> NamedIds:
    """Find the ids of uploaded files in the parameters of a request to Claude."""
    blocks = [block for block in _blocks(params["messages"]) if block["type"] in _SHOWS_FILE]
    if not blocks:
        return NamedIds([], [])
    return NamedIds(_unique(map(_id_of, blocks)), _unique(map(_container_id_of, blocks)))


def _unique(found: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(file_id for file_id in found if file_id is not None))


type FilesById = Mapping[str, UploadedFile | CopiedFile]


def put_files(params: Mapping[str, Any], files: FilesById, for_container: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters with each uploaded file in the place of its id.

    Args:
        params: of a request to Claude.
        files: those that Claude looks at.
        for_container: Claude's ids of those that lie in its sandbox.

    Raises:
        OpenAIError: 400 for an id that is in neither, and for a file that Claude cannot read.
    """
    messages = [
        {**message, "content": _put(message["content"], files, for_container)} for message in params["messages"]
    ]
    return {**params, "messages": messages}


def _put(content: Any, files: FilesById, for_container: Mapping[str, str]) -> Any:
    return content if isinstance(content, str) else [_put_block(block, files, for_container) for block in content]


def _put_block(block: Block, files: FilesById, for_container: Mapping[str, str]) -> Block:
    if block["type"] == "tool_result" and "content" in block:
        return {**block, "content": _put(block["content"], files, for_container)}
    file_id = _container_id_of(block)
    if file_id is not None:
        if file_id not in for_container:
            raise file_not_found(file_id, 400)
        return {**block, "file_id": for_container[file_id]}
    file_id = _id_of(block)
    if file_id is None:
        return block
    if file_id not in files:
        raise file_not_found(file_id, 400)
    file = files[file_id]
    mark = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
    title = block.get("title") or file.filename
    if isinstance(file, CopiedFile):
        if block["type"] == "image" and file.kind != "image":
            raise unsupported_image("file_id")
        titled = {"title": title} if file.kind == "document" else {}
        return {"type": file.kind, "source": {"type": "file", "file_id": file.claude_file_id}, **titled, **mark}
    data = base64.b64encode(file.content).decode("ascii")
    if block["type"] == "image":
        return {**translate_image(f"data:;base64,{data}", "file_id"), **mark}
    return {**translate_file(data, None, title, "file_id"), **mark}


def _blocks(messages: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    for message in messages:
        content = message["content"]
        for block in () if isinstance(content, str) else content:
            yield block
            if block["type"] == "tool_result" and not isinstance(block.get("content", ""), str):
                yield from block["content"]


def _id_of(block: Block) -> str | None:
    """Return the id of the uploaded file that a block shows, if it shows one."""
    if block["type"] not in ("image", "document") or block["source"]["type"] != "file":
        return None
    file_id: str = block["source"]["file_id"]
    return file_id if is_uploaded(file_id) else None


def _container_id_of(block: Block) -> str | None:
    if block["type"] != "container_upload":
        return None
    file_id: str = block["file_id"]
    return file_id if is_uploaded(file_id) else None

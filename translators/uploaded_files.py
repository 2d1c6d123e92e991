"""Uploaded files that a request names by their id, put into it: with their content, or as Claude's own copy of it.

A copy is on Claude's Files API (https://platform.claude.com/docs/en/build-with-claude/files), and is named by its own
id there. Every backend takes content; not every one has that API. The same file makes the same bytes each time, so the
prefix stays cached.
"""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from translators.content import Block, translate_file, translate_image, unsupported_image
from translators.errors import OpenAIError

__all__ = [
    "CopiedFile",
    "CopyKind",
    "FileForClaude",
    "UploadedFile",
    "file_not_found",
    "find_file_ids",
    "prepare_copy",
    "put_files",
]

FILE_PREFIX = "file-"
"""How OpenAI's ids of files begin. Others (`file_...`) are those of Claude's own Files API, and go to Claude."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An uploaded file."""

    filename: str
    content: bytes


type CopyKind = Literal["document", "image"]
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


_REFUSED_IN_NAMES = re.compile(r'[<>:"|?*\\/\x00-\x1f]')
_LONGEST_NAME = 255
"""https://platform.claude.com/docs/en/build-with-claude/files, "Invalid filename"."""


def prepare_copy(file: UploadedFile) -> FileForClaude:
    """Write a file as Claude's Files API takes it, of the media type that it goes by.

    Raises:
        OpenAIError: 400 for a file that Claude cannot read.
    """
    data = base64.b64encode(file.content).decode("ascii")
    block = translate_file(data, None, file.filename, "file_id")
    source = block["source"]
    content = source["data"].encode() if source["type"] == "text" else file.content
    name = _REFUSED_IN_NAMES.sub("_", file.filename)[-_LONGEST_NAME:]
    return FileForClaude(name, source["media_type"], content, block["type"])


def file_not_found(file_id: str, status: int = 404) -> OpenAIError:
    """Build the error for an id that no file has."""
    return OpenAIError(status, f"No such File object: {file_id}", param="id" if status == 404 else "file_id")


def find_file_ids(params: Mapping[str, Any]) -> list[str]:
    """Find the ids of uploaded files in the parameters of a request to Claude, each once, in their order."""
    return list(dict.fromkeys(file_id for block in _blocks(params["messages"]) if (file_id := _id_of(block))))


def put_files(params: Mapping[str, Any], files: Mapping[str, UploadedFile | CopiedFile]) -> dict[str, Any]:
    """Return the parameters with each uploaded file in the place of its id.

    Raises:
        OpenAIError: 400 for an id that is not in `files`, and for a file that Claude cannot read.
    """
    messages = [{**message, "content": _put(message["content"], files)} for message in params["messages"]]
    return {**params, "messages": messages}


def _put(content: Any, files: Mapping[str, UploadedFile | CopiedFile]) -> Any:
    return content if isinstance(content, str) else [_put_block(block, files) for block in content]


def _put_block(block: Block, files: Mapping[str, UploadedFile | CopiedFile]) -> Block:
    if block["type"] == "tool_result" and "content" in block:
        return {**block, "content": _put(block["content"], files)}
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
    return file_id if file_id.startswith(FILE_PREFIX) else None

"""Uploaded files that a request names by their id, put into it with their content.

Every backend of Claude takes content; Claude's own Files API is not on all of them, keeps a second copy, and would have
to be cleared. The same file makes the same bytes every time, so the prefix stays cached.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from translators.content import Block, translate_file, translate_image
from translators.errors import OpenAIError

__all__ = ["UploadedFile", "file_not_found", "find_file_ids", "put_files"]

FILE_PREFIX = "file-"
"""How OpenAI's ids of files begin. Others (`file_...`) are those of Claude's own Files API, and go to Claude."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """An uploaded file."""

    filename: str
    content: bytes


def file_not_found(file_id: str, status: int = 404) -> OpenAIError:
    """Build the error for an id that no file has."""
    return OpenAIError(status, f"No such File object: {file_id}", param="id" if status == 404 else "file_id")


def find_file_ids(params: Mapping[str, Any]) -> list[str]:
    """Find the ids of uploaded files in the parameters of a request to Claude, each once, in their order."""
    return list(dict.fromkeys(file_id for block in _blocks(params["messages"]) if (file_id := _id_of(block))))


def put_files(params: Mapping[str, Any], files: Mapping[str, UploadedFile]) -> dict[str, Any]:
    """Return the parameters with each uploaded file in the place of its id.

    Raises:
        OpenAIError: 400 for an id that is not in `files`, and for a file that Claude cannot read.
    """
    messages = [{**message, "content": _put(message["content"], files)} for message in params["messages"]]
    return {**params, "messages": messages}


def _put(content: Any, files: Mapping[str, UploadedFile]) -> Any:
    return content if isinstance(content, str) else [_put_block(block, files) for block in content]


def _put_block(block: Block, files: Mapping[str, UploadedFile]) -> Block:
    if block["type"] == "tool_result" and "content" in block:
        return {**block, "content": _put(block["content"], files)}
    file_id = _id_of(block)
    if file_id is None:
        return block
    if file_id not in files:
        raise file_not_found(file_id, 400)
    file = files[file_id]
    data = base64.b64encode(file.content).decode("ascii")
    mark = {"cache_control": block["cache_control"]} if "cache_control" in block else {}
    if block["type"] == "image":
        return {**translate_image(f"data:;base64,{data}", "file_id"), **mark}
    return {**translate_file(data, None, block.get("title") or file.filename, "file_id"), **mark}


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

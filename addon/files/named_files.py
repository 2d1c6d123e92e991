"""The uploaded files that requests name, on their way to Claude: as its copies of them where it has any, or whole."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from addon.claude.file_copies import ClaudeCopy
from addon.exchanges.choices import ask_at_once
from addon.exchanges.exchange import Exchange
from addon.exchanges.gateway import Gateway
from addon.storage.file_records import FileRecords
from translators.backends import ANTHROPIC, parse_target
from translators.errors import OpenAIError
from translators.uploaded_files import CopiedFile, UploadedFile, file_not_found, find_file_ids, put_files

__all__ = ["NamedFiles", "named_files_of"]

_LIVE_SECONDS = 60.0
"""How long a copy has to last for a request that is sent at once."""


@dataclass(eq=False)
class NamedFiles:
    """Puts the files of one client into requests that are made for it."""

    gateway: Gateway
    open_records: Callable[[], FileRecords]
    """Finds the files of that client. Most requests name none."""
    claude_key: str | None
    """The client's own key for Claude, if it has one."""
    lasting: float = _LIVE_SECONDS
    """For how many seconds from now on Claude may look at the files."""
    on_upload: Callable[[], None] = lambda: None
    """Told before Claude is asked to take a file."""
    _copies: dict[str, str] = field(default_factory=dict)
    """Which of our files Claude's ids stand for, of all copies that were put into a request."""
    _without_copy: dict[str, str] = field(default_factory=dict)
    """Files whose copy Claude did not find, with its id of the first that it did not."""

    @cached_property
    def records(self) -> FileRecords:
        """The files of that client."""
        return self.open_records()

    async def put(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a request to Claude with the uploaded files that it names.

        Raises:
            OpenAIError: 400 for a file that is not there or cannot be read by Claude, 503 if the store is away, or
                Claude takes no file for its sandbox at the moment.
        """
        shown, for_container = find_file_ids(params)
        if not shown and not for_container:
            return params
        may_copy = parse_target(params["model"]).backend == ANTHROPIC
        found = await ask_at_once([self._find(file_id, may_copy=may_copy) for file_id in shown])
        files = {file_id: file for file_id, file in zip(shown, found, strict=True) if file is not None}
        copies = await ask_at_once([self._copy(file_id, may_copy=may_copy) for file_id in for_container])
        return put_files(params, files, dict(zip(for_container, copies, strict=True)))

    async def _find(self, file_id: str, *, may_copy: bool) -> UploadedFile | CopiedFile | None:
        file = await self.records.listed.load(file_id)
        if file is None:
            return None
        if may_copy and file_id not in self._without_copy:
            copy = await self.gateway.copies.find(self.records, file, self.claude_key, self.lasting, self.on_upload)
            if copy is not None and not self._is_too_large(copy):
                self._copies[copy.claude_file_id] = file_id
                await self.records.renew(file)
                return CopiedFile(file["filename"], copy.claude_file_id, copy.kind)
        return UploadedFile(file["filename"], await self.records.content(file_id))

    async def _copy(self, file_id: str, *, may_copy: bool) -> str:
        """Find Claude's id of a file for the sandbox that code runs in."""
        file = await self.records.listed.load(file_id)
        if file is None:
            raise file_not_found(file_id, 400)
        copies = self.gateway.copies
        if not may_copy or not copies.wanted:
            message = (
                "Files of a container need Claude's own API, and `claude.upload_files`: no code can read them here."
            )
            raise OpenAIError(400, message, code="unsupported_value", param="tools")
        copy = await copies.find(self.records, file, self.claude_key, self.lasting, self.on_upload, for_container=True)
        if copy is None:
            message = f"The file {file_id} cannot be given to the code at the moment."
            raise OpenAIError(503, message, "server_error", "file_not_copied", "tools", {"retry-after": "60"})
        self._copies[copy.claude_file_id] = file_id
        await self.records.renew(file)
        return copy.claude_file_id

    def _is_too_large(self, copy: ClaudeCopy) -> bool:
        """Whether it is an image that is refused for its size, which its content shows."""
        most = self.gateway.settings.limits.max_image_bytes
        return copy.kind == "image" and most is not None and copy.bytes > most

    async def forget_refused(self, params: Mapping[str, Any], error: OpenAIError) -> bool:
        """Forget the copies that Claude does not find; say whether the request is to be made anew, without them.

        Args:
            params: what Claude was asked with.
            error: what it said: 404 for files that were deleted there or have expired (`FileExpiredError`).

        Raises:
            OpenAIError: 503, the store is away.
        """
        named = [claude_id for claude_id in _claude_file_ids(params["messages"]) if claude_id in self._copies]
        missing = [claude_id for claude_id in named if claude_id in error.message]
        if not missing and error.status == 404 and error.code != "model_not_found":
            missing = named
        may_help = False
        for claude_id in missing:
            file_id = self._copies[claude_id]
            # Of a file that is sent again, the next copy would not be found either.
            first = self._without_copy.setdefault(file_id, claude_id)
            may_help = may_help or first == claude_id
            await self.gateway.copies.forget(self.records, file_id, self.claude_key)
        return may_help


def named_files_of(exchange: Exchange) -> NamedFiles:
    """Find the files that an exchange may name."""
    return NamedFiles(
        exchange.gateway,
        lambda: FileRecords(exchange.gateway.store, exchange.scope),
        exchange.client.claude_key,
        on_upload=exchange.figures.begin_asking,
    )


def _claude_file_ids(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            for block in content:
                if block["type"] == "container_upload":
                    yield block["file_id"]
                source = block.get("source")
                if isinstance(source, Mapping) and source.get("type") == "file":
                    yield source["file_id"]
                if block["type"] == "tool_result":
                    yield from _claude_file_ids([block])

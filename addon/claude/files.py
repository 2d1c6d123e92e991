"""Claude's Files API: copies of uploaded files, which requests name instead of holding them.

https://platform.claude.com/docs/en/build-with-claude/files.
"""

from collections.abc import Callable

import msgspec

from addon.claude.errors import translated_errors
from addon.claude.sdk import ClaudeSdk, key_headers
from addon.storage.store import scope_of
from translators.uploaded_files import FileForClaude

__all__ = ["LONGEST_SECONDS", "SHORTEST_SECONDS", "ClaudeFiles"]

SHORTEST_SECONDS, LONGEST_SECONDS = 3600, 7_776_000
"""How long Claude may be told to keep a file (`anthropic.resources.files`)."""


class _Made(msgspec.Struct):
    id: str


class ClaudeFiles:
    """The calls about files. Each raises OpenAIError: Claude's refusal, its being out of reach or unreadable.

    Args:
        sdk: the official SDK.
        on_upstream: told what comes of each call: a status, or a word for what took its place.
    """

    def __init__(self, sdk: ClaudeSdk, on_upstream: Callable[[str], None]) -> None:
        self._sdk = sdk
        self._on_upstream = on_upstream

    def account(self, key: str | None) -> str:
        """Name the place where files are that are sent with a client's key, or with ours. The name tells no key."""
        return scope_of(f"{self._sdk.base_url} {key or self._sdk.api_key}")

    async def upload(self, file: FileForClaude, seconds: int, key: str | None) -> str:
        """Send a file that is to be kept for a time; return Claude's id of it."""
        sent = (file.filename, file.content, file.media_type)
        upload = self._sdk.files.with_raw_response.upload
        with translated_errors(self._on_upstream):
            response = await upload(file=sent, expires_in_seconds=seconds, extra_headers=key_headers(key))
            made = msgspec.json.decode(await response.read(), type=_Made)
        self._on_upstream("200")
        return made.id

    async def delete(self, claude_file_id: str, key: str | None) -> None:
        """Delete a file."""
        with translated_errors(self._on_upstream):
            await self._sdk.files.with_raw_response.delete(claude_file_id, extra_headers=key_headers(key))
        self._on_upstream("200")

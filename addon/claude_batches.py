"""Claude's Message Batches: many requests in one call, answered within a day, at half the price.

https://platform.claude.com/docs/en/build-with-claude/batch-processing. Bodies and results are bytes, as everywhere: a
batch has up to 256 MB of them.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime

import msgspec

from addon.claude_errors import translated_errors
from addon.claude_sdk import ClaudeSdk
from translators.errors import OpenAIError, translate_claude_error

__all__ = ["ClaudeBatch", "ClaudeBatches"]


class ClaudeBatch(msgspec.Struct):
    """How a batch stands: what of `anthropic.types.messages.MessageBatch` is needed. The SDK would check none of it."""

    processing_status: str
    results_url: str | None = None
    """None before it has ended, and when its results are not kept any more."""


class _Created(msgspec.Struct):
    id: str


class ClaudeBatches:
    """The calls about batches. Each raises OpenAIError: Claude's refusal, its being out of reach or unreadable.

    None is repeated: who made the batch asks again.

    Args:
        sdk: the official SDK.
        on_upstream: told what comes of each call: a status, or a word for what took its place.
    """

    def __init__(self, sdk: ClaudeSdk, on_upstream: Callable[[str], None]) -> None:
        self._sdk = sdk
        self._on_upstream = on_upstream

    async def create(self, body: bytes, headers: Mapping[str, str]) -> str:
        """Make a batch of an encoded body; return its id. `headers` hold for all of its requests."""
        with translated_errors(self._on_upstream):
            response = await self._sdk.post_bytes("/v1/messages/batches", body, headers)
            try:
                created = msgspec.json.decode(await response.aread(), type=_Created)
            finally:
                await response.aclose()
        self._on_upstream("200")
        return created.id

    async def retrieve(self, batch_id: str) -> ClaudeBatch:
        """Ask how a batch stands."""
        with translated_errors(self._on_upstream):
            response = await self._sdk.messages.batches.with_raw_response.retrieve(batch_id)
            batch = msgspec.json.decode(await response.read(), type=ClaudeBatch)
        self._on_upstream("200")
        return batch

    async def cancel(self, batch_id: str) -> None:
        """Let a batch end with what it has."""
        with translated_errors(self._on_upstream):
            await self._sdk.messages.batches.with_raw_response.cancel(batch_id)
        self._on_upstream("200")

    async def results(self, batch_id: str) -> AsyncIterator[bytes]:
        """Iterate over the results of a batch that has ended, a line of JSON each, in any order."""
        url = (await self.retrieve(batch_id)).results_url
        if url is None:
            raise OpenAIError(404, "Claude does not keep the results of this batch any more.")
        with translated_errors(self._on_upstream):
            response = await self._sdk.forward("GET", url, b"", {})
            try:
                if not response.is_success:
                    self._on_upstream(str(response.status_code))
                    raise translate_claude_error(
                        response.status_code, await response.aread(), response.headers, datetime.now(UTC)
                    )
                rest = b""
                async for chunk in response.aiter_bytes():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        if line.strip():
                            yield line
                if rest.strip():
                    yield rest
            finally:
                await response.aclose()
        self._on_upstream("200")

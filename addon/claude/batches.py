"""Claude's Message Batches: many requests in one call, answered within a day, at half the price.

https://platform.claude.com/docs/en/build-with-claude/batch-processing. Bodies and results are bytes, as everywhere: a
batch has up to 256 MB of them.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime

import httpx2
import msgspec
from anthropic import APIStatusError, Omit, omit

from addon.claude.errors import UNREADABLE, translated_errors
from addon.claude.sdk import ClaudeSdk
from translators.errors import OpenAIError, translate_claude_error

__all__ = ["ClaudeBatch", "ClaudeBatches", "ListedBatch", "says_not_made"]

_MOST_LISTED = 1000
"""Batches in one answer (`anthropic.types.messages.BatchListParams`)."""
_OVERLOADED = 529


class ClaudeBatch(msgspec.Struct):
    """How a batch stands: what of `anthropic.types.messages.MessageBatch` is needed. The SDK would check none of it."""

    processing_status: str
    results_url: str | None = None
    """None before it has ended, and when its results are not kept any more."""


class ListedBatch(msgspec.Struct):
    """One of the workspace's batches."""

    id: str
    created_at: datetime
    request_counts: dict[str, int]
    """By what became of them; their sum is the number of requests."""


class _Page(msgspec.Struct):
    data: list[ListedBatch]
    has_more: bool = False


class _Created(msgspec.Struct):
    id: str


class _Error(msgspec.Struct):
    type: str


class _Refusal(msgspec.Struct):
    error: _Error


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
        """Make a batch of an encoded body; return its id. `headers` hold for all of its requests.

        `says_not_made` tells whether it is made, if this fails.
        """
        with self._translated_errors():
            response = await self._sdk.post_bytes("/v1/messages/batches", body, headers)
            try:
                created = msgspec.json.decode(await response.aread(), type=_Created)
            finally:
                await response.aclose()
        self._on_upstream("200")
        return created.id

    async def newest(self) -> ListedBatch | None:
        """Find the batch that was made last in the workspace, if there is any."""
        page = await self._list(1, omit)
        return page.data[0] if page.data else None

    async def made_after(self, moment: datetime | None) -> list[ListedBatch]:
        """List the batches of the workspace that were made after a moment, the newest first; None: all."""
        found: list[ListedBatch] = []
        after: str | Omit = omit
        while True:
            page = await self._list(_MOST_LISTED, after)
            later = [batch for batch in page.data if moment is None or batch.created_at > moment]
            found += later
            if not page.has_more or not later or len(later) < len(page.data):
                return found
            after = later[-1].id

    async def _list(self, limit: int, after: str | Omit) -> _Page:
        with self._translated_errors():
            response = await self._sdk.messages.batches.with_raw_response.list(limit=limit, after_id=after)
            page = msgspec.json.decode(await response.read(), type=_Page)
        self._on_upstream("200")
        return page

    async def retrieve(self, batch_id: str) -> ClaudeBatch:
        """Ask how a batch stands."""
        with self._translated_errors():
            response = await self._sdk.messages.batches.with_raw_response.retrieve(batch_id)
            batch = msgspec.json.decode(await response.read(), type=ClaudeBatch)
        self._on_upstream("200")
        return batch

    async def cancel(self, batch_id: str) -> None:
        """Let a batch end with what it has."""
        with self._translated_errors():
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
                    await response.aread()
                    raise _translate_refusal(response)
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

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            with translated_errors(self._on_upstream):
                yield
        except OpenAIError as error:
            if isinstance(error.__cause__, APIStatusError):
                raise _translate_refusal(error.__cause__.response) from error.__cause__
            raise


def says_not_made(error: OpenAIError) -> bool:
    """Whether a failure of `create` says that there is no batch. After any other it may be there, unseen by us."""
    cause = error.__cause__
    return isinstance(cause, APIStatusError) and (cause.status_code < 500 or cause.status_code == _OVERLOADED)


def _translate_refusal(response: httpx2.Response) -> OpenAIError:
    """Translate an answer that is no success. That a batch is gone for ever is Claude's to say.

    What is between us and Claude says 404 too, while it is set up or restarted.
    """
    if response.status_code == 404:
        try:
            kind = msgspec.json.decode(response.content, type=_Refusal).error.type
        except UNREADABLE:
            kind = ""
        if kind != "not_found_error":
            return OpenAIError(502, "Claude's answer could not be read.", "server_error", "upstream_broken")
    return translate_claude_error(response.status_code, response.content, response.headers, datetime.now(UTC))

"""Claude's Message Batches: many requests in one call, answered within a day, at half the price.

https://platform.claude.com/docs/en/build-with-claude/batch-processing. Bodies and results are bytes, as everywhere: a
batch has up to 256 MB of them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import httpx2
import msgspec
from anthropic import AnthropicError
from anthropic.types.messages import MessageBatch

from addon.claude_errors import translated_errors
from addon.claude_sdk import ClaudeSdk
from translators.errors import OpenAIError

__all__ = ["ClaudeBatches"]


class _Created(msgspec.Struct):
    id: str


class ClaudeBatches:
    """The calls about batches. Each raises OpenAIError: Claude's refusal, translated, or its being out of reach.

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
        except (msgspec.DecodeError, UnicodeDecodeError, httpx2.TransportError) as error:
            raise OpenAIError(502, "Claude's answer could not be read.", "server_error", "upstream_broken") from error
        finally:
            await response.aclose()
        self._on_upstream("200")
        return created.id

    async def retrieve(self, batch_id: str) -> MessageBatch:
        """Ask how a batch stands."""
        with translated_errors(self._on_upstream):
            batch = await self._sdk.messages.batches.retrieve(batch_id)
        self._on_upstream("200")
        return batch

    async def cancel(self, batch_id: str) -> None:
        """Let a batch end with what it has."""
        with translated_errors(self._on_upstream):
            await self._sdk.messages.batches.cancel(batch_id)
        self._on_upstream("200")

    async def results(self, batch_id: str) -> AsyncIterator[bytes]:
        """Iterate over the results of a batch that has ended, a line of JSON each, in any order."""
        streaming = self._sdk.messages.batches.with_streaming_response.results(batch_id)
        try:
            with translated_errors(self._on_upstream):
                response = await streaming.__aenter__()
        except AnthropicError as error:  # the SDK's own, of a batch that has no `results_url` any more
            raise OpenAIError(404, "Claude does not keep the results of this batch any more.") from error
        try:
            rest = b""
            async for chunk in response.iter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield line
            if rest.strip():
                yield rest
        except (httpx2.TransportError, httpx2.StreamError, asyncio.IncompleteReadError) as error:
            self._on_upstream("broken")
            raise OpenAIError(502, "Claude's results were cut off.", "server_error", "upstream_broken") from error
        finally:
            await streaming.__aexit__(None, None, None)
        self._on_upstream("200")

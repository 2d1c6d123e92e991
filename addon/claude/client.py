"""The calls to Claude: the official SDK for keys, base URLs and transport; bytes in, events out, our own split.

The SDK's typed event stream costs ten times what the bytes cost, so its response is read raw. Its own retries sleep
for as long as `retry-after` says; ours stop at a limit, and with the client.
"""

import asyncio
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, Self

import anthropic
import httpx2
import msgspec
from anthropic.resources.messages import AsyncMessages
from anthropic.types import MessageCountTokensParams

from addon.claude.batches import ClaudeBatches
from addon.claude.body import UpstreamBrokenError
from addon.claude.error_frames import let_frames_go
from addon.claude.errors import translated_errors
from addon.claude.failed_try import FailedTryError, last_try_of
from addon.claude.files import ClaudeFiles
from addon.claude.sdk import ClaudeSdk, key_headers
from addon.claude.stream import ClaudeStream
from addon.claude.transport import open_transport, timeout_of
from addon.configuration.claude_settings import ClaudeSettings
from addon.configuration.settings import Settings
from translators.errors import OpenAIError, translate_claude_error
from translators.rate_limit_headers import read_retry_after

__all__ = [
    "CallObserver",
    "ClaudeClient",
    "MessagesClient",
    "MessagesSdk",
    "request_id_of",
]

_HEADERS = {"accept-encoding": "identity"}
"""A compressed event stream arrives in lumps."""

_COUNTED = frozenset(MessageCountTokensParams.__annotations__)
"""What the counting of tokens takes of a request."""

_FIRST_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 8.0


class _Count(msgspec.Struct):
    input_tokens: int


class _ModelPage(msgspec.Struct):
    data: list[dict[str, Any]]
    has_more: bool = False
    last_id: str | None = None


class MessagesSdk(Protocol):
    """What is needed of the SDK's client of one backend of Claude."""

    @property
    def messages(self) -> AsyncMessages:
        """The SDK's own methods, for what is rarely asked."""

    async def post_bytes(
        self, path: str, body: bytes, headers: Mapping[str, str], api_key: str | None = None
    ) -> httpx2.Response:
        """Send one request, once; return its successful response, whose body is still to be read and closed."""

    async def close(self) -> None:
        """Close the pool."""


class CallObserver(Protocol):
    """Is told what comes of calls."""

    def observe_upstream(self, status: str) -> None:
        """Note what came of one try: a status, or a word for what took its place."""

    def observe_retry(self) -> None:
        """Note that a call is made again."""

    def observe_unknown_event(self) -> None:
        """Note that an event in a stream is passed over."""


class _Nobody:
    """Takes no notice."""

    def observe_upstream(self, status: str) -> None:
        pass

    def observe_retry(self) -> None:
        pass

    def observe_unknown_event(self) -> None:
        pass


class MessagesClient:
    """Asks one backend of Claude, and again where that helps.

    Args:
        settings: retries.
        sdk: the SDK's client of the backend.
        observer: is told what comes of the calls; None: nobody is.
    """

    def __init__(self, settings: ClaudeSettings, sdk: MessagesSdk, observer: CallObserver | None = None) -> None:
        self._observer = observer or _Nobody()
        self._max_retries = settings.max_retries
        self._retry_after_limit = settings.retry_after_limit
        self._sdk = sdk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pool."""
        await self._sdk.close()

    async def stream(self, body: bytes, headers: Mapping[str, str], key: str | None = None) -> ClaudeStream:
        """Ask for an answer; return when its headers are there.

        Tries again on 408, 409, 429, 5xx and failed connections, because nothing has reached the client yet:
        `retry-after` is obeyed up to the configured limit, and an error with a longer one is the client's to wait
        for.

        Args:
            body: an encoded Messages request with `stream: true`.
            headers: additional ones, such as `anthropic-beta`.
            key: that of the client, None for ours.

        Raises:
            OpenAIError: Claude's refusal, translated, or its being out of reach.
        """
        for retries in range(self._max_retries + 1):
            try:
                answer = await self._open(body, headers, key)
            except OpenAIError as error:
                failure = last_try_of(error)
                if (
                    failure is None
                    or retries == self._max_retries
                    or failure.retry_after is None
                    or failure.retry_after > self._retry_after_limit
                ):
                    if failure is not None:
                        failure.retries = retries
                    raise
                let_frames_go(error)
                await asyncio.sleep(failure.retry_after or _backoff(retries))
                self._observer.observe_retry()
            else:
                answer.retries = retries
                return answer
        raise AssertionError("the last try either returns or raises")

    async def _open(self, body: bytes, headers: Mapping[str, str], key: str | None) -> ClaudeStream:
        """Try once. What fails is an OpenAIError, raised from a FailedTryError."""
        try:
            response = await self._sdk.post_bytes("/v1/messages", body, {**_HEADERS, **headers}, key)
        except anthropic.APIStatusError as error:
            refused, now = error.response, datetime.now(UTC)
            refusal = translate_claude_error(error.status_code, refused.content, refused.headers, now)
            # A spent budget has a status that is tried again, and does not come back.
            is_final = refusal.headers.get("x-should-retry") == "false"
            self._observer.observe_upstream(str(error.status_code))
            wait = None if is_final else _retry_after(refused, now)
            raise refusal from FailedTryError(error, wait, request_id_of(refused.headers))
        except anthropic.APITimeoutError as error:
            self._observer.observe_upstream("timeout")
            silent = OpenAIError(504, "Claude did not answer in time.", "server_error", "timeout")
            raise silent from FailedTryError(error, 0)
        except anthropic.APIConnectionError as error:
            self._observer.observe_upstream("unreachable")
            unreachable = OpenAIError(502, "Claude could not be reached.", "server_error", "upstream_unreachable")
            raise unreachable from FailedTryError(error, 0)
        answer = ClaudeStream(response, self._observer.observe_unknown_event)
        try:
            await answer.read_first()
        except OpenAIError as error:
            self._observer.observe_upstream("error_event")
            await answer.close()
            wait = 0 if error.status == 429 or error.status >= 500 else None
            raise error from FailedTryError(None, wait, request_id_of(answer.headers))
        except UpstreamBrokenError as error:
            self._observer.observe_upstream("broken")
            await answer.close()
            broken = OpenAIError(502, f"No answer: {error}.", "server_error", "upstream_broken")
            raise broken from FailedTryError(error, 0)
        except BaseException:
            await answer.close()
            raise
        self._observer.observe_upstream("200")
        return answer

    async def count_tokens(self, params: Mapping[str, Any], headers: Mapping[str, str], key: str | None = None) -> int:
        """Ask how many tokens the input of a Messages request has.

        Raises:
            OpenAIError: Claude's refusal, its being out of reach, or a count that cannot be read.
        """
        counted: Any = {name: value for name, value in params.items() if name in _COUNTED}
        beta = {name: params[name] for name in ("mcp_servers",) if name in params}
        more = {**headers, **key_headers(key)}
        with translated_errors(self._observer.observe_upstream):
            count_tokens = self._sdk.messages.with_raw_response.count_tokens
            response = await count_tokens(**counted, extra_headers=more, extra_body=beta)
            count = msgspec.json.decode(await response.read(), type=_Count)
        self._observer.observe_upstream("200")
        return count.input_tokens


class ClaudeClient(MessagesClient):
    """Claude's own API: the process's one connection pool to it.

    Args:
        settings: key, base URL, timeouts, retries.
        base_url: where Claude is, if not where the settings say (the simulated one).
        observer: is told what comes of the calls; None: nobody is.
    """

    def __init__(self, settings: Settings, base_url: str | None = None, observer: CallObserver | None = None) -> None:
        claude = settings.claude
        self._claude_sdk = ClaudeSdk(
            api_key=_own_key(claude),
            base_url=base_url or claude.base_url,
            max_retries=0,
            open_telemetry=False,
            http_client=open_transport(claude, proxy=None if base_url else claude.proxy),
            timeout=timeout_of(claude),
        )
        super().__init__(claude, self._claude_sdk, observer)
        self.batches = ClaudeBatches(self._claude_sdk, self._observer.observe_upstream)
        self.files = ClaudeFiles(self._claude_sdk, self._observer.observe_upstream)

    def use_key(self, claude: ClaudeSettings) -> None:
        """Take another key of our own for the next calls; those that run keep theirs."""
        self._claude_sdk.use_key(_own_key(claude))

    async def forward(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], key: str | None = None
    ) -> httpx2.Response:
        """Send a request of Claude's own API as it is, with our key or the client's; return whatever comes back.

        Raises:
            OpenAIError: Claude is out of reach.
        """
        with translated_errors(self._observer.observe_upstream):
            response = await self._claude_sdk.forward(method, path, body, headers, key)
        self._observer.observe_upstream(str(response.status_code))
        return response

    async def models(self, key: str | None = None) -> list[dict[str, Any]]:
        """Ask for the models that the key may use, as `anthropic.types.ModelInfo` objects in plain form.

        Raises:
            anthropic.AnthropicError: Claude refused, or is out of reach.
            Exception: one of `addon.claude.errors.UNREADABLE`.
        """
        models: list[dict[str, Any]] = []
        after: str | anthropic.Omit = anthropic.omit
        while True:
            response = await self._claude_sdk.models.with_raw_response.list(
                limit=1000, after_id=after, extra_headers=key_headers(key)
            )
            page = msgspec.json.decode(await response.read(), type=_ModelPage)
            models += page.data
            if not page.has_more or page.last_id in (None, after):
                return models
            after = page.last_id


def _own_key(claude: ClaudeSettings) -> str:
    return (claude.api_key.get_secret_value() if claude.api_key else None) or "simulated"


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Find the id that Claude, or Amazon, gave to a request."""
    return headers.get("request-id") or headers.get("x-amzn-requestid")


def _retry_after(response: httpx2.Response, now: datetime) -> float | None:
    # Which to try again: as the SDK itself (anthropic/_base_client.py, `_should_retry`).
    asked = response.headers.get("x-should-retry")
    if asked == "false" or (
        asked != "true" and response.status_code not in {408, 409, 429} and response.status_code < 500
    ):
        return None
    return read_retry_after(response.headers, now) or 0.0


def _backoff(retries: int) -> float:
    longest = min(_FIRST_BACKOFF_SECONDS * 2.0**retries, _LONGEST_BACKOFF_SECONDS)
    return longest * (1 - 0.25 * random.random())  # noqa: S311 - jitter, not a secret

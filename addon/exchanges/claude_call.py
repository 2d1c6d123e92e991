"""One answer of Claude from its request to its end: tried again without old thinking, continued where it pauses."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, Self

import msgspec

from addon.access.access import Client
from addon.claude.body import UpstreamBrokenError
from addon.claude.client import request_id_of
from addon.claude.error_frames import let_frames_go
from addon.claude.failed_try import last_try_of
from addon.claude.response_cache import (
    CACHE_HEADER,
    CachedAnswer,
    CacheOutcome,
    CacheUse,
    StreamedAnswer,
    name_request,
)
from addon.exchanges.gateway import Gateway
from addon.observation.figures import Figures
from translators.backends import ANTHROPIC, parse_target
from translators.claude_events import Event, MalformedEventError, Usage
from translators.errors import OpenAIError
from translators.image_limits import require_images_within
from translators.phases import IllegalEventOrderError
from translators.rate_limit_headers import translate_rate_limit_headers
from translators.tools import holds_to_schemas
from translators.translation_warning import TranslationWarning

__all__ = ["AnswerStream", "Caller", "ClaudeCall", "TranslatedCall", "WordedFor"]

_MAX_CONTINUATIONS = 10
"""How often a `pause_turn` is continued. Claude pauses after ten rounds of its own tools: a hundred are a runaway."""


class Caller(Protocol):
    """For whom Claude is asked: an exchange, or a response that is made in the background."""

    @property
    def gateway(self) -> Gateway:
        """What lives as long as the process."""

    @property
    def client(self) -> Client:
        """Whose key for Claude is used."""

    @property
    def figures(self) -> Figures:
        """What its log line says."""

    response_headers: dict[str, str]
    """What Claude's answer adds to the headers of ours."""

    @property
    def cache_use(self) -> CacheUse:
        """Whether an answer may be given that was given before."""

    @property
    def scope(self) -> str:
        """`scope_of` of the client's credentials."""


class TranslatedCall(Protocol):
    """A request that is ready for Claude."""

    @property
    def params(self) -> dict[str, Any]:
        """Body of POST /v1/messages."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers besides the SDK's own."""

    @property
    def warnings(self) -> tuple[TranslationWarning, ...]:
        """What does not reach Claude as the client sent it."""

    @property
    def replays_thinking(self) -> bool:
        """Whether `params` holds thinking of earlier turns, which Claude may refuse."""

    def without_thinking(self) -> Self:
        """Return the same request without the thinking of earlier turns."""

    def without_strict_tools(self) -> Self:
        """Return the same request with tools that need not be called by their schemas."""

    def word_error(self, error: OpenAIError) -> OpenAIError:
        """Word Claude's refusal as the endpoint does; return the same error where all endpoints have one wording."""


class WordedFor:
    """Have Claude's refusals in the words of the request's endpoint."""

    def __init__(self, request: TranslatedCall) -> None:
        self._request = request

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OpenAIError):
            worded = self._request.word_error(error)
            if worded is not error:
                raise worded from error


class AnswerStream[Piece](Protocol):
    """Translates Claude's events to pieces of the client's answer."""

    @property
    def completed(self) -> bool:
        """Whether the answer is whole."""

    @property
    def paused(self) -> bool:
        """Whether Claude wants its answer sent back, to go on."""

    @property
    def stopped_early(self) -> bool:
        """Whether the rest of Claude's answer is not wanted."""

    @property
    def claude_container_id(self) -> str | None:
        """Claude's id of the sandbox that its code ran in."""

    @property
    def content(self) -> list[dict[str, Any]]:
        """Claude's blocks so far, as they go back to Claude."""

    @property
    def claude_usage(self) -> Usage:
        """Claude's counts so far."""

    def translate(self, event: Event) -> Sequence[Piece]:
        """Translate one event."""

    def resume(self) -> None:
        """Go on after a pause."""


async def _never(_: object, _error: OpenAIError) -> None:
    return None


class ClaudeCall[Request: TranslatedCall, Piece]:
    """Asks Claude, and sends what its events become on to `sink`.

    Args:
        caller: whose answer it is, and whose log line counts it.
        request: the translated request.
        stream: translates the events.
        sink: takes the pieces of one read at a time; it returns when the client has taken enough of them.
        on_complete: awaited once the answer is whole, before the client can know it.
        on_retry: called with the request that takes the place of one that Claude refused.
        revise: makes another request of one that Claude refused, if it knows one that may pass; else None.
        may_reuse: whether an answer may be given that was given before. Not where several are to differ.
    """

    def __init__(  # noqa: PLR0913 - for whom, what is asked, and who is told
        self,
        caller: Caller,
        request: Request,
        stream: AnswerStream[Piece],
        sink: Callable[[list[Piece]], Awaitable[None]],
        *,
        on_complete: Callable[[], Awaitable[None]] | None = None,
        on_retry: Callable[[Request], None] = lambda _: None,
        revise: Callable[[Request, OpenAIError], Awaitable[Request | None]] = _never,
        may_reuse: bool = True,
    ) -> None:
        self._caller = caller
        self._request = request
        self._stream = stream
        self._sink = sink
        self._on_complete = on_complete
        self._on_retry = on_retry
        self._revise = revise
        self._cache_use: CacheUse = caller.cache_use if may_reuse else "off"
        self._cached: CachedAnswer | None = None
        self._cache_outcome: CacheOutcome | None = None
        """Of the segments that have ended."""

    async def run(self) -> None:
        """Have the whole answer translated, its continuations included.

        Raises:
            OpenAIError: Claude refused, or its answer was cut off.
        """
        stream = self._stream
        limits = self._caller.gateway.settings.limits
        if limits.max_images is not None or limits.max_image_bytes is not None:
            require_images_within(self._request.params["messages"], limits.max_image_bytes, limits.max_images)
        try:
            with WordedFor(self._request):
                await self._segment(self._request.params)
                for _continuation in range(_MAX_CONTINUATIONS):
                    if not stream.paused:
                        break
                    # https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons: as it came.
                    paused = {"role": "assistant", "content": stream.content}
                    stream.resume()
                    params = self._request.params
                    if stream.claude_container_id is not None:
                        params = {**params, "container": stream.claude_container_id}
                    await self._segment({**params, "messages": [*params["messages"], paused]})
        finally:
            figures, gateway = self._caller.figures, self._caller.gateway
            gateway.limits.charge(self._caller.client, figures.count(stream.claude_usage, gateway.prices))
            if gateway.settings.logging.content != "off":
                figures.answers.append(stream.content)

    async def _segment(self, params: dict[str, Any]) -> None:
        """Send one request to Claude, and on to the sink everything of its answer."""
        with self._caller.figures.asking():
            await self._ask_and_send_on(params)

    async def _ask_and_send_on(self, params: dict[str, Any]) -> None:
        answer = await self._ask(params)
        try:
            await answer.pass_on(self._send_on)
        except UpstreamBrokenError as error:
            raise _cut_off(str(error)) from error
        finally:
            await answer.close()
            if self._cached is not None:
                self._cache_outcome = self._note_outcome(self._cached)

    async def _send_on(self, events: list[Event]) -> bool:
        """Send on what the events of one read become; return whether more of the answer is wanted."""
        stream, figures = self._stream, self._caller.figures
        if figures.first_event is None:
            figures.first_event = time.perf_counter()
            figures.response_model = events[0].message.model if events[0].message else None
        pieces: list[Piece] = []
        failure = None
        for event in events:
            try:
                pieces += stream.translate(event)
            except OpenAIError as error:
                failure = error
                break
            except (IllegalEventOrderError, MalformedEventError) as error:
                failure = _cut_off(str(error))
                break
        if stream.completed and self._on_complete is not None:
            await self._on_complete()
        if pieces:
            await self._sink(pieces)
        if failure:
            raise failure
        return not stream.stopped_early

    def _note_outcome(self, answer: CachedAnswer) -> CacheOutcome:
        """Note what the cache has to do with the turn, which counts as made if one of its segments was."""
        outcome: CacheOutcome = "miss" if self._cache_outcome == "miss" else answer.outcome
        self._caller.figures.cache = outcome
        return outcome

    async def _ask(self, params: dict[str, Any]) -> StreamedAnswer:
        caller = self._caller
        is_first = params is self._request.params
        while True:
            try:
                answer = await self._find(params)
                break
            except OpenAIError as error:
                if failure := last_try_of(error):
                    caller.figures.retries += failure.retries
                    caller.figures.claude_request_id = failure.request_id
                other = await self._replace(error) if is_first else None
                if other is None:
                    raise
                let_frames_go(error)
            self._request = other
            self._on_retry(other)
            caller.figures.warnings = other.warnings
            params = other.params
        caller.figures.retries += answer.retries
        caller.figures.claude_request_id = request_id_of(answer.headers)
        caller.response_headers = translate_rate_limit_headers(answer.headers, datetime.now(UTC))
        if caller.figures.cache is not None:
            caller.response_headers[CACHE_HEADER] = caller.figures.cache
        return answer

    async def _replace(self, error: OpenAIError) -> Request | None:
        """Make the request that is asked instead of one that was refused, if there is one."""
        if self._request.replays_thinking and _refuses_thinking(error):
            # Thinking is bound to what came before it; a history that was edited gets along without.
            return self._request.without_thinking()
        if holds_to_schemas(self._request.params) and _refuses_schemas(error):
            return self._request.without_strict_tools()
        return await self._revise(self._request, error)

    async def _find(self, params: dict[str, Any]) -> StreamedAnswer:
        """Find an answer that was given before, where that is wanted, or ask for one."""
        caller, body, headers = self._caller, msgspec.json.encode(params), self._request.headers
        gateway = caller.gateway
        backend = parse_target(params["model"]).backend
        claude = gateway.backends.find(backend)
        # A client brings a key for Claude's own API, never for a cloud.
        key = caller.client.claude_key if backend == ANTHROPIC else None
        if backend != ANTHROPIC:
            caller.figures.backend = backend
        if self._cache_use == "off":
            return await claude.stream(body, headers, key)
        owner = "" if gateway.settings.cache.shared else caller.scope
        name = name_request(owner, body, headers)
        self._cached = await gateway.cache.answer(name, lambda: claude.stream(body, headers, key), self._cache_use)
        self._note_outcome(self._cached)
        return self._cached


def _cut_off(reason: str) -> OpenAIError:
    return OpenAIError(502, f"The answer was cut off: {reason}.", "server_error", "upstream_broken")


def _refuses_thinking(error: OpenAIError) -> bool:
    return error.status == 400 and ("signature" in error.message or "thinking" in error.message)


def _refuses_schemas(error: OpenAIError) -> bool:
    # https://platform.claude.com/docs/en/build-with-claude/structured-outputs: "Schema is too complex for compilation".
    return error.status == 400 and "too complex" in error.message

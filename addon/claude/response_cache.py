"""Answers of Claude that are given again for the same request, where operator and client want that.

What is kept are Claude's events, under the very request that Claude was asked with: so whole and streamed answers serve
each other, and every client gets ids and times of its own. Equal requests that come while the first is being answered
share its answer, and one of them pays for it: the first of those who stay.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Literal, Protocol

import msgspec
import structlog
from cachetools import TTLCache
from mitmproxy.utils import asyncio_utils

from addon.claude.stream import TakeEvents
from addon.configuration.claude_settings import CacheSettings
from addon.configuration.client_keys import ClientKey
from addon.storage.store import Key, Store, StoreUnavailableError
from translators.claude_events import Event

__all__ = [
    "CACHE_HEADER",
    "CacheOutcome",
    "CacheUse",
    "CachedAnswer",
    "ResponseCache",
    "StreamedAnswer",
    "cache_use",
    "name_request",
]

CACHE_HEADER = "x-claude-proxy-cache"
"""In a request `on`, `off` or `refresh`; in an answer what came of it."""

type CacheUse = Literal["off", "on", "refresh"]
"""Whether kept answers are given and answers kept; `refresh` only keeps."""
type CacheOutcome = Literal["hit", "shared", "miss"]
"""The answer was kept, was being made for another request, or was made for this one, which pays for it."""

log = structlog.get_logger(__name__)

_MOST_EVENTS = 64
"""Of an answer that is there already, in one turn of the event loop: about as many as a large read brings."""


class StreamedAnswer(Protocol):
    """One answer of Claude, streaming."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Claude's response headers, names in lower case."""

    @property
    def retries(self) -> int:
        """How often it was asked again."""

    async def pass_on(self, take: TakeEvents) -> None:
        """Give the events to `take` as they come, until it wants no more or the answer ends.

        Raises:
            UpstreamBrokenError: the connection broke, or brought what is no event.
            Exception: what `take` raises.
        """

    async def close(self) -> None:
        """End the call."""


class CachedAnswer(StreamedAnswer, Protocol):
    """One that others may have too."""

    @property
    def outcome(self) -> CacheOutcome:
        """What the cache has to do with it: settled when it is closed, because who pays may leave before its end."""


def cache_use(settings: CacheSettings, key: ClientKey | None, asked: str | None) -> CacheUse:
    """Decide what becomes of a request, by the settings or its client's key, and by its own header."""
    mode = settings.mode
    if key is not None and key.cache is not None:
        mode = "on" if key.cache else "off"
    match mode, (asked or "").strip().lower():
        case "off", _:
            return "off"
        case _, "refresh":
            return "refresh"
        case _, ("off" | "false" | "0" | "no-store"):
            return "off"
        case "on", _:
            return "on"
        case _, ("on" | "true" | "1"):
            return "on"
    return "off"


def name_request(owner: str, body: bytes, headers: Mapping[str, str]) -> str:
    """Name a request to Claude: another byte, header or client is another request."""
    digest = hashlib.sha256()
    for part in (owner.encode(), *(f"{name}: {value}".encode() for name, value in sorted(headers.items())), body):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


class _KeptAnswer(msgspec.Struct, frozen=True):
    events: list[Event]


_decoder = msgspec.json.Decoder(_KeptAnswer)
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class _Turns:
    """Turns of the event loop for those who have much to take at once: one of them in each, however many they are."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def next(self) -> None:
        """Wait for a turn that is this one's alone."""
        async with self._lock:
            await asyncio.sleep(0)


class ResponseCache:
    """Whole answers by the name of their request, forgotten after a time or when there are too many.

    Args:
        settings: how much is kept, for how long, and where.
        store: keeps them where the settings say so: for several processes, and over a restart.
    """

    def __init__(self, settings: CacheSettings, store: Store) -> None:
        self._settings = settings
        self._store = store if settings.backend == "store" else None
        self._kept: TTLCache[str, bytes] = TTLCache(settings.max_bytes, settings.seconds_to_live, getsizeof=len)
        self._under_way: dict[str, _AnswerUnderWay] = {}
        self._turns = _Turns()

    async def answer(self, name: str, ask: Callable[[], Awaitable[StreamedAnswer]], use: CacheUse) -> CachedAnswer:
        """Find the answer, or have it made.

        Args:
            name: of the request (`name_request`).
            ask: asks Claude.
            use: `on`, or `refresh` to have it made anew.

        Raises:
            OpenAIError: Claude refused.
        """
        if use == "on":
            encoded = await self._load(name)
            if encoded is not None:
                await self._turns.next()
                return _GivenAgain(_decoder.decode(encoded).events, self._turns)
            if (under_way := self._under_way.get(name)) is not None:
                return await under_way.follow()
        made = _AnswerUnderWay(ask, lambda events: self._keep(name, events), partial(self._forget, name), self._turns)
        self._under_way[name] = made
        made.begin()
        return await made.follow()

    async def _load(self, name: str) -> bytes | None:
        if self._store is None:
            return self._kept.get(name)
        key = Key("cache", "", name)
        try:
            return (await self._store.load([key])).get(key)
        except StoreUnavailableError as error:
            log.warning("cache_not_read", reason=error.reason)
            return None

    async def _keep(self, name: str, events: Sequence[Event]) -> None:
        encoded = msgspec.json.encode(_KeptAnswer(list(events)))
        if len(encoded) > min(self._settings.max_answer_bytes, self._settings.max_bytes):
            return
        if self._store is None:
            self._kept[name] = encoded
            return
        try:
            await self._store.save({Key("cache", "", name): encoded}, self._settings.seconds_to_live)
        except StoreUnavailableError as error:
            log.warning("cache_not_written", reason=error.reason)

    def _forget(self, name: str, under_way: "_AnswerUnderWay") -> None:
        if self._under_way.get(name) is under_way:
            del self._under_way[name]


class _GivenAgain:
    """A kept answer."""

    headers = _NO_HEADERS
    retries = 0
    outcome: CacheOutcome = "hit"

    def __init__(self, events: list[Event], turns: _Turns) -> None:
        self._events = events
        self._turns = turns

    async def pass_on(self, take: TakeEvents) -> None:
        for start in range(0, len(self._events), _MOST_EVENTS):
            if start:
                await self._turns.next()
            if not await take(self._events[start : start + _MOST_EVENTS]):
                return

    async def close(self) -> None:
        """Nothing is open."""


class _AnswerUnderWay:
    """An answer that is being made, for all who have asked for it. When the last of them leaves, it is given up."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[StreamedAnswer]],
        keep: Callable[[Sequence[Event]], Awaitable[None]],
        forget: Callable[["_AnswerUnderWay"], None],
        turns: _Turns,
    ) -> None:
        self._ask = ask
        self._keep = keep
        self._forget = forget
        self.turns = turns
        self.answer: StreamedAnswer | None = None
        self.events: list[Event] = []
        self.failure: Exception | None = None
        self.done = False
        self.paid = False
        self.followers: list[_Followed] = []
        """In the order of their coming: the first one pays, unless somebody has."""
        self._grown = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Have it made. It may have failed when this returns."""
        self._task = asyncio_utils.create_task(self._make(), name="answer for the cache", keep_ref=True)

    async def follow(self) -> "_Followed":
        """Wait until the answer has begun, and follow it from its first event on.

        Raises:
            OpenAIError: Claude refused.
        """
        followed = _Followed(self)
        try:
            while self.answer is None and self.failure is None:
                await self.grown()
        except BaseException:
            await followed.close()
            raise
        if self.answer is None and self.failure is not None:
            await followed.close()
            raise self.failure
        return followed

    async def grown(self) -> None:
        """Wait for the next events, or the end."""
        await self._grown.wait()

    @property
    def is_whole(self) -> bool:
        """Whether Claude has said all of it."""
        return bool(self.events) and self.events[-1].type == "message_stop"

    async def leave(self, followed: "_Followed") -> None:
        """Note that one who follows does not any more."""
        self.followers.remove(followed)
        if not self.followers and not (self.done or self.is_whole) and self._task is not None:
            self._forget(self)
            task, self._task = self._task, None  # it has this by its end, and this would have it
            task.cancel()
            await asyncio.wait([task])

    async def _make(self) -> None:
        try:
            self.answer = await self._ask()
            self._wake()
            try:
                await self.answer.pass_on(self._add)
            finally:
                await self.answer.close()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who follow are told
            self.failure = error
        finally:
            self.done = True
            self._wake()
            try:
                if self.failure is None and self.is_whole:
                    with contextlib.suppress(asyncio.CancelledError):
                        await self._keep(self.events)
            finally:
                # Those who come from now on find the kept answer, or have it made anew.
                self._forget(self)

    async def _add(self, events: list[Event]) -> bool:
        self.events += events
        self._wake()
        return True

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


class _Followed:
    """The answer as one of those sees it who asked for it."""

    def __init__(self, under_way: _AnswerUnderWay) -> None:
        self._under_way = under_way
        self._read = 0
        self._settled: CacheOutcome | None = None
        under_way.followers.append(self)

    @property
    def headers(self) -> Mapping[str, str]:
        """Claude's response headers."""
        answer = self._under_way.answer
        return answer.headers if answer is not None else _NO_HEADERS

    @property
    def retries(self) -> int:
        """How often Claude was asked again."""
        answer = self._under_way.answer
        return answer.retries if answer is not None else 0

    @property
    def outcome(self) -> CacheOutcome:
        """Whether this one pays for the answer."""
        if self._settled is not None:
            return self._settled
        under_way = self._under_way
        return "miss" if under_way.followers[0] is self and not under_way.paid else "shared"

    async def pass_on(self, take: TakeEvents) -> None:
        under_way = self._under_way
        while True:
            if len(under_way.events) - self._read > _MOST_EVENTS:
                await under_way.turns.next()
            if events := under_way.events[self._read : self._read + _MOST_EVENTS]:
                self._read += len(events)
                if not await take(events):
                    return
            elif under_way.failure is not None:
                raise under_way.failure
            elif under_way.done or under_way.is_whole:
                return
            else:
                await under_way.grown()

    async def close(self) -> None:
        """Leave the answer to the others; before its end, to be paid for by the next of them."""
        if self._settled is not None:
            return
        under_way, outcome = self._under_way, self.outcome
        if outcome == "miss":
            has_all = self._read == len(under_way.events) and (under_way.done or under_way.is_whole)
            under_way.paid = has_all or len(under_way.followers) == 1
        self._settled = "miss" if outcome == "miss" and under_way.paid else "shared"
        await under_way.leave(self)

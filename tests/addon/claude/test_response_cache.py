"""An answer that is made for the cache ends for all who follow it, however it ends, and holds nobody else up."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import override

import pytest

from addon.claude.response_cache import ResponseCache, StreamedAnswer
from addon.claude.stream import TakeEvents
from addon.configuration.claude_settings import CacheSettings
from addon.storage.sqlite_store import IN_MEMORY, SqliteStore
from addon.storage.store import Key
from tests.event_loop_turns import turns_of_the_event_loop
from translators.claude_events import Event
from translators.errors import OpenAIError


@pytest.fixture
async def cache():
    store = SqliteStore(IN_MEMORY, 3600, 2**20)
    yield ResponseCache(CacheSettings(mode="on"), store)
    await store.close()


@pytest.fixture(params=["eager", "lazy"])
async def _tasks(request):
    """Run as under mitmproxy, where a task may have ended before its maker knows of it; and as under asyncio alone."""
    factory = asyncio.eager_task_factory if request.param == "eager" else None
    asyncio.get_running_loop().set_task_factory(factory)


@pytest.mark.usefixtures("_tasks")
@pytest.mark.parametrize("failure", [OpenAIError(429, "Slow down."), RuntimeError("a mistake")], ids=["refusal", "bug"])
@pytest.mark.parametrize("waits", [False, True], ids=["at_once", "later"])
async def test_a_failure_reaches_each_who_asked_and_nobody_after_them(
    cache: ResponseCache, failure: Exception, waits: bool
) -> None:
    asked = 0

    async def ask() -> StreamedAnswer:
        nonlocal asked
        asked += 1
        if waits:
            await asyncio.sleep(0.01)
        raise failure

    async with asyncio.timeout(5):
        both = await asyncio.gather(*(cache.answer("same", ask, "on") for _ in range(2)), return_exceptions=True)
        assert both == [failure, failure]
        asked_by_both = asked
        with pytest.raises(type(failure)):
            await cache.answer("same", ask, "on")
    assert asked == asked_by_both + 1


class _SlowStore(SqliteStore):
    """One that saves when it is told to."""

    def __init__(self) -> None:
        super().__init__(IN_MEMORY, 3600, 2**20)
        self.saves = asyncio.Event()
        self.failure: Exception | None = None

    @override
    async def save(self, values: Mapping[Key, bytes], seconds_to_live: float | None = None) -> None:
        await self.saves.wait()
        if self.failure is not None:
            raise self.failure
        await super().save(values, seconds_to_live)


async def _follow(cache: ResponseCache, ask: Callable[[], Awaitable[StreamedAnswer]]) -> tuple[list[Event], str]:
    taken: list[Event] = []

    async def take(events: list[Event]) -> bool:
        taken.extend(events)
        return True

    answer = await cache.answer("same", ask, "on")
    await answer.pass_on(take)
    await answer.close()
    return taken, answer.outcome


@pytest.mark.usefixtures("_tasks")
@pytest.mark.parametrize("failure", [None, RuntimeError("a mistake")], ids=["slow", "fails"])
async def test_nobody_waits_for_the_store_that_keeps_an_answer(failure: Exception | None) -> None:
    store = _SlowStore()
    cache = ResponseCache(CacheSettings(mode="on", backend="store"), store)
    events = [Event("ping"), Event("message_stop")]
    end = asyncio.Event()
    end.set()
    asked = 0

    async def ask() -> StreamedAnswer:
        nonlocal asked
        asked += 1
        return _LongAnswer(events, end)

    async with asyncio.timeout(5):
        assert await _follow(cache, ask) == (events, "miss")
        assert await _follow(cache, ask) == (events, "shared")
        store.failure = failure
        store.saves.set()
        await asyncio.sleep(0.1)
        kept = await _follow(cache, ask)
    assert kept == (events, "miss" if failure else "hit")
    assert asked == (2 if failure else 1)
    await store.close()


class _LongAnswer:
    """One whose events are there at once, but for the last, for which it waits."""

    headers: Mapping[str, str] = {}
    retries = 0

    def __init__(self, events: list[Event], end: asyncio.Event) -> None:
        self._events = events
        self._end = end

    async def pass_on(self, take: TakeEvents) -> None:
        await take(self._events[:-1])
        await self._end.wait()
        await take(self._events[-1:])

    async def close(self) -> None:
        """Nothing is open, but that takes a moment."""
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("is_kept", [False, True], ids=["under_way", "kept"])
async def test_those_who_come_late_take_a_long_answer_in_turns_with_all_others(
    cache: ResponseCache, is_kept: bool
) -> None:
    followers = 50
    events = [Event("content_block_delta", index=0)] * 5000 + [Event("message_stop")]
    end = asyncio.Event()
    taken: list[list[Event]] = [[] for _ in range(followers)]
    taken_in: Counter[int] = Counter()

    async def ask() -> StreamedAnswer:
        return _LongAnswer(events, end)

    async def follow(number: int) -> None:
        async def take(some: list[Event]) -> bool:
            taken_in[turns()] += len(some)
            taken[number] += some
            if len(taken[number]) == len(events) - 1:
                end.set()
            return True

        answer = await cache.answer("same", ask, "on")
        await answer.pass_on(take)
        await answer.close()

    if is_kept:
        end.set()
        with turns_of_the_event_loop() as turns:
            await follow(0)
        taken[0].clear()
    taken_in.clear()
    with turns_of_the_event_loop() as turns:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for number in range(followers):
                group.create_task(follow(number))
    assert [each == events for each in taken] == [True] * followers
    assert max(taken_in.values()) <= 200

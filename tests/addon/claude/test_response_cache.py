"""An answer that is made for the cache ends for all who follow it, however it ends."""

import asyncio

import pytest

from addon.claude.response_cache import ResponseCache, StreamedAnswer
from addon.configuration.claude_settings import CacheSettings
from addon.storage.sqlite_store import IN_MEMORY, SqliteStore
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

"""Answers that are given again: for the very same request, of the same client, where it is wanted."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from addon.configuration.client_keys import digest_of
from addon.configuration.settings import Settings
from addon.simulated_claude.server import RunningSimulation
from tests.contract.simulated_upstream import simulate
from tests.integration.responses_api import REVERSE, check, client_of, settings_with_store
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.lived_time import within

HEADER = "x-claude-proxy-cache"
SLOW = {"event_interval": 0.15, "text": "One two three four five six seven eight nine ten."}

type Make = Callable[..., Settings]


@pytest.fixture
def make_settings(simulation: RunningSimulation, tmp_path: Path) -> Make:
    def make(keys: dict[str, bool | None] | None = None, **cache: Any) -> Settings:
        known = [
            {"name": f"key-{number}", "sha256": digest_of(key), "cache": says}
            for number, (key, says) in enumerate((keys or {}).items())
        ]
        sections = {"access": {"keys": known}, "cache": {"mode": "on", **cache}}
        return settings_with_store(simulation.base_url, tmp_path / "store.sqlite3", **sections)

    return make


def calls(simulation: RunningSimulation) -> int:
    return sum(entry.path == "/v1/messages" for entry in simulation.journal)


async def whole(client: AsyncOpenAI, text: str = "Hello.", header: str | None = None, **fields: Any) -> tuple[Any, str]:
    """Ask for a whole completion; return it, and what the cache had to do with it."""
    answered = await client.chat.completions.with_raw_response.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": text}],
        extra_headers={} if header is None else {HEADER: header},
        **fields,
    )
    return answered.parse(), answered.headers.get(HEADER, "")


async def streamed(client: AsyncOpenAI, text: str = "Hello.", header: str | None = None) -> str:
    stream = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": text}],
        extra_headers={} if header is None else {HEADER: header},
        stream=True,
    )
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


def metric(proxy: RunningProxy, name: str, **labels: str) -> float:
    assert proxy.addon._gateway is not None
    return proxy.addon._gateway.metrics.registry.get_sample_value(name, labels) or 0.0


async def test_whole_and_streamed_answers_serve_each_other(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        first, outcome = await whole(client)
        assert outcome == "miss"
        again, outcome = await whole(client)
        assert outcome == "hit"
        assert again.choices == first.choices
        assert again.usage == first.usage
        assert again.id != first.id
        assert await streamed(client) == first.choices[0].message.content
        text = await streamed(client, "The other way round.")
        assert (await whole(client, "The other way round."))[0].choices[0].message.content == text
        assert calls(simulation) == 2
        assert metric(proxy, "claude_proxy_cache_requests_total", outcome="hit") == 3
        assert metric(proxy, "claude_proxy_cache_requests_total", outcome="miss") == 2


async def test_what_is_given_again_costs_nothing(start_proxy: ProxyStarter, make_settings: Make) -> None:
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        await whole(client)
        cost = metric(proxy, "claude_proxy_cost_dollars_total", model="claude-sonnet-5-5")
        tokens = metric(proxy, "claude_proxy_tokens_total", model="claude-sonnet-5-5", kind="output")
        assert cost > 0
        assert tokens > 0
        await whole(client)
        assert metric(proxy, "claude_proxy_cost_dollars_total", model="claude-sonnet-5-5") == cost
        assert metric(proxy, "claude_proxy_tokens_total", model="claude-sonnet-5-5", kind="output") == tokens


async def test_responses_are_given_again_under_ids_of_their_own(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        first = await client.responses.create(model="gpt-5.5", input="Hello.")
        stream = await client.responses.create(model="gpt-5.5", input="Hello.", stream=True)
        second = check([event async for event in stream])
        assert second["id"] != first.id
        assert second["output"][-1]["content"] == first.to_dict()["output"][-1]["content"]
        assert (await client.responses.retrieve(second["id"])).output_text == first.output_text
        assert calls(simulation) == 1


@pytest.mark.parametrize(
    ("mode", "header", "outcomes", "made"),
    [
        ("off", "on", ["", ""], 2),
        ("asked", None, ["", ""], 2),
        ("asked", "on", ["miss", "hit"], 1),
        ("on", "off", ["", ""], 2),
        ("on", "refresh", ["miss", "miss"], 2),
    ],
)
async def test_operator_and_client_both_have_a_say(
    start_proxy: ProxyStarter,
    simulation: RunningSimulation,
    make_settings: Make,
    mode: str,
    header: str | None,
    outcomes: list[str],
    made: int,
) -> None:
    async with start_proxy(REVERSE, settings=make_settings(mode=mode)) as proxy, client_of(proxy) as client:
        assert [(await whole(client, header=header))[1] for _ in range(2)] == outcomes
    assert calls(simulation) == made


@pytest.mark.parametrize("ask", [whole, streamed], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("mode", "key", "header", "made"),
    [
        ("off", True, None, 1),
        ("asked", True, None, 1),
        ("on", True, "off", 2),
        ("off", True, "refresh", 2),
        ("on", False, None, 2),
        ("asked", False, "on", 2),
        ("on", None, None, 1),
        ("off", None, "on", 2),
        ("asked", None, None, 2),
    ],
)
async def test_a_key_has_its_say_in_place_of_the_mode(
    start_proxy: ProxyStarter,
    simulation: RunningSimulation,
    make_settings: Make,
    ask: Callable[..., Awaitable[Any]],
    mode: str,
    key: bool | None,
    header: str | None,
    made: int,
) -> None:
    settings = make_settings({"sk-one": key}, mode=mode)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        for _ in range(2):
            await ask(client, header=header)
    assert calls(simulation) == made


@pytest.mark.parametrize("shared", [False, True], ids=["each_for_itself", "shared"])
async def test_a_key_that_says_no_neither_gets_nor_leaves_answers_and_changes_nothing_for_others(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make, shared: bool
) -> None:
    settings = make_settings({"sk-no": False, "sk-one": True, "sk-two": None}, shared=shared)
    async with (
        start_proxy(REVERSE, settings=settings) as proxy,
        client_of(proxy, "sk-no") as no,
        client_of(proxy, "sk-one") as one,
        client_of(proxy, "sk-two") as two,
    ):
        asked = [(await whole(client))[1] for client in (no, one, no, two, one, two)]
        assert asked == ["", "miss", "", "hit" if shared else "miss", "hit", "hit"]
        assert await streamed(no)
        assert calls(simulation) == (4 if shared else 5)


async def test_a_refreshed_answer_takes_the_place_of_the_kept_one(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    changing = simulate("Hello.", text="old", times=1, id="changing")
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        old, _ = await whole(client, changing)
        new, outcome = await whole(client, changing, header="refresh")
        assert outcome == "miss"
        assert old.choices[0].message.content == "old" != new.choices[0].message.content
        kept, outcome = await whole(client, changing)
        assert outcome == "hit"
        assert kept.choices == new.choices


async def test_another_request_or_client_is_answered_anew(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    async with (
        start_proxy(REVERSE, settings=make_settings()) as proxy,
        client_of(proxy) as one,
        client_of(proxy, "sk-two") as two,
    ):
        assert (await whole(one))[1] == "miss"
        assert (await whole(two))[1] == "miss"
        assert (await whole(one, max_completion_tokens=500))[1] == "miss"
        assert (await whole(one, "Hello!"))[1] == "miss"
        assert (await whole(one))[1] == (await whole(two))[1] == "hit"


async def test_clients_share_answers_where_the_operator_says_so(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    async with (
        start_proxy(REVERSE, settings=make_settings(shared=True)) as proxy,
        client_of(proxy) as one,
        client_of(proxy, "sk-two") as two,
    ):
        assert (await whole(one))[1] == "miss"
        assert (await whole(two))[1] == "hit"


async def test_equal_requests_at_one_time_are_asked_once(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    text = simulate("Hello.", delay=2)
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        answers = await asyncio.gather(*(whole(client, text) for _ in range(5)), streamed(client, text))
        assert sorted(outcome for _, outcome in answers[:5]) in (["miss", *["shared"] * 4], ["shared"] * 5)
        assert len({answer.choices[0].message.content for answer, _ in answers[:5]} | {answers[5]}) == 1
        assert calls(simulation) == 1
        assert metric(proxy, "claude_proxy_cache_requests_total", outcome="miss") == 1


async def test_the_one_who_asked_first_may_leave_the_others_get_their_answer(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    text = simulate("Hello.", **SLOW)
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        first = asyncio.create_task(whole(client, text))
        while not calls(simulation):
            await asyncio.sleep(0.01)
        second = asyncio.create_task(streamed(client, text))
        while proxy.running < 2:
            await asyncio.sleep(0.01)
        first.cancel()
        assert await second == SLOW["text"]
        assert calls(simulation) == 1
        assert (await whole(client, text))[1] == "hit"


@pytest.mark.parametrize("when", ["before_it_begins", "in_the_middle"])
async def test_who_stays_pays_for_an_answer_that_the_first_one_left(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make, when: str
) -> None:
    text = simulate("Hello.", **({"delay": 2} if when == "before_it_begins" else SLOW))
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        first = asyncio.create_task(whole(client, text))
        while not calls(simulation):
            await asyncio.sleep(0.01)
        second = asyncio.create_task(whole(client, text))
        while proxy.running < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0 if when == "before_it_begins" else 0.2)
        first.cancel()
        completion, _ = await second
        assert completion.usage.completion_tokens > 1
        tokens = [
            metric(proxy, "claude_proxy_tokens_total", model="claude-sonnet-5-5", kind=kind)
            for kind in ("input", "output")
        ]
        assert tokens == [completion.usage.prompt_tokens, completion.usage.completion_tokens]
        assert metric(proxy, "claude_proxy_cache_requests_total", outcome="miss") == 1


async def test_when_the_last_one_leaves_the_call_to_claude_ends(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    text = simulate("Hello.", **{**SLOW, "event_interval": 3.0})
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        asked = [asyncio.create_task(whole(client, text)) for _ in range(2)]
        while proxy.running < 2 or not calls(simulation):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        for task in asked:
            task.cancel()

        async def call_ended() -> None:
            while proxy.running or simulation.journal[-1].left_after is None:
                await asyncio.sleep(0.01)

        await within(2, call_ended())
        assert proxy.addon._gateway is not None
        assert proxy.addon._gateway.cache._under_way == {}


@pytest.mark.parametrize(
    "script",
    [
        {"status": 400, "error": {"type": "invalid_request_error", "message": "no"}},
        {"cut_after_events": 4},
        {"error_after_events": 4},
    ],
    ids=["refused", "cut", "error_event"],
)
async def test_only_whole_answers_are_kept(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make, script: dict[str, Any]
) -> None:
    text = simulate("Hello.", times=1, id="fault", **script)
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        with pytest.raises(openai.APIError):
            await whole(client, text)
        assert (await whole(client, text))[1] == "miss"
        assert (await whole(client, text))[1] == "hit"


async def test_several_choices_are_each_asked_for(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    async with start_proxy(REVERSE, settings=make_settings()) as proxy, client_of(proxy) as client:
        assert (await whole(client, n=2))[1] == ""
        assert calls(simulation) == 2


async def test_answers_are_forgotten_in_time_and_those_too_large_are_not_kept(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    async with start_proxy(REVERSE, settings=make_settings(seconds_to_live=0.5)) as proxy, client_of(proxy) as client:
        assert (await whole(client))[1] == "miss"
        await asyncio.sleep(0.6)
        assert (await whole(client))[1] == "miss"
    async with start_proxy(REVERSE, settings=make_settings(max_answer_bytes=1024)) as proxy, client_of(proxy) as client:
        long = simulate("Hello.", text="word " * 1000)
        assert [(await whole(client, long))[1] for _ in range(2)] == ["miss", "miss"]


async def test_the_store_keeps_answers_over_a_restart(
    start_proxy: ProxyStarter, simulation: RunningSimulation, make_settings: Make
) -> None:
    settings = make_settings(backend="store")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        assert (await whole(client))[1] == "miss"
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        assert (await whole(client))[1] == "hit"


async def test_without_its_store_every_request_is_answered_anew(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    folder = tmp_path / "no-database"
    folder.mkdir()
    settings = settings_with_store(simulation.base_url, folder, cache={"mode": "on", "backend": "store"})
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        assert [(await whole(client))[1] for _ in range(2)] == ["miss", "miss"]

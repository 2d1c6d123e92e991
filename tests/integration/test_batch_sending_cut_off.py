"""Batches whose sending is cut off when Claude may have taken them: none is sent, and paid for, twice."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from addon.simulated_claude.batches import SimulatedBatch
from addon.simulated_claude.errors import ClaudeError
from addon.simulated_claude.server import RunningSimulation
from tests.integration.batch_api import chat, create, ended, line, made_at, outcome, simulated_claude
from tests.integration.raw_upstream import Call, raw_upstream
from tests.integration.responses_api import REVERSE, client_of, settings_with_store
from tests.integration.running_proxy import ProxyStarter
from tests.integration.serving_process import serving_process

LINES = [line(f"line {number}", chat(f"Number {number}")) for number in range(5)]
IDS = [one["custom_id"] for one in LINES]

type Make = Callable[..., SimulatedBatch]


@pytest.fixture
def settling(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets how many seconds after an attempt Claude's list counts."""
    return lambda seconds: monkeypatch.setattr("addon.batches.recovery._SETTLING_SECONDS", seconds)


@pytest.fixture(autouse=True)
def _settled(settling: Callable[[float], None]) -> None:
    settling(0.3)


def instead(simulation: RunningSimulation, monkeypatch: pytest.MonkeyPatch, *calls: Callable[..., Any]) -> None:
    """Let Claude do these things, one at a time, where it is asked to make a batch; each is told how one is made."""
    batches, left = simulation.simulation.batches, iter(calls)
    make = batches.create
    monkeypatch.setattr(batches, "create", lambda *given: next(left, lambda make, *given: make(*given))(make, *given))


async def asked_for(number: int, simulation: RunningSimulation) -> None:
    """Wait until Claude was asked to make so many batches."""
    async with asyncio.timeout(60):
        while made_at(simulation) < number:
            await asyncio.sleep(0.01)


def of_others(*given: Any) -> tuple[Any, ...]:
    """Give as many requests of somebody else."""
    batch_id, headers, asked, scripts = given
    others = [one.model_copy(update={"custom_id": f"theirs-{number}"}) for number, one in enumerate(asked.requests)]
    return f"{batch_id}-theirs", headers, asked.model_copy(update={"requests": others}), scripts


def lose(make: Make, *_given: Any) -> None:
    raise ClaudeError(500, "Internal server error")


def make_and_lose(make: Make, *given: Any) -> None:
    make(*given)
    raise ClaudeError(500, "Internal server error")


def make_anothers_and_lose(make: Make, *given: Any) -> None:
    make(*of_others(*given))
    raise ClaudeError(500, "Internal server error")


def make_anothers_too_and_lose(make: Make, *given: Any) -> None:
    make(*of_others(*given))
    make_and_lose(make, *given)


@contextlib.asynccontextmanager
async def client_of_proxy(
    start_proxy: ProxyStarter, simulation: RunningSimulation, folder: Path
) -> AsyncIterator[openai.AsyncOpenAI]:
    settings = settings_with_store(simulation.base_url, folder / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        yield client


def codes_of(batch: openai.types.Batch) -> list[str | None]:
    assert batch.errors is not None
    return [error.code for error in batch.errors.data or ()]


async def test_what_a_killed_process_has_sent_is_taken_up_and_what_claude_has_not_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated_claude(0.0) as simulation:
        async with serving_process(simulation.base_url, tmp_path) as first, first.client() as client:

            def make_and_kill(make: Make, *given: Any) -> SimulatedBatch:
                made = make(*given)
                os.kill(first.process.pid, signal.SIGKILL)
                return made

            instead(simulation, monkeypatch, lose, make_and_kill)
            lost = await create(client, LINES[:2])
            await asked_for(1, simulation)
            try:
                taken = (await create(client, LINES)).id
            except openai.APIConnectionError:  # it died before it could answer
                taken = None
            await first.process.wait()
        async with serving_process(simulation.base_url, tmp_path) as second, second.client() as client:
            listed = [batch.id async for batch in client.batches.list()]
            assert listed[1:] == [lost.id]
            assert taken in (None, listed[0])
            batches = await asyncio.gather(*(ended(client, batch_id, seconds=90) for batch_id in listed))
            outputs = [(await outcome(client, batch))[0] for batch in batches]
        made = [sum(batch.describe("")["request_counts"].values()) for batch in simulation.simulation.batches]
        assert (made_at(simulation), sorted(made)) == (3, [2, 5])
    assert {batch.status for batch in batches} == {"completed"}
    assert [[answer["custom_id"] for answer in output] for output in outputs] == [IDS, IDS[:2]]


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_what_claude_took_without_our_seeing_it_is_found(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    def make_and_fail(make: Make, *given: Any) -> None:
        make(*given)
        raise ClaudeError(status, "The answer is lost")

    async with simulated_claude(0.0) as simulation:
        instead(simulation, monkeypatch, make_and_fail)
        async with client_of_proxy(start_proxy, simulation, tmp_path) as client:
            batch = await ended(client, (await create(client, LINES)).id)
            output, errors = await outcome(client, batch)
        assert made_at(simulation) == 1
    assert (batch.status, errors) == ("completed", [])
    assert [answer["custom_id"] for answer in output] == IDS


async def test_what_claude_did_not_take_is_sent_again_though_another_batch_is_like_it(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated_claude(0.0) as simulation:
        instead(simulation, monkeypatch, lose)
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy:
            async with client_of(proxy) as client, client_of(proxy, "sk-another") as other:
                lost = await create(client, LINES)
                await asked_for(1, simulation)
                alike = await create(other, LINES)
                batches = [await ended(client, lost.id), await ended(other, alike.id)]
        assert (made_at(simulation), len(list(simulation.simulation.batches))) == (3, 2)
    assert [batch.status for batch in batches] == ["completed"] * 2


async def test_it_is_not_decided_before_claude_can_have_listed_it(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settling: Callable[[float], None]
) -> None:
    settling(2.0)

    def make_late(make: Make, *given: Any) -> None:
        asyncio.get_running_loop().call_later(0.5, make, *given)
        raise ClaudeError(504, "The answer is lost")

    async with simulated_claude(0.0) as simulation:
        instead(simulation, monkeypatch, make_late)
        async with client_of_proxy(start_proxy, simulation, tmp_path) as client:
            batch = await ended(client, (await create(client, LINES)).id)
        assert made_at(simulation) == 1
    assert batch.status == "completed"


@pytest.mark.parametrize(
    "instead_of_it",
    [
        pytest.param(make_anothers_too_and_lose, id="two of Claude's could be it"),
        pytest.param(make_anothers_and_lose, id="the only one has another's results"),
    ],
)
async def test_a_batch_that_may_be_anothers_fails_without_files_and_is_not_sent_again(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instead_of_it: Callable[..., None]
) -> None:
    async with simulated_claude(0.0) as simulation:
        instead(simulation, monkeypatch, instead_of_it)
        async with client_of_proxy(start_proxy, simulation, tmp_path) as client:
            batch = await ended(client, (await create(client, LINES)).id)
        assert made_at(simulation) == 1
    assert (batch.status, codes_of(batch)) == ("failed", ["batch_unconfirmed"])
    assert (batch.output_file_id, batch.error_file_id) == (None, None)


async def test_what_may_be_anothers_is_not_cancelled_and_what_it_answers_is_not_lost(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated_claude(1.0) as simulation:
        instead(simulation, monkeypatch, make_and_lose)
        async with client_of_proxy(start_proxy, simulation, tmp_path) as client:
            made = await create(client, LINES)
            await asked_for(1, simulation)
            await client.batches.cancel(made.id)
            batch = await ended(client, made.id)
            output, errors = await outcome(client, batch)
        assert [entry.path for entry in simulation.journal if entry.path.endswith("/cancel")] == []
        assert made_at(simulation) == 1
    assert (batch.status, errors) == ("cancelled", [])
    assert [answer["custom_id"] for answer in output] == IDS


async def test_of_lines_with_other_headers_those_that_are_sent_are_not_sent_again(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(make: Make, *given: Any) -> SimulatedBatch:
        return make(*given)

    async with simulated_claude(0.0) as simulation:
        instead(simulation, monkeypatch, make, lose, make, make_and_lose)
        monkeypatch.setattr("addon.batches.sending.MAX_REQUESTS", 3)
        async with client_of_proxy(start_proxy, simulation, tmp_path) as client:
            cold, warm = {"model": "claude-haiku-4-5"}, {"model": "claude-haiku-4-5", "temperature": 0.2}
            lines = [line(name, chat(name, **(warm if name in "bdf" else cold))) for name in "abcdef"]
            batch = await ended(client, (await create(client, lines)).id)
            output, errors = await outcome(client, batch)
        made = [sum(batch.describe("")["request_counts"].values()) for batch in simulation.simulation.batches]
        assert made_at(simulation) == 5
    assert errors == []
    assert [answer["custom_id"] for answer in output] == list("abcdef")
    assert sorted(made) == [1, 1, 2, 2]


async def test_what_could_not_be_sent_within_the_window_expires_and_what_could_is_answered(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_make: Make, *_given: Any) -> None:
        raise ClaudeError(529, "Overloaded")

    monkeypatch.setattr("addon.batches.sending.MAX_REQUESTS", 2)
    monkeypatch.setattr("addon.batches.endpoint._WINDOW_SECONDS", 2)
    async with simulated_claude(0.0) as simulation:
        instead(simulation, monkeypatch, lambda make, *given: make(*given), *(refuse for _ in range(1000)))
        async with client_of_proxy(start_proxy, simulation, tmp_path) as client:
            batch = await ended(client, (await create(client, LINES)).id)
            output, errors = await outcome(client, batch)
    assert batch.status == "expired"
    assert [answer["custom_id"] for answer in output] == IDS[:2]
    assert [(entry["custom_id"], entry["error"]["code"]) for entry in errors] == [
        (id_, "batch_expired") for id_ in IDS[2:]
    ]


async def test_a_404_of_a_gateway_is_waited_out(start_proxy: ProxyStarter, tmp_path: Path, claude_port: int) -> None:
    async def answer(call: Call) -> None:
        body = b'{"data":[],"has_more":false}' if call.head.startswith(b"GET") else b"<html>no such page</html>"
        status = b"200 OK" if call.head.startswith(b"GET") else b"404 Not Found"
        await call.send(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))

    settings = settings_with_store(f"http://127.0.0.1:{claude_port}", tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        async with raw_upstream(answer, lists_models=True, port=claude_port) as gateway:
            made = await create(client, LINES)
            async with asyncio.timeout(60):
                while not any(call.head.startswith(b"POST /v1/messages/batches") for call in gateway.calls):
                    await asyncio.sleep(0.01)
            assert (await client.batches.retrieve(made.id)).status == "validating"
        async with simulated_claude(0.0, claude_port):
            batch = await ended(client, made.id)
    assert batch.status == "completed"

"""Responses in the background: polled, followed, resumed and cancelled, in this process and from another."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from addon.configuration.settings import Settings
from addon.simulated_claude.server import RunningSimulation
from addon.storage.store import Key, StoreUnavailableError
from tests.integration.raw_upstream import Call, begun_answer, message_end, raw_upstream, text_delta
from tests.integration.responses_api import REVERSE, check, client_of, http_of, parse_events, settings_with_store
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.integration.serving_process import serving_process
from tests.lived_time import within
from tests.translators.responses.checker import check_stream

WORDS = " ".join(f"word{number}" for number in range(60))
SLOWLY = f'[[simulate: {{"text": "{WORDS}", "event_interval": 0.05}}]]'


@pytest.fixture
def settings(simulation: RunningSimulation, tmp_path: Path) -> Settings:
    return settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")


@pytest.fixture
async def proxy(start_proxy: ProxyStarter, settings: Settings) -> AsyncIterator[RunningProxy]:
    async with start_proxy(REVERSE, settings=settings) as running:
        yield running


async def ended(client: openai.AsyncOpenAI, response_id: str) -> Any:
    async with asyncio.timeout(60):
        while (response := await client.responses.retrieve(response_id)).status in ("queued", "in_progress"):
            await asyncio.sleep(0.05)
    return response


def text_of(response: dict[str, Any]) -> str:
    return str(response["output"][-1]["content"][0]["text"])


async def test_it_is_queued_at_once_and_polled_until_it_is_there(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        queued = await client.responses.create(model="gpt-5", input=SLOWLY, background=True)
        assert queued.status == "queued"
        assert queued.background
        assert (await client.responses.retrieve(queued.id)).status == "in_progress"
        done = await ended(client, queued.id)
        assert done.status == "completed"
        assert done.output_text == WORDS
        following = await client.responses.create(model="gpt-5", input="And?", previous_response_id=done.id)
        assert following.status == "completed"


async def test_its_stream_is_well_formed(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        stream = await client.responses.create(model="gpt-5", input="Hello.", background=True, stream=True)
        events = [event async for event in stream]
        assert [event.type for event in events[:3]] == [
            "response.created",
            "response.queued",
            "response.in_progress",
        ]
        assert check(events)["status"] == "completed"


async def test_a_client_that_leaves_its_stream_takes_it_up_again(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        stream = await client.responses.create(model="gpt-5", input=SLOWLY, background=True, stream=True)
        seen: list[Any] = []
        async for event in stream:
            seen.append(event)
            if len(seen) == 12:
                break
        await stream.close()
        again = await client.responses.retrieve(
            seen[0].response.id, stream=True, starting_after=seen[-1].sequence_number
        )
        seen += [event async for event in again]
        final = check(seen)
        assert text_of(final) == WORDS


async def test_its_events_can_be_read_again_when_it_has_ended(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        queued = await client.responses.create(model="gpt-5", input="Hello.", background=True)
        await ended(client, queued.id)
        async with asyncio.timeout(60):
            while proxy.addon._gateway is not None and proxy.addon._gateway.background:
                await asyncio.sleep(0.01)
        events = [event async for event in await client.responses.retrieve(queued.id, stream=True)]
        assert check(events)["status"] == "completed"
        rest = [event async for event in await client.responses.retrieve(queued.id, stream=True, starting_after=3)]
        assert [event.sequence_number for event in rest] == list(range(4, len(events)))
        beyond = await client.responses.retrieve(queued.id, stream=True, starting_after=10**20)
        assert [event async for event in beyond] == []


async def test_a_stream_without_anything_left_is_empty_and_the_connection_goes_on(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        queued = await client.responses.create(model="gpt-5", input="Hello.", background=True)
        await ended(client, queued.id)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    async with asyncio.timeout(60):
        path = f"/v1/responses/{queued.id}?stream=true&starting_after=9999"
        authorization = f"authorization: Bearer {client.api_key}"
        writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n{authorization}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(5) == b"0\r\n\r\n"
        writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    writer.close()


async def test_it_can_be_cancelled_once_and_again(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        queued = await client.responses.create(model="gpt-5", input=SLOWLY, background=True)
        await asyncio.sleep(0.3)
        cancelled = await client.responses.cancel(queued.id)
        assert cancelled.status == "cancelled"
        assert (await client.responses.cancel(queued.id)).status == "cancelled"
        assert (await client.responses.retrieve(queued.id)).status == "cancelled"
        done = await client.responses.create(model="gpt-5", input="Hello.", background=True)
        await ended(client, done.id)
        assert (await client.responses.cancel(done.id)).status == "completed"


async def test_a_failure_is_the_responses_own(proxy: RunningProxy) -> None:
    script = '[[simulate: {"status": 400, "error": {"type": "invalid_request_error", "message": "No."}}]]'
    async with client_of(proxy) as client:
        queued = await client.responses.create(model="gpt-5", input=script, background=True)
        failed = await ended(client, queued.id)
        assert failed.status == "failed"
        assert failed.error.message == "No."
    async with http_of(proxy) as http:
        stream = await http.get(f"/v1/responses/{queued.id}?stream=true")
        assert check_stream(parse_events(stream.text))["status"] == "failed"


async def test_what_is_deleted_while_it_is_made_is_gone(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        queued = await client.responses.create(model="gpt-5", input=SLOWLY, background=True)
        await client.responses.delete(queued.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(queued.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(queued.id, stream=True)


async def test_another_process_can_follow_and_cancel_it(simulation: RunningSimulation, tmp_path: Path) -> None:
    async with (
        serving_process(simulation.base_url, tmp_path) as one,
        serving_process(simulation.base_url, tmp_path) as other,
        one.client() as maker,
        other.client() as follower,
    ):
        queued = await maker.responses.create(model="gpt-5", input=SLOWLY, background=True)
        stream = await follower.responses.retrieve(queued.id, stream=True)
        final = check([event async for event in stream])
        assert text_of(final) == WORDS
        assert (await follower.responses.retrieve(queued.id)).to_dict(mode="json") == final
        second = await maker.responses.create(model="gpt-5", input=SLOWLY, background=True)
        assert (await follower.responses.cancel(second.id)).status == "cancelled"
        assert (await maker.responses.retrieve(second.id)).status == "cancelled"


async def test_what_is_deleted_while_another_process_makes_it_does_not_come_back(
    simulation: RunningSimulation, tmp_path: Path
) -> None:
    async with (
        serving_process(simulation.base_url, tmp_path) as one,
        serving_process(simulation.base_url, tmp_path) as other,
        one.client() as maker,
        other.client() as client,
    ):
        made = await maker.responses.create(model="gpt-5", input=SLOWLY, background=True)
        await client.responses.delete(made.id)
        assert (await one.event("background_response"))["status"] == "cancelled"
        for each in (maker, client):
            with pytest.raises(openai.NotFoundError):
                await each.responses.retrieve(made.id)


async def test_who_follows_it_in_another_process_is_told_of_its_end_however_late_that_is_stored(
    proxy: RunningProxy,
) -> None:
    gateway = proxy.addon._gateway
    assert gateway is not None
    store = gateway.store
    async with client_of(proxy) as client:
        queued = await client.responses.create(model="gpt-5", input=SLOWLY, background=True)
        ((owner, _),) = gateway.background
        await ended(client, queued.id)
    # As the store is between the response and its last event, when another process makes it.
    events, lease = Key("events", owner, queued.id), Key("run", owner, queued.id)
    async with asyncio.timeout(60):
        while gateway.background:
            await asyncio.sleep(0.01)
    assert await store.load([lease]) == {}
    await store.save({lease: b""}, 30)
    last = (await store.read_list(events))[-1]
    await store.remove(events, last)
    following = asyncio.create_task(_follow(proxy, queued.id))
    await asyncio.wait([following], timeout=1)
    await store.append(events, [last])
    await store.delete([lease])
    assert check_stream(parse_events(await following))["status"] == "completed"


async def test_what_could_not_be_stored_is_gone_when_it_is_deleted(
    proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = proxy.addon._gateway.store
    save = type(store).save

    async def save_no_end(self: Any, values: Any, seconds: float | None = None) -> None:
        if any(b'"status":"completed","background":true' in value for value in values.values()):
            raise StoreUnavailableError("locked")
        await save(self, values, seconds)

    async with client_of(proxy) as client:
        with monkeypatch.context() as patch:
            patch.setattr(type(store), "save", save_no_end)
            made = await client.responses.create(model="gpt-5", input="Hello.", background=True)
            assert (await ended(client, made.id)).status == "completed"
        await client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)


async def until_events_are_stored(file: Path, number: int) -> None:
    stored = "SELECT count(*) FROM members JOIN entries ON entry = entries.number WHERE kind = 'events'"
    async with asyncio.timeout(60):
        while True:
            with contextlib.closing(sqlite3.connect(file)) as store:
                if store.execute(stored).fetchone()[0] >= number:
                    return
            await asyncio.sleep(0.02)


async def test_a_response_whose_process_was_killed_has_failed(simulation: RunningSimulation, tmp_path: Path) -> None:
    async with serving_process(simulation.base_url, tmp_path) as one, one.client() as maker:
        queued = await maker.responses.create(model="gpt-5", input=SLOWLY, background=True)
        await until_events_are_stored(tmp_path / "store.sqlite3", 8)
        await one.kill()
    async with serving_process(simulation.base_url, tmp_path) as other, other.client() as observer:
        assert (await observer.responses.retrieve(queued.id)).status == "in_progress"
        # Its last sign of life runs out: a month later, as far as the store can tell.
        with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite3")) as store, store:
            store.execute("UPDATE entries SET expires_at = 0 WHERE kind = 'run'")
        await asyncio.gather(*(observer.responses.retrieve(queued.id) for _ in range(4)))
        failed = await observer.responses.retrieve(queued.id)
        assert failed.status == "failed"
        assert failed.error is not None
        assert "ended" in failed.error.message
        async with http_of(other) as http:
            stream = parse_events((await http.get(f"/v1/responses/{queued.id}?stream=true")).text)
        assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
        assert [event["type"] for event in stream[-2:]] == ["error", "response.failed"]
        assert len(stream) > 5


async def test_the_end_of_the_proxy_ends_what_it_makes(start_proxy: ProxyStarter, settings: Settings) -> None:
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        queued = await client.responses.create(
            model="gpt-5", input='[[simulate: {"text": "one two", "event_interval": 30}]]', background=True
        )
        following = asyncio.create_task(_follow(proxy, queued.id))
        async with asyncio.timeout(60):
            while not proxy.running:
                await asyncio.sleep(0.01)
        await proxy.addon.drain(0.1)
        assert check_stream(parse_events(await following))["status"] == "failed"
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        failed = await client.responses.retrieve(queued.id)
        assert failed.status == "failed"
        assert failed.error is not None
        assert "shut down" in failed.error.message


async def _follow(proxy: RunningProxy, response_id: str) -> str:
    async with http_of(proxy) as http:
        return (await http.get(f"/v1/responses/{response_id}?stream=true")).text


async def test_the_proxy_waits_for_what_it_makes(start_proxy: ProxyStarter, settings: Settings) -> None:
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        queued = await client.responses.create(
            model="gpt-5", input='[[simulate: {"text": "one two", "delay": 0.5}]]', background=True
        )
        await proxy.addon.drain(10)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        assert (await client.responses.retrieve(queued.id)).status == "completed"


@pytest.mark.parametrize("background", [False, True], ids=["foreground", "background"])
async def test_a_client_that_leaves_cancels_the_call_only_in_the_foreground(
    start_proxy: ProxyStarter, tmp_path: Path, background: bool
) -> None:
    may_end = asyncio.Event()

    async def slow(call: Call) -> None:
        await call.send(begun_answer("Once"))
        await may_end.wait()
        await call.send(text_delta(" upon a time") + message_end())

    async with raw_upstream(slow) as upstream:
        settings = settings_with_store(upstream.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy, http_of(proxy) as http:
            body = {"model": "gpt-5", "input": "hi", "stream": True, "background": background}
            async with http.stream("POST", "/v1/responses", json=body) as response:
                async for line in response.aiter_lines():
                    if "Once" in line:
                        break
            call = await upstream.call()
            if not background:
                await within(5, call.hung_up.wait())
                return
            async with asyncio.timeout(60):
                while proxy.running:
                    await asyncio.sleep(0.01)
            assert not call.hung_up.is_set()
            may_end.set()
            async with client_of(proxy) as client:
                (run,) = proxy.addon._gateway.background.values() if proxy.addon._gateway else ()
                done = await ended(client, run.prepared.response_id)
                assert done.output_text == "Once upon a time"


async def test_without_a_store_there_is_no_background(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    settings = settings_with_store(simulation.base_url, tmp_path / "file" / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, http_of(proxy) as http:
        response = await http.post("/v1/responses", json={"model": "gpt-5", "input": "hi", "background": True})
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "store_unavailable"
        assert not simulation.journal or all(entry.path != "/v1/messages" for entry in simulation.journal)

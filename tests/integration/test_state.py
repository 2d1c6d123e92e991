"""State that outlives a process, and what becomes of requests when the store is away, locked or full."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import openai
import pytest

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.responses_api import (
    REVERSE,
    WEATHER,
    check,
    client_of,
    http_of,
    results_of,
    settings_with_store,
    thinking_in,
)
from tests.integration.running_proxy import ProxyStarter
from tests.integration.serving_process import serving_process


def last_body(simulation: RunningSimulation) -> dict[str, Any]:
    body: dict[str, Any] = [entry.body for entry in simulation.journal if entry.path == "/v1/messages"][-1]
    return body


async def test_a_restart_in_the_middle_of_a_conversation_is_not_noticed(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        first = await client.responses.create(model="gpt-5", input="Weather in Oslo?", tools=[WEATHER])
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        await client.responses.create(
            model="gpt-5", input=results_of(first), previous_response_id=first.id, tools=[WEATHER]
        )
    assert thinking_in(last_body(simulation)) == 1


async def test_a_restart_without_a_store_keeps_the_thinking_that_the_client_brings(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    # It was lost by others: router-for-me/CLIProxyAPI#3624, #2172, opencode#6176, Antigravity-Manager#3390, #3391.
    store = {"path": ":memory:", "secret_file": str(tmp_path / "state" / "secret")}
    settings = load_settings({"claude": {"api_key": "k", "base_url": simulation.base_url}, "store": store})
    items: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        first = await client.responses.create(model="gpt-5", input=items, tools=[WEATHER])
        items += [item.to_dict(mode="json") for item in first.output] + results_of(first)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        await client.responses.create(model="gpt-5", input=items, tools=[WEATHER])
        assert thinking_in(last_body(simulation)) == 1
        with pytest.raises(openai.BadRequestError) as failure:
            await client.responses.create(model="gpt-5", input="And?", previous_response_id=first.id)
        assert failure.value.code == "previous_response_not_found"


async def test_a_new_secret_leaves_old_thinking_out_and_says_so(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    items: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
    for secret in ("one", "two"):
        store = {"path": str(tmp_path / "store.sqlite3"), "secret": secret}
        settings = load_settings({"claude": {"api_key": "k", "base_url": simulation.base_url}, "store": store})
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            response = await client.responses.create(model="gpt-5", input=items, tools=[WEATHER])
            items += [item.to_dict(mode="json") for item in response.output] + results_of(response)
    assert thinking_in(last_body(simulation)) == 0
    assert response.to_dict()["input_transformations"][0]["action"] == "removed"


def records(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


async def test_a_locked_store_takes_nothing_from_an_answer(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "store.sqlite3"
    settings = settings_with_store(simulation.base_url, path)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client, http_of(proxy) as http:
        kept = await client.responses.create(model="gpt-5", input="Hello.")
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            whole = await http.post("/v1/responses", json={"model": "gpt-5", "input": "hi"})
            assert whole.json()["status"] == "completed"
            assert "store=ignored" in whole.headers["x-claude-proxy-warnings"]
            stream = await client.responses.create(model="gpt-5", input="hi", stream=True)
            assert check([event async for event in stream])["status"] == "completed"
            # What only reads does not wait for who writes.
            following = await client.responses.create(
                model="gpt-5", input="hi", previous_response_id=kept.id, store=False
            )
            assert following.status == "completed"
            for body in ({"background": True, "input": "hi", "model": "gpt-5"},):
                refused = await http.post("/v1/responses", json=body)
                assert refused.status_code == 503
                assert refused.json()["error"] == {
                    "message": "The storage of responses and conversations is not available at the moment.",
                    "type": "server_error",
                    "param": None,
                    "code": "store_unavailable",
                }
            assert (await http.post("/v1/conversations", json={})).status_code == 503
        assert (await client.responses.create(model="gpt-5", input="Hello.", previous_response_id=kept.id)).id
    reasons = [entry["reason"] for entry in records(capsys.readouterr().out) if entry["event"] == "response_not_stored"]
    assert len(reasons) == 2
    assert all("locked" in reason for reason in reasons)


async def test_a_store_that_is_away_is_missed_only_where_state_was_asked_for(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    settings = settings_with_store(simulation.base_url, tmp_path / "file" / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, http_of(proxy) as http:
        for body in ({"store": False}, {}, {"stream": True}):
            answered = await http.post("/v1/responses", json={"model": "gpt-5", "input": "hi", **body})
            assert answered.status_code == 200, answered.text
        for body in ({"previous_response_id": "resp_x"}, {"conversation": "conv_x"}):
            refused = await http.post("/v1/responses", json={"model": "gpt-5", "input": "hi", **body})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
        for path in ("/v1/responses/resp_x", "/v1/responses/resp_x/input_items", "/v1/conversations/conv_x/items"):
            refused = await http.get(path)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "store_unavailable")
        chat = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
        assert (await http.post("/v1/chat/completions", json=chat)).status_code == 200


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp's advice for more than 1 MiB
async def test_a_response_too_large_for_the_store_is_answered_all_the_same(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    store = {"path": str(tmp_path / "store.sqlite3"), "max_bytes": 1024 * 1024}
    settings = load_settings({"claude": {"api_key": "k", "base_url": simulation.base_url}, "store": store})
    async with start_proxy(REVERSE, settings=settings) as proxy, http_of(proxy) as http:
        answered = await http.post("/v1/responses", json={"model": "gpt-5", "input": "long text. " * 125_000})
        assert answered.status_code == 200, answered.text
        assert "store=ignored" in answered.headers["x-claude-proxy-warnings"]
        small = await http.post("/v1/responses", json={"model": "gpt-5", "input": "hi"})
        assert "x-claude-proxy-warnings" not in small.headers
        assert (await http.get(f"/v1/responses/{small.json()['id']}")).status_code == 200


def take_away(folder: Path) -> None:
    for file in folder.glob("store.sqlite3*"):
        file.unlink()


async def test_a_store_that_was_taken_away_begins_anew(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        lost = await client.responses.create(model="gpt-5", input="Hello.")
        take_away(tmp_path)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(lost.id)
        made = await client.responses.create(model="gpt-5", input="Hello.")
        assert (await client.responses.retrieve(made.id)).id == made.id


async def test_neither_keys_nor_secrets_nor_what_was_said_are_logged(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy, "sk-very-own-key") as client:
        await client.responses.create(model="gpt-5", input="A secret wish.")
        queued = await client.responses.create(model="gpt-5", input="A secret wish.", background=True)
        await client.responses.cancel(queued.id)
    printed = capsys.readouterr()
    text = printed.out + printed.err
    secret = (tmp_path / "secret").read_text()
    assert len(secret) == 64
    assert '"event":"background_response"' in text
    for private in ("sk-very-own-key", "secret wish", secret):
        assert private not in text
    stored = (tmp_path / "store.sqlite3").read_bytes()
    assert b"resp_" in stored
    assert b"sk-very-own-key" not in stored


async def test_two_processes_on_one_redis_answer_as_one(
    simulation: RunningSimulation, tmp_path: Path, redis_url: str
) -> None:
    environment = {"CLAUDE_PROXY_REDIS_URL": redis_url, "CLAUDE_PROXY_SECRET": "shared"}
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    async with (
        serving_process(simulation.base_url, folders[0], **environment) as one,
        serving_process(simulation.base_url, folders[1], **environment) as other,
        one.client() as first,
        other.client() as second,
    ):
        response = await first.responses.create(model="gpt-5", input="Weather in Oslo?", tools=[WEATHER])
        for client in (second, first):
            response = await client.responses.create(
                model="gpt-5", input=results_of(response), previous_response_id=response.id, tools=[WEATHER]
            )
        assert thinking_in(last_body(simulation)) == 2
        conversation = await first.conversations.create(items=[{"role": "user", "content": "My name is Ada."}])
        await second.responses.create(model="gpt-5", input="Hello.", conversation=conversation.id)
        assert len((await first.conversations.items.list(conversation.id)).data) > 2
        script = '[[simulate: {"text": "one two three four five", "event_interval": 0.2}]]'
        queued = await first.responses.create(model="gpt-5", input=script, background=True)
        stream = await second.responses.retrieve(queued.id, stream=True)
        assert check([event async for event in stream])["status"] == "completed"
    assert not any(entry.name == "store.sqlite3" for folder in folders for entry in folder.iterdir())

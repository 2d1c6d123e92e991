"""The HTTP shell: routes, headers, journal, event loops, the command, and the fast mode."""

import asyncio
import io
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import pytest
import uvloop

from addon.simulated_claude.server import SimulationSettings, start

ROOT = Path(__file__).parents[3]


def request(words: str = "hi", **changes: Any) -> dict[str, Any]:
    return {"model": "claude-opus-5-5", "max_tokens": 1000, "messages": [{"role": "user", "content": words}], **changes}


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/nothing", 404, "not_found_error"),
        ("POST", "/v1/complete", 404, "not_found_error"),
        ("POST", "/v1/chat/completions", 404, "not_found_error"),
        ("GET", "/v1/messages", 405, "invalid_request_error"),
        ("GET", "/v1/models/gpt-5", 404, "not_found_error"),
        ("GET", "/v1/models?limit=0", 400, "invalid_request_error"),
        ("GET", "/v1/models?limit=x", 400, "invalid_request_error"),
        ("GET", "/v1/models?lifecycle=new", 400, "invalid_request_error"),
    ],
)
async def test_everything_else_is_an_error_in_claudes_envelope(http, method, path, status, kind):
    async with http.request(method, path) as response:
        body = await response.json()
        assert (response.status, body["type"], body["error"]["type"]) == (status, "error", kind)
        assert body["request_id"] == response.headers["request-id"]


async def test_an_answer_carries_claudes_headers(http):
    async with http.post("/v1/messages", json=request()) as response:
        headers = response.headers
    assert headers["request-id"].startswith("req_01")
    assert headers["anthropic-organization-id"]
    for name in ("requests", "tokens", "input-tokens", "output-tokens"):
        assert int(headers[f"anthropic-ratelimit-{name}-remaining"]) <= int(
            headers[f"anthropic-ratelimit-{name}-limit"]
        )
        assert headers[f"anthropic-ratelimit-{name}-reset"].endswith("Z")


async def test_a_fault_of_its_own_is_an_error_in_claudes_envelope(simulation, http, caplog):
    simulation.simulation.answer = None
    async with http.post("/v1/messages", json=request()) as response:
        body = await response.json()
    assert (response.status, body["error"]["type"]) == (500, "api_error")
    assert body["request_id"] == response.headers["request-id"]
    assert "TypeError" in caplog.text


async def test_a_body_that_cannot_be_decoded_is_refused(http):
    async with http.post("/v1/messages", data=b"no gzip", headers={"content-encoding": "gzip"}) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (400, "invalid_request_error")


async def test_deep_nesting_is_refused_wherever_it_is_found(http):
    body = json.dumps(request(tools=[{"name": "deep", "input_schema": {"type": "object", "not": 0}}])).encode()
    body = body.replace(b'"not": 0', b'"not": ' + b'{"not": ' * 1500 + b"{}" + b"}" * 1500)
    async with http.post("/v1/messages", data=body) as response:
        assert (response.status, (await response.json())["error"]["type"]) == (400, "invalid_request_error")


async def test_every_line_of_betas_counts(http):
    body = request(context_management={"edits": []})
    lines = [("anthropic-beta", "context-management-2025-06-27"), ("anthropic-beta", "output-300k-2026-03-24")]
    async with http.post("/v1/messages", json=body, headers=lines) as response:
        assert response.status == 200


async def test_ids_differ_from_answer_to_answer(client):
    ids = [(await client.messages.create(**request())).id for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(one.startswith("msg_01") for one in ids)


async def test_the_journal_keeps_what_came_and_no_key(simulation, client):
    await client.messages.create(**request(), extra_headers={"x-api-key": "sk-secret"})
    entry = simulation.journal[0]
    assert (entry.method, entry.path, entry.status, entry.finished) == ("POST", "/v1/messages", 200, True)
    assert entry.body == request()
    assert entry.headers["anthropic-version"] == "2026-10-21"
    assert "secret" not in repr(entry)
    assert "sk-test" not in repr(entry)


async def test_the_journal_forgets_the_oldest():
    running = await start(settings=SimulationSettings(delay=0, event_interval=0, journal_size=2))
    async with aiohttp.ClientSession(running.base_url) as session:
        for path in ("/a", "/b", "/c"):
            await (await session.get(path)).read()
    assert [entry.path for entry in running.journal] == ["/b", "/c"]
    await running.close()


async def test_the_journal_forgets_the_oldest_bodies_where_they_are_large(simulation, http):
    simulation.journal._most_bytes = 50_000
    for number in range(5):
        async with http.post("/v1/messages", json=request(f"{number} " + "x" * 20_000)) as response:
            assert response.status == 200
    # The one that is being received counts as soon as it is read.
    assert [entry.body["messages"][0]["content"][0] for entry in simulation.journal] == ["2", "3", "4"]
    async with http.get("/v1/models") as response:
        assert response.status == 200
    assert len(simulation.journal) == 3


async def test_a_body_above_the_limit_is_too_large(http):
    async with http.post("/v1/messages", data=io.BytesIO(b"x" * (33 * 1024 * 1024))) as response:
        assert response.status == 413
        assert (await response.json())["error"]["type"] == "request_too_large"


async def test_the_prefix_check_can_be_switched_off():
    settings = SimulationSettings(delay=0, event_interval=0, check_thinking_prefix=False)
    running = await start(settings=settings)
    async with anthropic.AsyncAnthropic(api_key="k", base_url=running.base_url) as client:
        first = await client.messages.create(**request())
        changed = [{"role": "user", "content": "ho"}, first.to_param(), {"role": "user", "content": "so"}]
        assert (await client.messages.create(**{**request(), "messages": changed})).stop_reason == "end_turn"
    await running.close()


async def one_exchange() -> str:
    running = await start(settings=SimulationSettings.instant())
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    async with aiohttp.ClientSession(running.base_url, headers=headers) as session:
        async with session.post("/v1/messages", json=request(stream=True)) as response:
            text = await response.text()
    await running.close()
    return text


def eager_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


@pytest.mark.parametrize(
    "factory", [asyncio.new_event_loop, eager_loop, uvloop.new_event_loop], ids=["plain", "eager", "uvloop"]
)
def test_it_runs_in_any_event_loop(factory):
    with asyncio.Runner(loop_factory=factory) as runner:
        assert runner.run(one_exchange()).endswith('"message_stop"}\n\n')


async def test_many_callers_at_once_are_served(simulation, client):
    messages = await asyncio.gather(*(client.messages.create(**request(f"caller {n}")) for n in range(200)))
    assert all(f"caller {n}" in message.content[-1].text for n, message in enumerate(messages))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--instant"], "I am a simulated Claude"),
        (["--fast"], "simulated words"),
        (["--fast", "--instant"], "simulated w"),
    ],
)
def test_the_command_prints_its_address_and_serves(arguments, says):
    command = [sys.executable, "-m", "addon.simulated_claude", "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip()
            asked = urllib.request.Request(
                f"{address}/v1/messages",
                data=json.dumps(request()).encode(),
                headers={"x-api-key": "k", "anthropic-version": "2026-10-21", "content-type": "application/json"},
            )
            with urllib.request.urlopen(asked) as response:
                assert says in json.load(response)["content"][-1]["text"]
        finally:
            process.terminate()


@pytest.mark.parametrize(("words", "deltas"), [("chunks=100", 100), ("chunks=25 burst=10", 25), ("hello", 8)])
async def test_fast_mode_streams_as_many_deltas_as_asked(words, deltas):
    running = await start(settings=SimulationSettings(fast=True))
    async with anthropic.AsyncAnthropic(api_key="k", base_url=running.base_url) as client:
        count, last = 0, None
        async for event in await client.messages.create(**request(words), stream=True):
            count += event.type == "content_block_delta"
            last = event.type
        whole = await client.messages.create(**request(words))
        # The connection is still in order after the hand-made frames.
        again = await client.messages.create(**request(words))
        assert len((await client.models.list()).data) > 15
    await running.close()
    assert (count, last) == (deltas, "message_stop")
    assert whole.content[0].text == again.content[0].text == "simulated words " * deltas

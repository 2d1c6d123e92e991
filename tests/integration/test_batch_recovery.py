"""Batches that outlive what works on them: processes that end, Claude and the store out of reach, two at once."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

import addon.batches.lines
from addon.simulated_claude.batches import SimulatedBatch
from addon.simulated_claude.errors import ClaudeError
from addon.storage.store import StoreUnavailableError
from tests.integration.batch_api import (
    CHAT,
    chat,
    create,
    ended,
    line,
    made_at,
    outcome,
    script,
    sent,
    simulated_claude,
)
from tests.integration.responses_api import REVERSE, client_of, settings_with_store
from tests.integration.running_proxy import ProxyStarter
from tests.integration.serving_process import serving_process

LINES = [line(f"line {number}", chat(f"Number {number}")) for number in range(5)]
IDS = [one["custom_id"] for one in LINES]


async def test_a_batch_goes_on_after_its_process_was_killed(tmp_path: Path) -> None:
    async with simulated_claude(1.0) as simulation:
        async with serving_process(simulation.base_url, tmp_path) as first, first.client() as client:
            made = await create(client, LINES)
            await sent(client, made.id)
            await first.kill()
        async with serving_process(simulation.base_url, tmp_path) as second, second.client() as client:
            batch = await ended(client, made.id, seconds=60)
            output, errors = await outcome(client, batch)
        assert made_at(simulation) == 1
    assert (batch.status, errors) == ("completed", [])
    assert [answer["custom_id"] for answer in output] == IDS


async def test_a_batch_that_was_not_sent_is_sent_by_the_next_process(
    start_proxy: ProxyStarter, tmp_path: Path, claude_port: int
) -> None:
    settings = settings_with_store(f"http://127.0.0.1:{claude_port}", tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        made = await create(client, LINES)
        assert (await client.batches.retrieve(made.id)).status == "validating"
    async with simulated_claude(0.0, claude_port):
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            batch = await ended(client, made.id)
    assert batch.status == "completed"


async def test_claude_out_of_reach_at_creation_is_waited_for(
    start_proxy: ProxyStarter, tmp_path: Path, claude_port: int
) -> None:
    settings = settings_with_store(f"http://127.0.0.1:{claude_port}", tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        with capture_logs() as logs:
            made = await create(client, LINES)
            assert made.status == "validating"
            assert (await client.batches.retrieve(made.id)).status == "validating"
            async with simulated_claude(0.0, claude_port) as simulation:
                async with asyncio.timeout(30):
                    while not made_at(simulation):  # without anybody who asks
                        await asyncio.sleep(0.1)
                batch = await ended(client, made.id)
                output, _ = await outcome(client, batch)
    assert [answer["custom_id"] for answer in output] == IDS
    (reason, *_) = [entry["reason"] for entry in logs if entry["event"] == "batch_not_advanced"]
    assert reason == "Claude could not be reached."


async def test_a_batch_is_sent_without_anybody_who_asks_though_the_store_was_away_at_an_attempt(
    start_proxy: ProxyStarter, tmp_path: Path, claude_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_with_store(f"http://127.0.0.1:{claude_port}", tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        made = await create(client, LINES)
        assert (await client.batches.retrieve(made.id)).status == "validating"
        store = proxy.addon._gateway.store
        load, is_asked = type(store).load, asyncio.Event()

        async def load_nothing(_self: Any, _keys: Any) -> Any:
            is_asked.set()
            raise StoreUnavailableError("locked")

        monkeypatch.setattr(type(store), "load", load_nothing)
        await asyncio.wait_for(is_asked.wait(), 60)
        monkeypatch.setattr(type(store), "load", load)
        async with simulated_claude(0.0, claude_port) as simulation, asyncio.timeout(30):
            while not made_at(simulation):
                await asyncio.sleep(0.1)


async def test_claude_out_of_reach_at_polling_takes_nothing_away(
    start_proxy: ProxyStarter, tmp_path: Path, claude_port: int
) -> None:
    settings = settings_with_store(f"http://127.0.0.1:{claude_port}", tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        async with simulated_claude(30.0, claude_port) as simulation:
            made = await create(client, LINES)
            await sent(client, made.id)
            kept = simulation.simulation.batches._batches
        assert (await client.batches.retrieve(made.id)).status == "in_progress"
        async with simulated_claude(0.0, claude_port) as again:
            (remembered,) = kept.values()
            again.simulation.batches._batches[remembered.id] = remembered
            await remembered.process(0.0)
            batch = await ended(client, made.id)
            output, _ = await outcome(client, batch)
    assert [answer["custom_id"] for answer in output] == IDS


async def test_a_wish_to_cancel_is_kept_while_claude_is_out_of_reach(
    start_proxy: ProxyStarter, tmp_path: Path, claude_port: int
) -> None:
    settings = settings_with_store(f"http://127.0.0.1:{claude_port}", tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        async with simulated_claude(60.0, claude_port) as simulation:
            made = await create(client, LINES)
            await sent(client, made.id)
            (remembered,) = simulation.simulation.batches._batches.values()
        assert (await client.batches.cancel(made.id)).status == "cancelling"
        async with simulated_claude(0.0, claude_port) as again:
            again.simulation.batches._batches[remembered.id] = remembered
            processing = asyncio.create_task(remembered.process(60.0))
            await asyncio.wait_for(processing, 60)  # it is cancelled without anybody who asks
            batch = await ended(client, made.id)
            output, errors = await outcome(client, batch)
    assert (batch.status, output) == ("cancelled", [])
    assert {entry["error"]["code"] for entry in errors} == {"batch_cancelled"}


@pytest.mark.parametrize("is_archived", [True, False], ids=["archived", "deleted"])
async def test_results_that_claude_has_not_any_more_are_errors_of_their_lines(
    start_proxy: ProxyStarter, tmp_path: Path, is_archived: bool
) -> None:
    async with simulated_claude(0.5) as simulation:
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            made = await create(client, LINES)
            await sent(client, made.id)
            if is_archived:
                next(iter(simulation.simulation.batches)).archive()
            else:
                simulation.simulation.batches._batches.clear()
            batch = await ended(client, made.id)
            output, errors = await outcome(client, batch)
    assert (batch.status, output) == ("completed", [])
    assert [entry["custom_id"] for entry in errors] == IDS
    assert {entry["response"]["status_code"] for entry in errors} == {502}


async def test_a_refusal_of_the_whole_batch_makes_it_fail(start_proxy: ProxyStarter, tmp_path: Path) -> None:
    async with simulated_claude(0.0) as simulation:
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        wrong = settings.model_copy(
            update={
                "claude": settings.claude.model_copy(
                    update={"api_key": type(settings.claude.api_key)("sk-ant-invalid")}
                )
            }
        )
        async with start_proxy(REVERSE, settings=wrong) as proxy, client_of(proxy) as client:
            batch = await ended(client, (await create(client, LINES)).id)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert [error.code for error in batch.errors.data or ()] == ["invalid_api_key"]


async def test_a_line_that_nobody_foresaw_takes_nothing_from_the_others(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated_claude(0.0) as simulation:
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            parse, translate = addon.batches.lines.parse_chat_completion, addon.batches.lines.translate_message

            def parse_or_fail(body: bytes) -> Any:
                if b"Number 1" in body:
                    raise ZeroDivisionError
                return parse(body)

            def translate_or_fail(stream: Any, message: Any) -> Any:
                if b"Number 3" in bytes(message):
                    raise ZeroDivisionError
                return translate(stream, message)

            monkeypatch.setattr(addon.batches.lines, "parse_chat_completion", parse_or_fail)
            monkeypatch.setattr(addon.batches.lines, "translate_message", translate_or_fail)
            batch = await ended(client, (await create(client, LINES)).id)
            output, errors = await outcome(client, batch)
    assert [answer["custom_id"] for answer in output] == ["line 0", "line 2", "line 4"]
    assert [(entry["custom_id"], entry["response"]["status_code"]) for entry in errors] == [
        ("line 1", 500),
        ("line 3", 500),
    ]


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_two_processes_on_one_store_send_once_and_write_the_same(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment = {"CLAUDE_PROXY_SECRET": "a secret that both have, of 32 bytes"}
    if kind == "redis":
        environment["CLAUDE_PROXY_REDIS_URL"] = request.getfixturevalue("redis_url")
    async with simulated_claude(0.5) as simulation, contextlib.AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(serving_process(simulation.base_url, tmp_path, **environment))
            for _ in range(2)
        ]
        clients = [await stack.enter_async_context(process.client()) for process in (one, two)]
        made = await create(clients[0], [*LINES, line("slow", chat(script(delay=1, text="late")))])
        batches = await asyncio.gather(*(ended(client, made.id, seconds=60) for client in clients for _ in range(3)))
        output, errors = await outcome(clients[1], batches[0])
        files = [file.id async for file in clients[1].files.list(purpose="batch_output")]
        assert made_at(simulation) == 1
    assert {batch.output_file_id for batch in batches} == {files[0]}
    assert len(files) == 1
    assert [answer["custom_id"] for answer in output] == [*IDS, "slow"]
    assert errors == []


async def test_work_that_was_cut_off_is_done_again_and_writes_the_same(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files are written, and the process dies before the batch says so."""
    url = "/v1/responses"
    async with simulated_claude(0.0) as simulation:
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            conversation = await client.conversations.create()
            body = {"model": "gpt-5.5", "input": "Hello", "conversation": conversation.id}
            made = await create(client, [line("a", body, url), line("b", body, url)], url)
            store = proxy.addon._gateway.store
            save = type(store).save

            async def save_but_no_end(self: Any, values: Any, *lifetime: Any, **lifetimes: Any) -> None:
                if any(key.kind == "batch" and b'"completed_at":1' in value for key, value in values.items()):
                    raise OSError("the process dies here")
                await save(self, values, *lifetime, **lifetimes)

            with monkeypatch.context() as patch:
                patch.setattr(type(store), "save", save_but_no_end)
                async with asyncio.timeout(60):
                    while not (written := [file.id async for file in client.files.list(purpose="batch_output")]):
                        await client.batches.retrieve(made.id)
                first = (await client.files.content(written[0])).text
            batch = await ended(client, made.id)
            assert batch.output_file_id == written[0]
            assert [file.id async for file in client.files.list(purpose="batch_output")] == written
            assert _without_seals((await client.files.content(written[0])).text) == _without_seals(first)
            items = (await client.conversations.items.list(conversation.id)).data
    assert sum(item.type == "message" for item in items) == 4


async def test_a_batch_whose_end_could_not_be_stored_at_first_is_charged_for_once(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated_claude(0.0) as simulation:
        settings = settings_with_store(
            simulation.base_url, tmp_path / "store.sqlite3", rate_limiting={"dollars_per_day": 100.0}
        )
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            gateway = proxy.addon._gateway
            assert gateway is not None
            save, charged, failures = type(gateway.store).save, [], 0
            charge = type(gateway.limits).charge

            async def save_at_the_third_attempt(self: Any, values: Any, *lifetime: Any, **lifetimes: Any) -> None:
                nonlocal failures
                if failures < 2 and any(key.kind == "file" and b'"batch_output"' in values[key] for key in values):
                    failures += 1
                    raise StoreUnavailableError("locked")
                await save(self, values, *lifetime, **lifetimes)

            def charge_and_note(self: Any, whom: Any, bill: Any) -> None:
                charged.append(bill.tokens)
                charge(self, whom, bill)

            monkeypatch.setattr(type(gateway.store), "save", save_at_the_third_attempt)
            monkeypatch.setattr(type(gateway.limits), "charge", charge_and_note)
            batch = await ended(client, (await create(client, LINES)).id)
            async with asyncio.timeout(60):
                while gateway.batches:
                    await asyncio.sleep(0.01)
            counted = [
                sample.value
                for metric in gateway.metrics.registry.collect()
                for sample in metric.samples
                if sample.name == "claude_proxy_tokens_total"
            ]
    assert (failures, batch.status) == (2, "completed")
    assert batch.usage is not None
    assert sum(charged) == sum(counted) == batch.usage.total_tokens


async def test_an_answer_is_there_though_its_conversation_was_deleted_meanwhile(
    start_proxy: ProxyStarter, tmp_path: Path
) -> None:
    url = "/v1/responses"
    async with simulated_claude(1.0) as simulation:
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            conversation = await client.conversations.create()
            body = {"model": "gpt-5.5", "input": "Hello", "conversation": conversation.id}
            made = await create(client, [line("a", body, url)], url)
            await sent(client, made.id)
            await client.conversations.delete(conversation.id)
            output, errors = await outcome(client, await ended(client, made.id))
    assert ([answer["custom_id"] for answer in output], errors) == (["a"], [])


def _without_seals(text: str) -> list[Any]:
    """Take out the sealed thinking, which is sealed anew each time."""
    answers = [json.loads(one) for one in text.splitlines()]
    for answer in answers:
        for item in answer["response"]["body"]["output"]:
            item.pop("encrypted_content", None)
    return answers


async def test_lines_that_need_other_headers_travel_in_another_batch_of_claude(
    start_proxy: ProxyStarter, tmp_path: Path
) -> None:
    async with simulated_claude(0.0) as simulation:
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            warm = {"model": "claude-haiku-4-5", "temperature": 0.2}
            lines = [
                line("a", chat("x", **warm)),
                line("b", chat("y", model="claude-haiku-4-5")),
                line("c", chat("z", **warm)),
            ]
            batch = await ended(client, (await create(client, lines)).id)
            output, errors = await outcome(client, batch)
        created = [
            entry for entry in simulation.journal if (entry.method, entry.path) == ("POST", "/v1/messages/batches")
        ]
    assert errors == []
    assert [answer["custom_id"] for answer in output] == ["a", "b", "c"]
    assert sorted(len(entry.body["requests"]) for entry in created) == [1, 2]
    assert {entry.headers["anthropic-version"] for entry in created} == {"2023-06-01", "2026-10-21"}


async def test_what_was_sent_before_the_rest_could_not_be_is_not_sent_again_with_it(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated_claude(0.3) as simulation:
        batches = simulation.simulation.batches
        make, asked = batches.create, 0

        def make_all_but_the_second(*given: Any) -> SimulatedBatch:
            nonlocal asked
            asked += 1
            if asked == 2:
                raise ClaudeError(529, "Overloaded")
            return make(*given)

        monkeypatch.setattr(batches, "create", make_all_but_the_second)
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            lines = [
                line("a", chat("x", model="claude-haiku-4-5", temperature=0.2)),
                line("b", chat("y", model="claude-haiku-4-5")),
            ]
            batch = await ended(client, (await create(client, lines)).id)
            output, errors = await outcome(client, batch)
        counts = [made.describe("")["request_counts"] for made in batches]
    assert errors == []
    assert [answer["custom_id"] for answer in output] == ["a", "b"]
    assert [count["succeeded"] for count in counts] == [1, 1]


async def test_what_was_sent_and_could_not_be_noted_at_once_is_not_sent_again(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with simulated_claude(0.3) as simulation:
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            store = proxy.addon._gateway.store
            save, failures = type(store).save, 0

            async def save_at_the_third_attempt(self: Any, values: Any, *lifetime: Any, **lifetimes: Any) -> None:
                nonlocal failures
                if failures < 2 and any(b'"claude_batches":["' in value for value in values.values()):
                    failures += 1
                    raise StoreUnavailableError("locked")
                await save(self, values, *lifetime, **lifetimes)

            monkeypatch.setattr(type(store), "save", save_at_the_third_attempt)
            batch = await ended(client, (await create(client, LINES)).id)
            output, _ = await outcome(client, batch)
        assert (failures, made_at(simulation)) == (2, 1)
    assert [answer["custom_id"] for answer in output] == IDS


async def test_a_batch_is_split_where_claude_takes_no_more(
    start_proxy: ProxyStarter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("addon.batches.sending.MAX_REQUESTS", 2)
    async with simulated_claude(0.0) as simulation:
        settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            batch = await ended(client, (await create(client, LINES)).id)
            output, _ = await outcome(client, batch)
        assert made_at(simulation) == 3
    assert [answer["custom_id"] for answer in output] == IDS


async def test_the_store_out_of_reach_is_said_with_a_503(start_proxy: ProxyStarter, tmp_path: Path) -> None:
    async with simulated_claude(0.0) as simulation:
        (tmp_path / "file").write_text("no folder")
        settings = settings_with_store(simulation.base_url, tmp_path / "file" / "store.sqlite3")
        async with start_proxy(REVERSE, settings=settings) as proxy:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", trust_env=False) as http:
                answers = [
                    await http.get("/v1/batches"),
                    await http.get("/v1/batches/batch_x"),
                    await http.post("/v1/batches/batch_x/cancel"),
                    await http.post(
                        "/v1/batches",
                        json={"input_file_id": "file-x", "endpoint": CHAT, "completion_window": "24h"},
                    ),
                ]
    assert {answer.status_code for answer in answers} == {503}

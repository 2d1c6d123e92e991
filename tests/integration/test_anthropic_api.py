"""An Anthropic SDK client that is pointed at the standalone endpoint cannot tell it from Claude."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic
from structlog.testing import capture_logs

from addon.configuration.client_keys import digest_of
from addon.configuration.settings import Settings, load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.batch_api import chat, create, ended, line
from tests.integration.raw_upstream import Call, begun_answer, raw_upstream
from tests.integration.responses_api import client_of
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.lived_time import within

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def proxy(start_proxy: ProxyStarter) -> AsyncIterator[RunningProxy]:
    async with start_proxy(REVERSE) as running:
        yield running


@pytest.fixture
async def client(proxy: RunningProxy) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(api_key="sk-ant-of-the-client", base_url=f"http://127.0.0.1:{proxy.port}") as anthropics:
        yield anthropics


async def test_messages_are_answered_whole_and_streamed_alike(client: AsyncAnthropic, proxy: RunningProxy) -> None:
    with capture_logs() as logs:
        whole = await client.messages.create(model="claude-opus-4-8", max_tokens=200, messages=HELLO)
        async with client.messages.stream(model="claude-opus-4-8", max_tokens=200, messages=HELLO) as stream:
            streamed = await stream.get_final_message()
        while proxy.running:
            await asyncio.sleep(0.002)
    assert [block.text for block in whole.content] == [block.text for block in streamed.content]
    assert whole.usage.output_tokens == streamed.usage.output_tokens
    logged = [entry for entry in logs if entry["event"] == "exchange"]
    assert [entry["stream"] for entry in logged] == [False, True]
    for entry in logged:
        assert (entry["endpoint"], entry["claude_model"], entry["outcome"]) == ("anthropic", "claude-opus-4-8", "ok")
        assert entry["input_tokens"] == whole.usage.input_tokens
        assert entry["output_tokens"] == whole.usage.output_tokens


async def test_a_stream_is_the_same_byte_for_byte(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    body = {"model": "claude-opus-4-8", "max_tokens": 99, "stream": True, "messages": HELLO}
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    script = {"x-simulate": '{"id": "x", "text": "the same"}'}
    async with httpx2.AsyncClient() as http:
        direct, through = [
            await http.post(f"{base}/v1/messages", json=body, headers={**headers, **script})
            for base in (simulation.base_url, f"http://127.0.0.1:{proxy.port}")
        ]
    assert direct.text.count("event: ") > 5
    assert [line for line in through.text.split("\n") if "msg_" not in line] == [
        line for line in direct.text.split("\n") if "msg_" not in line
    ]
    assert through.headers["content-type"] == direct.headers["content-type"]
    assert through.headers["anthropic-ratelimit-requests-limit"] == direct.headers["anthropic-ratelimit-requests-limit"]
    assert "openai-version" not in through.headers


async def test_other_endpoints_and_the_clients_own_headers_go_through(
    client: AsyncAnthropic, simulation: RunningSimulation
) -> None:
    counted = await client.messages.count_tokens(
        model="claude-opus-4-8", messages=HELLO, extra_headers={"anthropic-beta": "some-beta-2026-01-01"}
    )
    assert counted.input_tokens > 0
    listed = [model.id async for model in client.models.list(limit=2)]
    assert "claude-opus-4-8" in listed
    assert (await client.models.retrieve("claude-opus-4-8")).type == "model"
    entries = {entry.path: entry for entry in simulation.journal}
    assert entries["/v1/messages/count_tokens"].headers["anthropic-beta"] == "some-beta-2026-01-01"
    assert "limit=2" in entries["/v1/models"].query


async def test_the_clients_key_never_reaches_claude(start_proxy: ProxyStarter) -> None:
    async def echo(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

    async with raw_upstream(echo) as upstream, httpx2.AsyncClient() as http:
        settings = load_settings({"claude": {"api_key": "sk-ant-ours", "base_url": upstream.base_url}})
        async with start_proxy(REVERSE, settings=settings) as proxy:
            key = "sk-ant-of-the-client"
            headers = {"x-api-key": key, "authorization": f"Bearer {key}", "cookie": "c=1"}
            await http.post(f"http://127.0.0.1:{proxy.port}/v1/messages", json={}, headers=headers)
        head = upstream.calls[0].head.lower()
        assert b"sk-ant-ours" in head
        assert b"of-the-client" not in head
        assert b"cookie" not in head


async def test_a_header_that_comes_in_several_lines_goes_on_with_all_of_them(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    betas = [("anthropic-beta", "one-2026-01-01"), ("Anthropic-Beta", "two-2026-01-01")]
    async with httpx2.AsyncClient(headers=[("anthropic-version", "2026-10-21"), *betas]) as http:
        body = {"model": "claude-opus-4-8", "max_tokens": 9, "messages": HELLO}
        answer = await http.post(f"http://127.0.0.1:{proxy.port}/v1/messages", json=body)
    assert answer.status_code == 200
    assert simulation.journal[-1].headers["anthropic-beta"] == "one-2026-01-01, two-2026-01-01"


async def test_what_is_no_ascii_goes_on_with_its_bytes(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(
        b"GET /v1/models?after_id=\xc3\xa9%2F\xff HTTP/1.1\r\nhost: x\r\n"
        b"anthropic-version: 2023-06-01\r\nx-title: \xc3\xa9\r\n\r\n"
    )
    async with asyncio.timeout(60):
        status = int((await reader.readline()).split()[1])
    writer.close()
    assert status < 500
    assert simulation.journal[-1].headers["x-title"] == "é"


async def test_claudes_errors_come_through_as_they_are(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.messages.create(model="claude-opus-4-8", max_tokens=10, messages=[])
    assert refused.value.body["error"]["type"] == "invalid_request_error"
    assert refused.value.request_id
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.create(model="claude-none", max_tokens=10, messages=HELLO)
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.batches.retrieve("msgbatch_none")


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        ("400 Bad Request", "client_error"),
        ("401 Unauthorized", "upstream_error"),
        ("429 Too Many Requests", "upstream_error"),
        ("529 Overloaded", "upstream_error"),
    ],
)
async def test_claudes_errors_are_logged_and_counted_as_such(
    start_proxy: ProxyStarter, head: str, outcome: str
) -> None:
    async def answer(call: Call) -> None:
        await call.send(f"HTTP/1.1 {head}\r\ncontent-length: 2\r\n\r\n{{}}".encode())

    async with raw_upstream(answer) as upstream, httpx2.AsyncClient() as http:
        settings = load_settings({"claude": {"api_key": "k", "base_url": upstream.base_url, "max_retries": 0}})
        async with start_proxy(REVERSE, settings=settings) as proxy:
            with capture_logs() as logs:
                response = await http.post(f"http://127.0.0.1:{proxy.port}/v1/messages", json={"model": "m"})
                while proxy.running:
                    await asyncio.sleep(0.002)
    assert response.status_code == int(head[:3])
    assert [entry["outcome"] for entry in logs if entry["event"] == "exchange"] == [outcome]


async def test_batches_are_made_followed_read_and_deleted(
    client: AsyncAnthropic,
) -> None:
    params = {"model": "claude-opus-4-8", "max_tokens": 99, "messages": HELLO}
    made = await client.messages.batches.create(
        requests=[
            {"custom_id": "one", "params": params},
            {"custom_id": "two", "params": {**params, "max_tokens": 0}},
        ]
    )
    assert (made.processing_status, made.results_url) == ("in_progress", None)
    while (batch := await client.messages.batches.retrieve(made.id)).processing_status != "ended":
        await asyncio.sleep(0.05)
    own = f"/v1/messages/batches/{made.id}/results"
    assert batch.results_url == own
    assert [listed.results_url async for listed in client.messages.batches.list()] == [own]
    results = {one.custom_id: one.result async for one in await client.messages.batches.results(made.id)}
    assert results["one"].type == "succeeded"
    assert results["one"].message.usage.service_tier == "batch"
    assert results["two"].type == "errored"
    assert (await client.messages.batches.delete(made.id)).type == "message_batch_deleted"
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.batches.retrieve(made.id)


async def test_a_stream_that_breaks_is_broken_for_the_client(start_proxy: ProxyStarter) -> None:
    async def cut(call: Call) -> None:
        await call.send(begun_answer("Once"))
        await asyncio.sleep(0.1)
        call.writer.transport.abort()

    async with raw_upstream(cut) as upstream, httpx2.AsyncClient() as http:
        settings = load_settings({"claude": {"api_key": "k", "base_url": upstream.base_url}})
        async with start_proxy(REVERSE, settings=settings) as proxy:
            with pytest.raises(httpx2.RemoteProtocolError):
                await http.post(f"http://127.0.0.1:{proxy.port}/v1/messages", json={"stream": True})


async def test_claude_out_of_reach_is_said_in_claudes_form(start_proxy: ProxyStarter) -> None:
    settings = load_settings({"claude": {"api_key": "k", "base_url": "http://127.0.0.1:9"}})
    async with start_proxy(REVERSE, settings=settings) as proxy:
        async with AsyncAnthropic(api_key="x", base_url=f"http://127.0.0.1:{proxy.port}", max_retries=0) as client:
            with pytest.raises(anthropic.InternalServerError) as failed:
                await client.messages.create(model="claude-opus-4-8", max_tokens=10, messages=HELLO)
    assert failed.value.status_code == 502
    assert failed.value.body["error"]["type"] == "api_error"


async def test_files_are_uploaded_named_listed_and_deleted(client: AsyncAnthropic) -> None:
    made = await client.files.upload(file=("note.txt", b"A note.", "text/plain"), expires_in_seconds=3600)
    assert (made.filename, made.size_bytes) == ("note.txt", 7)
    source = {"type": "file", "file_id": made.id}
    messages = [{"role": "user", "content": [{"type": "document", "source": source}]}]
    message = await client.messages.create(model="claude-opus-4-8", max_tokens=99, messages=messages)
    assert message.content
    assert [file.id async for file in client.files.list()] == [made.id]
    with pytest.raises(anthropic.BadRequestError, match="not downloadable"):
        await client.files.download(made.id)
    assert (await client.files.delete(made.id)).type == "file_deleted"
    with pytest.raises(anthropic.NotFoundError):
        await client.files.retrieve_metadata(made.id)


async def test_what_is_downloaded_is_never_whole_in_memory(start_proxy: ProxyStarter) -> None:
    piece, pieces = b"x" * 64 * 1024, 512

    async def answer(call: Call) -> None:
        if not call.head.startswith(b"GET /v1/files/"):
            await call.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            return
        kind = b"content-type: application/octet-stream"
        await call.send(b"HTTP/1.1 200 OK\r\n%b\r\ncontent-length: %d\r\n\r\n" % (kind, len(piece) * pieces))
        for _ in range(pieces):
            await call.send(piece)

    async with raw_upstream(answer, lists_models=True) as upstream, httpx2.AsyncClient() as http:
        settings = load_settings({"claude": {"api_key": "k", "base_url": upstream.base_url}})
        async with start_proxy(REVERSE, settings=settings, keeps_bodies=False) as proxy:
            url = f"http://127.0.0.1:{proxy.port}/v1/files/file_1/content"
            received = 0
            tracemalloc.start()
            try:
                async with http.stream("GET", url, headers={"anthropic-version": "2026-10-21"}) as response:
                    async for chunk in response.aiter_bytes():
                        received += len(chunk)
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
    assert received == len(piece) * pieces
    assert most < received / 4


async def test_a_list_that_nobody_waits_for_any_more_is_not_read_on(start_proxy: ProxyStarter, tmp_path: Path) -> None:
    async def begin(call: Call) -> None:
        if call.head.startswith(b"GET /v1/messages/batches"):
            await call.send(b'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"data": [')
        else:
            await call.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    async with raw_upstream(begin, lists_models=True) as upstream:
        settings = with_keys(upstream.base_url, tmp_path / "store.sqlite3", "sk-one")
        async with start_proxy(REVERSE, settings=settings) as proxy:
            url = f"http://127.0.0.1:{proxy.port}/v1/messages/batches"
            headers = {"anthropic-version": "2026-10-21", "x-api-key": "sk-one"}

            def asked() -> list[Call]:
                return [call for call in upstream.calls if b"/batches" in call.head and call.sent]

            async with httpx2.AsyncClient() as http:
                asking = asyncio.create_task(http.get(url, headers=headers))
                async with asyncio.timeout(60):
                    while not asked():
                        await asyncio.sleep(0.01)
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            [call] = asked()
            await within(5, call.hung_up.wait())


def with_keys(base_url: str, store: Path, *keys: str) -> Settings:
    claude = {"api_key": "sk-ant-ours", "base_url": base_url}
    known = [{"name": key, "sha256": digest_of(key)} for key in keys]
    return load_settings({"claude": claude, "store": {"path": str(store)}, "access": {"keys": known}})


async def test_clients_with_keys_of_the_proxy_find_their_own_batches_and_files_alone(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    settings = with_keys(simulation.base_url, tmp_path / "store.sqlite3", "sk-one", "sk-two")
    params = {"model": "claude-opus-4-8", "max_tokens": 99, "messages": HELLO}
    async with start_proxy(REVERSE, settings=settings) as proxy:
        base_url = f"http://127.0.0.1:{proxy.port}"
        async with (
            AsyncAnthropic(api_key="sk-one", base_url=base_url, max_retries=0) as one,
            AsyncAnthropic(api_key="sk-two", base_url=base_url, max_retries=0) as two,
        ):
            file = await one.files.upload(file=("note.txt", b"A note.", "text/plain"))
            batch = await one.messages.batches.create(requests=[{"custom_id": "one", "params": params}])
            while (await one.messages.batches.retrieve(batch.id)).processing_status != "ended":
                await asyncio.sleep(0.05)
            assert [result.custom_id async for result in await one.messages.batches.results(batch.id)] == ["one"]
            assert (await one.files.retrieve_metadata(file.id)).filename == "note.txt"
            for attempt in (
                two.messages.batches.retrieve(batch.id),
                two.messages.batches.cancel(batch.id),
                two.messages.batches.delete(batch.id),
                two.files.retrieve_metadata(file.id),
                two.files.download(file.id),
                two.files.delete(file.id),
            ):
                with pytest.raises(anthropic.NotFoundError):
                    await attempt
            async with httpx2.AsyncClient(base_url=base_url, headers={"x-api-key": "sk-two"}) as http:
                for path in (
                    f"/v1/messages/batches/{batch.id}/results",
                    f"/v1/messages/%62atches/{batch.id}/results",
                    f"/v1//messages/x/../batches/{batch.id}/results",
                    f"/v1/files/%66{file.id[1:]}",
                ):
                    answer = await http.get(path, headers={"anthropic-version": "2026-10-21"})
                    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error"), path
                for path in ("/v1/messages/batches", "/v1/files"):
                    answer = await http.delete(path, headers={"anthropic-version": "2026-10-21"})
                    assert answer.status_code == 405
            await one.files.delete(file.id)
            await one.messages.batches.delete(batch.id)


async def test_a_key_with_models_cancels_the_batches_that_it_made(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    claude = {"api_key": "sk-ant-ours", "base_url": simulation.base_url}
    key = {"name": "one", "sha256": digest_of("sk-one"), "models": ["claude-opus-*"]}
    store = {"path": str(tmp_path / "store.sqlite3")}
    settings = load_settings({"claude": claude, "store": store, "access": {"keys": [key]}})
    async with (
        start_proxy(REVERSE, settings=settings) as proxy,
        AsyncAnthropic(api_key="sk-one", base_url=f"http://127.0.0.1:{proxy.port}", max_retries=0) as one,
    ):
        made = await make_batch(one)
        assert (await one.messages.batches.cancel(made)).id == made
        with pytest.raises(anthropic.PermissionDeniedError):
            await one.messages.count_tokens(model="claude-haiku-4-5", messages=HELLO)


@dataclass(frozen=True)
class Sharing:
    """Two clients that share a workspace, and each their own through which the workspace can be seen whole."""

    one: AsyncAnthropic
    two: AsyncAnthropic
    operator: AsyncAnthropic


@pytest.fixture
async def sharing(start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path) -> AsyncIterator[Sharing]:
    settings = with_keys(simulation.base_url, tmp_path / "store.sqlite3", "sk-one", "sk-two")
    async with start_proxy(REVERSE, settings=settings) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        async with (
            AsyncAnthropic(api_key="sk-one", base_url=url, max_retries=0) as one,
            AsyncAnthropic(api_key="sk-two", base_url=url, max_retries=0) as two,
            AsyncAnthropic(api_key="sk-ant-ours", base_url=simulation.base_url, max_retries=0) as operator,
        ):
            yield Sharing(one, two, operator)


async def make_batch(client: AsyncAnthropic) -> str:
    params = {"model": "claude-opus-4-8", "max_tokens": 99, "messages": HELLO}
    return (await client.messages.batches.create(requests=[{"custom_id": "one", "params": params}])).id


async def upload(client: AsyncAnthropic, name: str) -> str:
    return (await client.files.upload(file=(name, b"A note.", "text/plain"))).id


async def test_lists_have_what_the_client_made_as_if_the_workspace_were_its_own(sharing: Sharing) -> None:
    one, two, operator = sharing.one, sharing.two, sharing.operator
    for client in (one, two):
        assert [file async for file in client.files.list()] == []
        assert [batch async for batch in client.messages.batches.list()] == []
    files, batches = [], []
    for number in range(5):
        files.append(await upload(one, f"{number}.txt"))
        await upload(two, "other.txt")
        batches.append(await make_batch(one))
        await make_batch(two)
    files.reverse()
    batches.reverse()
    assert len([file async for file in operator.files.list()]) == 10
    for limit in (1, 2, 5, 1000):
        assert [file.id async for file in one.files.list(limit=limit)] == files
        assert [batch.id async for batch in one.messages.batches.list(limit=limit)] == batches
        back = [batch.id async for batch in one.messages.batches.list(limit=limit, before_id=batches[4])]
        assert sorted(back) == sorted(batches[:4])
    page = await one.files.list(limit=3)
    assert ([file.id for file in page.data], page.has_next_page()) == (files[:3], True)
    assert page.data[0] == await one.files.retrieve_metadata(files[0])
    last = await page.get_next_page()
    assert ([file.id for file in last.data], last.has_next_page()) == (files[3:], False)
    first = await one.messages.batches.list(limit=2, after_id=batches[0])
    assert ([batch.id for batch in first.data], first.has_more) == (batches[1:3], True)
    assert (first.first_id, first.last_id) == (batches[1], batches[2])
    nearest = await one.messages.batches.list(limit=2, before_id=batches[3])
    assert ([batch.id for batch in nearest.data], nearest.has_more) == (batches[1:3], True)
    foreign = [file.id async for file in operator.files.list() if file.id not in files]
    named = await one.files.list(ids=[files[3], foreign[0], files[1]])
    assert sorted(file.id for file in named.data) == sorted([files[1], files[3]])
    assert (await two.files.list(ids=files)).data == []


async def test_lists_go_on_while_what_they_name_is_deleted(sharing: Sharing) -> None:
    one = sharing.one
    for number in range(5):
        await upload(one, f"{number}.txt")
        await upload(sharing.two, "other.txt")
    kept = await upload(one, "kept.txt")
    await sharing.operator.files.delete(kept)
    seen = []
    async for file in one.files.list(limit=2):
        seen.append(file.filename)
        await one.files.delete(file.id)
    assert seen == ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"]
    assert [file async for file in one.files.list()] == []
    assert [file.filename async for file in sharing.two.files.list(limit=1)] == ["other.txt"] * 5


async def test_a_list_of_many_more_batches_of_others_has_those_of_the_client(
    sharing: Sharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("addon.endpoints.workspace_lists._MAX_LIMIT", 3)
    made = []
    for number in range(12):
        await make_batch(sharing.two)
        if number in (0, 7, 8):
            made.append(await make_batch(sharing.one))
    assert [batch.id async for batch in sharing.one.messages.batches.list(limit=2)] == made[::-1]
    (page,) = [page async for page in (await sharing.one.messages.batches.list(limit=3)).iter_pages()]
    assert ([batch.id for batch in page.data], page.has_more) == (made[::-1], False)


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v1/files?limit=0", 400, "limit"),
        ("/v1/files?limit=1001", 400, "limit"),
        ("/v1/messages/batches?limit=two", 400, "limit"),
        ("/v1/files?page=page_3", 400, "page"),
        ("/v1/files?page=page_1.5_x&limit=%FF", 400, "limit"),
        ("/v1/messages/batches?before_id=%FF&limit=-1", 400, "limit"),
        ("/v1/messages/batches/%FF", 404, "Not found"),
    ],
)
async def test_a_list_that_cannot_be_made_is_refused(sharing: Sharing, path: str, status: int, message: str) -> None:
    async with httpx2.AsyncClient(base_url=sharing.one.base_url, headers={"x-api-key": "sk-one"}) as http:
        answer = await http.get(path, headers={"anthropic-version": "2026-10-21"})
        assert (answer.status_code, answer.json()["type"]) == (status, "error")
        assert message in answer.json()["error"]["message"]
        # What Claude refuses comes back as Claude says it.
        refused = await http.get("/v1/messages/batches", headers={"anthropic-version": "1999-01-01"})
        assert (refused.status_code, "not a valid version" in refused.text) == (400, True)


async def test_what_another_client_made_through_openais_api_is_not_found_through_claudes(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    settings = with_keys(simulation.base_url, tmp_path / "store.sqlite3", "sk-one", "sk-two")
    async with (
        start_proxy(REVERSE, settings=settings) as proxy,
        client_of(proxy, "sk-one") as openai_client,
        AsyncAnthropic(api_key="sk-two", base_url=f"http://127.0.0.1:{proxy.port}", max_retries=0) as client,
    ):
        made = await create(openai_client, [line("a", chat("A secret"))])
        await ended(openai_client, made.id)
        (batch,) = simulation.simulation.batches
        with pytest.raises(anthropic.NotFoundError):
            await client.messages.batches.results(batch.id)

"""Uploaded files that travel to Claude's Files API once, and are named by the requests after that."""

import asyncio
import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from structlog.testing import capture_logs

from addon.simulated_claude.errors import ClaudeError
from addon.simulated_claude.files import SimulatedFile
from addon.simulated_claude.server import RunningSimulation
from tests.integration.batch_api import chat, create, ended, line, lines_of
from tests.integration.responses_api import REVERSE, client_of, settings_with_store
from tests.integration.running_proxy import ProxyStarter, RunningProxy

ENOUGH = 40_000
PDF = b"%PDF-1.4\n" + b"%" * ENOUGH + b"\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
CSV = b"a,b\n" * (ENOUGH // 4)
GIF = base64.b64decode("R0lGODlhAQABAAAAACwAAAAAAQABAAA7") + b"\0" * ENOUGH
FILES = {
    "pdf": ("report.pdf", PDF, "application/pdf", "document"),
    "text": ("table.csv", CSV, "text/plain", "document"),
    "image": ("dot.gif", GIF, "image/gif", "image"),
}

type Make = Callable[..., Any]


def asked(simulation: RunningSimulation, path: str = "/v1/messages") -> list[Any]:
    """What reached Claude, oldest first."""
    return [entry.body for entry in simulation.journal if entry.path == path and entry.method == "POST"]


def uploads(simulation: RunningSimulation) -> int:
    return len(asked(simulation, "/v1/files"))


def kept(simulation: RunningSimulation) -> list[SimulatedFile]:
    return list(simulation.simulation.files)


def sources(body: Any) -> list[dict[str, Any]]:
    """The sources of the files in a request to Claude."""
    return [block["source"] for message in body["messages"] for block in message["content"] if "source" in block]


async def upload(client: AsyncOpenAI, kind: str = "pdf", **fields: Any) -> str:
    file = await client.files.create(file=FILES[kind][:2], purpose="user_data", **fields)
    return file.id


async def ask_chat(client: AsyncOpenAI, file_id: str, **fields: Any) -> str:
    parts: Any = [{"type": "text", "text": "What is it?"}, {"type": "file", "file": {"file_id": file_id}}]
    messages: Any = [{"role": "user", "content": parts}]
    made = await client.chat.completions.create(model="gpt-4o", messages=messages, **fields)
    if isinstance(made, openai.AsyncStream):
        return "".join([chunk.choices[0].delta.content or "" async for chunk in made if chunk.choices])
    return made.choices[0].message.content or ""


async def ask_response(client: AsyncOpenAI, file_id: str) -> str:
    content: Any = [{"type": "input_file", "file_id": file_id}, {"type": "input_text", "text": "What is it?"}]
    made = await client.responses.create(model="gpt-5.5", input=[{"role": "user", "content": content}])
    return made.output_text


async def count(client: AsyncOpenAI, file_id: str) -> str:
    content: Any = [{"type": "input_file", "file_id": file_id}, {"type": "input_text", "text": "What is it?"}]
    counted = await client.responses.input_tokens.count(model="gpt-5.5", input=[{"role": "user", "content": content}])
    assert counted.input_tokens > 100
    return str(counted.input_tokens)


async def ask_streamed(client: AsyncOpenAI, file_id: str) -> str:
    return await ask_chat(client, file_id, stream=True)


WAYS = pytest.mark.parametrize("ask", [ask_chat, ask_streamed, ask_response, count])


@pytest.mark.parametrize("kind", FILES)
async def test_a_file_is_copied_once_and_named_by_every_request_after_that(
    proxy: RunningProxy, simulation: RunningSimulation, kind: str
) -> None:
    async with client_of(proxy) as client:
        file_id = await upload(client, kind)
        assert kept(simulation) == []
        await ask_chat(client, file_id)
        await ask_response(client, file_id)
        await ask_streamed(client, file_id)
        assert (await client.files.content(file_id)).read() == FILES[kind][1]
    (copy,) = kept(simulation)
    assert (copy.filename, copy.content, copy.media_type) == FILES[kind][:3]
    assert uploads(simulation) == 1
    for body in asked(simulation):
        assert sources(body) == [{"type": "file", "file_id": copy.id}]
        (block,) = [block for message in body["messages"] for block in message["content"] if "source" in block]
        assert block["type"] == FILES[kind][3]
        assert block.get("title") == (None if kind == "image" else copy.filename)


async def test_an_image_part_takes_an_image_and_refuses_a_document_by_its_copy_too(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async def look(file_id: str) -> None:
        content: Any = [{"type": "input_image", "file_id": file_id, "detail": "auto"}]
        await client.responses.create(model="gpt-5.5", input=[{"role": "user", "content": content}])

    async with client_of(proxy) as client:
        await look(await upload(client, "image"))
        assert sources(asked(simulation)[-1]) == [{"type": "file", "file_id": kept(simulation)[0].id}]
        with pytest.raises(openai.BadRequestError, match="unsupported image") as refused:
            await look(await upload(client, "pdf"))
    assert refused.value.code == "invalid_image_format"
    assert len(asked(simulation)) == 1


async def test_requests_at_the_same_time_make_one_copy(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        file_id = await upload(client)
        await asyncio.gather(*(ask_chat(client, file_id, n=2) for _ in range(4)))
    assert uploads(simulation) == 1
    assert len(asked(simulation)) == 8


async def test_a_small_file_goes_with_the_request(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        file = await client.files.create(file=("note.txt", b"A note."), purpose="user_data")
        await ask_chat(client, file.id)
    assert uploads(simulation) == 0
    assert sources(asked(simulation)[-1])[0]["data"] == "A note."


async def test_nothing_is_copied_where_that_is_not_wanted(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3", claude={"upload_files": False})
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        await ask_chat(client, await upload(client))
    assert uploads(simulation) == 0
    assert base64.b64decode(sources(asked(simulation)[-1])[0]["data"]) == PDF


@WAYS
async def test_a_copy_that_claude_has_lost_gives_way_to_the_content_and_the_next_request_makes_another(
    proxy: RunningProxy, simulation: RunningSimulation, ask: Any
) -> None:
    path = "/v1/messages/count_tokens" if ask is count else "/v1/messages"
    async with client_of(proxy) as client:
        file_id = await upload(client)
        said = await ask(client, file_id)
        (lost,) = kept(simulation)
        simulation.simulation.files.delete(lost.id)
        assert await ask(client, file_id) == said
        assert [source["type"] for source in sources(asked(simulation, path)[-1])] == ["base64"]
        assert await ask(client, file_id) == said
    (made,) = kept(simulation)
    assert sources(asked(simulation, path)[-1]) == [{"type": "file", "file_id": made.id}]
    assert uploads(simulation) == 2


async def test_choices_that_lose_their_copy_together_are_all_answered(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        file_id = await upload(client)
        await ask_chat(client, file_id)
        simulation.simulation.files.delete(kept(simulation)[0].id)
        parts: Any = [{"type": "file", "file": {"file_id": file_id}}]
        messages: Any = [{"role": "user", "content": parts}]
        completion = await client.chat.completions.create(model="gpt-4o", messages=messages, n=3)
    assert len(completion.choices) == 3


async def test_a_refusal_that_is_not_about_the_copy_is_no_reason_to_ask_again(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    refusal = {"status": 400, "error": {"type": "invalid_request_error", "message": "messages: no"}}
    async with client_of(proxy) as client:
        file_id = await upload(client)
        parts: Any = [
            {"type": "text", "text": f"[[simulate: {json.dumps(refusal)}]]"},
            {"type": "file", "file": {"file_id": file_id}},
        ]
        with pytest.raises(openai.BadRequestError, match="messages: no"):
            await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": parts}])
    assert len(asked(simulation)) == 1
    assert len(kept(simulation)) == 1


async def test_where_claude_takes_no_file_the_content_goes_along_and_the_log_says_why_once_a_minute(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    simulation.simulation.files.refusal = ClaudeError(403, "This key may not use files.")
    with capture_logs() as logs:
        async with client_of(proxy) as client:
            file_id = await upload(client)
            for _ in range(2):
                await ask_chat(client, file_id)
    assert uploads(simulation) == 1
    assert [source["type"] for body in asked(simulation) for source in sources(body)] == ["base64"] * 2
    (warning,) = [entry for entry in logs if entry["event"] == "file_not_copied"]
    assert (warning["file_id"], warning["status"], warning["reason"]) == (file_id, 403, "permission_denied")


async def test_a_deleted_file_is_deleted_at_claude_too(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        file_id = await upload(client)
        await ask_chat(client, file_id)
        assert len(kept(simulation)) == 1
        await client.files.delete(file_id)
        assert kept(simulation) == []
        with pytest.raises(openai.BadRequestError, match="No such File"):
            await ask_chat(client, file_id)
        # Claude's copy may be gone already.
        other = await upload(client)
        await ask_chat(client, other)
        simulation.simulation.files.delete(kept(simulation)[0].id)
        assert (await client.files.delete(other)).deleted


async def test_a_file_that_is_deleted_while_it_is_copied_leaves_no_copy(
    proxy: RunningProxy, simulation: RunningSimulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = proxy.addon._gateway
    assert gateway is not None
    take, is_taken, goes_on = gateway.claude.files.upload, asyncio.Event(), asyncio.Event()

    async def take_slowly(*given: Any) -> str:
        claude_file_id = await take(*given)
        is_taken.set()
        await goes_on.wait()
        return claude_file_id

    monkeypatch.setattr(gateway.claude.files, "upload", take_slowly)
    async with client_of(proxy) as client:
        file_id = await upload(client)
        asking = asyncio.create_task(ask_chat(client, file_id))
        await is_taken.wait()
        assert len(kept(simulation)) == 1
        await client.files.delete(file_id)
        goes_on.set()
        with pytest.raises(openai.NotFoundError, match="No such File"):
            await asking
    assert kept(simulation) == []


async def test_no_copy_outlives_its_file(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        for seconds in (3600, 7200):
            expiry: Any = {"anchor": "created_at", "seconds": seconds}
            await ask_chat(client, await upload(client, expires_after=expiry))
        expires_at = datetime.fromtimestamp((await client.files.list()).data[0].expires_at or 0, UTC)
        await ask_chat(client, await upload(client))
    # Claude keeps no file for less than an hour.
    assert [source["type"] for body in asked(simulation) for source in sources(body)] == ["base64", "file", "file"]
    two_hours, unbounded = kept(simulation)
    assert two_hours.expires_at is not None
    assert two_hours.expires_at <= expires_at
    assert unbounded.expires_at is not None
    assert 29 <= (unbounded.expires_at - datetime.now(UTC)).total_seconds() / 86400 <= 90


async def test_processes_with_one_store_share_a_copy(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")
    async with start_proxy(REVERSE, settings=settings) as one, client_of(one) as client:
        file_id = await upload(client)
        await ask_chat(client, file_id)
    async with start_proxy(REVERSE, settings=settings) as two, client_of(two) as client:
        await ask_chat(client, file_id)
    assert uploads(simulation) == 1
    first, second = map(sources, asked(simulation))
    assert first == second


async def test_a_client_with_a_key_of_its_own_has_its_copies_and_its_counts_with_that_key(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    # The simulated Claude refuses our own key.
    sections: dict[str, dict[str, Any]] = {
        "claude": {"api_key": "sk-ant-invalid"},
        "access": {"bring_your_own_key": True},
    }
    settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3", **sections)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy, "sk-ant-own") as client:
        file_id = await upload(client)
        await ask_chat(client, file_id)
        await count(client, file_id)
        assert len(kept(simulation)) == 1
        await client.files.delete(file_id)
    assert kept(simulation) == []


async def test_a_client_whose_own_key_may_copy_nothing_keeps_nobody_else_from_it(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    sections: dict[str, dict[str, Any]] = {"access": {"bring_your_own_key": True}}
    settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3", **sections)
    async with start_proxy(REVERSE, settings=settings) as proxy:
        async with client_of(proxy, "sk-ant-invalid") as client:
            with pytest.raises(openai.AuthenticationError):
                await ask_chat(client, await upload(client))
        async with client_of(proxy) as client:
            await ask_chat(client, await upload(client))
    assert len(kept(simulation)) == 1


async def test_an_image_beyond_the_operators_bound_is_refused_though_claude_has_it(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    store = tmp_path / "store.sqlite3"
    async with (
        start_proxy(REVERSE, settings=settings_with_store(simulation.base_url, store)) as proxy,
        client_of(proxy) as client,
    ):
        file_id = await upload(client, "image")
        await ask_chat(client, file_id)
    settings = settings_with_store(simulation.base_url, store, limits={"max_image_bytes": ENOUGH})
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        with pytest.raises(openai.BadRequestError, match="larger than") as refused:
            await ask_chat(client, file_id)
    assert refused.value.code == "image_too_large"


async def test_the_lines_of_a_batch_name_a_copy_that_lasts_as_long_as_claude_may_take(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        short: Any = {"anchor": "created_at", "seconds": 20 * 3600}
        ids = [await upload(client), await upload(client, expires_after=short)]
        bodies = [
            chat("", messages=[{"role": "user", "content": [{"type": "file", "file": {"file_id": file_id}}]}])
            for file_id in ids
        ]
        made = await create(client, [line(str(number), body) for number, body in enumerate((*bodies, bodies[0]))])
        batch = await ended(client, made.id)
        output = await lines_of(client, batch.output_file_id)
    assert [answer["response"]["status_code"] for answer in output] == [200] * 3
    (body,) = asked(simulation, "/v1/messages/batches")
    named = [sources(request["params"])[0] for request in body["requests"]]
    copy = {"type": "file", "file_id": kept(simulation)[0].id}
    assert [source["type"] for source in named] == ["file", "base64", "file"]
    assert named[0] == named[2] == copy
    assert uploads(simulation) == 1


def container_files(body: Any) -> list[list[str]]:
    """Claude's ids of the files for its sandbox, by message."""
    return [
        [block["file_id"] for block in message["content"] if block["type"] == "container_upload"]
        for message in body["messages"]
    ]


def code_with(*file_ids: str) -> Any:
    return {"type": "code_interpreter", "container": {"type": "auto", "file_ids": list(file_ids)}}


async def test_files_of_a_container_lie_in_claudes_sandbox_whatever_they_are(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        sheet = await client.files.create(file=("sales.xlsx", b"PK\3\4 not read here"), purpose="user_data")
        table = await client.files.create(file=("a.csv", b"\xff,\xfe\n"), purpose="assistants")
        tool = code_with(sheet.id, table.id, sheet.id)
        first = await client.responses.create(model="gpt-5.5", input="Add the sales up.", tools=[tool])
        await client.responses.create(
            model="gpt-5.5", input="And the rest?", tools=[tool], previous_response_id=first.id
        )
        before, after = asked(simulation)
        given = kept(simulation)
        assert [(file.filename, file.media_type, file.content) for file in given] == [
            (
                "sales.xlsx",
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                b"PK\3\4 not read here",
            ),
            ("a.csv", "text/csv", b"\xff,\xfe\n"),
        ]
        assert container_files(before) == [[file.id for file in given]]
        assert container_files(after)[0] == container_files(before)[0]
        assert after["messages"][0] == before["messages"][0]
        await client.files.delete(sheet.id)
    assert [file.filename for file in kept(simulation)] == ["a.csv"]


async def test_files_of_a_container_stay_with_it_where_a_later_request_names_only_the_container(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        one, other, third = [
            await client.files.create(file=(f"{name}.csv", name.encode()), purpose="user_data")
            for name in ("one", "other", "third")
        ]
        first = await client.responses.create(
            model="gpt-5.5", input="Use code_execution.", tools=[code_with(one.id, other.id)]
        )
        container_id = next(item for item in first.output if item.type == "code_interpreter_call").container_id
        named: Any = {"type": "code_interpreter", "container": container_id}
        automatic: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
        for tool in (named, automatic):
            await client.responses.create(
                model="gpt-5.5", input="And now?", tools=[tool], previous_response_id=first.id
            )
        await client.responses.create(model="gpt-5.5", input="Use code_execution.", tools=[named])
        await client.responses.create(
            model="gpt-5.5", input="And?", tools=[code_with(third.id)], previous_response_id=first.id
        )
        before, *after, anew, more = asked(simulation)
        assert [body["messages"][0] for body in after] == [before["messages"][0]] * 2
        assert container_files(anew) == container_files(before)
        assert container_files(more)[0][:2] == container_files(before)[0]
        assert len(container_files(more)[0]) == 3
        # A file that is deleted is not what this request asks for: it lies in the container.
        await client.files.delete(one.id)
        answer = await client.responses.with_raw_response.create(model="gpt-5.5", input="Go on.", tools=[named])
        assert answer.headers["x-claude-proxy-warnings"] == "tools.code_interpreter.container=degraded"
    assert container_files(asked(simulation)[-1]) == [container_files(before)[0][1:]]


async def test_a_file_may_be_shown_and_lie_in_the_sandbox(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with client_of(proxy) as client:
        file_id = await upload(client, "pdf")
        message: Any = {"role": "user", "content": [{"type": "input_file", "file_id": file_id}]}
        await client.responses.create(model="gpt-5.5", input=[message], tools=[code_with(file_id)])
        (body,) = asked(simulation)
        (shown,), ((in_container,),) = sources(body), container_files(body)
        assert sorted(file.id for file in kept(simulation)) == sorted([shown["file_id"], in_container])
        await client.files.delete(file_id)
    assert kept(simulation) == []


async def test_a_file_of_the_sandbox_that_claude_has_lost_is_sent_again(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        file_id = await upload(client, "text")
        for _ in range(2):
            await client.responses.create(model="gpt-5.5", input="Add up.", tools=[code_with(file_id)])
            (file,) = kept(simulation)
            simulation.simulation.files.delete(file.id)
    assert uploads(simulation) == 2


async def test_a_file_that_claude_never_finds_is_sent_again_only_once(
    proxy: RunningProxy, simulation: RunningSimulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_nothing(file_id: str) -> SimulatedFile:
        raise ClaudeError(404, f"File not found: {file_id}")

    monkeypatch.setattr(simulation.simulation.files, "find", find_nothing)
    async with client_of(proxy) as client, asyncio.timeout(60):
        file_id = await upload(client, "text")
        with pytest.raises(openai.NotFoundError, match="File not found"):
            await client.responses.create(model="gpt-5.5", input="Add up.", tools=[code_with(file_id)])
    assert uploads(simulation) == len(asked(simulation)) == 2


async def test_a_file_that_cannot_lie_in_the_sandbox_is_refused(
    start_proxy: ProxyStarter, proxy: RunningProxy, simulation: RunningSimulation, tmp_path: Path
) -> None:
    async with client_of(proxy) as client:
        with pytest.raises(openai.BadRequestError, match="No such File object: file-none"):
            await client.responses.create(model="gpt-5.5", input="Go.", tools=[code_with("file-none")])
        broken: Any = {"type": "code_interpreter", "container": {"type": "auto", "file_ids": "file-1"}}
        with pytest.raises(openai.BadRequestError) as wrong:
            await client.responses.create(model="gpt-5.5", input="Go.", tools=[broken])
        assert wrong.value.param == "tools[0].container.file_ids"
        file_id = await upload(client, "text")
        simulation.simulation.files.refusal = ClaudeError(403, "No files for this key.")
        with pytest.raises(openai.InternalServerError, match="cannot be given to the code at the moment"):
            await client.responses.create(model="gpt-5.5", input="Go.", tools=[code_with(file_id)])
    settings = settings_with_store(simulation.base_url, tmp_path / "store.sqlite3", claude={"upload_files": False})
    async with start_proxy(REVERSE, settings=settings) as other, client_of(other) as client:
        with pytest.raises(openai.BadRequestError, match="upload_files"):
            await client.responses.create(model="gpt-5.5", input="Go.", tools=[code_with(file_id)])
    assert asked(simulation) == []

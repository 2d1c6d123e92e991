"""Answers of Claude that cannot be read, to messages, lists, counts, batches and files: never a failure of our own."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from addon.claude.batches import says_not_made
from addon.claude.client import ClaudeClient
from addon.configuration.client_keys import digest_of
from addon.configuration.settings import load_settings
from tests.integration.raw_upstream import Call, RawUpstream, Script, raw_upstream
from tests.integration.responses_api import REVERSE, http_of, settings_with_store
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from translators.errors import OpenAIError
from translators.uploaded_files import FileForClaude

JSON = {"content-type": "application/json"}
GZIP = {**JSON, "content-encoding": "gzip"}


def sending(body: bytes, headers: dict[str, str], missing: int = 0) -> Script:
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 200 OK\r\n{fields}content-length: {len(body) + missing}\r\n\r\n".encode()

    async def script(call: Call) -> None:
        await call.send(head + body)
        if missing:
            call.writer.transport.abort()

    return script


UNREADABLE = {
    "no_gzip": sending(b'{"id": "x"}', GZIP),
    "half_a_gzip": sending(
        gzip.compress(json.dumps({"id": base64.b85encode(bytes(200)).decode()}).encode())[:20], GZIP
    ),
    "no_json": sending(b"{]", JSON),
    "nothing": sending(b"", JSON),
    "no_unicode": sending(b'{"id": "\xff"}', JSON),
    "a_page": sending(b"<html>Welcome</html>", {"content-type": "text/html"}),
    "a_list": sending(b"[]", JSON),
    "nothing_of_it": sending(b"{}", JSON),
    "another_kind": sending(b'{"id": 1, "data": 1, "input_tokens": "many", "processing_status": null}', JSON),
    "nested_too_deeply": sending(b'{"data":' + b"[" * 100_000, JSON),
    "cut": sending(b'{"id": "x"', JSON, missing=10),
}


@pytest.fixture(params=UNREADABLE)
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[RawUpstream]:
    async with raw_upstream(UNREADABLE[request.param], lists_models=True) as running:
        yield running


@pytest.fixture
async def proxy(start_proxy: ProxyStarter, upstream: RawUpstream, tmp_path: Path) -> AsyncIterator[RunningProxy]:
    keys = [{"name": "one", "sha256": digest_of("sk-one")}]
    settings = settings_with_store(upstream.base_url, tmp_path / "store.sqlite3", access={"keys": keys})
    async with start_proxy(REVERSE, settings=settings) as running:
        yield running


ANTHROPIC = {"anthropic-version": "2023-06-01"}
HELLO: Any = {"model": "claude-sonnet-5-5", "input": "Hello"}
CHAT: Any = {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": "Hello"}]}
BATCH: Any = {"requests": [{"custom_id": "a", "params": {"model": "claude-sonnet-5-5"}}]}
ASKED = {
    "models": ("GET", "/v1/models", {}, None),
    "a_model": ("GET", "/v1/models/gpt-4o", {}, None),
    "a_count": ("POST", "/v1/responses/input_tokens", {}, HELLO),
    "own_batches": ("GET", "/v1/messages/batches", ANTHROPIC, None),
    "own_files": ("GET", "/v1/files", ANTHROPIC, None),
    "a_chat": ("POST", "/v1/chat/completions", {}, CHAT),
}


async def test_a_client_is_told_that_claude_answered_nothing_readable(proxy: RunningProxy) -> None:
    async with http_of(proxy) as http:
        for method, path, headers, body in ASKED.values():
            answer = await http.request(method, path, headers=headers, json=body)
            assert (path, answer.status_code) == (path, 502)
            error = answer.json()["error"]
            assert error["type"] == ("api_error" if headers else "server_error")
            assert headers or error["code"] in ("upstream_broken", "upstream_unreachable")


@pytest.mark.parametrize(("name", "status"), [("no_gzip", 502), ("cut", 502), ("no_json", 200), ("another_kind", 200)])
async def test_what_a_client_makes_is_answered_as_claude_does(
    start_proxy: ProxyStarter, tmp_path: Path, name: str, status: int
) -> None:
    keys = [{"name": "one", "sha256": digest_of("sk-one")}]
    async with raw_upstream(UNREADABLE[name], lists_models=True) as upstream:
        settings = settings_with_store(upstream.base_url, tmp_path / "store.sqlite3", access={"keys": keys})
        async with start_proxy(REVERSE, settings=settings) as proxy, http_of(proxy) as http:
            answer = await http.post("/v1/messages/batches", headers=ANTHROPIC, json=BATCH)
    assert answer.status_code == status


async def test_calls_about_batches_and_files_fail_for_the_moment(upstream: RawUpstream) -> None:
    settings = load_settings({"claude": {"api_key": "sk-ant-test-key", "base_url": upstream.base_url}})
    file = FileForClaude("a.txt", "text/plain", b"text", "document")
    async with ClaudeClient(settings) as claude:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "create": lambda: claude.batches.create(b"{}", {}),
            "newest": claude.batches.newest,
            "made_after": lambda: claude.batches.made_after(None),
            "retrieve": lambda: claude.batches.retrieve("msgbatch_1"),
            "results": lambda: anext(claude.batches.results("msgbatch_1")),
            "upload": lambda: claude.files.upload(file, 3600, None),
        }
        for call in calls.values():
            with pytest.raises(OpenAIError) as failed:
                await call()
            assert (failed.value.status, failed.value.type) == (502, "server_error")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"type": "error", "error": {"type": "not_found_error", "message": "gone"}}', 404),
        (b"<html>no such page</html>", 502),
        (b'{"error": "no such route"}', 502),
        (b"", 502),
    ],
    ids=["claudes", "a_page", "of_a_gateway", "empty"],
)
async def test_that_a_batch_is_gone_for_ever_is_claudes_alone_to_say(body: bytes, status: int) -> None:
    async def refuse(call: Call) -> None:
        await call.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async def refuse_results(call: Call) -> None:
        await (refuse if b"/results " in call.head else sending(ended, JSON))(call)

    async def status_of(upstream: RawUpstream, name: str) -> int:
        settings = load_settings({"claude": {"api_key": "sk-ant-test-key", "base_url": upstream.base_url}})
        async with ClaudeClient(settings) as claude:
            batches = claude.batches
            calls = {
                "create": lambda _: batches.create(b"{}", {}),
                "newest": lambda _: batches.newest(),
                "retrieve": batches.retrieve,
                "cancel": batches.cancel,
                "results": lambda i: anext(batches.results(i)),
            }
            with pytest.raises(OpenAIError) as failed:
                await calls[name]("msgbatch_1")
        return failed.value.status

    async with raw_upstream(refuse, lists_models=True) as upstream:
        names = ("create", "newest", "retrieve", "cancel", "results")
        assert [await status_of(upstream, name) for name in names] == [status] * 5
    async with raw_upstream(refuse_results, lists_models=True) as upstream:
        url = f"{upstream.base_url}/v1/messages/batches/msgbatch_1/results"
        ended = json.dumps({"processing_status": "ended", "results_url": url}).encode()
        assert await status_of(upstream, "results") == status


REFUSED = {400: True, 404: True, 413: True, 429: True, 500: False, 502: False, 503: False, 504: False, 529: True}


@pytest.mark.parametrize(("status", "is_certain"), REFUSED.items())
async def test_a_refusal_alone_says_that_no_batch_was_made(status: int, is_certain: bool) -> None:
    async def refuse(call: Call) -> None:
        await call.send(b"HTTP/1.1 %d Refused\r\ncontent-length: 0\r\n\r\n" % status)

    assert await _says_not_made(refuse) == is_certain


async def test_an_answer_that_is_lost_does_not_say_that_no_batch_was_made() -> None:
    async def hang_up(call: Call) -> None:
        call.writer.close()

    assert not await _says_not_made(hang_up)
    for unreadable in UNREADABLE.values():
        assert not await _says_not_made(unreadable)


async def _says_not_made(script: Script) -> bool:
    async with raw_upstream(script) as upstream:
        settings = load_settings({"claude": {"api_key": "sk-ant-test-key", "base_url": upstream.base_url}})
        async with ClaudeClient(settings) as claude:
            with pytest.raises(OpenAIError) as failed:
                await claude.batches.create(b"{}", {})
    return says_not_made(failed.value)


async def test_the_batches_after_a_moment_are_read_page_by_page_and_no_further() -> None:
    def batch(hour: int) -> dict[str, Any]:
        return {"id": f"b{hour}", "created_at": f"2026-11-26T{hour}:00:00.5Z", "request_counts": {"processing": 1}}

    pages = {b"after_id=b22": [21, 20], b"after_id=b20": [19, 18]}

    async def page(call: Call) -> None:
        hours = next((hours for cursor, hours in pages.items() if cursor in call.head), [23, 22])
        await sending(json.dumps({"data": [batch(hour) for hour in hours], "has_more": True}).encode(), JSON)(call)

    async with raw_upstream(page, lists_models=True) as upstream:
        settings = load_settings({"claude": {"api_key": "sk-ant-test-key", "base_url": upstream.base_url}})
        async with asyncio.timeout(60), ClaudeClient(settings) as claude:
            found = [
                [made.id for made in await claude.batches.made_after(datetime(2026, 11, 26, hour, 0, 1, tzinfo=UTC))]
                for hour in (19, 20, 23)
            ]
    assert found == [["b23", "b22", "b21", "b20"], ["b23", "b22", "b21"], []]


async def test_a_list_of_models_is_read_to_its_end_and_no_further() -> None:
    async def page(call: Call) -> None:
        name = "claude-b" if b"after_id=claude-" in call.head else "claude-a"
        body = {"data": [{"id": name}], "has_more": True, "last_id": name}
        await sending(json.dumps(body).encode(), JSON)(call)

    async with raw_upstream(page, lists_models=True) as upstream:
        settings = load_settings({"claude": {"api_key": "sk-ant-test-key", "base_url": upstream.base_url}})
        async with asyncio.timeout(60), ClaudeClient(settings) as claude:
            models = await claude.models()
    assert [model["id"] for model in models] == ["claude-a", "claude-b", "claude-b"]

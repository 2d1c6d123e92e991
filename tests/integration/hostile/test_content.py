"""Bodies that are JSON and mean harm: deep, huge, strange numbers and characters, bombs, addresses, injected lines."""

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import brotli
import httpx2
import pytest
import zstandard

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.hostile.raw_client import STANDALONE, chat, send
from tests.integration.running_proxy import ProxyStarter, RunningProxy

type Body = dict[str, Any]

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
CONVERSATIONS = "/v1/conversations"
SECONDS = 10
"""Longest time that any of these may hold the proxy up: of its thread, in which the client and Claude run too."""


@pytest.fixture
async def proxy(start_proxy: ProxyStarter, simulation: RunningSimulation) -> AsyncIterator[RunningProxy]:
    claude = {"api_key": "sk-ant-test-key", "base_url": simulation.base_url, "max_retries": 0}
    settings = load_settings({"claude": claude, "store": {"path": ":memory:"}})
    async with start_proxy(STANDALONE, settings=settings) as running:
        yield running


@pytest.fixture
async def client(proxy: RunningProxy) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=250, trust_env=False) as made:
        yield made


def says(content: Any = "Hello there", **more: Any) -> Body:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": content}], **more}


def asked(simulation: RunningSimulation) -> list[Any]:
    return [call.body for call in simulation.journal if call.path == "/v1/messages"]


async def check_refused(response: httpx2.Response) -> None:
    assert 400 <= response.status_code < 500, response.text[:300]
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert len(response.content) < 10_000


# Deep.


def deep(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + closing * levels


PLACES: dict[str, tuple[str, str]] = {
    "message": (CHAT, '{"model": "x", "messages": [{"role": "user", "content": %s}]}'),
    "unknown_parameter": (CHAT, '{"model": "x", "messages": [{"role": "user", "content": "a"}], "x": %s}'),
    "metadata": (CHAT, '{"model": "x", "messages": [{"role": "user", "content": "a"}], "metadata": %s}'),
    "chat_schema": (
        CHAT,
        """{"model": "x", "messages": [{"role": "user", "content": "a"}], "tools":
        [{"type": "function", "function": {"name": "a", "parameters": {"a": %s}}}]}""",
    ),
    "responses_schema": (
        RESPONSES,
        '{"model": "x", "input": "a", "text": {"format": {"type": "json_schema", "name": "a", "schema": {"a": %s}}}}',
    ),
    "tool": (
        RESPONSES,
        '{"model": "x", "input": "a", "tools": [{"type": "function", "name": "a", "parameters": {"a": %s}}]}',
    ),
    "item": (RESPONSES, '{"model": "x", "input": [{"type": "of_a_later_version", "a": %s}]}'),
    "stored_item": (CONVERSATIONS, '{"items": [{"type": "of_a_later_version", "a": %s}]}'),
    "stored_metadata": (CONVERSATIONS, '{"metadata": {"a": %s}}'),
    "batch": ("/v1/batches", '{"input_file_id": %s}'),
    "whole_body": ("/v1/completions", "%s"),
}


@pytest.mark.parametrize("levels", [200, 9_980, 100_000])
async def test_deep_json_is_refused_or_of_no_effect_and_holds_nobody_up(
    client: httpx2.AsyncClient, levels: int
) -> None:
    for name, (path, template) in PLACES.items():
        for pair in ("[]", ('{"a":', "}")):
            inner = deep(levels, *pair) if pair == "[]" else deep(levels, *pair).replace(":}", ":1}", 1)
            started = time.thread_time()
            response = await client.post(path, content=(template % inner).encode())
            assert time.thread_time() - started < SECONDS, name
            # What has no effect anyway is not looked into.
            if not (name == "unknown_parameter" and response.status_code == 200):
                await check_refused(response)


async def test_deep_tool_arguments_reach_claude_as_the_text_that_they_are(
    client: httpx2.AsyncClient, simulation: RunningSimulation
) -> None:
    arguments = '{"a": ' + deep(100_000) + "}"
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]
    assert (await client.post(CHAT, json={"model": "gpt-4o", "messages": messages})).status_code == 200
    used = asked(simulation)[0]["messages"][1]["content"][0]
    assert used["input"] == {"_raw": arguments}


# Many and huge.

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
MANY: dict[str, tuple[str, Callable[[], Body]]] = {
    "messages": (CHAT, lambda: {"model": "x", "messages": [{"role": "user", "content": "a"}] * 100_000}),
    "parts": (CHAT, lambda: says([{"type": "text", "text": "a"}] * 20_000)),
    "tools": (CHAT, lambda: says(tools=[{**TOOL, "function": {"name": f"t{i}"}} for i in range(100_000)])),
    "stop_strings": (CHAT, lambda: says(stop=[str(i) for i in range(20_000)])),
    "unknown_parameters": (CHAT, lambda: says(**{f"x{i}": i for i in range(100_000)})),
    "items": (RESPONSES, lambda: {"model": "x", "input": [{"role": "user", "content": "a"}] * 20_000}),
    "unpaired_results": (
        CHAT,
        lambda: {
            "model": "x",
            "messages": [{"role": "tool", "tool_call_id": str(i), "content": "a"} for i in range(20_000)],
        },
    ),
    "an_id": (
        CHAT,
        lambda: {"model": "x", "messages": [{"role": "tool", "tool_call_id": "a" * 5_000_000, "content": ""}]},
    ),
    "a_model": (CHAT, lambda: {**says(), "model": "a" * 1_000_000}),
    "a_tool_name": (CHAT, lambda: says(tools=[{**TOOL, "function": {"name": "a" * 5_000_000}}])),
    "a_previous_response": (RESPONSES, lambda: {"model": "x", "input": "a", "previous_response_id": "a" * 5_000_000}),
}


@pytest.mark.filterwarnings(
    "ignore:Sending a large body:ResourceWarning"
)  # aiohttp's, which is an error in tests alone
@pytest.mark.parametrize(("path", "make"), MANY.values(), ids=MANY)
async def test_very_many_or_very_long_comes_to_an_end(
    client: httpx2.AsyncClient, path: str, make: Callable[[], Body]
) -> None:
    body = json.dumps(make()).encode()
    started = time.thread_time()
    response = await client.post(path, content=body)
    assert time.thread_time() - started < 2 * SECONDS
    assert response.status_code < 500, response.text[:300]
    assert all(len(value) < 4000 for value in response.headers.values())


# Numbers and characters.

NUMBERS = ["1e999", "-1e999", "1e308", "-0", "-0.0", str(2**70), "1" * 400, "1" * 5000, "NaN", "Infinity", "0x1", "01"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:12])
async def test_any_number_is_taken_or_refused_by_name(client: httpx2.AsyncClient, number: str) -> None:
    for name in ("temperature", "max_tokens", "seed", "n", "top_logprobs", "logit_bias", "x"):
        content = json.dumps(says(**{name: "NUMBER"})).replace('"NUMBER"', number).encode()
        response = await client.post(CHAT, content=content)
        if response.status_code != 200:
            await check_refused(response)
    for name in ("temperature", "max_output_tokens", "top_p", "x"):
        response = await client.post(RESPONSES, content=f'{{"model": "x", "input": "a", "{name}": {number}}}'.encode())
        if response.status_code != 200:
            await check_refused(response)


@pytest.mark.parametrize(
    "text",
    [r"\ud800", r"\udc00\ud800", r"a\u0000b", r"\u2028\u0085", r"\ufeff", r"\u202e", "\x00", "\udcff", "\x7f"],
    ids=ascii,
)
async def test_any_characters_are_kept_or_refused(
    client: httpx2.AsyncClient, simulation: RunningSimulation, text: str
) -> None:
    template = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "a %s"}], "user": "%s"}'
    content = (template % (text, text)).encode("utf-8", "surrogateescape")
    response = await client.post(CHAT, content=content)
    if response.status_code == 200:
        assert (
            asked(simulation)[0]["messages"][0]["content"][0]["text"] == json.loads(content)["messages"][0]["content"]
        )
    else:
        await check_refused(response)
        assert asked(simulation) == []


async def test_of_two_members_with_one_name_the_last_counts_everywhere(
    client: httpx2.AsyncClient, simulation: RunningSimulation
) -> None:
    content = b'{"model": "a", "messages": 5, "messages": [{"role": "user", "content": "kept"}], "model": "gpt-4o"}'
    response = await client.post(CHAT, content=content)
    if response.status_code == 200:
        assert response.json()["model"] == "gpt-4o"
        assert asked(simulation)[0]["messages"][0]["content"][0]["text"] == "kept"
    else:
        await check_refused(response)
        assert asked(simulation) == []


# Compressed.


def _twice(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: pack(pack(data))


BOMBS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.compress),
    "gzip_twice": ("gzip, gzip", _twice(gzip.compress)),
    "br_twice": ("br, br", _twice(brotli.compress)),
    "zstd_twice": ("zstd, zstd", _twice(zstandard.compress)),
    "mixed": ("gzip, br, zstd", lambda data: zstandard.compress(brotli.compress(gzip.compress(data)))),
}


@pytest.mark.parametrize(("encoding", "pack"), BOMBS.values(), ids=BOMBS)
async def test_a_bomb_is_refused_at_every_endpoint_that_unpacks(
    client: httpx2.AsyncClient, simulation: RunningSimulation, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    bomb = pack(bytes(64 * 1024 * 1024))
    assert len(bomb) < 200_000
    for path in (
        CHAT,
        "/v1/completions",
        RESPONSES,
        CONVERSATIONS,
        "/v1/batches",
        "/v1/files",
        "/v1/responses/compact",
    ):
        headers = {"content-encoding": encoding, "content-type": "multipart/form-data; boundary=X"}
        response = await client.post(path, content=bomb, headers=headers)
        assert response.status_code == 413, path
        await check_refused(response)
    assert asked(simulation) == []


async def test_a_body_that_comes_a_byte_at_a_time_holds_nobody_else_up(
    proxy: RunningProxy, client: httpx2.AsyncClient
) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(50)]
    for _, writer in slow:
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    started = time.thread_time()
    for _ in range(5):
        for _, writer in slow:
            writer.write(b" ")
        assert (await client.post(CHAT, json=says())).status_code == 200
    assert time.thread_time() - started < SECONDS
    for _, writer in slow:
        writer.close()


# Addresses: nothing is ever fetched here.

ADDRESSES = [
    "http://127.0.0.1:{port}/a.png",
    "http://localhost:{port}/a.png",
    "http://[::1]:{port}/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://0x7f000001:{port}/",
    "HTTP://127.0.0.1:{port}/redirect",
]
OTHER_SCHEMES = [
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "javascript:1",
]


async def test_an_address_reaches_claude_as_it_is_and_is_never_fetched(
    client: httpx2.AsyncClient, simulation: RunningSimulation
) -> None:
    visitors: list[object] = []
    server = await asyncio.start_server(lambda *visit: visitors.append(visit), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for address in ADDRESSES:
        url = address.format(port=port)
        for path, body in (
            (CHAT, says([{"type": "image_url", "image_url": {"url": url}}])),
            (
                RESPONSES,
                {"model": "x", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]},
            ),
            (
                RESPONSES,
                {"model": "x", "input": [{"role": "user", "content": [{"type": "input_file", "file_url": url}]}]},
            ),
        ):
            simulation.journal.clear()
            response = await client.post(path, json=body)
            assert response.status_code < 500
            for sent in asked(simulation):
                sources = [block["source"] for block in sent["messages"][0]["content"] if "source" in block]
                assert sources == [{"type": "url", "url": url}]
    for scheme in OTHER_SCHEMES:
        simulation.journal.clear()
        response = await client.post(
            CHAT, json=says([{"type": "image_url", "image_url": {"url": scheme.format(port=port)}}])
        )
        await check_refused(response)
        assert asked(simulation) == []
    assert visitors == []
    server.close()


# Injected lines.

LINE = "a\r\nx-injected: yes\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\x00\x1b[31m\u2028"


async def test_no_name_of_a_client_becomes_a_header_or_a_log_line(
    proxy: RunningProxy, simulation: RunningSimulation, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = {"type": "function", "function": {"name": LINE, "parameters": {"type": "object", "properties": {LINE: {}}}}}
    call = {"id": LINE, "type": "function", "function": {"name": LINE, "arguments": "{}"}}
    bodies = [
        says(model=LINE) | {"model": LINE},
        says(tools=[tool], user=LINE, metadata={LINE: LINE}, store=True, **{LINE: LINE}),
        says(tools=[tool], tool_choice={"type": "function", "function": {"name": LINE}}, seed=1),
        says(response_format={"type": "json_schema", "json_schema": {"name": LINE, "schema": {"type": "object"}}}),
        says(reasoning_effort=LINE),
        {"model": "x", "messages": [{"role": LINE, "content": LINE}]},
        {
            "model": "x",
            "messages": [
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": LINE, "content": LINE},
            ],
        },
    ]
    requests = [(CHAT, json.dumps(body).encode()) for body in bodies]
    items = [{"role": "user", "content": "a"}, {"type": LINE, "id": LINE}]
    requests += [
        (
            RESPONSES,
            json.dumps({"model": LINE, "input": items, "metadata": {LINE: LINE}, "safety_identifier": LINE}).encode(),
        ),
        (RESPONSES, json.dumps({"model": "x", "input": "a", "previous_response_id": LINE}).encode()),
        (CONVERSATIONS, json.dumps({"items": items, "metadata": {LINE: LINE}}).encode()),
        ("/v1/responses/%0d%0ax-injected:%20yes%0d%0a", b"{}"),
        ("/v1/%0d%0ax-injected:%20yes", b"{}"),
        ("/openai/deployments/%0d%0ax-injected:%20yes/chat/completions", chat()),
    ]
    form = (
        b'--X\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--X\r\n'
        b"content-disposition: form-data; name=file; filename*=utf-8''a%0d%0ax-injected:%20yes\r\n\r\nx\r\n--X--\r\n"
    )
    heads = b"x-request-id: a\tb\r\nidempotency-key: \xff\r\nopenai-organization: \xe2\x80\xa8\r\n"
    answers = []
    for path, body in [*requests, ("/v1/files", form)]:
        kind = b"content-type: multipart/form-data; boundary=X\r\n" if body is form else b""
        start = b"POST %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" % path.encode()
        answers.append(
            await send(proxy.port, start + heads + kind + b"content-length: %d\r\n\r\n%b" % (len(body), body))
        )
    for answer in answers:
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 ")
        assert b"x-injected" not in head.lower()
        assert all(32 <= byte < 127 or byte in b"\r\n" for byte in head), head
        assert not rest.startswith(b"HTTP/1.1")
    for call_to_claude in simulation.journal:
        assert "x-injected" not in call_to_claude.headers
        assert all(value.isprintable() for value in call_to_claude.headers.values())
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert len([line for line in lines if '"event":"exchange"' in line]) >= len(answers) - 2
    for line in lines:
        assert json.loads(line)["event"], line
        assert "\x1b" not in line

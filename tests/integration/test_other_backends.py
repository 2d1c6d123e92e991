"""At the standalone endpoint, what Claude has no endpoint for is answered by the server that the operator named."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from structlog.testing import capture_logs

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.openai_backend import RATE_LIMITED, SPEECH, VECTOR, OpenAIBackend, openai_backend
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.integration.serving_process import serving_process

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
OPERATORS_KEY = "sk-of-the-operator"
APPS_KEY = "sk-of-the-app"
PATHS = ("/v1/embeddings", "/v1/audio/*", "/v1/images/*", "/v1/moderations", "/v1/realtime")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(300_000)
UPLOAD_BYTES = 96 * 1024 * 1024
"""A third more than the kernel can be made to hold on two connections: 4 MiB to send and 32 MiB received, of each."""


@pytest.fixture
async def backend() -> AsyncIterator[OpenAIBackend]:
    async with openai_backend() as running:
        yield running


def settings_for(base_url: str, **more: Any) -> Any:
    own = {"api_key": OPERATORS_KEY} if "forwards_client_key" not in more else {}
    others = {path: {"base_url": base_url, **own, **more} for path in PATHS}
    return load_settings({"claude": {"simulate": True}, "other_backends": others})


@pytest.fixture
async def proxy(start_proxy: ProxyStarter, backend: OpenAIBackend) -> AsyncIterator[RunningProxy]:
    async with start_proxy(REVERSE, settings=settings_for(backend.base_url)) as running:
        yield running


def client_of(proxy: RunningProxy, path: str = "/v1") -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"http://127.0.0.1:{proxy.port}{path}", api_key=APPS_KEY, max_retries=0, timeout=20)


@pytest.fixture
async def client(proxy: RunningProxy) -> AsyncIterator[AsyncOpenAI]:
    async with client_of(proxy) as made:
        yield made


async def test_the_stock_client_gets_embeddings_images_and_moderations(
    client: AsyncOpenAI, backend: OpenAIBackend
) -> None:
    embedded = await client.embeddings.create(model="text-embedding-3-small", input="Hello")
    assert embedded.data[0].embedding == VECTOR
    assert b'"base64"' in backend.last.body, "what the stock client asks for by itself"
    drawn = await client.images.generate(prompt="a cat", model="gpt-image-1")
    assert drawn.data
    assert (await client.images.edit(image=PNG, prompt="a dog")).data
    assert PNG in backend.last.body
    assert (await client.moderations.create(input="Hello")).id == "modr-1"


async def test_the_stock_client_sends_and_gets_audio(client: AsyncOpenAI, backend: OpenAIBackend) -> None:
    assert (await client.audio.transcriptions.create(file=("a.wav", PNG), model="whisper-1")).text == "Hello"
    assert PNG in backend.last.body
    assert (backend.last.header("content-type") or "").startswith("multipart/form-data; boundary=")
    async with client.audio.speech.with_streaming_response.create(input="Hi", model="tts-1", voice="alloy") as response:
        assert b"".join([chunk async for chunk in response.iter_bytes()]) == SPEECH
        assert response.headers["x-request-id"] == "req_backend"
        assert response.headers["content-type"] == "audio/mpeg"


async def test_the_backend_is_asked_with_the_operators_key_alone(proxy: RunningProxy, backend: OpenAIBackend) -> None:
    headers = {
        "authorization": f"Bearer {APPS_KEY}",
        "api-key": APPS_KEY,
        "openai-organization": "org-of-the-app",
        "cookie": "c=1",
        "connection": "x-hop",
        "x-hop": "1",
        "x-forwarded-for": "10.0.0.1",
        "x-kept": "yes",
    }
    async with httpx2.AsyncClient() as http:
        await http.post(f"http://127.0.0.1:{proxy.port}/v1/embeddings?a=%2F&b=", headers=headers, json={"input": "x"})
    assert backend.last.target == "/v1/embeddings?a=%2F&b="
    sent = {name.lower(): value for name, value in backend.last.headers}
    assert sent["authorization"] == f"Bearer {OPERATORS_KEY}"
    assert sent["x-kept"] == "yes"
    assert sent["content-length"] == str(len(b'{"input":"x"}'))
    assert not sent.keys() & {"api-key", "openai-organization", "cookie", "x-hop", "x-forwarded-for"}


async def test_what_is_no_ascii_goes_on_with_its_bytes(proxy: RunningProxy, backend: OpenAIBackend) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(
        b"POST /v1/embeddings?a=\xc3\xa9&b=\xff&c=%2F HTTP/1.1\r\nhost: x\r\n"
        b"x-title: \xc3\xa9\r\ncontent-length: 0\r\n\r\n"
    )
    async with asyncio.timeout(60):
        assert (await reader.readline()).split()[1] == b"200"
    writer.close()
    # A target has no other way to be written (RFC 3986, 2.1).
    assert backend.last.target == "/v1/embeddings?a=%C3%A9&b=%FF&c=%2F"
    assert backend.last.header("x-title") == "é"


async def test_an_answer_without_content_has_no_length(start_proxy: ProxyStarter) -> None:
    """RFC 9110, 8.6, forbids it; of a 304 it would be that of another answer."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %b x\r\netag: e\r\nconnection: close\r\n\r\n" % request.split()[1][-3:])
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        async with start_proxy(REVERSE, settings=settings_for(base_url)) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            for status in (b"204", b"304", b"204"):
                writer.write(b"GET /v1/audio/%b HTTP/1.1\r\nhost: x\r\n\r\n" % status)
                async with asyncio.timeout(60):
                    head = await reader.readuntil(b"\r\n\r\n")
                assert head.split()[1] == status
                assert b"etag" in head
                assert b"content-length" not in head
            writer.close()


async def test_the_clients_own_key_goes_on_where_the_operator_wants_it(
    start_proxy: ProxyStarter, backend: OpenAIBackend
) -> None:
    async with start_proxy(REVERSE, settings=settings_for(backend.base_url, forwards_client_key=True)) as proxy:
        async with client_of(proxy, "/openai/v1") as client:
            await client.embeddings.create(
                model="m", input="Hello", extra_headers={"openai-project": "proj_1", "cookie": "c=1"}
            )
    assert backend.last.target == "/v1/embeddings"
    assert backend.last.header("authorization") == f"Bearer {APPS_KEY}"
    assert backend.last.header("openai-project") == "proj_1"
    assert backend.last.header("cookie") is None


async def test_an_error_of_the_backend_comes_through_byte_for_byte_and_its_cookie_stays(
    proxy: RunningProxy, backend: OpenAIBackend
) -> None:
    async with httpx2.AsyncClient() as http:
        for _time in range(2):
            response = await http.post(f"http://127.0.0.1:{proxy.port}/v1/audio/limited", content=b"x")
            assert response.status_code == 429
            assert response.content == RATE_LIMITED
            assert response.headers["retry-after"] == "7"
            assert "set-cookie" not in response.headers
    assert backend.last.header("cookie") is None


async def test_a_stream_comes_piece_by_piece(proxy: RunningProxy, backend: OpenAIBackend) -> None:
    url = f"http://127.0.0.1:{proxy.port}/v1/audio/slow"
    async with httpx2.AsyncClient() as http, asyncio.timeout(60):
        async with http.stream("POST", url, content=b"x") as response:
            pieces = response.aiter_bytes()
            assert await anext(pieces) == b"data: first\n\n"
            backend.go_on.set()
            assert b"".join([piece async for piece in pieces]) == b"data: last\n\n"


async def test_a_client_that_leaves_ends_the_call(proxy: RunningProxy, backend: OpenAIBackend) -> None:
    url = f"http://127.0.0.1:{proxy.port}/v1/audio/slow"
    with capture_logs() as logs:
        async with httpx2.AsyncClient() as http:
            async with http.stream("POST", url, content=b"x") as response:
                assert await anext(response.aiter_bytes()) == b"data: first\n\n"
        async with asyncio.timeout(60):
            await backend.left.wait()
            while proxy.running:
                await asyncio.sleep(0.005)
    assert [line["outcome"] for line in logs if line["event"] == "exchange"] == ["client_left"]


async def test_a_request_goes_on_while_it_comes(proxy: RunningProxy, backend: OpenAIBackend) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"POST /v1/audio/speech HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345")
    async with asyncio.timeout(60):
        while not backend.received:
            await asyncio.sleep(0.005)
        assert backend.last.body == b""
        writer.write(b"67890")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert backend.last.body == b"1234567890"
    writer.close()


async def upload_to_a_backend_that_reads_later(port: int, backend: OpenAIBackend) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/audio/unread HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % UPLOAD_BYTES)
    writer.write(bytes(UPLOAD_BYTES))
    left = writer.transport.get_write_buffer_size()
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0.5)
            before, left = left, writer.transport.get_write_buffer_size()
            if before == left:
                break
        assert left > UPLOAD_BYTES / 4, "what the kernel's buffers do not hold waits at the client"
        backend.go_on.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
    assert len(backend.last.body) == UPLOAD_BYTES
    writer.close()


async def test_a_request_comes_no_faster_than_the_backend_reads(
    start_proxy: ProxyStarter, backend: OpenAIBackend
) -> None:
    others = {"/v1/audio/*": {"base_url": backend.base_url}}
    roomy = {"claude": {"simulate": True}, "limits": {"max_request_bytes": UPLOAD_BYTES}, "other_backends": others}
    async with start_proxy(REVERSE, settings=load_settings(roomy)) as proxy:
        await upload_to_a_backend_that_reads_later(proxy.port, backend)


async def test_the_command_forwards_and_holds_back_alike(
    simulation: RunningSimulation, backend: OpenAIBackend, tmp_path: Path
) -> None:
    """On uvloop, and with the table in the environment."""
    others = json.dumps({"/v1/*": {"base_url": backend.base_url, "api_key_env": "THEIR_KEY"}})
    environment = {
        "CLAUDE_PROXY_OTHER_BACKENDS": others,
        "CLAUDE_PROXY_MAX_REQUEST_BYTES": str(UPLOAD_BYTES),
        "THEIR_KEY": OPERATORS_KEY,
    }
    async with (
        serving_process(simulation.base_url, tmp_path, **environment) as process,
        process.client(strict=False) as client,
    ):
        assert (await client.embeddings.create(model="m", input="Hello")).data[0].embedding == VECTOR
        assert backend.last.header("authorization") == f"Bearer {OPERATORS_KEY}"
        await upload_to_a_backend_that_reads_later(process.port, backend)


@pytest.mark.parametrize("says_so", [True, False], ids=["by-its-length", "on-the-way"])
async def test_a_request_that_is_too_large_is_refused(
    start_proxy: ProxyStarter, backend: OpenAIBackend, says_so: bool
) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _chunk in range(40):
            yield bytes(1024)

    others = {"/v1/audio/*": {"base_url": backend.base_url}}
    limited = {"claude": {"simulate": True}, "limits": {"max_request_bytes": 32 * 1024}, "other_backends": others}
    async with start_proxy(REVERSE, settings=load_settings(limited)) as proxy:
        async with httpx2.AsyncClient() as http:
            url = f"http://127.0.0.1:{proxy.port}/v1/audio/transcriptions"
            response = await http.post(url, content=bytes(40 * 1024) if says_so else body())
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "request_too_large"


async def test_a_backend_out_of_reach_is_said_as_openai_would(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE, settings=settings_for("http://127.0.0.1:9/v1")) as proxy:
        async with client_of(proxy) as client:
            with pytest.raises(openai.InternalServerError) as failed:
                await client.embeddings.create(model="m", input="Hello")
    assert failed.value.status_code == 502
    assert failed.value.code == "upstream_unreachable"
    assert "127.0.0.1" not in failed.value.message


async def test_a_backend_that_says_nothing_is_given_up(start_proxy: ProxyStarter, backend: OpenAIBackend) -> None:
    async with start_proxy(REVERSE, settings=settings_for(backend.base_url, timeout=1)) as proxy:
        async with httpx2.AsyncClient() as http:
            response = await http.post(f"http://127.0.0.1:{proxy.port}/v1/audio/unread", content=b"x")
    assert (response.status_code, response.json()["error"]["code"]) == (504, "timeout")


async def test_an_answer_that_breaks_off_is_broken_for_the_client(proxy: RunningProxy) -> None:
    async with httpx2.AsyncClient() as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.post(f"http://127.0.0.1:{proxy.port}/v1/audio/cut", content=b"x")


async def test_each_is_logged_and_counted_as_an_exchange(proxy: RunningProxy, client: AsyncOpenAI) -> None:
    with capture_logs() as logs:
        await client.embeddings.create(model="m", input="a prompt that nobody logs")
        await client.audio.speech.create(input="Hi", model="tts-1", voice="alloy")
    lines = [line for line in logs if line["event"] == "exchange"]
    assert [(line["endpoint"], line["backend"], line["status"], line["outcome"]) for line in lines] == [
        ("other_backend", "/v1/embeddings", 200, "ok"),
        ("other_backend", "/v1/audio/*", 200, "ok"),
    ]
    assert not any(secret in str(logs) for secret in (OPERATORS_KEY, APPS_KEY, "a prompt that nobody logs"))
    assert proxy.addon._gateway is not None
    metrics = proxy.addon._gateway.metrics.encode().decode()
    assert 'claude_proxy_requests_total{endpoint="other_backend",mode="reverse",outcome="ok"' in metrics
    assert 'claude_proxy_requests_in_flight{endpoint="other_backend"} 0.0' in metrics


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/videos", 404), ("/v1/audio/../models", 405), ("/v1/audio/%2e%2E/models", 405)]
)
async def test_what_no_pattern_covers_stays_here(
    proxy: RunningProxy, backend: OpenAIBackend, path: str, status: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".encode())
    async with asyncio.timeout(60):
        assert (await reader.readline()).startswith(b"HTTP/1.1 %d" % status)
    writer.close()
    assert backend.received == []


async def test_a_websocket_is_refused_rather_than_asked_for_without_one(proxy: RunningProxy) -> None:
    headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    async with httpx2.AsyncClient() as http:
        response = await http.get(f"http://127.0.0.1:{proxy.port}/v1/realtime?model=m", headers=headers)
    assert response.status_code == 404
    assert "WebSocket" in response.json()["error"]["message"]

"""Through the proxy, what Claude has no endpoint for goes to the host that the app meant, as the app sent it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import httpx2
import pytest
from mitmproxy import http
from mitmproxy import io as mitmproxy_io
from mitmproxy.addons import save
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client
from structlog.testing import capture_logs

from addon.configuration.settings import Settings, load_settings
from tests.integration.openai_backend import RATE_LIMITED, SPEECH, VECTOR, OpenAIBackend, openai_backend
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REGULAR = "regular@127.0.0.1:0"
APPS_KEY = "sk-of-the-app"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 1000


@pytest.fixture
async def backend() -> AsyncIterator[OpenAIBackend]:
    """What stands in for OpenAI."""
    async with openai_backend() as running:
        yield running


@pytest.fixture
def settings() -> Settings:
    return load_settings({"claude": {"simulate": True}, "interception": {"hosts": ["127.0.0.1"]}})


@pytest.fixture(params=[True, False], ids=["in-mitmdump", "in-our-own-master"])
async def proxy(start_proxy: ProxyStarter, request: pytest.FixtureRequest) -> AsyncIterator[RunningProxy]:
    async with start_proxy(REGULAR, full=request.param, keeps_bodies=request.param) as running:
        if not request.param:
            running.master.addons.add(save.Save())  # to see what a flow holds
        yield running


@pytest.fixture
async def client(proxy: RunningProxy, backend: OpenAIBackend) -> AsyncIterator[AsyncOpenAI]:
    http_client = DefaultAsyncHttpx2Client(proxy=f"http://127.0.0.1:{proxy.port}", trust_env=False)
    async with AsyncOpenAI(
        base_url=backend.base_url, api_key=APPS_KEY, max_retries=0, timeout=20, http_client=http_client
    ) as made:
        yield made


async def test_uploads_and_answers_pass_byte_for_byte_with_the_apps_own_key(
    client: AsyncOpenAI, backend: OpenAIBackend
) -> None:
    with capture_logs() as logs:
        assert (await client.embeddings.create(model="m", input="Hello")).data[0].embedding == VECTOR
        assert (await client.audio.transcriptions.create(file=("a.wav", PNG), model="whisper-1")).text == "Hello"
        assert PNG in backend.last.body
        speech = await client.audio.speech.create(input="Hi", model="tts-1", voice="alloy")
        assert speech.content == SPEECH
    assert {received.header("authorization") for received in backend.received} == {f"Bearer {APPS_KEY}"}
    lines = [line for line in logs if line["event"] == "passed"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/v1/embeddings", 200),
        ("POST", "/v1/audio/transcriptions", 200),
        ("POST", "/v1/audio/speech", 200),
    ]
    assert APPS_KEY not in str(logs)


async def test_an_answer_with_trailers_passes_without_them(proxy: RunningProxy) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-checksum: 1\r\n\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}", timeout=60) as http_client:
            assert (await http_client.get(f"http://127.0.0.1:{port}/v1/fine_tuning/jobs")).text == "hello"


async def test_an_error_and_a_query_pass_as_they_are(proxy: RunningProxy, backend: OpenAIBackend) -> None:
    with capture_logs() as logs:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as http_client:
            response = await http_client.post(f"{backend.base_url}/audio/limited?key=%2F1", content=b"x")
    assert response.content == RATE_LIMITED
    assert response.headers["set-cookie"] == "who=another-client", "it is the client's own host"
    assert backend.last.target == "/v1/audio/limited?key=%2F1"
    assert [line["path"] for line in logs if line["event"] == "passed"] == ["/v1/audio/limited"]


async def test_a_stream_passes_piece_by_piece(proxy: RunningProxy, backend: OpenAIBackend) -> None:
    async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as http_client, asyncio.timeout(60):
        async with http_client.stream("POST", f"{backend.base_url}/audio/slow", content=b"x") as response:
            pieces = response.aiter_bytes()
            assert await anext(pieces) == b"data: first\n\n"
            backend.go_on.set()
            assert b"".join([piece async for piece in pieces]) == b"data: last\n\n"


async def test_a_websocket_passes_message_for_message_and_its_key_is_not_kept(
    proxy: RunningProxy, backend: OpenAIBackend, tmp_path: Path
) -> None:
    saved = tmp_path / "flows"
    proxy.master.options.update(save_stream_file=str(saved))
    messages = ["text \N{SNOWMAN}", b"\x00\xff" * 5000, ""]
    protocols = ("realtime", f"openai-insecure-api-key.{APPS_KEY}")
    with capture_logs() as logs:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"{backend.base_url}/realtime?model=m",
                proxy=f"http://127.0.0.1:{proxy.port}",
                protocols=protocols,
                headers={"authorization": f"Bearer {APPS_KEY}"},
            ) as socket,
            asyncio.timeout(60),
        ):
            assert socket.protocol == "realtime"
            for message in messages:
                await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
                assert (await socket.receive()).data == message
    assert backend.last.header("authorization") == f"Bearer {APPS_KEY}"
    assert APPS_KEY in (backend.last.header("sec-websocket-protocol") or "")
    assert [(line["path"], line["status"]) for line in logs if line["event"] == "passed"] == [("/v1/realtime", 101)]
    assert APPS_KEY not in str(logs)
    await asyncio.sleep(0.1)
    proxy.master.options.update(save_stream_file=None)
    with saved.open("rb") as written:
        [flow] = [flow for flow in mitmproxy_io.FlowReader(written).stream() if isinstance(flow, http.HTTPFlow)]
    assert APPS_KEY.encode() not in saved.read_bytes()
    assert flow.websocket is not None
    assert len(flow.websocket.messages) == (2 * len(messages) if proxy.addon._keeps_bodies else 0)


async def test_a_host_out_of_reach_is_logged(proxy: RunningProxy) -> None:
    with capture_logs() as logs:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as http_client:
            failed = await http_client.post("http://127.0.0.1:9/v1/embeddings", json={})
            assert (failed.status_code, failed.json()["error"]["type"]) == (502, "server_error")
    [line] = [line for line in logs if line["event"] == "passed"]
    assert line["status"] is None
    assert line["error"]

"""Bounds on what a client sends and on how long it takes, each with its error, on real sockets."""

import asyncio
import base64
import contextlib
import json
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from addon.configuration.settings import Settings, load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.raw_upstream import EVENTS_HEAD, Call, message_start, raw_upstream, text_delta
from tests.integration.running_proxy import ProxyStarter

STANDALONE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
URL = "https://api.openai.com/v1/chat/completions"
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(100)).decode()

type Bounded = Callable[..., Settings]


@pytest.fixture
def bounded(simulation: RunningSimulation) -> Bounded:
    def make(**limits: Any) -> Settings:
        return load_settings({"claude": {"api_key": "k", "base_url": simulation.base_url}, "limits": limits})

    return make


def chat(text: str = "Hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
async def test_large_headers_are_refused(start_proxy: ProxyStarter, bounded: Bounded, http2: bool) -> None:
    async with start_proxy("regular@127.0.0.1:0", settings=bounded(max_header_bytes=4096)) as proxy:
        verify = ssl.create_default_context(cafile=str(proxy.ca))
        via = f"http://127.0.0.1:{proxy.port}"
        async with httpx2.AsyncClient(proxy=via, verify=verify, http2=http2) as client:
            for size, status in ((1000, 200), (4000, 431), (1000, 200)):
                response = await client.post(URL, json=chat(), headers={"x-large": "x" * size})
                assert response.status_code == status
                if status == 431:
                    assert response.json()["error"]["code"] == "headers_too_large"


async def test_a_head_that_never_ends_is_refused_and_the_connection_closed(
    start_proxy: ProxyStarter, bounded: Bounded
) -> None:
    async with start_proxy(STANDALONE, settings=bounded(max_header_bytes=4096)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-large: ")
        async with asyncio.timeout(60):
            for _ in range(3):
                writer.write(b"x" * 2000)
                await writer.drain()
                await asyncio.sleep(0.02)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["error"]["code"] == "headers_too_large"


async def test_a_long_body_is_no_long_head(start_proxy: ProxyStarter, bounded: Bounded) -> None:
    async with start_proxy(STANDALONE, settings=bounded(max_header_bytes=1024)) as proxy:
        async with httpx2.AsyncClient() as client:
            url = f"http://127.0.0.1:{proxy.port}/v1/chat/completions"
            for _ in range(2):
                assert (await client.post(url, json=chat("Hello " * 5000))).status_code == 200


async def test_a_body_that_comes_too_slowly_is_refused(start_proxy: ProxyStarter, bounded: Bounded) -> None:
    async with start_proxy(STANDALONE, settings=bounded(body_seconds=1.5)) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{")
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 408 ")
        async with httpx2.AsyncClient() as client:
            url = f"http://127.0.0.1:{proxy.port}/v1/chat/completions"
            slow = chat('Hello [[simulate: {"text": "answer", "delay": 2}]]')
            assert (await client.post(url, json=slow)).status_code == 200, "the answer may take longer"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_answer_has_a_deadline(start_proxy: ProxyStarter, bounded: Bounded, stream: bool) -> None:
    words = " ".join(["word"] * 200)
    body = chat(f'Hello [[simulate: {{"text": "{words}", "event_interval": 0.2}}]]', stream=stream)
    async with start_proxy(STANDALONE, settings=bounded(answer_seconds=1)) as proxy:
        async with httpx2.AsyncClient(timeout=60) as client:
            started = time.monotonic()
            response = await client.post(f"http://127.0.0.1:{proxy.port}/v1/chat/completions", json=body)
            assert time.monotonic() - started < 20
        assert proxy.running == 0
    if stream:
        assert response.status_code == 200
        *_, last = response.text.strip().split("\n\n")
        error = json.loads(last.removeprefix("data: "))["error"]
    else:
        assert response.status_code == 504
        error = response.json()["error"]
    assert (error["code"], error["message"]) == (
        "timeout",
        "The answer took longer than 1 seconds (setting limits.answer_seconds).",
    )


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"], ids=["translated", "forwarded"])
async def test_the_deadline_holds_for_a_client_that_does_not_read_too(
    start_proxy: ProxyStarter, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def flood(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())
        while True:
            await call.send(text_delta("x" * 16_000))

    monkeypatch.setattr("addon.exchanges.run._TELLING_SECONDS", 0.5)
    body = json.dumps(chat(stream=True)).encode()
    async with raw_upstream(flood) as upstream:
        limits = {"answer_seconds": 1}
        settings = load_settings({"claude": {"api_key": "k", "base_url": upstream.base_url}, "limits": limits})
        async with start_proxy(STANDALONE, settings=settings) as proxy:
            with socket.create_connection(("127.0.0.1", proxy.port)) as unread:
                head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n"
                unread.sendall(head.encode() + body)
                await upstream.call()
                async with asyncio.timeout(60):
                    while proxy.running:
                        await asyncio.sleep(0.01)
                    assert proxy.addon._exchanges == {}
                    # What was on its way is there to be read, and then the break.
                    received = await asyncio.to_thread(read_to_the_end, unread)
    assert received.startswith(b"HTTP/1.1 200 OK")
    assert not received.endswith(b"0\r\n\r\n")


def read_to_the_end(connection: socket.socket) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            received += piece
    return bytes(received)


@pytest.mark.parametrize(
    ("path", "key"), [("chat/completions", "messages"), ("responses", "input")], ids=["chat", "responses"]
)
@pytest.mark.parametrize("limits", [{"max_images": 1}, {"max_image_bytes": 50}], ids=["count", "size"])
async def test_images_are_bounded(
    start_proxy: ProxyStarter, bounded: Bounded, path: str, key: str, limits: dict[str, int]
) -> None:
    url = f"data:image/png;base64,{PNG}"
    one: Any = {"type": "image_url", "image_url": {"url": url}}
    if key == "input":
        one = {"type": "input_image", "image_url": url}
    body = {"model": "gpt-4o", key: [{"role": "user", "content": [one, one]}]}
    async with start_proxy(STANDALONE, settings=bounded(**limits)) as proxy, httpx2.AsyncClient() as client:
        response = await client.post(f"http://127.0.0.1:{proxy.port}/v1/{path}", json=body)
    assert response.status_code == 400
    assert "the limit of this endpoint" in response.json()["error"]["message"]

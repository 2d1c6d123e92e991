"""The virtual upstream connection in each of mitmproxy's modes, because it stands on mitmproxy's internals."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.integration.running_proxy import ProxyStarter

URL = "https://api.openai.com/v1/chat/completions"


def body(text: str = "Hello there", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


async def check_both_answers(client: httpx2.AsyncClient, url: str) -> None:
    """Ask for a whole answer and for a streamed one, on the same connection, and compare them."""
    whole = await client.post(url, json=body())
    assert whole.status_code == 200, whole.text
    message = whole.json()["choices"][0]["message"]
    assert message["content"]
    streamed = await client.post(url, json=body(stream=True))
    assert streamed.status_code == 200, streamed.text
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    lines = [line for line in streamed.text.split("\n\n") if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == message["content"]
    assert whole.json()["model"] == chunks[0]["model"] == "gpt-4o"


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
async def test_regular_mode_answers_inside_a_connect_tunnel(start_proxy: ProxyStarter, http2: bool) -> None:
    async with start_proxy("regular@127.0.0.1:0") as proxy:
        verify = trusting(proxy.ca)
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}", verify=verify, http2=http2) as client:
            await check_both_answers(client, URL)
            response = await client.post(URL, json=body())
            assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")


async def test_regular_mode_answers_plain_http_requests(start_proxy: ProxyStarter) -> None:
    async with start_proxy("regular@127.0.0.1:0") as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            await check_both_answers(client, URL.replace("https://", "http://"))


async def test_reverse_mode_answers_plain_requests(start_proxy: ProxyStarter) -> None:
    async with start_proxy("reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0") as proxy:
        async with httpx2.AsyncClient() as client:
            await check_both_answers(client, f"http://127.0.0.1:{proxy.port}/v1/chat/completions")


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
async def test_reverse_mode_answers_tls_requests(start_proxy: ProxyStarter, http2: bool) -> None:
    async with start_proxy("reverse:https://standalone.claude-proxy.invalid@127.0.0.1:0") as proxy:
        verify = trusting(proxy.ca)
        verify.check_hostname = False
        async with httpx2.AsyncClient(verify=verify, http2=http2) as client:
            await check_both_answers(client, f"https://127.0.0.1:{proxy.port}/v1/chat/completions")
            response = await client.post(f"https://127.0.0.1:{proxy.port}/v1/chat/completions", json=body())
            assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            probe = await client.head(f"https://127.0.0.1:{proxy.port}/health")
            assert (probe.status_code, probe.content) == (200, b"")


async def test_socks5_mode_answers(start_proxy: ProxyStarter) -> None:
    async with start_proxy("socks5@127.0.0.1:0") as proxy:
        async with httpx2.AsyncClient(proxy=f"socks5h://127.0.0.1:{proxy.port}", verify=trusting(proxy.ca)) as client:
            await check_both_answers(client, URL)


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_upstream_mode_answers_without_asking_the_other_proxy(start_proxy: ProxyStarter, scheme: str) -> None:
    asked = asyncio.Event()

    async def other_proxy(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        writer.close()

    server = await asyncio.start_server(other_proxy, "127.0.0.1", 0)
    other_port = server.sockets[0].getsockname()[1]
    async with server, start_proxy(f"upstream:http://127.0.0.1:{other_port}@127.0.0.1:0") as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}", verify=trusting(proxy.ca)) as client:
            await check_both_answers(client, URL.replace("https", scheme))
            assert not asked.is_set()
            if scheme == "http":
                await client.post("http://elsewhere.invalid/", json={})
                assert asked.is_set()


async def test_forty_http2_streams_share_one_connection_at_once(start_proxy: ProxyStarter) -> None:
    async with start_proxy("regular@127.0.0.1:0") as proxy:
        verify = trusting(proxy.ca)
        limits = httpx2.Limits(max_connections=1)
        async with httpx2.AsyncClient(
            proxy=f"http://127.0.0.1:{proxy.port}", verify=verify, http2=True, limits=limits, timeout=60
        ) as client:
            slow = '[[simulate: {"text": "slow answer", "delay": 2}]]'
            await client.post(URL, json=body())
            asking = [asyncio.create_task(client.post(URL, json=body(slow, stream=True))) for _ in range(40)]
            async with asyncio.timeout(60):
                while proxy.running < 40:
                    await asyncio.sleep(0.01)
            answers = await asyncio.gather(*asking)
        assert all(answer.http_version == "HTTP/2" and "data: [DONE]" in answer.text for answer in answers)


@pytest.mark.parametrize(
    ("keeps_bodies", "content_type"),
    [(True, "text/event-stream"), (False, "audio/mpeg")],
    ids=["events-in-mitmdump", "anything-in-our-own-master"],
)
async def test_an_answer_of_a_real_host_passes_piece_by_piece(
    start_proxy: ProxyStarter, keeps_bodies: bool, content_type: str
) -> None:
    read = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.0 200 OK\r\ncontent-type: {content_type}\r\n\r\nfirst".encode())
        await read.wait()
        writer.write(b"last")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as host, start_proxy("regular@127.0.0.1:0") as proxy:
        url = f"http://127.0.0.1:{host.sockets[0].getsockname()[1]}/events"
        proxy.addon._keeps_bodies = keeps_bodies
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client, asyncio.timeout(60):
            async with client.stream("GET", url) as response:
                pieces = response.aiter_bytes()
                assert await anext(pieces) == b"first"
                read.set()
                assert [piece async for piece in pieces] == [b"last"]

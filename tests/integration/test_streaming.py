"""Bytes flow as Claude's events come: none is held back, silence is filled, a slow reader slows the source."""

import asyncio
import json
import ssl
from itertools import pairwise

import httpx2
import pytest
from mitmproxy import http

from addon.configuration.settings import Settings, load_settings
from tests.integration.raw_upstream import (
    EVENTS_HEAD,
    Call,
    event,
    message_end,
    message_start,
    raw_upstream,
    text_delta,
    whole_answer,
)
from tests.integration.running_proxy import ProxyStarter
from tests.lived_time import lived_clock

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
REVERSE_TLS = "reverse:https://standalone.claude-proxy.invalid@127.0.0.1:0"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def settings_for(base_url: str, **sections: dict[str, object]) -> Settings:
    return load_settings({"claude": {"api_key": "sk-ant-test-key", "base_url": base_url}, **sections})


async def test_each_event_arrives_before_the_next_is_made(start_proxy: ProxyStarter) -> None:
    may_go_on = asyncio.Semaphore(0)

    async def one_by_one(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())
        for word in ("one", "two", "three"):
            await may_go_on.acquire()
            await call.send(text_delta(word))
        await may_go_on.acquire()
        await call.send(message_end())

    async with (
        raw_upstream(one_by_one) as upstream,
        start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy,
        httpx2.AsyncClient(timeout=60) as client,
    ):
        url = f"http://127.0.0.1:{proxy.port}/v1/chat/completions"
        async with client.stream("POST", url, json=BODY) as response:
            lines = response.aiter_lines()
            role = json.loads((await anext(lines)).removeprefix("data: "))
            assert role["choices"][0]["delta"]["role"] == "assistant"
            for word in ("one", "two", "three"):
                may_go_on.release()
                await anext(lines)
                assert json.loads((await anext(lines)).removeprefix("data: "))["choices"][0]["delta"] == {
                    "content": word
                }
            may_go_on.release()
            assert [line async for line in lines][-2] == "data: [DONE]"


async def test_S9_silence_is_filled_with_comments(start_proxy: ProxyStarter) -> None:
    async def thoughtful(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())
        for _ in range(15):
            await asyncio.sleep(0.1)
            await call.send(event({"type": "ping"}))
        await call.send(text_delta("done") + message_end())

    async with raw_upstream(thoughtful) as upstream:
        settings = settings_for(upstream.base_url, stream={"keep_alive_seconds": 0.2})
        async with (
            start_proxy(REVERSE, settings=settings) as proxy,
            httpx2.AsyncClient(timeout=60) as client,
            lived_clock() as lived,
        ):
            times: list[float] = []
            received = b""
            url = f"http://127.0.0.1:{proxy.port}/v1/chat/completions"
            async with client.stream("POST", url, json=BODY) as response:
                async for piece in response.aiter_raw():
                    times.append(lived())
                    received += piece
        assert received.count(b": keep-alive\n\n") >= 3
        assert max(later - earlier for earlier, later in pairwise(times)) < 0.35
        assert received.endswith(b"data: [DONE]\n\n")


async def test_S17_claude_is_asked_for_bytes_that_need_no_unpacking(start_proxy: ProxyStarter) -> None:
    async def answer(call: Call) -> None:
        await call.send(whole_answer("hi"))

    async with raw_upstream(answer) as upstream:
        settings = settings_for(upstream.base_url)
        async with start_proxy(REVERSE, settings=settings) as proxy, httpx2.AsyncClient(timeout=60) as client:
            response = await client.post(f"http://127.0.0.1:{proxy.port}/v1/chat/completions", json=BODY)
        assert b"accept-encoding: identity\r\n" in upstream.calls[0].head.lower()
    assert "content-encoding" not in response.headers
    assert response.text.endswith("data: [DONE]\n\n")  # S7


@pytest.mark.parametrize(
    ("mode", "http2"),
    [(REVERSE, False), (REVERSE_TLS, False), (REVERSE_TLS, True), ("regular", False), ("regular", True)],
    ids=["plain", "tls", "tls_h2", "tunnel", "tunnel_h2"],
)
async def test_a_reader_that_stops_holds_the_upstream_back(start_proxy: ProxyStarter, mode: str, http2: bool) -> None:
    async def flood(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())
        piece = text_delta("x" * 16_000)
        while True:
            await call.send(piece)

    async with raw_upstream(flood) as upstream:
        async with start_proxy(mode, settings=settings_for(upstream.base_url)) as proxy:
            context = ssl.create_default_context(cafile=str(proxy.ca))
            context.check_hostname = False
            here = f"127.0.0.1:{proxy.port}"
            via = f"http://{here}" if mode == "regular" else None
            origin = {REVERSE: f"http://{here}", REVERSE_TLS: f"https://{here}"}.get(mode, "https://api.openai.com")
            async with httpx2.AsyncClient(
                http2=http2, verify=context, timeout=60, proxy=via, trust_env=False
            ) as client:
                async with client.stream("POST", f"{origin}/v1/chat/completions", json=BODY) as response:
                    chunks = response.aiter_raw()
                    await anext(chunks)
                    call = await upstream.call()
                    sent = -1
                    while call.sent != sent:
                        sent = call.sent
                        await asyncio.sleep(0.5)
                    # What fits into the sockets' buffers on the way, and little more.
                    assert sent < 32 * 1024 * 1024
                    await anext(chunks)


@pytest.mark.parametrize("mode", [REVERSE, REVERSE_TLS], ids=["plain", "tls"])
async def test_another_addon_may_change_every_piece_of_a_stream(start_proxy: ProxyStarter, mode: str) -> None:
    class Shouting:
        def responseheaders(self, flow: http.HTTPFlow) -> None:
            flow.response.stream = lambda data: data.replace(b"one", b"ONE").replace(b"two", b"TWO")

    async def two_words(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())
        for word in ("one", "two"):
            await asyncio.sleep(0.05)
            await call.send(text_delta(word))
        await call.send(message_end())

    async with (
        raw_upstream(two_words) as upstream,
        start_proxy(mode, settings=settings_for(upstream.base_url)) as proxy,
    ):
        proxy.master.addons.add(Shouting())
        trusted = ssl.create_default_context(cafile=proxy.ca)
        trusted.check_hostname = False
        scheme = "https" if mode == REVERSE_TLS else "http"
        async with httpx2.AsyncClient(timeout=60, verify=trusted) as client:
            url = f"{scheme}://127.0.0.1:{proxy.port}/v1/chat/completions"
            answer = (await client.post(url, json=BODY)).text
    assert [word for word in ("one", "two", "ONE", "TWO") if f'"{word}"' in answer] == ["ONE", "TWO"]
    assert answer.endswith("data: [DONE]\n\n")

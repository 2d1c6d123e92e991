"""Limits as a client meets them: refusals, headers, and what is charged for an answer, however it ends."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, RateLimitError

from addon.configuration.settings import Settings, load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.batch_api import chat as chat_body
from tests.integration.batch_api import create, ended, line
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.lived_time import within

STANDALONE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
HELLO: Any = [{"role": "user", "content": "Hello"}]
SLOW: Any = [{"role": "user", "content": 'Hello [[simulate: {"text": "slow answer", "delay": 1}]]'}]
PATHS = ["chat", "stream", "completions", "responses", "background", "messages", "batch"]


@pytest.fixture
def limited(simulation: RunningSimulation) -> Any:
    def make(**limits: Any) -> Settings:
        claude = {"api_key": "sk-ant-test", "base_url": simulation.base_url}
        return load_settings(
            {"claude": claude, "rate_limiting": {"requests_per_minute": 0, **limits}, "store": {"path": ":memory:"}}
        )

    return make


@contextlib.asynccontextmanager
async def asking(proxy: RunningProxy, key: str = "sk-one", **more: Any) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(
        base_url=f"http://127.0.0.1:{proxy.port}/v1",
        api_key=key,
        http_client=DefaultAsyncHttpx2Client(trust_env=False),
        **{"max_retries": 0, "timeout": 20, **more},
    ) as client:
        yield client


async def chat(client: AsyncOpenAI, messages: Any = HELLO) -> Any:
    return await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=messages)


async def chat_for_a_minute(client: AsyncOpenAI) -> None:
    async with asyncio.timeout(60):
        while True:
            await chat(client)


async def ask(proxy: RunningProxy, path: str) -> None:
    """Have one answer made, to its end."""
    async with asking(proxy) as client:
        match path:
            case "chat":
                await chat(client)
            case "stream":
                stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
                async for _ in stream:
                    pass
            case "completions":
                await client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Hello")
            case "responses":
                await client.responses.create(model="gpt-4o", input="Hello")
            case "background":
                response = await client.responses.create(model="gpt-4o", input="Hello", background=True)
                while (await client.responses.retrieve(response.id)).status != "completed":
                    await asyncio.sleep(0.05)
            case "batch":
                batch = await create(client, [line("a", chat_body("Hello"))])
                assert (await ended(client, batch.id)).status == "completed"
            case "messages":
                url = f"http://127.0.0.1:{proxy.port}"
                async with AsyncAnthropic(auth_token="sk-one", base_url=url, max_retries=0) as claudes:
                    await claudes.messages.create(model="claude-haiku-4-5", max_tokens=50, messages=HELLO)


async def test_one_request_too_many_is_refused_as_openai_would(start_proxy: ProxyStarter, limited: Any) -> None:
    async with start_proxy(STANDALONE, settings=limited(requests_per_minute=2, burst_size=2)) as proxy:
        async with asking(proxy) as client:
            first = await chat(client)
            assert first.headers["x-ratelimit-limit-requests"] == "2"
            assert first.headers["x-ratelimit-remaining-requests"] == "1"
            await chat(client)
            with pytest.raises(RateLimitError) as refused:
                await chat(client)
        error = refused.value
        assert (error.code, error.type, error.param) == ("rate_limit_exceeded", "requests", None)
        assert "Please try again in " in error.message
        headers = error.response.headers
        for part in ("limit", "remaining", "reset"):
            assert f"x-ratelimit-{part}-requests" in headers
        assert 0 < float(headers["retry-after-ms"]) <= 30_000
        assert headers["retry-after"] == str(math.ceil(float(headers["retry-after-ms"]) / 1000))
        async with asking(proxy, "sk-two") as other:
            await chat(other)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as http:
            assert 'claude_proxy_refused_total{reason="rate"} 1.0' in (await http.get("/metrics")).text


async def test_the_stock_client_waits_as_it_is_told_and_goes_on(start_proxy: ProxyStarter, limited: Any) -> None:
    async with start_proxy(STANDALONE, settings=limited(requests_per_minute=120, burst_size=1)) as proxy:
        async with asking(proxy, max_retries=3) as client:
            for _ in range(3):
                await chat(client)


async def test_claudes_own_limits_are_told_where_they_are_tighter(start_proxy: ProxyStarter, limited: Any) -> None:
    async with start_proxy(STANDALONE, settings=limited(requests_per_minute=100_000)) as proxy:
        async with asking(proxy) as client:
            headers = (await chat(client)).headers
    assert headers["x-ratelimit-limit-requests"] == "4000"
    assert int(headers["x-ratelimit-limit-tokens"]) > 1000


@pytest.mark.parametrize("limits", [{"tokens_per_minute": 5}, {"dollars_per_day": 0.000001}], ids=["tokens", "dollars"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("noon")
async def test_every_answer_is_charged_for(start_proxy: ProxyStarter, limited: Any, path: str, limits: Any) -> None:
    async with start_proxy(STANDALONE, settings=limited(**limits)) as proxy:
        await ask(proxy, path)
        async with asking(proxy) as client:
            with pytest.raises(RateLimitError) as refused:
                await chat_for_a_minute(client)
        assert refused.value.code == ("insufficient_quota" if "dollars_per_day" in limits else "rate_limit_exceeded")
        if "dollars_per_day" in limits:
            async with asking(proxy, max_retries=5) as patient:
                with pytest.raises(RateLimitError):
                    await within(2, chat(patient))


async def test_a_client_that_leaves_gives_its_place_back(start_proxy: ProxyStarter, limited: Any) -> None:
    async with start_proxy(STANDALONE, settings=limited(concurrent_requests=1)) as proxy:
        async with asking(proxy) as client:
            running = asyncio.create_task(chat(client, SLOW))
            async with asyncio.timeout(60):
                while not proxy.running:
                    await asyncio.sleep(0.01)
            with pytest.raises(RateLimitError, match="concurrent requests: Limit 1"):
                await chat(client)
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            async with asyncio.timeout(60):
                while proxy.running:
                    await asyncio.sleep(0.01)
            await chat(client)


async def test_a_response_in_the_background_keeps_its_place_to_its_end(start_proxy: ProxyStarter, limited: Any) -> None:
    slow: Any = {"model": "gpt-4o", "input": SLOW, "background": True}
    settings = limited(concurrent_requests=2)
    async with start_proxy(STANDALONE, settings=settings) as proxy, asking(proxy) as client:
        polled = await client.responses.create(**slow)
        streamed = await client.responses.create(**slow, stream=True)
        async with asyncio.timeout(60):
            await anext(aiter(streamed))
        await streamed.close()
        for _ in range(2):
            with pytest.raises(RateLimitError, match="concurrent requests: Limit 2"):
                await client.responses.create(**slow)
        async with asyncio.timeout(60):
            while (await client.responses.retrieve(polled.id)).status != "completed":
                await asyncio.sleep(0.05)
            while proxy.addon._gateway is None or proxy.addon._gateway.background:
                await asyncio.sleep(0.05)
        await asyncio.gather(chat(client), chat(client))


@pytest.mark.parametrize("end", ["cancel", "delete"])
async def test_what_runs_can_be_ended_when_all_places_are_taken(
    start_proxy: ProxyStarter, limited: Any, end: str
) -> None:
    settings = limited(concurrent_requests=1, requests_per_minute=2)
    async with start_proxy(STANDALONE, settings=settings) as proxy, asking(proxy) as client:
        response = await client.responses.create(model="gpt-4o", input=SLOW, background=True)
        if end == "cancel":
            assert (await client.responses.cancel(response.id)).status == "cancelled"
        else:
            await client.responses.delete(response.id)
        await chat(client)


async def test_polling_is_not_counted(start_proxy: ProxyStarter, limited: Any) -> None:
    async with start_proxy(STANDALONE, settings=limited(requests_per_minute=1)) as proxy, asking(proxy) as client:
        response = await client.responses.create(model="gpt-4o", input="Hello")
        for _ in range(5):
            await client.responses.retrieve(response.id)
        with pytest.raises(RateLimitError):
            await client.models.list()


async def test_claudes_own_api_is_limited_in_claudes_words(start_proxy: ProxyStarter, limited: Any) -> None:
    async with start_proxy(STANDALONE, settings=limited(requests_per_minute=1)) as proxy:
        await ask(proxy, "messages")
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as http:
            body = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": HELLO}
            refused = await http.post("/v1/messages", json=body, headers={"authorization": "Bearer sk-one"})
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert int(refused.headers["retry-after"]) > 0


async def test_the_proxy_modes_are_limited_by_the_apps_credentials(start_proxy: ProxyStarter, limited: Any) -> None:
    async with start_proxy("regular@127.0.0.1:0", settings=limited(requests_per_minute=1)) as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as http:
            url, body = "http://api.openai.com/v1/chat/completions", {"model": "gpt-4o", "messages": HELLO}
            statuses = [
                (await http.post(url, json=body, headers={"authorization": f"Bearer {key}"})).status_code
                for key in ("sk-one", "sk-one", "sk-two")
            ]
    assert statuses == [200, 429, 200]

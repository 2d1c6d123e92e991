"""Where Claude fails in a way that passes, other models and backends are asked before the client hears of it."""

import asyncio
import json
from typing import Any

import openai
import pytest
from aiohttp import web
from openai import AsyncOpenAI
from structlog.testing import capture_logs

from addon.configuration.settings import Settings, load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.clouds import Clouds, clouds
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
HAIKU, OPUS, BEDROCK = "claude-haiku-5-5", "claude-opus-4-8", "bedrock:anthropic.claude-sonnet-5-5"


def settings_for(base_url: str, *fallbacks: str, **claude: Any) -> Settings:
    given = {"api_key": "k", "base_url": base_url, "max_retries": 0, "fallbacks": list(fallbacks), **claude}
    return load_settings({"claude": given})


def client_of(proxy: RunningProxy) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"http://127.0.0.1:{proxy.port}/v1", api_key="x", max_retries=0, timeout=30)


def failing(times: int, status: int = 529) -> list[Any]:
    script = {"id": "fails", "times": times, "status": status}
    return [{"role": "user", "content": f"[[simulate: {json.dumps(script)}]] Hello"}]


def models_asked(simulation: RunningSimulation) -> list[str]:
    return [entry.body["model"] for entry in simulation.journal if entry.path == "/v1/messages"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [529, 429, 500])
async def test_the_next_model_answers_and_the_answer_names_what_was_asked_for(
    start_proxy: ProxyStarter, simulation: RunningSimulation, status: int, stream: bool
) -> None:
    settings = settings_for(simulation.base_url, OPUS, HAIKU)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        with capture_logs() as logs:
            raw: Any = await client.chat.completions.with_raw_response.create(
                model="gpt-4o", messages=failing(2, status), stream=stream
            )
            answer = raw.parse()
            models = {chunk.model async for chunk in answer} if stream else {answer.model}
            while proxy.running:
                await asyncio.sleep(0.005)
        assert proxy.addon._gateway is not None
        metrics = proxy.addon._gateway.metrics.encode().decode()
    assert models == {"gpt-4o"}
    assert models_asked(simulation) == ["claude-sonnet-5-5", OPUS, HAIKU]
    assert raw.headers["x-claude-proxy-fallback"] == HAIKU
    [line] = [line for line in logs if line["event"] == "exchange"]
    assert (line["claude_model"], line["fallback"], line["outcome"]) == (HAIKU, HAIKU, "ok")
    assert f'claude_proxy_fallbacks_total{{model="{HAIKU}"' in metrics


async def test_responses_and_completions_have_them_too(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    settings = settings_for(simulation.base_url, HAIKU)
    text = failing(1)[0]["content"]
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        response = await client.responses.create(model="gpt-4o", input=text)
        assert response.model == "gpt-4o"
        stream = await client.responses.create(model="gpt-4o", input=text.replace("fails", "again"), stream=True)
        assert [event.type async for event in stream][-1] == "response.completed"
        prompt = text.replace("fails", "and again")
        assert (await client.completions.create(model="gpt-4o", prompt=prompt, max_tokens=100)).choices[0].text
    assert models_asked(simulation) == ["claude-sonnet-5-5", HAIKU] * 3


async def test_several_choices_have_them_too(start_proxy: ProxyStarter, simulation: RunningSimulation) -> None:
    settings = settings_for(simulation.base_url, HAIKU)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        answer = await client.chat.completions.create(model="gpt-4o", messages=failing(2), n=2)
        assert len(answer.choices) == 2
    assert models_asked(simulation)[-2:] == [HAIKU, HAIKU]


async def test_E16_a_mistake_of_the_request_is_nobody_elses(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    settings = settings_for(simulation.base_url, HAIKU)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        for status in (400, 401, 402, 403, 404, 413):
            with pytest.raises(openai.APIStatusError):
                await client.chat.completions.create(model="gpt-4o", messages=failing(9, status))
    assert set(models_asked(simulation)) == {"claude-sonnet-5-5"}


async def test_if_all_fail_the_client_gets_the_first_failure(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    settings = settings_for(simulation.base_url, HAIKU)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        with pytest.raises(openai.InternalServerError) as failed:
            await client.chat.completions.create(model="gpt-4o", messages=failing(9))
    assert failed.value.code == "server_is_overloaded"
    assert "x-claude-proxy-fallback" not in failed.value.response.headers
    assert models_asked(simulation) == ["claude-sonnet-5-5", HAIKU]


async def test_nothing_is_asked_twice_once_the_client_has_a_part(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    script = {"text": "one two three four five", "error_after_events": 4}
    asked: list[Any] = [{"role": "user", "content": f"[[simulate: {json.dumps(script)}]]"}]
    settings = settings_for(simulation.base_url, HAIKU)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=asked, stream=True)
        with pytest.raises(openai.APIError):
            _ = [chunk async for chunk in stream]
    assert models_asked(simulation) == ["claude-sonnet-5-5"]


@pytest.fixture
async def cloud(simulation: RunningSimulation, monkeypatch: pytest.MonkeyPatch) -> Any:
    async with clouds(simulation.base_url) as running:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIAMADEUP",
            "AWS_SECRET_ACCESS_KEY": "s",
            "AWS_REGION": "us-east-1",
            "ANTHROPIC_BEDROCK_BASE_URL": running.url,
        }.items():
            monkeypatch.setenv(name, value)
        yield running


async def test_a_backend_out_of_reach_gives_way_to_another(
    start_proxy: ProxyStarter, simulation: RunningSimulation, cloud: Clouds
) -> None:
    settings = settings_for("http://127.0.0.1:9", BEDROCK)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        answer = await client.chat.completions.with_raw_response.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Hello"}]
        )
        assert answer.headers["x-claude-proxy-fallback"] == BEDROCK
        image: list[Any] = [
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}
        ]
        with pytest.raises(openai.InternalServerError, match="could not be reached"):
            # What the fallback lacks is no mistake of the request.
            await client.chat.completions.create(model="gpt-4o", messages=image)
    assert len(cloud.asked) == 1


async def test_a_cloud_that_throttles_gives_way_to_claudes_own_api(
    start_proxy: ProxyStarter, simulation: RunningSimulation, cloud: Clouds
) -> None:
    cloud.failures.append(lambda: web.json_response({"message": "Too many requests"}, status=429))
    settings = settings_for(simulation.base_url, HAIKU, default_model=BEDROCK)
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        with capture_logs() as logs:
            await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])
    assert models_asked(simulation) == [HAIKU]
    [line] = [line for line in logs if line["event"] == "exchange"]
    assert (line["backend"], line["claude_model"]) == (None, HAIKU)

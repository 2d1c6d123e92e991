"""Claude at Bedrock, Vertex, Foundry and the others, with the stock OpenAI client in front."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import rsa
from openai import AsyncOpenAI
from structlog.testing import capture_logs

from addon.claude.backends import check_backends
from addon.configuration.settings import Settings, SettingsError, load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.clouds import Clouds, chunk_frame, clouds, exception_frame
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
AWS_SECRET = "aws-secret-of-the-operator"
FOUNDRY_KEY = "foundry-key-of-the-operator"
HELLO = [{"role": "user", "content": "Hello"}]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
CALL = {"content": [{"type": "tool_use", "name": "get_weather", "input": {"city": "Bern"}}]}
PNG = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()

VERTEX = "/v1/projects/my-project/locations/europe-west1/publishers/anthropic/models"
MODELS = {
    "bedrock": "bedrock:us.anthropic.claude-sonnet-5-5",
    "bedrock-mantle": "bedrock-mantle:anthropic.claude-sonnet-5-5",
    "vertex": "vertex:claude-sonnet-5-5@20260928",
    "foundry": "foundry:claude-sonnet-5-5",
    "aws": "aws:claude-sonnet-5-5",
    "google-cloud": "google-cloud:claude-sonnet-5-5",
}


@pytest.fixture
async def cloud(
    simulation: RunningSimulation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Clouds]:
    """The environment of an operator who uses them all."""
    key = rsa.generate_private_key(65537, 2048)
    async with clouds(simulation.base_url) as running:
        account = {
            "type": "service_account",
            "project_id": "my-project",
            "private_key": key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode(),
            "client_email": "proxy@my-project.iam.gserviceaccount.com",
            "token_uri": f"{running.url}/token",
        }
        (tmp_path / "account.json").write_text(json.dumps(account))
        environment = {
            "AWS_ACCESS_KEY_ID": "AKIAMADEUP",
            "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(tmp_path / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
            "ANTHROPIC_BEDROCK_BASE_URL": running.url,
            "ANTHROPIC_BEDROCK_MANTLE_BASE_URL": f"{running.url}/anthropic",
            "CLOUD_ML_REGION": "europe-west1",
            "ANTHROPIC_VERTEX_PROJECT_ID": "my-project",
            "ANTHROPIC_VERTEX_BASE_URL": f"{running.url}/v1",
            "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "account.json"),
            "ANTHROPIC_FOUNDRY_API_KEY": FOUNDRY_KEY,
            "ANTHROPIC_FOUNDRY_BASE_URL": f"{running.url}/anthropic/",
            "ANTHROPIC_AWS_BASE_URL": running.url,
            "ANTHROPIC_AWS_WORKSPACE_ID": "wrkspc_1",
            "ANTHROPIC_GOOGLE_CLOUD_BASE_URL": running.url,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield running


def settings_for(model: str, **claude: Any) -> Settings:
    return load_settings({"claude": {"default_model": model, "max_retries": 0, **claude}})


def client_of(proxy: RunningProxy, **options: Any) -> AsyncOpenAI:
    given = {"max_retries": 0, "timeout": 30, "_strict_response_validation": True, **options}
    return AsyncOpenAI(base_url=f"http://127.0.0.1:{proxy.port}/v1", api_key="sk-of-the-app", **given)


@pytest.fixture(params=list(MODELS))
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def test_every_backend_answers_whole_streamed_and_with_tools(
    start_proxy: ProxyStarter, cloud: Clouds, backend: str
) -> None:
    async with start_proxy(REVERSE, settings=settings_for(MODELS[backend])) as proxy, client_of(proxy) as client:
        with capture_logs() as logs:
            whole = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
            stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            called = await client.chat.completions.create(
                model="gpt-4o",
                messages=[{"role": "user", "content": f"[[simulate: {json.dumps(CALL)}]]"}],
                tools=[TOOL],
            )
            response = await client.responses.create(model="gpt-4o", input="Hello")
            while proxy.running:
                await asyncio.sleep(0.005)
        assert proxy.addon._gateway is not None
        metrics = proxy.addon._gateway.metrics.encode().decode()
    assert whole.choices[0].message.content == "".join(pieces)
    assert whole.model == "gpt-4o"
    assert whole.usage
    assert whole.usage.completion_tokens > 0
    assert response.output_text
    assert called.choices[0].finish_reason == "tool_calls"
    assert called.choices[0].message.tool_calls
    lines = [line for line in logs if line["event"] == "exchange"]
    assert {(line["backend"], line["claude_model"], line["outcome"]) for line in lines} == {
        (backend, MODELS[backend], "ok")
    }
    assert 'gen_ai_request_model="claude-sonnet-5-5"' in metrics
    assert "claude_proxy_cost_dollars_total{" in metrics
    everything = str(logs) + metrics
    assert not any(secret in everything for secret in (AWS_SECRET, FOUNDRY_KEY, "google-token", "AKIAMADEUP"))


@pytest.mark.parametrize(
    ("backend", "path", "body", "header"),
    [
        (
            "bedrock",
            "/model/us.anthropic.claude-sonnet-5-5/invoke-with-response-stream",
            {"anthropic_version": "2026-10-21", "model": None, "stream": None, "cache_control": None},
            ("authorization", "AWS4-HMAC-SHA256 Credential=AKIAMADEUP/"),
        ),
        (
            "bedrock-mantle",
            "/anthropic/v1/messages",
            {"model": "anthropic.claude-sonnet-5-5", "anthropic_version": None},
            ("authorization", "AWS4-HMAC-SHA256 Credential=AKIAMADEUP/"),
        ),
        (
            "vertex",
            f"{VERTEX}/claude-sonnet-5-5@20260928:streamRawPredict",
            {"anthropic_version": "2026-10-21", "model": None, "stream": True},
            ("authorization", "Bearer google-token"),
        ),
        ("foundry", "/anthropic/v1/messages", {"model": "claude-sonnet-5-5"}, ("api-key", FOUNDRY_KEY)),
        ("aws", "/v1/messages", {"model": "claude-sonnet-5-5"}, ("anthropic-workspace-id", "wrkspc_1")),
        (
            "google-cloud",
            "/v1/messages",
            {"model": "claude-sonnet-5-5"},
            ("authorization", "Bearer google-token"),
        ),
    ],
)
async def test_each_is_asked_on_its_own_wire(
    start_proxy: ProxyStarter, cloud: Clouds, backend: str, path: str, body: dict[str, Any], header: tuple[str, str]
) -> None:
    async with start_proxy(REVERSE, settings=settings_for(MODELS[backend])) as proxy, client_of(proxy) as client:
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert cloud.last.path == path
    assert {name: cloud.last.body.get(name) for name in body} == body
    assert cloud.last.headers[header[0]].startswith(header[1])
    assert "sk-of-the-app" not in str(cloud.asked)


@pytest.mark.parametrize("backend", ["bedrock", "bedrock-mantle", "vertex"])
async def test_I3_what_a_backend_cannot_fetch_is_refused_by_name(
    start_proxy: ProxyStarter, cloud: Clouds, backend: str
) -> None:
    def message(url: str) -> list[Any]:
        return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]

    async with start_proxy(REVERSE, settings=settings_for(MODELS[backend])) as proxy, client_of(proxy) as client:
        with pytest.raises(openai.BadRequestError, match="fetches no URLs") as refused:
            await client.chat.completions.create(model="gpt-4o", messages=message("https://example.com/a.png"))
        assert refused.value.param == "messages"
        assert cloud.asked == []
        assert (await client.chat.completions.create(model="gpt-4o", messages=message(PNG))).choices


async def test_web_search_is_refused_where_there_is_none(start_proxy: ProxyStarter, cloud: Clouds) -> None:
    async with start_proxy(REVERSE, settings=settings_for(MODELS["bedrock"])) as proxy, client_of(proxy) as client:
        with pytest.raises(openai.BadRequestError, match="not supported with this model"):
            await client.chat.completions.create(model="gpt-4o", messages=HELLO, web_search_options={})
        with pytest.raises(openai.BadRequestError, match="Amazon Bedrock counts no tokens"):
            await client.responses.input_tokens.count(model="gpt-4o", input="Hello")
    assert cloud.asked == []


async def test_sampling_and_old_models_get_the_version_that_bedrock_has_for_them(
    start_proxy: ProxyStarter, cloud: Clouds
) -> None:
    model = "bedrock:us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    async with start_proxy(REVERSE, settings=settings_for(model)) as proxy, client_of(proxy) as client:
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        await client.chat.completions.create(model="gpt-4o", messages=HELLO, temperature=0.5)
    assert [asked.body["anthropic_version"] for asked in cloud.asked] == ["bedrock-2023-05-31"] * 2
    assert cloud.last.body["temperature"] == 0.5
    assert cloud.last.path == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/invoke-with-response-stream"


@pytest.mark.parametrize(
    ("status", "body", "expected", "code"),
    [
        (429, {"message": "Too many requests"}, openai.RateLimitError, "rate_limit_exceeded"),
        (400, {"message": "Input is too long for requested model."}, openai.BadRequestError, "context_length_exceeded"),
        (
            403,
            {"message": "User: arn:aws:iam::123456789012:user/x is not authorized on arn:aws:bedrock:us-east-1::m"},
            openai.PermissionDeniedError,
            "permission_denied",
        ),
        (503, {"message": "Bedrock is unable to process your request."}, openai.InternalServerError, "server_error"),
    ],
)
async def test_bedrocks_errors_become_openais(
    start_proxy: ProxyStarter,
    cloud: Clouds,
    status: int,
    body: dict[str, str],
    expected: type[openai.APIStatusError],
    code: str,
) -> None:
    cloud.failures.append(lambda: web.json_response(body, status=status))
    async with start_proxy(REVERSE, settings=settings_for(MODELS["bedrock"])) as proxy, client_of(proxy) as client:
        with pytest.raises(expected) as failed:
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert failed.value.code == code
    assert "123456789012" not in failed.value.message


async def test_an_exception_in_bedrocks_stream_ends_the_clients_with_its_error(
    start_proxy: ProxyStarter, cloud: Clouds
) -> None:
    cloud.last_frame = exception_frame("throttlingException", "Too many tokens")
    async with start_proxy(REVERSE, settings=settings_for(MODELS["bedrock"])) as proxy, client_of(proxy) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError) as failed:
            _ = [chunk async for chunk in stream]
    assert failed.value.code == "rate_limit_exceeded"


async def test_S22_frames_that_are_none_are_a_broken_answer(start_proxy: ProxyStarter, cloud: Clouds) -> None:
    def answer(body: bytes) -> web.Response:
        return web.Response(body=body, content_type="application/vnd.amazon.eventstream")

    empty = json.dumps({"type": "message_start", "message": None}).encode()
    for body in (b"no frames at all, but long enough", chunk_frame(empty), b""):
        cloud.failures.append(lambda body=body: answer(body))
    async with start_proxy(REVERSE, settings=settings_for(MODELS["bedrock"])) as proxy, client_of(proxy) as client:
        for _time in range(3):
            with pytest.raises(openai.InternalServerError) as failed:
                await client.chat.completions.create(model="gpt-4o", messages=HELLO)
            assert failed.value.status_code == 502


async def test_a_client_that_leaves_ends_the_call_to_bedrock(start_proxy: ProxyStarter, cloud: Clouds) -> None:
    slow = [{"role": "user", "content": '[[simulate: {"text": "one two three four five six", "delay": 0.5}]]'}]
    async with start_proxy(REVERSE, settings=settings_for(MODELS["bedrock"])) as proxy, client_of(proxy) as client:
        stream = await client.chat.completions.create(model="gpt-4o", messages=slow, stream=True)
        await anext(aiter(stream))
        await stream.close()
        async with asyncio.timeout(60):
            await cloud.left.wait()
            while proxy.running:
                await asyncio.sleep(0.005)


async def test_missing_credentials_are_said_without_details(
    start_proxy: ProxyStarter, cloud: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")  # the SDK keeps one session for each region
    async with start_proxy(REVERSE, settings=settings_for(MODELS["bedrock"])) as proxy, client_of(proxy) as client:
        with capture_logs() as logs:
            with pytest.raises(openai.AuthenticationError) as failed:
                await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert "no-such-profile" not in failed.value.message
    assert any(line["event"] == "no_credentials" for line in logs)


async def test_models_are_chosen_by_alias_and_claude_ids_need_claudes_own_key(
    start_proxy: ProxyStarter, cloud: Clouds
) -> None:
    settings = settings_for(MODELS["vertex"], aliases={"gpt-4o-mini*": MODELS["bedrock"], "mine": MODELS["foundry"]})
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        for model in ("gpt-4o", "gpt-4o-mini", "mine", "claude-opus-4-8"):
            await client.chat.completions.create(model=model, messages=HELLO)
        assert [model.id async for model in client.models.list()] == ["mine"]
        assert (await client.models.retrieve("gpt-4o-mini")).id == "gpt-4o-mini"
    assert [asked.path.split("/")[1] for asked in cloud.asked] == ["v1", "model", "anthropic", "v1"]


@pytest.mark.parametrize(
    ("missing", "model", "sentence"),
    [
        ("AWS_REGION", MODELS["bedrock"], "AWS_REGION"),
        ("CLOUD_ML_REGION", MODELS["vertex"], "CLOUD_ML_REGION"),
        ("ANTHROPIC_VERTEX_PROJECT_ID", MODELS["vertex"], "ANTHROPIC_VERTEX_PROJECT_ID"),
        ("ANTHROPIC_FOUNDRY_API_KEY", MODELS["foundry"], "ANTHROPIC_FOUNDRY_API_KEY"),
        ("ANTHROPIC_AWS_WORKSPACE_ID", MODELS["aws"], "ANTHROPIC_AWS_WORKSPACE_ID"),
    ],
)
async def test_what_the_environment_lacks_is_said_at_the_start(
    cloud: Clouds, monkeypatch: pytest.MonkeyPatch, missing: str, model: str, sentence: str
) -> None:
    monkeypatch.delenv(missing)
    with pytest.raises(SettingsError) as refused:
        check_backends(settings_for(model))
    assert sentence in refused.value.problems[0]


async def test_a_backend_that_a_reload_names_is_opened_when_it_is_asked(
    start_proxy: ProxyStarter, cloud: Clouds
) -> None:
    async with start_proxy(REVERSE, settings=settings_for(MODELS["vertex"])) as proxy, client_of(proxy) as client:
        proxy.addon.apply(settings_for(MODELS["vertex"], aliases={"gpt-4o": MODELS["bedrock"]}))
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        await client.chat.completions.create(model="claude-opus-4-8", messages=HELLO)
    assert [asked.path.split("/")[1] for asked in cloud.asked] == ["model", "v1"]


async def test_a_batch_for_a_model_of_a_cloud_fails_and_says_why(start_proxy: ProxyStarter, cloud: Clouds) -> None:
    body = {"model": "gpt-4o", "messages": HELLO}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    async with start_proxy(REVERSE, settings=settings_for(MODELS["vertex"])) as proxy, client_of(proxy) as client:
        file = await client.files.create(file=("lines.jsonl", json.dumps(line).encode()), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        async with asyncio.timeout(60):
            while batch.status not in {"failed", "completed", "expired"}:
                await asyncio.sleep(0.05)
                batch = await client.batches.retrieve(batch.id)
    assert batch.status == "failed"
    assert batch.errors
    assert batch.errors.data
    assert batch.errors.data[0].message == "Google Vertex AI makes no batches here."
    assert cloud.asked == []

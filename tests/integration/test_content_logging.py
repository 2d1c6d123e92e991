"""What the log says of prompts and answers: nothing, unless the operator wants it, and never a key."""

import asyncio
import json
import re
from typing import Any

import httpx2
import pytest

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
KEY = "sk-proj-Zq7keyInAPrompt"
SCRIPT = json.dumps({"text": f"Zq7answer {KEY}"})
PROMPT = f"Zq7prompt {KEY} [[simulate: {SCRIPT}]]"
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": PROMPT}]}
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT),
    "chat_streamed": ("/v1/chat/completions", {**CHAT, "stream": True}),
    "two_choices": ("/v1/chat/completions", {**CHAT, "n": 2}),
    "response": ("/v1/responses", {"model": "gpt-4o", "input": PROMPT, "store": False}),
    "completion": ("/v1/completions", {"model": "gpt-4o", "prompt": PROMPT}),
    "messages": ("/v1/messages", {**CHAT, "model": "claude-sonnet-5-5", "max_tokens": 500}),
    "messages_streamed": ("/v1/messages", {**CHAT, "model": "claude-sonnet-5-5", "max_tokens": 500, "stream": True}),
    "background": ("/v1/responses", {"model": "gpt-4o", "input": PROMPT, "background": True}),
}


@pytest.fixture
def logged(start_proxy: ProxyStarter, simulation: RunningSimulation, capsys: pytest.CaptureFixture[str]):
    async def ask(content: str | None, name: str) -> tuple[list[dict[str, Any]], str]:
        """Return the lines of the exchange and the background, and all that was printed."""
        logging = {} if content is None else {"content": content}
        claude = {"api_key": "sk-ant-test-key", "base_url": simulation.base_url}
        settings = load_settings({"claude": claude, "logging": logging, "store": {"path": ":memory:"}})
        async with start_proxy(REVERSE, settings=settings) as proxy:
            path, body = REQUESTS[name]
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
                answer = await client.post(path, json=body)
                assert answer.status_code == 200, answer.text
            await _settled(proxy)
        printed = capsys.readouterr().out
        lines = [json.loads(line) for line in printed.splitlines()]
        return [line for line in lines if line["event"] in ("exchange", "background_response")], printed

    return ask


async def _settled(proxy: RunningProxy) -> None:
    assert proxy.addon._gateway is not None
    async with asyncio.timeout(60):
        while proxy.running or any(not response.done for response in proxy.addon._gateway.background.values()):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", REQUESTS)
async def test_by_default_the_log_says_nothing_of_them(logged, name: str) -> None:
    lines, printed = await logged(None, name)
    assert "Zq7" not in printed
    assert all(not {"prompt", "answer"} & line.keys() for line in lines)


@pytest.mark.parametrize("name", REQUESTS)
async def test_hash_tells_equal_ones_and_shows_none(logged, name: str) -> None:
    form = re.compile(r"\[REDACTED LENGTH=\d+ HASH=[0-9a-f]{8}\]")
    first, printed = await logged("hash", name)
    again, _ = await logged("hash", name)
    assert "Zq7" not in printed
    for field in ("prompt", "answer"):
        values = [line[field] for line in first if field in line]
        assert len(values) == 1
        assert form.fullmatch(values[0])
        assert values == [line[field] for line in again if field in line]


@pytest.mark.parametrize("name", REQUESTS)
async def test_full_shows_all_but_keys_and_warns_at_the_start(logged, name: str) -> None:
    lines, printed = await logged("full", name)
    prompt = "".join(line.get("prompt", "") for line in lines)
    answer = "".join(line.get("answer", "") for line in lines)
    assert "Zq7prompt [REDACTED] [[simulate" in prompt
    assert "Zq7answer [REDACTED]" in answer
    assert "Zq7keyInAPrompt" not in printed
    [warning] = [json.loads(line) for line in printed.splitlines() if '"content_logged"' in line]
    assert warning["level"] == "warning"

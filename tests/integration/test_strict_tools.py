"""Tools whose schemas Claude finds too complex to hold its calls to."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.contract.simulated_upstream import simulate
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
REFUSAL = {"type": "invalid_request_error", "message": "tools: Schema is too complex for compilation."}


def chat(text: str, strict: bool) -> tuple[str, dict[str, Any]]:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA, "strict": strict}}
    messages = [{"role": "user", "content": text}]
    return "/v1/chat/completions", {"model": "gpt-5", "messages": messages, "tools": [tool]}


def responses(text: str, strict: bool) -> tuple[str, dict[str, Any]]:
    tool = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": strict}
    return "/v1/responses", {"model": "gpt-5", "input": text, "tools": [tool]}


@pytest.fixture
async def proxy(start_proxy: ProxyStarter) -> AsyncIterator[RunningProxy]:
    async with start_proxy(REVERSE) as running:
        yield running


async def ask(proxy: RunningProxy, request: tuple[str, dict[str, Any]]) -> httpx2.Response:
    path, body = request
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
        return await client.post(path, json=body, headers={"authorization": "Bearer sk-one"})


def strict_tools(simulation: RunningSimulation) -> list[bool]:
    """Whether Claude was to hold its calls to the schema, in each request."""
    bodies = [entry.body for entry in simulation.journal if entry.path == "/v1/messages"]
    return [body["tools"][0].get("strict", False) for body in bodies]


@pytest.mark.parametrize("request_of", [chat, responses])
async def test_a_schema_that_is_too_complex_is_known_to_claude_but_not_held_to(
    proxy: RunningProxy, simulation: RunningSimulation, request_of: Any
) -> None:
    text = simulate(status=400, error=REFUSAL, times=1, id=request_of.__name__)
    answer = await ask(proxy, request_of(text, strict=True))
    assert answer.status_code == 200
    assert "tools.strict=degraded" in answer.headers["x-claude-proxy-warnings"]
    assert strict_tools(simulation) == [True, False]


@pytest.mark.parametrize("request_of", [chat, responses])
async def test_the_same_refusal_without_such_tools_is_the_clients(
    proxy: RunningProxy, simulation: RunningSimulation, request_of: Any
) -> None:
    answer = await ask(proxy, request_of(simulate(status=400, error=REFUSAL), strict=False))
    assert (answer.status_code, "too complex" in answer.json()["error"]["message"]) == (400, True)
    assert strict_tools(simulation) == [False]

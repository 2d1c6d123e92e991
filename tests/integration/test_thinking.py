"""Thinking that a stock client cannot carry survives its tool calls, and is given up without a word where it cannot."""

from typing import Any

import httpx2
import pytest

from addon.configuration.settings import load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.contract.simulated_upstream import simulate
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
HEAD = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the weather in Oslo?"}]


async def ask(proxy: RunningProxy, messages: list[dict[str, Any]], key: str = "sk-one") -> httpx2.Response:
    body = {"model": "gpt-5", "messages": messages, "tools": TOOLS}
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
        return await client.post("/v1/chat/completions", json=body, headers=headers)


async def turn(proxy: RunningProxy, messages: list[dict[str, Any]], key: str = "sk-one") -> list[dict[str, Any]]:
    """Ask once, and answer each tool call as a client does: the history for the next turn."""
    response = await ask(proxy, messages, key)
    assert response.status_code == 200, response.text
    message = response.json()["choices"][0]["message"]
    echoed = {"role": "assistant", "content": message["content"], "tool_calls": message["tool_calls"]}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "4 degrees"} for call in message["tool_calls"]]
    return [*messages, echoed, *results]


def sent(simulation: RunningSimulation) -> list[tuple[int, dict[str, Any]]]:
    return [(entry.status, entry.body) for entry in simulation.journal if entry.path == "/v1/messages"]


def thinking_in(body: dict[str, Any]) -> list[dict[str, Any]]:
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    return [block for content in contents for block in content if "thinking" in block["type"]]


@pytest.mark.parametrize(
    ("setting", "effort", "shown"),
    [
        ("asked", None, False),
        ("asked", "high", True),
        ("always", None, True),
        ("never", "high", False),
    ],
)
async def test_R6_thinking_is_summarised_only_for_whom_it_is_shown(
    start_proxy: ProxyStarter, simulation: RunningSimulation, setting: str, effort: str | None, shown: bool
) -> None:
    claude = {"api_key": "k", "base_url": simulation.base_url, "show_thinking": setting}
    async with start_proxy(REVERSE, settings=load_settings({"claude": claude})) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
            body = {"model": "gpt-5", "messages": HEAD, "reasoning_effort": effort}
            response = await client.post("/v1/chat/completions", json=body)
    assert ("reasoning_content" in response.json()["choices"][0]["message"]) is shown
    [(_, body)] = sent(simulation)
    assert (body.get("thinking", {}).get("display") == "summarized") is shown


async def test_R1_the_next_turn_carries_the_thinking_with_its_signature(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    async with start_proxy(REVERSE) as proxy:
        history = await turn(proxy, HEAD)
        assert (await ask(proxy, history)).status_code == 200
    [(_, first), (status, second)] = sent(simulation)
    assert thinking_in(first) == []
    [block] = thinking_in(second)
    assert block["signature"]
    assert status == 200
    assert second["messages"][1]["content"][0] == block


@pytest.mark.parametrize("each_with_its_result", [False, True], ids=["calls first", "each with its result"])
async def test_R5_calls_that_come_back_one_by_one_bring_the_thinking_once(
    start_proxy: ProxyStarter, simulation: RunningSimulation, each_with_its_result: bool
) -> None:
    calls = [
        {"type": "tool_use", "id": f"toolu_{city}", "name": "get_weather", "input": {"city": city}}
        for city in ("Oslo", "Rome")
    ]
    thought = {"type": "thinking", "thinking": "Both."}
    text = simulate("And where?", content=[thought, *calls], stop_reason="tool_use", times=1, id="parallel")
    head = [*HEAD[:1], {"role": "user", "content": text}]
    async with start_proxy(REVERSE) as proxy:
        *_, answer, first, second = await turn(proxy, head)
        one, two = ({"role": "assistant", "content": None, "tool_calls": [call]} for call in answer["tool_calls"])
        parts = [one, first, two, second] if each_with_its_result else [one, two, first, second]
        assert (await ask(proxy, [*head, *parts])).status_code == 200
    [_, (status, body)] = sent(simulation)
    assert status == 200
    assert [block["type"] for block in body["messages"][1]["content"]] == ["thinking", "tool_use", "tool_use"]
    assert [block["id"] for block in body["messages"][1]["content"][1:]] == ["toolu_Oslo", "toolu_Rome"]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "tool_result"]


async def test_thinking_bound_to_another_history_is_dropped_and_the_request_sent_once_more(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    async with start_proxy(REVERSE) as proxy:
        history = await turn(proxy, HEAD)
        edited = [{"role": "system", "content": "Be verbose."}, *history[1:]]
        response = await ask(proxy, edited)
        assert response.status_code == 200, response.text
        assert response.headers["x-claude-proxy-warnings"] == "messages=degraded"
    [_, (refused, bound), (accepted, free)] = sent(simulation)
    assert (refused, accepted) == (400, 200)
    assert thinking_in(bound)
    assert thinking_in(free) == []


async def test_a_restart_forgets_the_thinking_and_the_conversation_goes_on(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    async with start_proxy(REVERSE) as proxy:
        history = await turn(proxy, HEAD)
    async with start_proxy(REVERSE) as proxy:
        assert (await ask(proxy, history)).status_code == 200
    assert thinking_in(sent(simulation)[-1][1]) == []


async def test_another_key_is_not_given_the_thinking(start_proxy: ProxyStarter, simulation: RunningSimulation) -> None:
    async with start_proxy(REVERSE) as proxy:
        history = await turn(proxy, HEAD, "sk-one")
        assert (await ask(proxy, history, "sk-two")).status_code == 200
    assert thinking_in(sent(simulation)[-1][1]) == []


async def test_a_client_of_responses_that_leaves_the_reasoning_out_loses_no_thinking(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    tools = [{"type": "function", "name": "get_weather", "parameters": TOOLS[0]["function"]["parameters"]}]
    body: dict[str, Any] = {"model": "gpt-5", "input": [*HEAD], "tools": tools, "store": False}
    async with start_proxy(REVERSE) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
            output = (await client.post("/v1/responses", json=body)).json()["output"]
            [call] = [item for item in output if item["type"] == "function_call"]
            result = {"type": "function_call_output", "call_id": call["call_id"], "output": "4 degrees"}
            response = await client.post("/v1/responses", json={**body, "input": [*HEAD, call, result]})
    assert response.status_code == 200, response.text
    [_, (status, second)] = sent(simulation)
    [block] = thinking_in(second)
    assert block["signature"]
    assert status == 200

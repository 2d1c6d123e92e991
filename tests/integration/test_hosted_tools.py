"""Tools that Claude runs itself, with the stock client: code in a container, remote MCP servers."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import openai
import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.contract.simulated_upstream import simulate
from tests.integration.responses_api import check, client_of
from tests.integration.running_proxy import RunningProxy

CODE: Any = {"type": "code_interpreter", "container": {"type": "auto"}}
TOKEN = "mcp-token-of-the-client"
SERVER: Any = {
    "type": "mcp",
    "server_label": "docs",
    "server_url": "https://mcp.example.com/mcp",
    "authorization": TOKEN,
    "allowed_tools": ["ask_question"],
    "require_approval": "never",
}


def bodies(simulation: RunningSimulation) -> list[dict[str, Any]]:
    return [entry.body for entry in simulation.journal if entry.path == "/v1/messages" and entry.body]


async def test_code_is_run_streamed_and_goes_on_in_its_container(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        stream = await client.responses.create(
            model="gpt-5.5",
            input="Use code_execution.",
            tools=[CODE],
            stream=True,
            include=["code_interpreter_call.outputs"],
        )
        first = check([event async for event in stream])
        (call,) = [item for item in first["output"] if item["type"] == "code_interpreter_call"]
        assert call["outputs"] == [{"type": "logs", "logs": "simulated"}]
        second = await client.responses.create(
            model="gpt-5.5", input="Use code_execution again.", tools=[CODE], previous_response_id=first["id"]
        )
        again = next(item for item in second.output if item.type == "code_interpreter_call")
        assert again.container_id == call["container_id"]
        named = await client.responses.create(
            model="gpt-5.5", input="code_execution", tools=[{**CODE, "container": call["container_id"]}]
        )
        assert any(item.type == "code_interpreter_call" for item in named.output)
    before, after, last = bodies(simulation)
    assert "container" not in before
    assert after["container"].startswith("container_")
    assert after["container"] == last["container"]
    replayed = [block["type"] for block in after["messages"][1]["content"]]
    assert "bash_code_execution_tool_result" in replayed


async def test_S20_S21_a_paused_turn_goes_on_in_its_container(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    printed = {"type": "bash_code_execution_result", "stdout": "4", "stderr": "", "return_code": 0, "content": []}
    content = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "bash_code_execution", "input": {"command": "a"}},
        {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_1", "content": printed},
    ]
    text = simulate("Go.", content=content, stop_reason="pause_turn", times=1, id="paused")
    async with client_of(proxy) as client:
        answer = await client.responses.create(model="gpt-5.5", input=text, tools=[CODE])
    assert next(item.type for item in answer.output) == "code_interpreter_call"
    first, second = bodies(simulation)
    assert "container" not in first
    assert second["container"].startswith("container_")


async def test_S27_a_search_begun_beside_a_call_of_the_client_is_made_when_its_result_is_there(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "Oslo"}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {}}
    page = {"type": "web_search_result", "url": "https://example.com", "title": "A", "encrypted_content": "eA=="}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page]}
    said = {"type": "text", "text": "Four, and it rains."}
    script = [{"content": [search, call], "stop_reason": "tool_use"}, {"content": [found, said]}]
    tools: Any = [
        {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}, "strict": False},
        {"type": "web_search"},
    ]
    async with client_of(proxy) as client:
        ask = partial(client.responses.create, model="gpt-5.5", tools=tools)
        first = await ask(input=f"Go. [[simulate: {json.dumps(script)}]]")
        assert [item.type for item in first.output] == ["web_search_call", "reasoning", "function_call"]
        result: Any = {"type": "function_call_output", "call_id": "toolu_1", "output": "4"}
        second = await ask(input=[result], previous_response_id=first.id, include=["web_search_call.action.sources"])
        (shown,) = [item.to_dict() for item in second.output if item.type == "web_search_call"]
        assert shown["status"] == "completed"
        assert shown["action"] == {
            "type": "search",
            "query": "Oslo",
            "queries": ["Oslo"],
            "sources": [{"type": "url", "url": "https://example.com"}],
        }
        assert second.output_text == said["text"]
        await ask(input="Thanks.", previous_response_id=second.id)
    _, waiting, after = bodies(simulation)
    assert waiting["messages"][1]["content"] == [search, call]
    assert [block["type"] for block in waiting["messages"][2]["content"]] == ["tool_result"]
    assert after["messages"][:3] == waiting["messages"]
    assert after["messages"][3]["content"] == [found, said]


async def test_the_container_of_another_client_is_not_found(proxy: RunningProxy) -> None:
    async with client_of(proxy) as client:
        made = await client.responses.create(model="gpt-5.5", input="code_execution", tools=[CODE])
        call = next(item for item in made.output if item.type == "code_interpreter_call")
    async with client_of(proxy, "sk-two") as other:
        with pytest.raises(openai.NotFoundError, match="Container with id"):
            await other.responses.create(
                model="gpt-5.5", input="code_execution", tools=[{**CODE, "container": call.container_id}]
            )


async def test_a_remote_server_is_called_and_its_token_stays_with_claude(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client:
        first = await client.responses.create(model="gpt-5.5", input="Ask docs.", tools=[SERVER])
        call = next(item for item in first.output if item.type == "mcp_call")
        assert (call.name, call.server_label, call.output) == ("ask_question", "docs", "simulated")
        assert TOKEN not in first.to_json()
        stored = await client.responses.retrieve(first.id)
        assert TOKEN not in stored.to_json()
        second = await client.responses.create(
            model="gpt-5.5", input="Thanks.", tools=[SERVER], previous_response_id=first.id
        )
        assert second.status == "completed"
        counted = await client.responses.input_tokens.count(model="gpt-5.5", input="Hi", tools=[SERVER])
        assert counted.input_tokens > 0
    asked, again = bodies(simulation)
    assert asked["mcp_servers"][0]["authorization_token"] == TOKEN
    assert [block["type"] for block in again["messages"][1]["content"]].count("mcp_tool_result") == 1
    assert TOKEN.encode() not in b"".join(path.read_bytes() for path in _files_of_the_store(proxy))


def _files_of_the_store(proxy: RunningProxy) -> list[Path]:
    gateway = proxy.addon._gateway
    assert gateway is not None
    assert gateway.settings.store.path is not None
    return list(gateway.settings.store.path.parent.glob("store.sqlite3*"))

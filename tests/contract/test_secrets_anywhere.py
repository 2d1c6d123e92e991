"""Secrets where nobody should put them, and behind errors: what comes out of the proxy is searched for each.

`test_secrets.py` has those that stand where they belong.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.contract.proxy_process import CLAUDE_KEY, ProxyProcess, proxy_process
from tests.contract.simulated_upstream import SimulatedUpstream, simulate

APP_KEY = "sk-proj-Yx8keyOfTheApp_Yx8-0002"
KEY_IN_QUERY = "sk-proj-Yx8keyInAQuery_0003"
KEY_IN_PATH = "sk-proj-Yx8keyInAPath_0004"
KEY_AS_MODEL = "sk-proj-Yx8keyAsAModel_0005"
KEY_IN_FILE_NAME = "sk-proj-Yx8keyInAFileName_0006"
KEY_IN_ARGUMENTS = "sk-proj-Yx8keyInArguments_0007"
KEY_IN_ID = "sk-proj-Yx8keyInAnId_0008"
X_API_KEY = "Yx8xApiKeySecret0123456789"
PROXY_AUTHORIZATION = "Basic Yx8cHJveHk6c2VjcmV0"
MCP_TOKEN = "Yx8mcpTokenOfTheApp0123456789"
MCP_HEADER = "Yx8mcpHeaderOfTheApp0123456789"
CLIENTS = {
    "app": APP_KEY,
    "query": KEY_IN_QUERY,
    "path": KEY_IN_PATH,
    "model": KEY_AS_MODEL,
    "file_name": KEY_IN_FILE_NAME,
    "arguments": KEY_IN_ARGUMENTS,
    "id": KEY_IN_ID,
    "x_api_key": X_API_KEY,
    "proxy_authorization": PROXY_AUTHORIZATION,
    "mcp_token": MCP_TOKEN,
    "mcp_header": MCP_HEADER,
}
EGRESS_PASSWORD = "Yx8egressPassword0123456789"
REDIS_PASSWORD = "Yx8redisPassword0123456789"
STORE_SECRET = "Yx8storeSecret0123456789012345678901234567890123"
OPERATORS = {
    "claude": CLAUDE_KEY,
    "egress_password": EGRESS_PASSWORD,
    "redis_password": REDIS_PASSWORD,
    "store_secret": STORE_SECRET,
}

HEADERS = {
    "authorization": f"Bearer {APP_KEY}",
    "x-api-key": X_API_KEY,
    "proxy-authorization": PROXY_AUTHORIZATION,
    "x-request-id": APP_KEY,
    "openai-beta": APP_KEY,
    "user-agent": f"app/{APP_KEY}",
    "traceparent": APP_KEY,
}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
MCP = {
    "type": "mcp",
    "server_label": "docs",
    "server_url": "https://mcp.example.com/mcp",
    "authorization": MCP_TOKEN,
    "require_approval": "never",
}


@dataclass
class Left:
    """What came out of a proxy."""

    printed: str = ""
    flows: bytes = b""
    store: bytes = b""
    metrics: str = ""
    heads: list[str] = field(default_factory=list)
    """Headers of every answer."""
    errors: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def ask_everything(proxy: ProxyProcess, left: Left) -> None:
    def note(response: httpx2.Response) -> None:
        left.heads.append(repr(response.headers.raw))
        (left.errors if response.is_error else left.answers).append(response.text)

    call = {
        "id": KEY_IN_ID,
        "type": "function",
        "function": {"name": "look", "arguments": json.dumps({"k": KEY_IN_ARGUMENTS})},
    }
    history = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": KEY_IN_ID, "content": "ok"},
    ]
    mcp = {"model": "gpt-5.5", "input": "Hi", "tools": [MCP]}
    failing = simulate("Hi", status=401, error={"message": "invalid x-api-key"})
    for name in ("base_url", "https_proxy"):
        with proxy.way(name).http() as http:
            http.headers.update(HEADERS)
            for body in (
                {"model": KEY_AS_MODEL, "messages": [{"role": "user", "content": "Hi"}], "seed": 1},
                {"model": "gpt-4o", "messages": history, "tools": [TOOL]},
                {"model": "gpt-4o", "messages": [{"role": "user", "content": failing}]},
                {"model": "gpt-4o", "messages": "wrong"},
            ):
                note(http.post("/chat/completions", json=body))
                note(http.post("/chat/completions", json={**body, "stream": True}))
            note(http.post(f"/chat/completions?api_key={KEY_IN_QUERY}&api-version=1", json={"model": "x"}))
            note(http.post("/responses", json=mcp))
            note(http.post("/responses", json={**mcp, "tools": [{**MCP, "headers": {"x-token": MCP_HEADER}}]}))
            note(http.post("/responses", json={**mcp, "stream": True}))
            note(http.post("/responses", json={**mcp, "tools": [{**MCP, "server_url": 5}]}))
            note(http.post("/responses", json={**mcp, "background": True}))
            note(http.get(f"/responses/{KEY_IN_PATH}"))
            note(http.get(f"/models/{KEY_IN_PATH}"))
            if name == "base_url":
                note(http.get(f"/{KEY_IN_PATH}/{KEY_IN_PATH}?key={KEY_IN_QUERY}"))
            form = {"file": (f"{KEY_IN_FILE_NAME}.txt", b"x"), "purpose": (None, "wrong")}
            note(http.post("/files", files=form))
            note(http.get(f"/files?after={KEY_IN_PATH}"))
            note(
                http.post(
                    "/conversations",
                    json={"items": [{"type": "message", "role": "user", "content": MCP_TOKEN, "id": 5}]},
                )
            )
            note(http.post("/chat/completions", content=b"{" + MCP_TOKEN.encode()))
    with proxy.way("base_url").http() as http:
        left.metrics = http.get(f"{proxy.origin}/metrics").text


def run(folder: Path, confdir: Path, claude_url: str, **environment: str) -> Left:
    left = Left()
    flows, output = folder / "flows", folder / "output"
    given = {
        "LOG_LEVEL": "DEBUG",
        "CLAUDE_PROXY_MAX_RETRIES": "0",
        "CLAUDE_PROXY_STORE_PATH": str(folder / "store.sqlite3"),
        "CLAUDE_PROXY_SECRET": STORE_SECRET,
        **environment,
    }
    with proxy_process(confdir, output, claude_url, "-w", str(flows), "-v", environment=given) as proxy:
        ask_everything(proxy, left)
    left.printed, left.flows = output.read_text(), flows.read_bytes()
    left.store = b"".join(file.read_bytes() for file in folder.glob("store.sqlite3*"))
    return left


@pytest.fixture(scope="module")
def left(
    upstream_process: SimulatedUpstream, contract_confdir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Left]:
    return run(tmp_path_factory.mktemp("anywhere"), contract_confdir, upstream_process.base_url)


@pytest.fixture(scope="module")
def left_in_trouble(contract_confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Neither Claude nor the store can be reached, by ways that hold passwords."""
    return run(
        tmp_path_factory.mktemp("trouble"),
        contract_confdir,
        "https://claude.invalid",
        CLAUDE_PROXY_EGRESS_PROXY=f"http://me:{EGRESS_PASSWORD}@127.0.0.1:1",
        CLAUDE_PROXY_REDIS_URL=f"redis://me:{REDIS_PASSWORD}@127.0.0.1:1/0",
    )


def lines_with(secret: str, text: str) -> list[str]:
    return [line[:400] for line in text.splitlines() if secret in line]


def test_there_is_something_to_search(left: Left, left_in_trouble: Left) -> None:
    for each in (left, left_in_trouble):
        assert each.printed.count('"event":"exchange"') > 30
        assert len(each.errors) > 10
        assert len(each.flows) > 10_000
        assert "claude_proxy_requests_total" in each.metrics
    assert len(left.answers) > 15
    assert len(left.store) > 10_000
    assert any('"code":"upstream_unreachable"' in error for error in left_in_trouble.errors)
    assert any('"code":"store_unavailable"' in error for error in left_in_trouble.errors)


@pytest.mark.parametrize("secret", [*CLIENTS.values(), *OPERATORS.values()], ids=[*CLIENTS, *OPERATORS])
def test_no_secret_is_in_the_log_or_the_metrics_or_a_header(left: Left, left_in_trouble: Left, secret: str) -> None:
    for each in (left, left_in_trouble):
        assert lines_with(secret, each.printed) == []
        assert lines_with(secret, each.metrics) == []
        assert [head for head in each.heads if secret in head] == []


@pytest.mark.parametrize("secret", [*OPERATORS.values(), MCP_TOKEN, MCP_HEADER, APP_KEY, X_API_KEY], ids=ascii)
def test_no_secret_is_in_an_answer_or_an_error(left: Left, left_in_trouble: Left, secret: str) -> None:
    for each in (left, left_in_trouble):
        assert [text for text in (*each.errors, *each.answers) if secret in text] == []


@pytest.mark.parametrize(
    "secret", [*OPERATORS.values(), APP_KEY, X_API_KEY, PROXY_AUTHORIZATION, KEY_IN_QUERY], ids=ascii
)
def test_no_secret_is_in_a_saved_flow(left: Left, left_in_trouble: Left, secret: str) -> None:
    """What the body of a request or the path names is the request itself, which the operator asked to save."""
    assert secret.encode() not in left.flows
    assert secret.encode() not in left_in_trouble.flows


@pytest.mark.parametrize("secret", [*OPERATORS.values(), MCP_TOKEN, MCP_HEADER, APP_KEY, X_API_KEY], ids=ascii)
def test_no_secret_is_in_the_store(left: Left, secret: str) -> None:
    assert secret.encode() not in left.store

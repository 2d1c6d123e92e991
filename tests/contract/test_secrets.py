"""Keys, prompts and answers: in no log and no error; keys in no saved flow either; the app's own never with Claude.

One proxy, talkative, is asked in every way that could make it say too much, and everything that it left is searched.
"""

import base64
import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mitmproxy import http as mitmproxy_http
from mitmproxy import io as mitmproxy_io

from addon.configuration.client_keys import change_key_file, new_key
from tests.contract.proxy_process import CLAUDE_KEY, ProxyProcess, proxy_process
from tests.contract.real_host import RealHost, real_host
from tests.contract.simulated_upstream import SimulatedUpstream, simulate
from tests.contract.wiretap import Wiretap, wiretap

OPENAI_KEY = "sk-proj-Zq7secretOfTheApp_Zq7-0001"
AZURE_KEY = "0123456789abcdefZq7azureSecret"
COOKIE = "session=Zq7cookieSecret"
ORGANIZATION = "org-Zq7organization"
CLIENT_KEY, CLIENT_KEPT = new_key("Zq7client")
WRONG_KEY = "sk-claude-proxy-Zq7wrong"
OWN_KEY = "sk-ant-api03-Zq7ofAClient"
"""A client's own key for Claude: the only one of these that reaches Claude."""
PROXY_PASSWORD = base64.b64encode(b"app:Zq7password").decode()
CLIENT_SECRETS = (CLIENT_KEY, WRONG_KEY, PROXY_PASSWORD)
APP_SECRETS = (OPENAI_KEY, AZURE_KEY, "Zq7cookieSecret", ORGANIZATION)
KEYS = (*APP_SECRETS, *CLIENT_SECRETS, OWN_KEY, CLAUDE_KEY)
LEAKED_KEY = "sk-ant-api03-Zq7inAnErrorOfClaude"
"""A key that Claude's own errors name: what a careless gateway would say."""
PROMPT = "Zq7prompt-of-the-user"
ANSWER = "Zq7answer-of-claude"
THOUGHT = "Zq7thought-of-claude"
TOOL_RESULT = "Zq7result-of-a-tool"
CONTENT = (PROMPT, ANSWER, THOUGHT, TOOL_RESULT)


def name_of(secret: str) -> str:
    """Name a secret in the id of a test: the client's key is another one in each process that collects the tests."""
    return "client-key" if secret == CLIENT_KEY else secret


HEADERS = {
    "authorization": f"Bearer {OPENAI_KEY}",
    "api-key": AZURE_KEY,
    "cookie": COOKIE,
    "openai-organization": ORGANIZATION,
    "openai-project": ORGANIZATION,
}


@dataclass
class Left:
    """What a proxy left behind after all its requests."""

    printed: str
    flows: bytes
    to_claude: bytes
    errors: list[tuple[int, str]] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)


def bodies() -> list[dict[str, Any]]:
    """Make chat requests that end in each way there is."""
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {}}}}
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": json.dumps({"q": PROMPT})},
    }
    thinks = [{"type": "thinking", "thinking": THOUGHT}, {"type": "text", "text": ANSWER}]
    leaking = {"message": f"invalid key {LEAKED_KEY} of organization"}

    def chat(**script: Any) -> dict[str, Any]:
        return {"model": "gpt-4o", "messages": [{"role": "user", "content": simulate(PROMPT, **script)}]}

    answered = [
        chat(text=ANSWER),
        chat(content=thinks),
        {**chat(), "tools": [tool]},
        {
            "model": "gpt-4o",
            "messages": [
                {"role": "system", "content": PROMPT},
                {"role": "user", "content": PROMPT, "name": PROMPT},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": TOOL_RESULT},
            ],
            "tools": [tool],
            "user": PROMPT,
            "metadata": {"a": PROMPT},
            PROMPT: PROMPT,
        },
    ]
    failing = [
        chat(status=400, error=leaking),
        chat(status=401, error=leaking),
        chat(status=403, error=leaking),
        chat(status=429, error=leaking),
        chat(status=500, error=leaking),
        chat(raw="not an event stream"),
        chat(text=ANSWER * 20, error_after_events=8, error=leaking),
        chat(text=ANSWER * 20, cut_after_events=8),
        {**chat(), "temperature": PROMPT},
        {**chat(), "logprobs": True},
        {**chat(), "messages": PROMPT},
        {"messages": [{"role": "user", "content": PROMPT}]},
        {**chat(), "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": PROMPT}}]}]},
        {**chat(), "tools": [{"type": "function", "function": {"name": "x", "parameters": PROMPT}}]},
        {**chat(), "response_format": {"type": "json_schema", "json_schema": {"name": PROMPT, "schema": PROMPT}}},
    ]
    return [*answered, *failing]


def show_keys(proxy: ProxyProcess, left: Left) -> None:
    """Come with keys of the proxy's own, right and wrong ones, in each header, and with one for Claude."""
    for name in ("https_proxy", "base_url"):
        with proxy.way(name).http() as http:
            for key in (CLIENT_KEY, WRONG_KEY, OWN_KEY):
                for headers in ({"authorization": f"Bearer {key}"}, {"api-key": key}, {"x-api-key": key}):
                    http.headers = headers
                    for body in (bodies()[0], bodies()[5], {"model": PROMPT}):
                        response = http.post("/chat/completions", json=body)
                        if not response.is_success:
                            left.errors.append((response.status_code, response.text))
    with proxy.way("base_url").http() as http:
        messages = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": bodies()[0]["messages"]}
        for key in (CLIENT_KEY, WRONG_KEY, OWN_KEY):
            assert http.post("/messages", json=messages, headers={"x-api-key": key}).is_success
    for url in ("http://api.openai.com/v1/chat/completions", "http://127.0.0.1:9/private"):
        httpx2.post(url, json=bodies()[0], headers={"proxy-authorization": f"Basic {PROXY_PASSWORD}"}, **via(proxy))


def ask_in_vain(proxy: ProxyProcess, silent: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Ask a host that never answers for what is passed on. Returns both connections, open."""
    asking = socket.create_connection(("127.0.0.1", proxy.ports["regular"]))
    authority = f"localhost:{silent.getsockname()[1]}"
    head = f"POST http://{authority}/v1/embeddings HTTP/1.1\r\nhost: {authority}\r\nauthorization: Bearer {OPENAI_KEY}"
    asking.sendall(f"{head}\r\ncontent-length: 2\r\n\r\n{{}}".encode())
    asked, _ = silent.accept()
    assert OPENAI_KEY.encode() in asked.recv(65_536)
    return asking, asked


def via(proxy: ProxyProcess) -> dict[str, Any]:
    return {"proxy": proxy.proxy_url, "trust_env": False, "timeout": 20}


def ask_everything(proxy: ProxyProcess, host: RealHost, left: Left) -> None:
    for name in ("https_proxy", "base_url"):
        with proxy.way(name).http() as http:
            http.headers = HEADERS
            for body in bodies():
                for stream in (False, True):
                    response = http.post("/chat/completions", json={**body, "stream": stream})
                    # Claude's part of a stream that breaks is the client's own, the error at its end is ours.
                    text = response.text.rpartition('\n\ndata: {"error"')[2] if response.is_success else response.text
                    if '"error":' in response.text:
                        left.errors.append((response.status_code, text))
            for broken in (PROMPT.encode(), b'{"' + PROMPT.encode() + b'": ', b"\xff" + PROMPT.encode()):
                response = http.post("/chat/completions", content=broken)
                left.errors.append((response.status_code, response.text))
            for path in ("/models", "/models/claude-opus-5-5", "/nowhere"):
                if name == "base_url" or "nowhere" not in path:
                    response = http.get(path)
                    if path == "/nowhere":
                        left.errors.append((response.status_code, response.text))
            if name == "https_proxy":
                url = "https://acme.openai.azure.com/openai/deployments/x/chat/completions?api-version=1"
                assert http.post(url, json=bodies()[0]).status_code == 200
                http.post(f"{host.base_url()}/embeddings", json={"input": "public"})
    left.passed = [received.headers["authorization"] for received in host.received]


@pytest.fixture(scope="module")
def left(
    upstream_process: SimulatedUpstream, contract_confdir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("secrets")
    flows, output = folder / "flows", folder / "output"
    tap: Wiretap
    with (
        wiretap(upstream_process.base_url) as tap,
        real_host() as host,
        socket.create_server(("127.0.0.1", 0)) as silent,
        contextlib.ExitStack() as open_to_the_end,
    ):
        talkative = ("-w", str(flows), "-v")
        environment = {
            "LOG_LEVEL": "DEBUG",
            "ANTHROPIC_API_KEY": CLAUDE_KEY,
            "CLAUDE_PROXY_MAX_RETRIES": "0",
            "CLAUDE_PROXY_HOSTS": "api.openai.com,*.openai.azure.com,localhost",
            "CLAUDE_PROXY_KEY_FILE": str(folder / "keys.json"),
            "CLAUDE_PROXY_ALLOW_ANONYMOUS": "true",
            "CLAUDE_PROXY_BRING_YOUR_OWN_KEY": "true",
            "CLAUDE_PROXY_STORE_PATH": ":memory:",
        }
        change_key_file(folder / "keys.json", lambda _: [CLIENT_KEPT])
        with proxy_process(contract_confdir, output, tap.base_url, *talkative, environment=environment) as proxy:
            found = Left("", b"", b"")
            ask_everything(proxy, host, found)
            show_keys(proxy, found)
            for each in ask_in_vain(proxy, silent):
                open_to_the_end.enter_context(each)
        found.printed, found.flows, found.to_claude = output.read_text(), flows.read_bytes(), bytes(tap.heard)
    return found


def test_the_log_tells_of_every_exchange(left: Left) -> None:
    """So that the searches below search something."""
    lines = [json.loads(line) for line in left.printed.splitlines() if line.startswith("{")]
    exchanges = [line for line in lines if line.get("event") == "exchange"]
    assert len(exchanges) >= 2 * 2 * len(bodies())
    assert {"ok", "client_error", "upstream_error"} <= {line["outcome"] for line in exchanges}
    assert len(left.errors) > 50


@pytest.mark.parametrize("secret", [*KEYS, LEAKED_KEY], ids=name_of)
def test_no_key_is_in_the_log(left: Left, secret: str) -> None:
    assert lines_with(secret, left.printed) == []


@pytest.mark.parametrize("content", CONTENT)
def test_no_content_is_in_the_log(left: Left, content: str) -> None:
    assert lines_with(content, left.printed) == []


@pytest.mark.parametrize("secret", [*KEYS, LEAKED_KEY, *CONTENT], ids=name_of)
def test_no_key_and_no_content_is_in_an_error(left: Left, secret: str) -> None:
    assert [(status, text) for status, text in left.errors if secret in text] == []


@pytest.mark.parametrize("secret", KEYS, ids=name_of)
def test_no_key_is_in_a_saved_flow(left: Left, secret: str) -> None:
    assert secret.encode() not in left.flows


def test_the_saved_flows_show_what_was_asked_and_answered(left: Left, tmp_path: Path) -> None:
    file = tmp_path / "flows"
    file.write_bytes(left.flows)
    with file.open("rb") as saved:
        flows = [flow for flow in mitmproxy_io.FlowReader(saved).stream() if isinstance(flow, mitmproxy_http.HTTPFlow)]
    chats = [flow for flow in flows if flow.request.path.endswith("/chat/completions")]
    assert len(chats) >= 2 * 2 * len(bodies())
    assert {flow.request.headers.get("authorization") for flow in chats} == {"[redacted]", None}
    assert any(ANSWER in (flow.response.get_text() or "") for flow in chats if flow.response)


def test_E13_nothing_of_the_apps_own_reaches_claude(left: Left) -> None:
    assert left.to_claude.count(CLAUDE_KEY.encode()) > 50
    assert PROMPT.encode() in left.to_claude
    assert left.to_claude.count(OWN_KEY.encode()) > 5
    for secret in (*APP_SECRETS, *CLIENT_SECRETS):
        assert secret.encode() not in left.to_claude


def test_claudes_key_reaches_nobody_else_and_the_apps_key_its_own_host(left: Left) -> None:
    assert left.passed == [f"Bearer {OPENAI_KEY}"]


def lines_with(secret: str, text: str) -> list[str]:
    return [line for line in text.splitlines() if secret in line]

"""What an operator configures: none of it comes out, by whatever is printed, answered, stored, counted or traced.

`test_secrets_anywhere.py` has the secrets that clients put into odd places of an HTTP request. Here everything is
configured at once, much of it does not work, and one request runs into an error of the proxy's own.
"""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from addon.configuration.client_keys import change_key_file, new_key
from tests.contract.proxy_process import ROOT, ProxyProcess, proxy_process
from tests.contract.simulated_upstream import SimulatedUpstream

CLIENT_KEY, CLIENT_KEPT = new_key("Wv5client")
OTHER_KEY, OTHER_KEPT = new_key("Wv5other")
WRONG_KEY = "sk-claude-proxy-Wv5wrongKeyOfAClient0123456789"
SECRETS = {
    "claude": "sk-ant-api03-Wv5claudeKey0123456789",
    "store_secret": "Wv5storeSecret0123456789012345678901234567890123",
    "redis": "Wv5redisPassword0123456789",
    "limits_redis": "Wv5limitsRedisPassword0123456789",
    "egress_proxy": "Wv5egressPassword0123456789",
    "backend_key": "Wv5keyOfAnotherBackend0123456789",
    "backend_url": "Wv5passwordInABackendsUrl0123456789",
    "backend_proxy": "Wv5passwordOfABackendsProxy0123456789",
    "aws_key": "Wv5awsSecretAccessKey0123456789",
    "aws_session": "Wv5awsSessionToken0123456789",
    "foundry": "Wv5foundryKey0123456789",
    "otlp": "Wv5otlpHeaderSecret0123456789",
    "client": CLIENT_KEY,
    "other_client": OTHER_KEY,
    "wrong_client": WRONG_KEY,
}
"""Those of the operator, and the keys that clients come with."""
ODD = {
    "socket_message": "sk-proj-Wv5inASocketMessage0001",
    "socket_query": "sk-proj-Wv5inASocketsQuery0002",
    "socket_protocol": "sk-proj-Wv5inASocketsProtocol0003",
    "batch_line": "sk-proj-Wv5inABatchLine0004",
    "header_name": "sk-proj-wv5inaheadersname0005",
    "form_field": "sk-proj-Wv5inAFormsField0006",
    "tool_name": "sk-proj-Wv5inAToolsName0007",
    "user": "sk-proj-Wv5inAUserField0008",
    "model": "claude-sk-proj-Wv5inAModel0009",
    "metadata": "sk-proj-Wv5inMetadata0010",
}
"""Keys of clients where none should be: part of what was asked, and in no log, metric or trace all the same."""
UNREACHABLE = "127.0.0.1:1"
CRASH = f"""
import addon.endpoints.models

async def crash(exchange):
    raise RuntimeError("failed with {SECRETS["claude"]} and Bearer {SECRETS["foundry"]} at http://me:{SECRETS["redis"]}@x")

import addon.interception.answers
from addon.routing import Endpoint
addon.interception.answers.ANSWERS = {{**addon.interception.answers.ANSWERS, Endpoint.MODEL: crash}}
import addon.interception.claiming
addon.interception.claiming.ANSWERS = addon.interception.answers.ANSWERS
"""
"""A script of mitmproxy's that breaks one endpoint, with an exception that tells too much."""


@dataclass
class Left:
    """What came out of a proxy, and of the commands that read its settings."""

    printed: str = ""
    flows: bytes = b""
    store: bytes = b""
    traces: bytes = b""
    answers: list[str] = field(default_factory=list)
    """Heads and bodies of answers, messages of WebSockets."""
    commands: str = ""

    @property
    def texts(self) -> dict[str, str]:
        """All of it but what holds the requests themselves."""
        return {"log": self.printed, "traces": self.traces.decode("latin-1"), "commands": self.commands}


@contextmanager
def collector(received: list[bytes]) -> Iterator[str]:
    """Take traces as OpenTelemetry's collectors do."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def environment(folder: Path, traces: str) -> dict[str, str]:
    backends = {
        "/v1/embeddings": {"base_url": f"http://{UNREACHABLE}/v1", "api_key": SECRETS["backend_key"]},
        "/v1/images/*": {
            "base_url": f"http://me:{SECRETS['backend_url']}@{UNREACHABLE}/v1",
            "proxy": f"http://me:{SECRETS['backend_proxy']}@{UNREACHABLE}",
        },
    }
    return {
        "LOG_LEVEL": "DEBUG",
        "ANTHROPIC_API_KEY": SECRETS["claude"],
        "CLAUDE_PROXY_MAX_RETRIES": "0",
        "CLAUDE_PROXY_DRAIN_TIMEOUT": "2",
        "CLAUDE_PROXY_STORE_PATH": str(folder / "store.sqlite3"),
        "CLAUDE_PROXY_SECRET": SECRETS["store_secret"],
        "CLAUDE_PROXY_KEY_FILE": str(folder / "keys.json"),
        "CLAUDE_PROXY_LIMITS_REDIS_URL": f"redis://me:{SECRETS['limits_redis']}@{UNREACHABLE}/0",
        "CLAUDE_PROXY_OTHER_BACKENDS": json.dumps(backends),
        "CLAUDE_PROXY_ALIASES": "in-bedrock=bedrock:us.anthropic.claude-opus-5-5,in-foundry=foundry:claude-opus-5-5",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIAWV5ACCESSKEYID",
        "AWS_SECRET_ACCESS_KEY": SECRETS["aws_key"],
        "AWS_SESSION_TOKEN": SECRETS["aws_session"],
        "ANTHROPIC_BEDROCK_BASE_URL": f"http://{UNREACHABLE}",
        "ANTHROPIC_FOUNDRY_API_KEY": SECRETS["foundry"],
        "ANTHROPIC_FOUNDRY_BASE_URL": f"http://{UNREACHABLE}/anthropic",
        "CLAUDE_PROXY_TRACES": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {SECRETS['otlp']}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "NO_COLOR": "1",
    }


def ask_everything(proxy: ProxyProcess, left: Left) -> None:
    def note(response: httpx2.Response) -> None:
        left.answers.append(f"{response.headers.raw!r}\n{response.text}")

    hello = [{"role": "user", "content": "Hi"}]
    tool = {"type": "function", "function": {"name": ODD["tool_name"], "parameters": {"type": "object"}}}
    odd = {"tools": [tool], "user": ODD["user"], "metadata": {"key": ODD["metadata"]}, "safety_identifier": ODD["user"]}
    for way in ("base_url", "https_proxy"):
        with proxy.way(way).http() as http:
            for key in (CLIENT_KEY, OTHER_KEY, WRONG_KEY):
                http.headers["authorization"] = f"Bearer {key}"
                for model in ("gpt-4o", "in-bedrock", "in-foundry", ODD["model"]):
                    note(http.post("/chat/completions", json={"model": model, "messages": hello, **odd}))
                    note(http.post("/responses", json={"model": model, "input": "Hi", "user": ODD["user"]}))
                note(http.post("/completions", json={"model": "gpt-4o", "prompt": "Hi", "user": ODD["user"]}))
                note(http.get("/models/anything"))
                note(http.get("/models", headers={ODD["header_name"]: "x"}))
                if way == "base_url":
                    note(http.post("/embeddings", json={"model": "x", "input": "x"}))
                    note(http.post("/images/generations", json={"prompt": "x"}))
            http.headers["authorization"] = f"Bearer {CLIENT_KEY}"
            line = {
                "custom_id": ODD["batch_line"],
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": {"model": "gpt-4o", "messages": hello, "api_key": ODD["batch_line"]},
            }
            form: dict[str, Any] = {"file": ("lines.jsonl", json.dumps(line).encode()), "purpose": (None, "batch")}
            made = http.post("/files", files={**form, ODD["form_field"]: (None, ODD["form_field"])})
            note(made)
            batch = {
                "input_file_id": made.json().get("id"),
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
            }
            note(http.post("/batches", json=batch))
    ask_over_websockets(proxy, left)
    note(httpx2.get(f"{proxy.origin}/metrics", trust_env=False))


def ask_over_websockets(proxy: ProxyProcess, left: Left) -> None:
    url = f"ws://127.0.0.1:{proxy.ports['reverse']}/v1/responses"
    messages = [
        {"type": "response.create", "model": "gpt-4o", "input": "Hi", "user": ODD["socket_message"], "store": False},
        {"type": "response.create", "model": ODD["socket_message"], "api_key": ODD["socket_message"]},
        {"type": ODD["socket_message"]},
    ]
    for headers in ({"authorization": f"Bearer {CLIENT_KEY}"}, {"authorization": f"Bearer {WRONG_KEY}"}, {}):
        try:
            with connect(f"{url}?api_key={ODD['socket_query']}", additional_headers=headers, proxy=None) as socket:
                for message in (json.dumps(messages[0]), json.dumps(messages[1]), json.dumps(messages[2])[:-1]):
                    socket.send(message)
                    while json.loads(told := str(socket.recv(10)))["type"] not in ("response.completed", "error"):
                        left.answers.append(told)
                    left.answers.append(told)
        except WebSocketException:
            continue
    protocols: Any = ["realtime", f"openai-insecure-api-key.{ODD['socket_protocol']}"]
    with pytest.raises(WebSocketException):
        connect(url, subprotocols=protocols, proxy=None)


def run_commands(given: dict[str, str], folder: Path) -> str:
    """Run what reads the settings and says something of them."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    said = ""
    broken = folder / "broken.json"
    broken.write_text(
        json.dumps(
            {
                "other_backends": {
                    "/v1/x": {
                        "base_url": f"ftp://me:{SECRETS['backend_url']}@x",
                        "api_key": f"{SECRETS['backend_key']}\n",
                        "more": SECRETS["backend_key"],
                    }
                }
            }
        )
    )
    trouble = {
        "CLAUDE_PROXY_REDIS_URL": f"redis://me:{SECRETS['redis']}@{UNREACHABLE}/0",
        "CLAUDE_PROXY_EGRESS_PROXY": f"http://me:{SECRETS['egress_proxy']}@{UNREACHABLE}",
    }
    no_redis = {"CLAUDE_PROXY_REDIS_URL": f"http://me:{SECRETS['redis']}@x"}
    no_proxy = {"CLAUDE_PROXY_EGRESS_PROXY": f"ftp://me:{SECRETS['egress_proxy']}@x"}
    runs: tuple[tuple[list[str], dict[str, str]], ...] = (
        (["config", "show"], trouble),
        (["config", "show", "--json"], trouble),
        (["config", "check"], trouble),
        (["config", "check"], no_redis),
        (["config", "check"], no_proxy),
        (["config", "check", "--config", str(broken)], {"CLAUDE_PROXY_OTHER_BACKENDS": ""}),
        (["doctor"], trouble),
        (["keys", "list"], {}),
    )
    for command, more in runs:
        ended = subprocess.run(
            [sys.executable, "-m", "addon.commands.cli", *command],
            check=False,
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(ROOT), **given, **more},
            capture_output=True,
            text=True,
            timeout=60,
        )
        said += f"$ {' '.join(command)}\n{ended.stdout}{ended.stderr}"
    return said


@pytest.fixture(scope="module", params=["json", "console"])
def left(
    request: pytest.FixtureRequest,
    upstream_process: SimulatedUpstream,
    contract_confdir: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Left:
    folder = tmp_path_factory.mktemp(f"operator-{request.param}")
    left, received = Left(), []
    crash = folder / "crash.py"
    crash.write_text(CRASH)
    change_key_file(folder / "keys.json", lambda _: [CLIENT_KEPT, OTHER_KEPT])
    with collector(received) as traces:
        given = {
            **environment(folder, traces),
            "CLAUDE_PROXY_LOG_FORMAT": request.param,
        }
        output, flows = folder / "output", folder / "flows"
        arguments = ("-w", str(flows), "-v", "-s", str(crash))
        with proxy_process(contract_confdir, output, upstream_process.base_url, *arguments, environment=given) as proxy:
            ask_everything(proxy, left)
        if request.param == "json":
            left.commands = run_commands(given, folder)
    left.printed, left.flows, left.traces = output.read_text(), flows.read_bytes(), b"".join(received)
    left.store = b"".join(file.read_bytes() for file in folder.glob("store.sqlite3*"))
    return left


def lines_with(secret: str, text: str) -> list[str]:
    return [line[:400] for line in text.splitlines() if secret in line]


def test_there_is_something_to_search(left: Left) -> None:
    for said in ("exchange_failed", "RuntimeError", "upstream_unreachable"):
        assert said in left.printed, said
    assert left.printed.count("exchange") > 50
    assert len(left.answers) > 60
    assert any('"code":"invalid_api_key"' in answer for answer in left.answers)
    assert any('"type":"response.completed"' in answer for answer in left.answers)
    assert b"claude_proxy.endpoint" in left.traces
    assert len(left.flows) > 10_000
    assert len(left.store) > 10_000


@pytest.mark.parametrize("secret", [*SECRETS.values(), *ODD.values()], ids=[*SECRETS, *ODD])
def test_no_secret_is_in_the_log_or_a_trace_or_what_a_command_prints(left: Left, secret: str) -> None:
    found = {where: lines_with(secret, text) for where, text in left.texts.items()}
    assert {where: lines for where, lines in found.items() if lines} == {}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_no_secret_of_the_operator_is_in_an_answer_a_saved_flow_or_the_store(left: Left, secret: str) -> None:
    assert [answer for answer in left.answers if secret in answer] == []
    assert secret.encode() not in left.flows
    assert secret.encode() not in left.store

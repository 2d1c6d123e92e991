"""compose.yaml as it is, under a real Docker: who may do what, what Prometheus sees, what Valkey keeps, how it ends."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
import yaml

from tests.deploy.cluster import DEPLOY
from tests.deploy.docker import COMPOSE, Docker, running_docker
from tests.deploy.image import LONG_TEXT, STALLING, Engine, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(1200)  # the first one makes a Debian and builds the images

PROXY, PROMETHEUS = "http://127.0.0.1:8000", "http://127.0.0.1:9090"
SIMULATING = {"CLAUDE_PROXY_SIMULATE": "true"}
UP = ("up", "--detach", "--no-build", "--pull=never")
GRAFANA_FILES = "/etc/grafana/provisioning"


@pytest.fixture(scope="module")
def docker(engine: Engine) -> Iterator[Docker]:
    with running_docker(engine) as docker:
        yield docker


@pytest.fixture(scope="module")
def stack(docker: Docker) -> Iterator[Docker]:
    """All of compose.yaml but Valkey, with the proxy ready; this thread reaches what it publishes."""
    with docker.network():
        docker.compose(*UP, **SIMULATING)
        wait_until(is_ready)
        yield docker
        docker.compose("--profile=valkey", "down", "--volumes")


@pytest.fixture(scope="module")
def client(stack: Docker) -> Iterator[openai.OpenAI]:
    key = stack.compose("exec", "proxy", "claude-proxy", "keys", "add", "ci")
    with openai.OpenAI(
        base_url=f"{PROXY}/v1",
        api_key=key,
        max_retries=0,
        timeout=30,
        http_client=openai.DefaultHttpx2Client(trust_env=False),
    ) as client:
        yield client


def is_ready() -> bool:
    with contextlib.suppress(httpx2.TransportError):
        return httpx2.get(f"{PROXY}/health/ready", trust_env=False).status_code == 200
    return False


def prometheus(path: str, **parameters: str) -> Any:
    """Ask its API, which may not have started yet."""
    with contextlib.suppress(httpx2.TransportError):
        answer = httpx2.get(f"{PROMETHEUS}/api/v1/{path}", params=parameters, trust_env=False)
        if answer.status_code == 200:
            return answer.json()["data"]
    return {}


def answered() -> dict[str, str]:
    """How many requests Prometheus has seen end well, by endpoint."""
    query = 'sum by (endpoint) (claude_proxy_requests_total{outcome="ok"})'
    found = prometheus("query", query=query).get("result", ())
    return {result["metric"]["endpoint"]: result["value"][1] for result in found}


@pytest.mark.parametrize("service", ["proxy", "exporter"])
def test_a_container_of_ours_has_no_rights_and_writes_where_it_has_to_alone(stack: Docker, service: str) -> None:
    assert stack.compose("exec", service, "id", "--user") == "10001"
    status = stack.compose("exec", service, "cat", "/proc/1/status").splitlines()
    of_first = {name: value.strip() for name, _, value in (line.partition(":") for line in status)}
    assert of_first["Name"] == "docker-init"
    assert {of_first[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert of_first["NoNewPrivs"] == "1"

    refused = stack.ended(*COMPOSE, "exec", service, "touch", "/opt/claude-proxy/x")
    assert (refused.returncode, "Read-only file system" in refused.stderr) == (1, True)
    stack.compose("exec", service, "touch", "/tmp/x")
    shared = ("/run/claude-proxy-metrics",)
    assert stack.compose("exec", service, "stat", "--format=%u %g %a", *shared) == "10001 10001 700"
    assert stack.compose("exec", service, "stat", "--file-system", "--format=%T", *shared) == "tmpfs"


def test_grafana_would_be_given_the_dashboard_and_a_prometheus_that_answers(stack: Docker) -> None:
    def read(path: str) -> str:
        return stack.compose("exec", "grafana", "cat", path)

    assert stack.compose("exec", "grafana", "id", "--user") == "472"
    [source] = yaml.safe_load(read(f"{GRAFANA_FILES}/datasources/prometheus.yaml"))["datasources"]
    asking = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).status)"
    assert stack.compose("exec", "grafana", "python", "-c", asking, f"{source['url']}/-/ready") == "200"
    [provider] = yaml.safe_load(read(f"{GRAFANA_FILES}/dashboards/claude-proxy.yaml"))["providers"]
    [dashboard] = stack.compose("exec", "grafana", "find", provider["options"]["path"], "-type", "f").splitlines()
    assert json.loads(read(dashboard)) == json.loads((DEPLOY / "grafana/dashboard.json").read_text())


def test_ports_are_published_on_this_machine_alone(stack: Docker) -> None:
    gateway = "{{(index .IPAM.Config 0).Gateway}}"
    outside = stack.run("docker", "network", "inspect", f"--format={gateway}", "claude-proxy_default")
    for port in (3000, 8000, 9090):
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"http://{outside}:{port}/", trust_env=False)


def test_prometheus_counts_what_clients_were_answered_and_knows_the_alerts(
    stack: Docker, client: openai.OpenAI
) -> None:
    for _ in range(3):
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hello"}])
    wait_until(lambda: answered().get("chat_completions") == "3")
    [target] = prometheus("targets")["activeTargets"]
    assert (target["scrapeUrl"], target["health"]) == ("http://exporter:9464/metrics", "up")

    written = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"]
    names = [rule["alert"] for group in written for rule in group["rules"]]

    def rules() -> list[dict[str, Any]]:
        return [rule for group in prometheus("rules")["groups"] for rule in group["rules"]]

    wait_until(lambda: {rule["health"] for rule in rules()} == {"ok"})
    assert [rule["name"] for rule in rules()] == names
    assert stack.compose("exec", "prometheus", "find", "/prometheus/wal", "-name", "00000000")


def test_docker_finds_our_containers_healthy(stack: Docker) -> None:
    for service in ("proxy", "exporter"):
        health = ("docker", "inspect", "--format={{.State.Health.Status}}", f"claude-proxy-{service}-1")
        wait_until(lambda asked=health: stack.run(*asked) == "healthy")


def test_with_valkey_a_stored_response_outlives_the_proxy(stack: Docker, client: openai.OpenAI) -> None:
    with_valkey = {**SIMULATING, "CLAUDE_PROXY_REDIS_URL": "redis://valkey:6379/0"}
    stack.compose("--profile=valkey", *UP, **with_valkey)
    wait_until(is_ready)
    stored = client.responses.create(model="gpt-4o", input="Hello")

    stack.compose("--profile=valkey", *UP, "--force-recreate", "proxy", "valkey", **with_valkey)
    wait_until(is_ready)
    assert client.responses.retrieve(stored.id).output_text == stored.output_text
    stack.compose("--profile=valkey", "exec", "valkey", "valkey-cli", "flushall")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(stored.id)


def test_a_stop_lets_answers_end_and_our_containers_in_peace(stack: Docker, client: openai.OpenAI) -> None:
    streaming = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": STALLING}], stream=True
    )
    while not (opening := next(streaming).choices[0].delta.content):
        pass
    with subprocess.Popen(stack.command(*COMPOSE, "stop"), stderr=subprocess.DEVNULL) as stopping:
        pieces = [opening, *(chunk.choices[0].delta.content or "" for chunk in streaming)]
    assert (stopping.returncode, "".join(pieces)) == (0, LONG_TEXT)
    for name in ("claude-proxy-proxy-1", "claude-proxy-exporter-1"):
        assert stack.run("docker", "inspect", "--format={{.State.Status}} {{.State.ExitCode}}", name) == "exited 0"

"""Every command of README.md, docs/ and deploy/ is run: here as it stands, by another test, or at least looked at."""

import ast
import hashlib
import itertools
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import pytest
from mitmproxy.certs import CertStore

from addon.configuration.settings import load_settings
from tests.documents.commands import ROOT, Block, blocks, documented
from tests.documents.sandbox import ANSWERED, Sandbox

# How the commands that are run here are run. What a reader fills in is filled in, and ports are free ones.

BASE_URL = "OPENAI_BASE_URL=http://localhost:8000/v1 OPENAI_API_KEY=unused python app.py"
PROXIED = "HTTPS_PROXY=http://localhost:8080 SSL_CERT_FILE=~/.mitmproxy/mitmproxy-ca-cert.pem python app.py"
LISTENS = r"Claude Proxy listens: OPENAI_BASE_URL=http://\S+:(\d+)/v1"
KEY = re.compile(r"sk-claude-proxy-\S+\n")


def serve_an_app(sandbox: Sandbox, serve: str, app: str) -> None:
    with sandbox.started(serve, LISTENS) as [port]:
        assert ANSWERED in sandbox.run(app.replace("8000", port))


def lead_an_app_through(sandbox: Sandbox, mitmdump: str, app: str) -> None:
    configuration = sandbox.home / ".mitmproxy/config.yaml"
    configuration.write_text("listen_port: 0\n")
    with sandbox.started(mitmdump, r"proxy listening at \S+:(\d+)") as [port]:
        assert ANSWERED in sandbox.run(app.replace("8080", port))


def run_an_app(sandbox: Sandbox, command: str) -> None:
    assert ANSWERED in sandbox.run(command)


def give_out_keys(sandbox: Sandbox, add: str, serve: str) -> None:
    key = sandbox.run(add)
    assert KEY.fullmatch(key)
    with sandbox.started(serve, LISTENS) as [port]:
        assert status_of(port, "/v1/models") == HTTPStatus.UNAUTHORIZED
        assert ANSWERED in sandbox.run(BASE_URL.replace("8000", port).replace("unused", key.strip()))


def keep_keys(sandbox: Sandbox, add: str, show: str, revoke: str) -> None:
    sandbox.run(add)
    assert re.match(r"ci\b.*gpt-4o\*", sandbox.run(show))
    sandbox.run(revoke)
    assert sandbox.run(show).startswith("ci\trevoked")


def add_a_key_with_a_digest(sandbox: Sandbox, add: str, digest: str) -> None:
    key = sandbox.run(add.replace("NAME", "cached")).strip()
    kept = (sandbox.home / ".local/state/claude-proxy/keys.json").read_text()
    assert sandbox.run(digest, KEY=key).split()[0] in kept


def give_keys_to_many(sandbox: Sandbox, assignment: str) -> None:
    sha256 = hashlib.sha256(b"sk-a-key").hexdigest()
    shown = sandbox.run(f"{assignment.replace('...', sha256)} claude-proxy config show --json")
    assert [key["sha256"] for key in json.loads(shown)["access.keys"]["value"]] == [sha256]


def find_nothing_wrong(sandbox: Sandbox, command: str) -> None:
    lines = sandbox.run(command).splitlines()
    assert lines
    assert all(line.startswith("ok ") for line in lines), lines


def show_settings(sandbox: Sandbox, command: str) -> None:
    shown = sandbox.run(command)
    assert "server.port = 0  (environment" in shown
    assert 'server.host = "127.0.0.1"  (default)' in shown


def check_a_file(sandbox: Sandbox, command: str) -> None:
    (sandbox.clone / "mine.toml").write_text("[server]\nport = 1\n")
    assert "can be used" in sandbox.run(command.replace("[FILE]", "mine.toml"))
    assert "can be used" in sandbox.run(command.replace("[FILE]", ""))


def describe_settings(sandbox: Sandbox, command: str) -> None:
    assert "claude" in json.loads(sandbox.run(command))["properties"]


def serve_bedrock(sandbox: Sandbox, command: str) -> None:
    of_bedrock = {"AWS_REGION": "us-east-1", "AWS_BEARER_TOKEN_BEDROCK": "bedrock-api-key"}
    with sandbox.started(command, LISTENS, CLAUDE_PROXY_SIMULATE="false", **of_bedrock) as [port]:
        assert status_of(port, "/health") == HTTPStatus.OK


def serve_models(sandbox: Sandbox, command: str) -> None:
    with sandbox.started(command, LISTENS) as [port]:
        assert status_of(port, "/v1/models") == HTTPStatus.OK


def count_apart(sandbox: Sandbox, serve: str, exporter: str) -> None:
    folder = {"PROMETHEUS_MULTIPROC_DIR": str(sandbox.home / "metrics"), "CLAUDE_PROXY_EXPORTER": "true"}
    with sandbox.started(serve, LISTENS, **folder):
        with sandbox.started(exporter, r"shows metrics: http://\S+:(\d+)/metrics", **folder) as [port]:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
                assert b"claude_proxy_processes 1.0" in answer.read()


def status_of(port: str, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def feed_hostile_bytes(sandbox: Sandbox, command: str) -> None:
    # The script would put .venv in order first.
    sandbox.run(f"python {command.replace('scripts/fuzz', 'scripts/fuzz.py').replace('100000', '20')}")


# How each command is held to what it says.


@dataclass(frozen=True)
class Here:
    """Run by this test, as it stands."""

    how: Callable[..., None]


@dataclass(frozen=True)
class ByTest:
    """Run by another test."""

    node: str


@dataclass(frozen=True)
class ByCI:
    """Run by .ci/run."""


@dataclass(frozen=True)
class Nowhere:
    """Not run, for a reason; a test looks at what it names."""

    reason: str
    node: str


LOOKED_AT = "tests/documents/test_commands_of_other_machines.py"
BENCH = ByTest("tests/scripts/test_bench.py::test_every_figure_is_measured")
SOAK = ByTest("tests/scripts/test_soak.py::test_a_short_soak_finds_nothing")
HELM = (
    "helm install claude-proxy deploy/helm/claude-proxy --set image.repository=YOUR/claude-proxy"
    " --set existingSecret=claude"
)
COMPOSE = ByTest("tests/deploy/test_compose.py::test_prometheus_counts_what_clients_were_answered_and_knows_the_alerts")
IMAGE = ByTest(
    "tests/deploy/test_image.py::test_a_container_without_rights_serves_from_read_only_files_and_lets_answers_end"
)
EXTRAS = Nowhere("asks a package index", f"{LOOKED_AT}::test_the_extras_that_are_installed_exist")
MODES = "tests/integration/test_modes_without_settings.py"
GATEWAY = ByTest(f"{MODES}::test_transparent_mode_answers_a_client_that_only_has_a_route")
DEVENV = Nowhere("needs Nix", f"{LOOKED_AT}::test_devenv_runs_what_there_is")

TABLE: dict[tuple[str, ...], Here | ByTest | ByCI | Nowhere] = {
    # README.md
    ("scripts/demo",): ByCI(),
    ("scripts/test",): ByCI(),
    (".venv/bin/claude-proxy serve", BASE_URL): Here(serve_an_app),
    (".venv/bin/claude-proxy run -- python app.py",): Here(run_an_app),
    (".venv/bin/mitmdump -s addon/main.py --listen-host 127.0.0.1", PROXIED): Here(lead_an_app_through),
    (".venv/bin/claude-proxy doctor",): Here(find_nothing_wrong),
    ("claude-proxy config show",): Here(show_settings),
    (".venv/bin/claude-proxy serve --default-model bedrock:us.anthropic.claude-sonnet-5-5",): Here(serve_bedrock),
    (
        ".venv/bin/claude-proxy keys add ci --models 'gpt-4o*' --dollars-per-day 5",
        "HOST=0.0.0.0 .venv/bin/claude-proxy serve --workers 2",
    ): Here(give_out_keys),
    ("scripts/check",): ByCI(),
    ("scripts/clients",): ByCI(),
    ("scripts/bench",): BENCH,
    ("scripts/soak",): SOAK,
    ("scripts/fuzz",): ByTest("tests/fuzz/test_targets.py::test_hostile_bytes_come_to_a_value_or_a_named_error"),
    ("scripts/lock",): Nowhere(
        "asks the package index, and writes into the repository", f"{LOOKED_AT}::test_the_scripts_are_in_order"
    ),
    # docs/configuration.md, docs/operations.md, docs/access.md, docs/monitoring.md and docs/security.md
    ("claude-proxy config check [FILE]",): Here(check_a_file),
    ("claude-proxy config schema",): Here(describe_settings),
    ("pip install '.[bedrock]'",): EXTRAS,
    ("pip install '.[otel]'",): EXTRAS,
    ("claude-proxy serve --mode regular@8080 --mode standalone",): ByTest(
        "tests/addon/commands/test_cli.py::test_serve_listens_in_several_modes_at_once"
    ),
    ("claude-proxy run -- CMD",): ByTest(
        "tests/addon/commands/test_cli.py::test_run_lets_an_unchanged_app_talk_to_claude_and_returns_its_status"
    ),
    ("mitmdump -s addon/main.py",): ByTest(
        "tests/contract/test_ways_in.py::test_an_unchanged_app_is_answered_by_claude_by_its_environment_alone"
    ),
    ("claude-proxy serve --workers 4",): ByTest(
        "tests/integration/test_workers.py::test_the_kernel_deals_connections_out_evenly"
    ),
    ("claude-proxy simulate",): ByTest("tests/addon/commands/test_cli.py::test_simulate_listens_as_claude"),
    ("claude-proxy serve --full",): Here(serve_models),
    ("claude-proxy doctor -- CMD",): ByTest(
        "tests/integration/test_doctor.py::test_the_command_prints_lines_or_json_and_fails_if_something_would"
    ),
    ("sysctl -w net.ipv4.ip_forward=1",): GATEWAY,
    ("iptables -t nat -A PREROUTING -i eth1 -p tcp --dport 443 -j REDIRECT --to-port 8090",): GATEWAY,
    ("claude-proxy serve --host 0.0.0.0 --mode transparent@8090",): GATEWAY,
    ("claude-proxy serve --host 0.0.0.0 --mode wireguard",): ByTest(
        f"{MODES}::test_wireguard_mode_answers_a_client_that_has_its_configuration"
    ),
    ("claude-proxy serve --mode local:python3",): ByTest(f"{MODES}::test_local_mode_answers_the_apps_that_are_named"),
    ("scripts/fuzz 100000",): Here(feed_hostile_bytes),
    ("scripts/fuzz 100 --requests",): ByTest(
        "tests/contract/test_openapi.py::test_no_request_gets_a_500_and_every_error_has_openais_shape"
    ),
    ("scripts/openapi",): ByTest(
        "tests/contract/test_openapi.py::test_the_description_is_that_of_the_routes_and_the_request_types"
    ),
    ("claude-proxy serve --no-exporter", "claude-proxy exporter --host 0.0.0.0"): Here(count_apart),
    (
        "claude-proxy keys add ci --models 'gpt-4o*,gpt-5*' --requests-per-minute 30 --dollars-per-day 5",
        "claude-proxy keys list",
        "claude-proxy keys revoke ci",
    ): Here(keep_keys),
    ("claude-proxy keys add NAME --cache", 'printf %s "$KEY" | sha256sum'): Here(add_a_key_with_a_digest),
    # docs/development.md
    ("scripts/check --static",): ByCI(),
    ("scripts/test tests/translators", "scripts/lock --upgrade"): Nowhere(
        "a whole run, or the package index", f"{LOOKED_AT}::test_the_scripts_are_in_order"
    ),
    ("scripts/compatibility",): ByTest(
        "tests/translators/chat_completions/test_parameters.py::test_the_document_is_up_to_date"
    ),
    # docs/deployment.md and deploy/
    ("docker compose --file deploy/compose.yaml up --build",): COMPOSE,
    ("ANTHROPIC_API_KEY=sk-ant-... docker compose --file deploy/compose.yaml up --build",): COMPOSE,
    ("docker compose --file deploy/compose.yaml exec proxy claude-proxy keys add ci",): COMPOSE,
    ("docker build --file deploy/Dockerfile .",): IMAGE,
    (
        "docker build --file deploy/Dockerfile --tag YOUR/claude-proxy:0.1.0 . && docker push YOUR/claude-proxy:0.1.0",
    ): IMAGE,
    ("docker stop -t 25",): Nowhere(
        "needs a Docker engine", f"{LOOKED_AT}::test_docker_waits_longer_than_the_proxy_drains"
    ),
    ("""CLAUDE_PROXY_CLIENT_KEYS='[{"name": "ci", "sha256": "..."}]'""",): Here(give_keys_to_many),
    (
        "kubectl create secret generic claude --from-literal=anthropic-api-key=sk-ant-...",
        HELM,
    ): Nowhere("needs a cluster", f"{LOOKED_AT}::test_the_chart_takes_the_secret_and_the_values"),
    ("python3 -m venv /opt/claude-proxy && /opt/claude-proxy/bin/pip install .",): Nowhere(
        "needs root",
        "tests/deploy/test_deployment_files.py::test_the_unit_holds_no_key_and_starts_what_there_is",
    ),
    ("scripts/dashboard_picture",): Nowhere(
        "needs a browser, and fifteen minutes", f"{LOOKED_AT}::test_the_scripts_are_in_order"
    ),
    ("devenv shell",): DEVENV,
    ("devenv test",): DEVENV,
    # docs/performance.md
    (
        "scripts/bench --peers",
        "scripts/bench --peers --rounds 4 --streams 500",
        "scripts/bench --growth --endpoints serve,portkey",
    ): Nowhere("installs two other gateways, which takes minutes", f"{LOOKED_AT}::test_the_scripts_are_in_order"),
    ("scripts/bench --quick",): BENCH,
    ("scripts/bench --markdown",): BENCH,
    ("scripts/bench --growth",): BENCH,
    ("scripts/bench --workers",): BENCH,
    ("scripts/soak --workers 2",): SOAK,
    ("scripts/soak --seconds 60 --clients 4",): SOAK,
}
RUN_HERE = [pytest.param(commands, row.how, id=commands[0]) for commands, row in TABLE.items() if isinstance(row, Here)]
NODES = sorted({row.node for row in TABLE.values() if isinstance(row, ByTest | Nowhere)})


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """One for all: making one takes a second."""
    folder = tmp_path_factory.mktemp("authority")
    CertStore.create_store(folder, "mitmproxy", 2048)
    return folder


def test_every_command_has_a_row_and_every_row_a_command():
    in_table = list(itertools.chain.from_iterable(TABLE))
    assert len(in_table) == len({*in_table})
    assert {*in_table} == documented().keys()


@pytest.mark.parametrize(("commands", "how"), RUN_HERE)
def test_a_command_does_what_it_says(commands, how, tmp_path, authority):
    how(Sandbox(tmp_path, authority), *commands)


@pytest.mark.parametrize("node", NODES)
def test_the_test_that_a_row_names_exists(node):
    file, _, name = node.partition("::")
    defined = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert name in {found.name for found in defined if isinstance(found, functions)}


@pytest.mark.parametrize("command", [commands[0] for commands, row in TABLE.items() if isinstance(row, ByCI)])
def test_ci_runs_it(command):
    assert re.search(rf"(^|[ ;]){command}( |$)", (ROOT / ".ci/run").read_text(), re.MULTILINE)


# Configuration files of the documents.

FILES = [block for block in blocks() if block.kind in {"json", "toml"}]


@pytest.mark.parametrize("block", FILES, ids=[f"{block.document}-{number}" for number, block in enumerate(FILES)])
def test_a_configuration_file_can_be_used(block: Block, tmp_path, monkeypatch):
    path = tmp_path / f"config.{block.kind}"
    path.write_text(block.text)
    monkeypatch.setenv("CLAUDE_PROXY_CONFIG", str(path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    assert load_settings({}).config == path

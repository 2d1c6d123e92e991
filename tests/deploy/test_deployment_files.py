"""The files of deploy/: each checked by the program that reads it, or by its schema, and against our own settings."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from addon.commands.cli import _parser
from addon.configuration.settings import ALL_SETTINGS
from addon.observation.metrics_folder import FOLDER_VARIABLE
from addon.serving.workers import _KILL_SECONDS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
CHART = DEPLOY / "helm/claude-proxy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
KUBERNETES = "1.34"
ENVIRONMENT = {setting.names.env for setting in ALL_SETTINGS} | {FOLDER_VARIABLE}
DRAINING = "CLAUDE_PROXY_DRAIN_TIMEOUT"
DRAIN_SECONDS = 60
"""What all files of deploy/ give running answers."""
OF_THE_SYSTEM = {"PATH", "HOME", "XDG_STATE_HOME", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def run(*command: object) -> str:
    ended = subprocess.run([*map(str, command)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def is_understood(arguments: list[str]) -> bool:
    """Whether the command line takes these arguments."""
    return bool(_parser().parse_args(arguments))


# A template is no YAML before it is rendered.
YAML = sorted(file for file in DEPLOY.rglob("*.yaml") if "templates" not in file.parts)


@pytest.mark.parametrize("file", YAML, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_yaml_is_in_order(file):
    rules = {
        "braces": {"max-spaces-inside": 0},
        "comments": {"min-spaces-from-content": 1},
        "document-start": "disable",
        "line-length": {"max": 125},
    }
    run(BIN / "yamllint", "--strict", "--config-data", json.dumps({"extends": "default", "rules": rules}), file)


# The image.


def test_hadolint_finds_nothing_in_the_dockerfile():
    run(BIN / "hadolint", DEPLOY / "Dockerfile")


def test_the_image_runs_what_there_is_as_nobody_special():
    assert len(set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))) == 1
    assert re.findall(r"^USER (\d+):", DOCKERFILE, re.MULTILINE) == ["10001"]
    [entrypoint], [command] = (
        [json.loads(line) for line in re.findall(rf"^{word} (\[.*\])$", DOCKERFILE, re.MULTILINE)]
        for word in ("ENTRYPOINT", "CMD")
    )
    assert entrypoint == ["claude-proxy"]
    assert is_understood(command)
    named = set(re.findall(r"(?:^ENV|^ +)\s*([A-Z_]+)=", DOCKERFILE, re.MULTILINE))
    assert named - OF_THE_SYSTEM - {"PIP_DISABLE_PIP_VERSION_CHECK"} <= ENVIRONMENT


def test_everything_that_the_image_copies_is_there_and_not_ignored():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_the_image_has_the_packages_that_the_tests_ran_with_each_with_its_hashes():
    pin = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)
    deployed = (DEPLOY / "requirements.txt").read_text()
    tested = set(pin.findall((ROOT / "requirements.txt").read_text()))
    found = set(pin.findall(deployed))
    assert found <= tested
    assert {"mitmproxy", "anthropic", "hatchling", "opentelemetry-sdk"} <= {name for name, _ in found}
    assert not {"pytest", "openai", "mypy"} & {name for name, _ in found}
    assert all("--hash=sha256:" in part for part in re.split(pin, deployed)[3::3])


# Compose.


def test_compose_has_the_form_that_its_specification_wants():
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


@pytest.mark.parametrize("name", ["proxy", "exporter"])
def test_a_container_of_ours_is_confined_and_knows_our_settings(name):
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["environment"].keys() <= ENVIRONMENT
    assert is_understood(service["command"])
    assert "metrics:/run/claude-proxy-metrics" in service["volumes"]


def test_compose_publishes_ports_on_this_machine_alone():
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_compose_mounts_is_there_and_fits_together():
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    [source] = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/claude-proxy.yaml").read_text())["providers"]
    targets = [volume.split(":")[1] for volume in COMPOSE["services"]["grafana"]["volumes"]]
    assert f"{provider['options']['path']}/claude-proxy.json" in targets
    prometheus = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
    assert prometheus["scrape_configs"][0]["static_configs"] == [{"targets": ["exporter:9464"]}]


# systemd.


def test_systemd_takes_the_unit():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    assert run("systemd-analyze", "verify", DEPLOY / "claude-proxy.service") == ""


def test_systemd_counts_the_unit_among_the_well_confined():
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    # Of 100; each rule that the unit names takes some off, and most services of Debian have 95.
    run("systemd-analyze", "security", "--offline=true", "--threshold=15", DEPLOY / "claude-proxy.service")


def test_the_unit_holds_no_key_and_starts_what_there_is():
    unit = (DEPLOY / "claude-proxy.service").read_text()
    [script] = re.findall(r"^ExecStart=/bin/sh -c '(.*)'$", unit, re.MULTILINE)
    command = shlex.split(script.replace("$$", "$"))
    assert is_understood(command[command.index("/opt/claude-proxy/bin/claude-proxy") + 1 :])
    assert "LoadCredential=api-key:" in unit
    assert "Environment=ANTHROPIC_API_KEY" not in unit


# Nix.


def test_nix_makes_an_environment_of_the_file():
    nix = shutil.which("nix-instantiate")
    if nix is None:
        pytest.skip("Nix is not installed")
    file = DEPLOY / "devenv.nix"
    names = re.findall(r"pkgs\.(\w+)", file.read_text())
    packages = " ".join(f'{{ name = "{name}"; value = "{name}"; }}' for name in names)
    expression = f"import {file} {{ pkgs = builtins.listToAttrs [ {packages} ]; }}"
    made = json.loads(run(nix, "--eval", "--strict", "--json", "--expr", expression))
    assert made["packages"] == names
    assert made["enterTest"] == "scripts/check"


# Helm.

EVERYTHING = {
    "anthropicApiKey": "sk-ant-test",
    "imagePullSecrets": [{"name": "registry"}],
    "env": [{"name": "CLAUDE_PROXY_REDIS_URL", "valueFrom": {"secretKeyRef": {"name": "redis", "key": "url"}}}],
    "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "autoscaling": {"enabled": True, "targetInFlight": 100},
    "podAnnotations": {"a": "b"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "networkPolicy": {
        "ingressFrom": [{"podSelector": {"matchLabels": {"app": "x"}}}],
        "extraEgress": [{"ports": [{"port": 6379}], "to": [{"podSelector": {"matchLabels": {"app": "redis"}}}]}],
    },
}
VALUES = {
    "least": {"existingSecret": "claude"},
    "own_secret": {"anthropicApiKey": "sk-ant-test"},
    "own_keys": {"existingSecret": "claude", "clientKeys": {"keys": [{"name": "ci", "sha256": "0" * 64}]}},
    "existing_keys": {"existingSecret": "claude", "clientKeys": {"existingSecret": "clients"}},
    "everything": EVERYTHING,
    "no_policy": {"existingSecret": "claude", "networkPolicy": {"enabled": False}},
}


@pytest.fixture
def rendered(helm):
    def render(values):
        with helm.Chart.load(CHART) as chart:
            files = chart.render(values, name="demo", namespace="default")
        texts = [text for name, text in files.items() if name.endswith(".yaml")]
        return [document for text in texts for document in yaml.safe_load_all(text) if document]

    return render


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_helm_finds_nothing_in_the_chart(helm, values):
    report = helm.lint(CHART, values, strict=True)
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] > 1] == []


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_what_helm_renders_is_what_kubernetes_takes(rendered, values):
    documents = rendered(values)
    assert {"Deployment", "Service", "PodDisruptionBudget"} <= {document["kind"] for document in documents}
    for document in documents:
        if document["kind"] != "ServiceMonitor":  # of the Prometheus operator, whose schema is not at hand
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_everything_renders_every_kind(rendered):
    kinds = sorted({document["kind"] for document in rendered(EVERYTHING)})
    assert kinds == [
        "Deployment",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Secret",
        "Service",
        "ServiceMonitor",
    ]


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_pods_are_confined_and_know_our_settings(rendered, values):
    [deployment] = [document for document in rendered(values) if document["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert is_understood(container["args"])
        assert {item["name"] for item in container["env"]} <= ENVIRONMENT
        mounted = {item["name"] for item in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in pod["volumes"]}


def test_selectors_find_their_pods_and_services(rendered):
    documents = rendered(EVERYTHING)
    [deployment] = [document for document in documents if document["kind"] == "Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    services = [document for document in documents if document["kind"] == "Service"]
    for document in (deployment, *services):
        selector = document["spec"]["selector"]
        assert selector.get("matchLabels", selector).items() <= labels
    [monitor] = [document for document in documents if document["kind"] == "ServiceMonitor"]
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    [found] = [service for service in services if wanted <= service["metadata"]["labels"].items()]
    assert [port["name"] for port in found["spec"]["ports"]] == ["metrics"]


def test_without_a_key_nothing_is_rendered(helm, rendered):
    with pytest.raises(helm.HelmError, match="set existingSecret or anthropicApiKey"):
        rendered({})


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"existingSecret": "a", "replicas": "many"}, "replicas"),
        ({"existingSecret": "a", "service": {"port": 70000}}, "port"),
        ({"existingSecret": "a", "servce": {}}, "servce"),
        ({"existingSecret": "a", "autoscaling": {"targetCPUUtilizationPercentage": 0}}, "targetCPU"),
        ({"existingSecret": "a", "env": [{"name": "CLAUDE_PROXY_CLIENT_KEYS", "value": "[]"}]}, "/env/0/name"),
        (
            {"existingSecret": "a", "clientKeys": {"keys": [{"name": "a", "sha256": "sk-a"}]}},
            "/clientKeys/keys/0/sha256",
        ),
        (
            {"existingSecret": "a", "clientKeys": {"existingSecret": "b", "keys": [{"name": "a", "sha256": "0" * 64}]}},
            "/clientKeys",
        ),
    ],
    ids=["replicas", "port", "misspelt", "cpu", "env", "digest", "keys_twice"],
)
def test_wrong_values_are_refused_by_name(helm, values, complaint):
    report = helm.lint(CHART, values)
    assert complaint in " ".join([*report["errors"], *(message["error"] for message in report["messages"])])


# Their ends: what running answers are given, and when whatever still runs is killed.


def test_compose_kills_no_container_that_still_drains():
    proxy = COMPOSE["services"]["proxy"]
    drains, kills = proxy["environment"][DRAINING], proxy["stop_grace_period"]
    assert int(drains) == DRAIN_SECONDS
    assert int(kills.removesuffix("s")) > DRAIN_SECONDS + _KILL_SECONDS


def test_systemd_kills_no_service_that_still_drains():
    unit = (DEPLOY / "claude-proxy.service").read_text()
    assert re.findall(rf"^Environment={DRAINING}=(\d+)$", unit, re.MULTILINE) == [str(DRAIN_SECONDS)]
    [kills] = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(kills) > DRAIN_SECONDS + _KILL_SECONDS


@pytest.mark.parametrize(
    ("more", "drains"), [({}, DRAIN_SECONDS), ({"drainSeconds": 600}, 600)], ids=["as_is", "longer"]
)
def test_kubernetes_kills_no_pod_that_still_drains(rendered, more, drains):
    [deployment] = [each for each in rendered({"existingSecret": "a", **more}) if each["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    proxy = pod["containers"][0]
    waits = int(proxy["lifecycle"]["preStop"]["exec"]["command"][1])
    assert [each["value"] for each in proxy["env"] if each["name"] == DRAINING] == [str(drains)]
    assert pod["terminationGracePeriodSeconds"] > waits + drains + _KILL_SECONDS

"""Documented commands that cannot be run here: they name files, services, values, ports and flags that there are."""

import itertools
import re
import shlex
import subprocess
import tomllib

import pytest
import yaml
from mitmproxy.proxy.mode_specs import ProxyMode

from addon.commands.cli import _parser
from addon.configuration.settings import Settings
from addon.serving.workers import _KILL_SECONDS
from tests.documents.commands import ROOT, documented

COMMANDS = sorted(documented())


def words_of(*beginning: str) -> list[list[str]]:
    """Find the commands with a certain beginning, as words; assignments and what comes after `&&` are left out."""
    found = []
    for command in COMMANDS:
        words = shlex.split(command.partition("&&")[0])
        while words and re.match(r"[A-Z_]+=", words[0]):
            del words[0]
        if words[: len(beginning)] == [*beginning]:
            found.append(words)
    assert found
    return found


def value_of(flag: str, words: list[str]) -> str:
    return words[words.index(flag) + 1]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_shell_takes_it(command):
    checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_our_own_command_takes_its_flags():
    for words in words_of("claude-proxy"):
        assert _parser().parse_args(words[1:])


def test_mitmproxy_knows_the_modes():
    modes = [mode for words in words_of("claude-proxy", "serve") for mode in _parser().parse_args(words[1:]).mode or ()]
    assert {ProxyMode.parse(mode).type_name for mode in modes if mode != "standalone"} == {
        "local",
        "regular",
        "transparent",
        "wireguard",
    }


def test_the_gateway_redirects_to_the_port_that_listens():
    [rule] = words_of("iptables")
    assert f"transparent@{value_of('--to-port', rule)}" in {
        value_of("--mode", words) for words in words_of("claude-proxy", "serve", "--host", "0.0.0.0")
    }
    assert value_of("--dport", rule) == "443"
    assert words_of("sysctl") == [["sysctl", "-w", "net.ipv4.ip_forward=1"]]


def test_compose_is_asked_for_files_and_services_that_there_are():
    for words in words_of("docker", "compose"):
        services = yaml.safe_load((ROOT / value_of("--file", words)).read_text())["services"]
        if "exec" in words:
            at = words.index("exec") + 1
            assert words[at] in services
            assert words[at + 1] == "claude-proxy"
            assert _parser().parse_args(words[at + 2 :])


def test_the_image_is_built_from_the_files_that_there_are():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for words in words_of("docker", "build"):
        assert (ROOT / value_of("--file", words)).is_file()
        assert words[-1] == "."
        if "--tag" in words:
            tag = value_of("--tag", words)
            assert tag.endswith(f":{version}")
            assert any(command.endswith(f"&& docker push {tag}") for command in COMMANDS)


def test_docker_waits_longer_than_the_proxy_drains():
    drains = Settings().server.drain_timeout
    [words] = words_of("docker", "stop")
    assert int(value_of("-t", words)) > drains + _KILL_SECONDS


def test_the_chart_takes_the_secret_and_the_values():
    helm = pytest.importorskip("helm_python", reason="Helm's engine comes for x86-64 Linux alone")
    [words] = words_of("helm", "install")
    values: dict[str, object] = {}
    for word, given in itertools.pairwise(words):
        if word == "--set":
            path, _, value = given.partition("=")
            *sections, name = path.split(".")
            inner = values
            for section in sections:
                inner = inner.setdefault(section, {})
            inner[name] = value
    assert helm.lint(ROOT / words[3], values, strict=True)["errors"] == []
    [secret] = words_of("kubectl", "create", "secret", "generic")
    name, key = secret[4], re.search(r"--from-literal=([^=]+)=", " ".join(secret))
    with helm.Chart.load(ROOT / words[3]) as chart:
        rendered = "\n".join(chart.render(values, name=words[2], namespace="default").values())
    assert re.search(rf"name: \"?{name}\"?\s+key: {key[1]}\b", rendered)
    assert "YOUR/claude-proxy:" in rendered


def test_the_extras_that_are_installed_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for words in words_of("pip", "install"):
        assert re.fullmatch(r"\.\[(.+)\]", words[2])[1] in extras


def test_devenv_runs_what_there_is():
    declared = (ROOT / "deploy/devenv.nix").read_text()
    assert words_of("devenv") == [["devenv", "shell"], ["devenv", "test"]]
    [test] = re.findall(r'enterTest = "(\S+)"', declared)
    assert (ROOT / test).is_file()
    assert "scripts/setup" in declared


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("scripts/")])
def test_the_scripts_are_in_order(command):
    script, *arguments = shlex.split(command)
    assert (ROOT / script).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", ROOT / script], check=True)
    python = ROOT / f"{script}.py"
    program = python if python.exists() else ROOT / script
    flags = [argument for argument in arguments if argument.startswith("--")]
    assert all(re.search(rf"{flag}\b", program.read_text()) for flag in flags)

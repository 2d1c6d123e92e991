"""`claude-proxy doctor`: it finds what is wrong, says what to do, and finds nothing where nothing is."""

import datetime as dt
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.certs import CertStore

from addon.commands.cli import main
from addon.commands.doctor import check_claude, check_other_backends, examine
from addon.commands.doctor_checks import check_authority, check_environment, check_file, check_ports, check_state
from addon.commands.finding import Finding
from addon.commands.runtimes import check_runtime
from addon.configuration.settings import Settings, load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.raw_upstream import Call, raw_upstream

NOW = dt.datetime.now(dt.UTC)


def settings_with(**sections: Mapping[str, Any]) -> Settings:
    claude = {"simulate": True, **sections.pop("claude", {})}
    return load_settings({"claude": claude, "metrics": {"exporter_port": 0}, "server": {"port": 0}, **sections})


def statuses(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.status for finding in findings}


def only(findings: list[Finding], status: str) -> Finding:
    (finding,) = [finding for finding in findings if finding.status == status]
    assert finding.advice
    return finding


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority")
    CertStore.from_store(folder, "mitmproxy", 2048)
    return folder


async def test_a_healthy_machine_has_no_finding(simulation: RunningSimulation, tmp_path: Path, authority: Path) -> None:
    claude = {"simulate": False, "api_key": "sk-ant-key", "base_url": simulation.base_url}
    settings = settings_with(claude=claude, store={"path": str(tmp_path / "new/store.sqlite3")})
    findings = await examine(settings, [], authority, {"PATH": os.environ["PATH"]})
    assert {finding.status for finding in findings} == {"ok"}
    assert {"Claude", "key", "clock", "certificate authority", "port", "state folder", "store"} <= {
        finding.check for finding in findings
    }
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("answer", "check", "status", "said"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}", "key", "failed", "refuses it"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "key", "failed", "not Claude's API"),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}", "key", "failed", "not there"),
        (b"HTTP/1.1 529 Busy\r\ncontent-length: 2\r\n\r\n{}", "key", "warning", "529"),
        (
            b"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\ncontent-length: 11\r\n\r\n" + b'{"data":[]}',
            "clock",
            "warning",
            "ahead of Claude's",
        ),
    ],
    ids=["key", "other_api", "other_path", "busy", "clock"],
)
async def test_what_claude_says_of_key_and_time_is_understood(
    answer: bytes, check: str, status: str, said: str
) -> None:
    async def reply(call: Call) -> None:
        await call.send(answer)

    async with raw_upstream(reply, lists_models=True) as upstream:
        claude = {"simulate": False, "api_key": "sk-ant-key", "base_url": upstream.base_url}
        findings = await check_claude(settings_with(claude=claude), NOW)
    finding = only(findings, status)
    assert finding.check == check
    assert said in finding.detail


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-encoding: gzip\r\n\r\nnone",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: Thu, 26 Nov 2026 10:00:00 -0000\r\n\r\n{}",
    ],
    ids=["cut", "no-gzip", "no-zone"],
)
async def test_an_answer_that_cannot_be_read_is_a_finding(answer: bytes) -> None:
    async def reply(call: Call) -> None:
        await call.send(answer)
        call.writer.close()

    async with raw_upstream(reply, lists_models=True) as upstream:
        claude = {"simulate": False, "api_key": "sk-ant-key", "base_url": upstream.base_url}
        assert only(await check_claude(settings_with(claude=claude), NOW), "failed")


async def test_a_model_that_claude_does_not_know_is_found(simulation: RunningSimulation) -> None:
    aliases = {"a": "claude-haiku-4-5", "b": "claude-3-opus-20240229", "c": "foundry:mine"}
    claude = {"simulate": False, "api_key": "sk-ant-key", "base_url": simulation.base_url, "aliases": aliases}
    assert "models" not in statuses(await check_claude(settings_with(claude=claude), NOW))
    wrong = settings_with(claude={**claude, "default_model": "gpt-4"})
    assert [finding.detail for finding in await check_claude(wrong, NOW) if finding.check == "models"] == [
        "Claude knows no gpt-4"
    ]


async def test_a_missing_key_and_an_address_where_nobody_is_are_found() -> None:
    assert only(await check_claude(load_settings(), NOW), "failed").check == "key"
    claude = {"simulate": False, "api_key": "sk-ant-key", "base_url": "http://127.0.0.1:1"}
    finding = only(await check_claude(settings_with(claude=claude), NOW), "failed")
    assert finding.check == "Claude"
    assert "Claude could not be reached (ConnectionRefusedError: Connection refused)" in finding.detail


async def test_no_key_is_missed_where_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    own = settings_with(claude={"simulate": False}, access={"bring_your_own_key": True})
    assert statuses(await check_claude(own, NOW)) == {"key": "ok"}
    foundry = settings_with(claude={"simulate": False, "default_model": "foundry:claude-sonnet-5-5"})
    assert statuses(await check_claude(foundry, NOW)) == {"key": "ok"}
    for name in ("ANTHROPIC_FOUNDRY_API_KEY", "ANTHROPIC_FOUNDRY_BASE_URL", "ANTHROPIC_FOUNDRY_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    assert "foundry:" in only(check_other_backends(foundry), "failed").detail
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_API_KEY", "key")
    monkeypatch.setenv("ANTHROPIC_FOUNDRY_RESOURCE", "mine")
    assert [finding.detail for finding in check_other_backends(foundry)] == ["Microsoft Foundry is set up"]
    assert check_other_backends(own) == []


def test_an_authority_that_others_can_use_or_that_has_expired_is_found(authority: Path, tmp_path: Path) -> None:
    assert statuses(check_authority(tmp_path / "none", NOW)) == {"certificate authority": "ok"}
    assert statuses(check_authority(authority, NOW)) == {"certificate authority": "ok"}
    assert "expired" in only(check_authority(authority, NOW + dt.timedelta(days=4000)), "failed").detail
    file = authority / "mitmproxy-ca.pem"
    file.chmod(0o644)
    assert only(check_authority(authority, NOW), "failed").advice == f"chmod 600 {file}"
    file.chmod(0o600)
    config = authority / "config.yaml"
    config.write_text("emudhra: true\n")
    assert "public" in only(check_authority(authority, NOW), "failed").detail
    config.write_text("emudhra: false\n")
    assert statuses(check_authority(authority, NOW)) == {"certificate authority": "ok"}


def test_a_port_in_use_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = only(check_ports(settings_with(server={"port": port})), "failed")
    assert finding.detail == f"Cannot listen on 127.0.0.1:{port}: address already in use"


async def test_a_store_that_does_not_answer_is_found(tmp_path: Path) -> None:
    broken = tmp_path / "store.sqlite3"
    broken.write_bytes(b"this is no database" * 100)
    assert only(await check_state(settings_with(store={"path": str(broken)})), "failed").check == "store"
    away = settings_with(store={"redis_url": "redis://127.0.0.1:1", "path": str(tmp_path / "x")})
    assert only(await check_state(away), "failed").check == "store"
    file = tmp_path / "file"
    file.write_bytes(b"")
    within = settings_with(store={"path": str(file / "store.sqlite3")})
    assert statuses(await check_state(within))["state folder"] == "failed"


@pytest.mark.parametrize(
    ("environment", "status", "said"),
    [
        ({}, "ok", "astray"),
        ({"HTTPS_PROXY": "http://localhost:8000"}, "warning", "HTTPS_PROXY leads to this proxy"),
        ({"HTTPS_PROXY": "http://corp:8000"}, "ok", "astray"),
        ({"no_proxy": "intranet,.openai.com"}, "warning", "NO_PROXY excepts api.openai.com"),
        ({"NO_PROXY": "localhost,notopenai.com"}, "ok", "astray"),
        ({"SSL_CERT_FILE": "/nowhere.pem"}, "failed", "SSL_CERT_FILE"),
        ({"NODE_TLS_REJECT_UNAUTHORIZED": "0"}, "warning", "NODE_TLS_REJECT_UNAUTHORIZED"),
    ],
)
def test_variables_that_lead_traffic_astray_are_found(environment: dict[str, str], status: str, said: str) -> None:
    (finding,) = check_environment(load_settings({"claude": {"simulate": True}}), environment)
    assert (finding.status, said in finding.detail) == (status, True)


def test_a_variable_that_names_no_setting_is_found() -> None:
    environment = {"CLAUDE_PROXY_TIMEOUT": "5", "CLAUDE_PROXY_MAX_RETRY": "1", "CLAUDE_PROXY_COLOUR": "red"}
    findings = check_environment(load_settings({"claude": {"simulate": True}}), environment)
    assert [(finding.status, finding.detail, finding.advice) for finding in findings] == [
        ("warning", "CLAUDE_PROXY_COLOUR is no setting", "unset it: it has no effect"),
        (
            "warning",
            "CLAUDE_PROXY_MAX_RETRY is no setting",
            "it has no effect: did you mean CLAUDE_PROXY_MAX_RETRIES?",
        ),
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("CLAUDE_PROXY_HOST", "HOST"), ("CLAUDE_PROXY_BASE_URL", "ANTHROPIC_BASE_URL")],
)
def test_a_variable_whose_prefix_alone_is_wrong_is_led_to_its_setting(name: str, meant: str) -> None:
    (finding,) = check_environment(load_settings({"claude": {"simulate": True}}), {name: "x"})
    assert finding.advice == f"it has no effect: did you mean {meant}?"


def test_a_configuration_file_that_is_left_alone_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert statuses(check_file(settings_with())) == {"configuration file": "ok"}
    (tmp_path / "config.json").write_text('{"servers": {"a": {"port": 1}}}')
    assert only(check_file(settings_with()), "warning").detail.startswith("config.json is left alone")
    (tmp_path / "config.toml").write_text("[logging]\nlevel = 'INFO'\n")
    assert [finding.detail for finding in check_file(settings_with())] == ["config.toml"]


def test_a_proxy_that_would_ask_itself_is_found() -> None:
    settings = load_settings({"claude": {"api_key": "k", "base_url": "http://localhost:8000"}})
    assert "ask itself" in only(check_environment(settings, {}), "failed").advice


@pytest.mark.parametrize(
    ("name", "version", "status", "said"),
    [
        ("python3.12", "", "ok", "SSL_CERT_FILE"),
        ("node", "v20.20.2", "failed", "Node 20.20 ignores"),
        ("npx", "v24.21.0", "ok", "NODE_USE_ENV_PROXY"),
        ("java", "", "ok", "JAVA_TOOL_OPTIONS"),
        ("my-agent", "", "warning", "no runtime"),
    ],
)
def test_the_runtime_of_an_app_is_known(tmp_path: Path, name: str, version: str, status: str, said: str) -> None:
    for command in {name, "node"}:
        (tmp_path / command).write_text(f"#!/bin/sh\necho {version}\n")
        (tmp_path / command).chmod(0o755)
    (finding,) = check_runtime([name, "app"], {"PATH": str(tmp_path)})
    assert (finding.status, said in finding.detail) == (status, True)
    assert check_runtime(["none-such"], {"PATH": str(tmp_path)})[0].status == "failed"


def test_the_command_prints_lines_or_json_and_fails_if_something_would(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--simulate", "--port", "0", "--confdir", str(tmp_path)]
    monkeypatch.setenv("CLAUDE_PROXY_EXPORTER", "false")
    assert main(["doctor", *flags, "--json", "--", "python3", "app.py"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"check", "status", "detail", "advice"} == set(found[0])
    assert main(["doctor", *flags, "--", "none-such"]) == 1
    assert "FAIL  runtime: none-such: command not found -> check the name and PATH" in capsys.readouterr().out

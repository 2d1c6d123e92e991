"""`claude-proxy config`: what is in force and why, without secrets, and a schema that agrees with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from addon.commands.cli import main
from addon.commands.config_command import schema
from addon.configuration.settings import ALL_SETTINGS

README = Path(__file__).parents[3] / "README.md"


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    for setting in ALL_SETTINGS:
        monkeypatch.delenv(setting.names.env, raising=False)
    for variable in ("ANTHROPIC_FOUNDRY_API_KEY", "ANTHROPIC_FOUNDRY_RESOURCE", "ANTHROPIC_FOUNDRY_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def test_every_setting_is_shown_with_its_source_and_no_secret(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret")
    monkeypatch.setenv("CLAUDE_PROXY_REDIS_URL", "redis://:password@localhost")
    monkeypatch.setenv("CLAUDE_PROXY_EGRESS_PROXY", "http://me:password@corp:3128")
    (tmp_path / "config.toml").write_text('[logging]\nlevel = "DEBUG"\n')
    assert main(["config", "show", "--json", "--port", "1234"]) == 0
    said = capsys.readouterr().out
    assert "secret" not in said.replace("store.secret", "")
    assert "password" not in said
    shown = json.loads(said)
    assert list(shown) == [setting.dotted for setting in ALL_SETTINGS]
    assert shown["server.port"] == {"value": 1234, "source": "--port"}
    assert shown["logging.level"] == {"value": "DEBUG", "source": "config.toml"}
    assert shown["claude.api_key"] == {"value": "********", "source": "environment variable ANTHROPIC_API_KEY"}
    assert shown["claude.proxy"]["value"] == "http://********@corp:3128"
    assert shown["claude.timeout"] == {"value": 600, "source": "default"}


def test_tables_are_shown_without_the_secrets_in_them(capsys, tmp_path):
    key = {"name": "ci", "sha256": "0" * 64, "created": "2026-11-26T00:00:00Z"}
    other = {"base_url": "http://me:password@host/v1", "api_key": "sk-secret", "proxy": "http://me:password@corp:3128"}
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"access": {"keys": [key]}, "other_backends": {"/v1/embeddings": other}}))
    assert main(["config", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["access.keys"]["value"] == [{**key, "created": "2026-11-26 00:00:00+00:00"}]
    assert shown["other_backends"]["value"] == {
        "/v1/embeddings": {
            "base_url": "http://********@host/v1",
            "api_key": "********",
            "proxy": "http://********@corp:3128",
        }
    }
    assert main(["config", "show"]) == 0
    assert "secret" not in capsys.readouterr().out.replace("store.secret", "")


def test_lines_for_people_say_the_same(capsys):
    assert main(["config", "show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "server.port = 8000  (default)" in lines
    assert "claude.api_key =  (default)" in lines


def test_a_file_is_checked_with_one_sentence_per_problem(capsys, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text('{"claude": {"timout": 3}, "server": {"port": "x", "workers": 0}}')
    assert main(["config", "check", str(file)]) == 1
    sentences = capsys.readouterr().err.splitlines()
    assert len(sentences) == 3
    assert any("did you mean claude.timeout?" in sentence for sentence in sentences)
    assert any(sentence.startswith(f"claude-proxy: server.port ({file})") for sentence in sentences)
    file.write_text('{"$schema": "claude-proxy.schema.json", "claude": {"simulate": true}}')
    assert main(["config", "check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: the settings can be used.\n"
    file.write_text('{"claude": {"default_model": "foundry:claude-sonnet-5-5"}}')
    assert main(["config", "check", str(file)]) == 1
    assert "Microsoft Foundry (foundry:) cannot be asked" in capsys.readouterr().err


def test_a_check_says_that_a_file_here_is_not_read(capsys, tmp_path):
    (tmp_path / "config.json").write_text('{"servers": {"a": {"port": 1}}}')
    assert main(["config", "check", "--simulate"]) == 0
    said = "No configuration file (config.json has no section of the proxy's): the settings can be used.\n"
    assert capsys.readouterr().out == said


def readme_example():
    (block,) = [block for block in re.findall(r"(?m)(?:^    .*\n)+", README.read_text()) if '"server"' in block]
    return json.loads(block)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sever": {}},
        {"server": {"port": "8000x"}},
        {"server": {"port": 70000}},
        {"logging": {"format": "xml"}},
        {"claude": {"aliases": {"a": 1}}},
        {"config": "other.json"},
    ],
)
def test_the_schema_takes_the_readmes_example_and_refuses_what_is_wrong(capsys, wrong):
    assert main(["config", "schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(json.dumps(schema()))
    jsonschema.Draft202012Validator.check_schema(printed)
    jsonschema.validate(readme_example(), printed)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**readme_example(), **wrong}, printed)

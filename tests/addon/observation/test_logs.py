"""Logs: one form for all, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
import structlog
from mitmproxy.addons.termlog import TermLogHandler
from pydantic import SecretStr

from addon.observation.logs import CONNECTION_LOGGERS, NOISY_LOGGERS, configure_logging
from addon.observation.redaction import REDACTED

KEY = "sk-ant-api03-AbCdEf_123-456"


@pytest.fixture(autouse=True)
def _restore():
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    for name in (*NOISY_LOGGERS, *CONNECTION_LOGGERS):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


@pytest.fixture
def lines(capsys):
    def read():
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return read


def test_an_event_is_one_json_object_with_level_and_utc_time(lines):
    configure_logging("INFO", "json")
    structlog.get_logger().info("exchange", model="claude-sonnet-5-5", status=200, seconds=1.5)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "exchange", "level": "info", "model": "claude-sonnet-5-5", "status": 200, "seconds": 1.5}


def test_records_of_the_standard_library_look_the_same(lines):
    configure_logging("INFO", "json")
    logging.getLogger("mitmproxy.addons.x").info("listening at %s", "here")
    (line,) = lines()
    assert line.pop("timestamp")
    assert line == {"event": "listening at here", "level": "info", "logger": "mitmproxy.addons.x"}


def test_what_a_client_of_socks_sent_before_it_left_is_not_written(lines):
    configure_logging("INFO", "json")
    said = f"Client closed connection before completing SOCKS5 handshake: {b'me: secret'!r}"
    logging.getLogger("mitmproxy.proxy.server").warning(said)
    assert lines()[0]["event"] == "Client closed connection before completing SOCKS5 handshake"


def test_nothing_below_the_level_is_written(lines):
    configure_logging("WARNING", "json")
    structlog.get_logger().info("a")
    logging.getLogger("x").info("b")
    assert lines() == []


def test_people_are_spared_the_empty_fields_that_programs_get(capsys, lines):
    fields = {"status": 200, "retries": 0, "cause": None, "warnings": []}
    configure_logging("INFO", "json")
    structlog.get_logger().info("exchange", **fields)
    assert fields.items() <= lines()[0].items()
    configure_logging("INFO", "console")
    structlog.get_logger().info("exchange", **fields)
    assert capsys.readouterr().out.split()[-2:] == ["retries=0", "status=200"]


def test_a_second_configuration_replaces_the_first(lines):
    configure_logging("DEBUG", "console")
    configure_logging("INFO", "json")
    logging.getLogger("x").warning("once")
    assert [line["event"] for line in lines()] == ["once"]


@pytest.mark.parametrize("name", NOISY_LOGGERS)
def test_libraries_that_log_bodies_stay_quiet_even_at_debug(lines, name):
    configure_logging("DEBUG", "json")
    logging.getLogger(f"{name}.part").debug("request body")
    logging.getLogger(f"{name}.part").warning("trouble")
    assert [line["event"] for line in lines()] == ["trouble"]


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        f"failed with {KEY}.",
        "sk-proj-abcdefgh1234",
        f"Bearer {KEY}",
        "authorization: Bearer abc.def.ghi-secret",
        "{'x-api-key': 'AbCdEf_123-456'}",
        "[(b'x-api-key', b'AbCdEf_123-456')]",
        "Cookie: session=AbCdEf_123-456; other=AbCdEf_123-456",
        "no answer from redis://me:AbCdEf_123-456@127.0.0.1:1/0",
        "no answer from http://:AbCdEf_123-456@proxy, and http://other:AbCdEf_123-456@[::1]",
        {"nested": {"deep": [KEY]}},
        {KEY: "as a name"},
        [["authorization", "AbCdEf_123-456"]],
        [(b"X-Api-Key", b"AbCdEf_123-456")],
        ValueError(f"bad key {KEY}"),
        KEY.encode(),
        SecretStr(KEY),
        {"Authorization": "AbCdEf_123-456", "Api_Key": "AbCdEf_123-456", "proxy-authorization": "secret"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_secret_reaches_the_log(capsys, format_, value):
    configure_logging("INFO", format_)
    structlog.get_logger().info("event", detail=value)
    logging.getLogger("mitmproxy").info("record %s", value)
    out = capsys.readouterr().out
    assert out.count("\n") >= 2
    for secret in ("AbCdEf", "abcdefgh1234", "def.ghi", "secret"):
        assert secret not in out


def test_secret_names_are_dropped_at_the_top_too(lines):
    configure_logging("INFO", "json")
    structlog.get_logger().info("event", authorization="x", x_api_key="y", api_key="z", cookie="c", kept=1)
    (line,) = lines()
    assert line.keys() == {"event", "level", "timestamp", "kept"}


def test_a_traceback_holds_no_local_variables_and_no_key(lines):
    configure_logging("INFO", "json")

    def call(prompt):
        raise RuntimeError(f"rejected {KEY}")

    for log in (structlog.get_logger(), logging.getLogger("asyncio")):
        prompt = "a very private " + "prompt"
        try:
            call(prompt)
        except RuntimeError:
            log.exception("failed")
    first, second = lines()
    for line in (first, second):
        assert f"RuntimeError: rejected {REDACTED}" in line["exception"]
        assert "private" not in line["exception"]
        assert "AbCdEf" not in line["exception"]


def test_a_console_traceback_holds_no_local_variables(capsys):
    configure_logging("INFO", "console")
    prompt = "a very private " + "prompt"
    try:
        raise RuntimeError(KEY)
    except RuntimeError:
        structlog.get_logger().exception("failed")
    out = capsys.readouterr().out
    assert "RuntimeError" in out
    assert prompt not in out
    assert "AbCdEf" not in out


@pytest.mark.parametrize(
    "write", [lambda text: structlog.get_logger().info("event", model=text), logging.getLogger("x").info]
)
def test_what_a_client_names_cannot_command_the_terminal(capsys, write):
    configure_logging("INFO", "console")
    write("gpt-4o\x1b[2J\x1b]0;owned\x07\x9b31m\u2028\u202eend\x7f")
    out = capsys.readouterr().out
    assert r"gpt-4o\x1b[2J\x1b]0;owned\x07\x9b31m\u2028\u202eend\x7f" in out
    assert all(character.isprintable() for character in out.rstrip("\n"))


@pytest.mark.parametrize("format_", ["json", "console"])
@pytest.mark.parametrize(
    ("encoding", "text"), [("cp1252", "模型"), ("utf-8", "\udcff")], ids=["code-page", "surrogate"]
)
def test_a_character_that_standard_output_cannot_hold_does_not_lose_the_line(monkeypatch, format_, encoding, text):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    # pytest's own keep the record for its report, which xdist cannot send.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure_logging("INFO", format_)
    structlog.get_logger().info("exchange", model=text)
    logging.getLogger("x").info("record %s", text)
    lines = written.getvalue().decode(encoding).splitlines()
    assert len(lines) == 2
    assert all(ascii(text)[1:-1].lstrip("\\") in line for line in lines)


def test_a_value_that_json_cannot_hold_does_not_lose_the_line(lines):
    configure_logging("INFO", "json")
    structlog.get_logger().info("event", text="\ud800", size=2**70, thing=object())
    (line,) = lines()
    assert "event" in line["event"]


def test_a_reader_that_has_gone_away_breaks_nothing(monkeypatch):
    class Closed:
        def isatty(self):
            return False

        def write(self, text):
            raise BrokenPipeError

        def flush(self):
            raise BrokenPipeError

    configure_logging("INFO", "json")
    monkeypatch.setattr("sys.stdout", Closed())
    structlog.get_logger().info("event")
    logging.getLogger("x").info("record")


def test_inside_mitmdump_its_own_log_prints_the_records_once(capsys):
    logging.getLogger().addHandler(TermLogHandler())
    configure_logging("INFO", "json")
    logging.getLogger("x").warning("only once")
    structlog.get_logger().info("ours")
    out = capsys.readouterr().out
    assert out.count("only once") == 1
    assert '"event":"ours"' in out

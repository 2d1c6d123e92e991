"""The `claude-proxy` command as its users meet it: real processes, real sockets on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from addon.commands.cli import main
from addon.configuration.settings import ALL_SETTINGS

COMMAND = [sys.executable, "-m", "addon.commands.cli"]
ROOT = str(Path(__file__).parents[3])
START_SECONDS = 150


@pytest.fixture
def environment(tmp_path):
    """An environment without settings, proxies or keys of the machine."""
    unwanted = {setting.names.env for setting in ALL_SETTINGS}
    unwanted |= {"OPENAI_API_KEY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"}
    unwanted.add("SSL_CERT_DIR")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {
        **kept,
        "PYTHONPATH": ROOT,
        "PYTHONUNBUFFERED": "1",
        "CLAUDE_PROXY_EXPORTER": "false",
        "HOME": str(tmp_path),
    }


@pytest.fixture(scope="session")
def confdir(tmp_path_factory):
    """One certificate authority for all tests: making one takes a second."""
    return tmp_path_factory.mktemp("confdir")


@pytest.fixture
def claude_proxy(environment, tmp_path):
    def run(*arguments, **variables):
        return subprocess.run(
            [*COMMAND, *arguments],
            env=environment | variables,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )

    return run


class Server:
    """A running `claude-proxy serve` whose two outputs are read as they come."""

    def __init__(self, process):
        self.process = process
        self.lines = {"stdout": [], "stderr": []}
        self._readers = [threading.Thread(target=self._read, args=(name,)) for name in self.lines]
        for reader in self._readers:
            reader.start()

    def _read(self, name):
        for line in getattr(self.process, name):
            self.lines[name].append(line)

    def wait_for(self, pattern):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := re.search(pattern, "".join(self.lines["stderr"])):
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{pattern} never came: {self.lines}")

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def wait(self):
        try:
            status = self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        for reader in self._readers:
            reader.join()
        return status


@pytest.fixture
def serve(environment, tmp_path, confdir):
    servers = []

    def start(*arguments, **variables):
        process = subprocess.Popen(
            [*COMMAND, "serve", "--simulate", "--confdir", str(confdir), *arguments],
            env=environment | variables,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        servers.append(Server(process))
        return servers[-1]

    yield start
    for server in servers:
        server.end()
        server.process.stdout.close()
        server.process.stderr.close()


def ask(base_url, **fields):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], **fields}
    request = urllib.request.Request(
        f"{base_url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    return urllib.request.urlopen(request, timeout=30)


def test_version_is_that_of_the_package(claude_proxy):
    result = claude_proxy("--version")
    assert result.returncode == 0
    assert re.fullmatch(r"claude-proxy \d+\.\d+\.\d+\n", result.stdout)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("serve", "--no-exporter Do not let `serve` start an exporter"),
        ("serve", "--log-level DEBUG|INFO|WARNING|ERROR|CRITICAL"),
        ("run", "--cache off|asked|on"),
        ("exporter", "[--host HOST] [--port PORT]"),
        ("exporter", "Show Prometheus the metrics of all processes that share a folder."),
    ],
)
def test_help_says_what_a_flag_does_and_takes(capsys, command, said):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert said in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("serve", "--nonsense"),
        ("run", "--nonsense -- ls"),
        ("doctor", "--nonsense"),
        ("simulate", "--nonsense"),
        ("exporter", "--nonsense"),
        ("config check", "--nonsense"),
        ("keys add", "--nonsense ci"),
    ],
)
def test_an_unknown_flag_is_refused_with_the_usage_of_its_command(capsys, command, arguments):
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), *arguments.split()])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(f"usage: claude-proxy {command} [")
    assert said.endswith(f"claude-proxy {command}: error: unrecognized arguments: --nonsense\n")


def test_run_has_no_flags_of_the_standalone_endpoint(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    assert not {"--host", "--port", "--allow-anonymous"} & {*capsys.readouterr().out.replace("[", " ").split()}


@pytest.mark.parametrize("command", ["serve", "run"])
def test_without_a_key_the_start_fails_with_one_sentence_that_names_both_ways_out(claude_proxy, command):
    result = claude_proxy(command, *(["--", "true"] if command == "run" else []))
    assert result.returncode == 1
    (sentence,) = result.stderr.splitlines()
    assert "ANTHROPIC_API_KEY" in sentence
    assert "--simulate" in sentence


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["serve", "--prot", "1"], 2, "unrecognized arguments: --prot"),
        ([], 2, "COMMAND"),
        (["serve", "--port", "70000"], 1, "server.port (--port)"),
        (["serve", "--config", "nowhere.toml"], 1, "nowhere.toml cannot be read"),
        (["serve", "--simulate", "--mode", "sideways"], 1, "sideways"),
        (["serve", "--simulate", "--set", "no_such_option=1"], 1, "no_such_option"),
        (["serve", "--simulate", "--set", "claude_timeout=1"], 1, "--set claude_timeout is for mitmdump"),
        (["run", "--simulate", "--set", "claude_cache=on", "--", "true"], 1, "here it is --cache"),
        (["serve", "--simulate", "--host", "203.0.113.1"], 1, "Cannot listen on 203.0.113.1:8000"),
        (["run", "--simulate"], 2, "CMD"),
        (["run", "--simulate", "--", "no-such-command-here"], 127, "no-such-command-here: command not found"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_start_ends_with_a_sentence_and_no_traceback(claude_proxy, confdir, arguments, status, said):
    where = ["--confdir", str(confdir)] if arguments[1:] else []
    result = claude_proxy(*arguments[:1], *where, *arguments[1:])
    assert result.returncode == status
    assert said in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_certificate_authority_that_cannot_be_read_is_one_sentence(claude_proxy, tmp_path, workers):
    (tmp_path / "mitmproxy-ca.pem").write_text("junk")
    result = claude_proxy("serve", "--simulate", "--port", "0", "--confdir", str(tmp_path), "--workers", workers)
    assert result.returncode == 1
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith(f"claude-proxy: The certificate authority in {tmp_path}")


def test_a_port_in_use_is_one_sentence_on_standard_error(claude_proxy, confdir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = claude_proxy("serve", "--simulate", "--confdir", str(confdir), "--port", str(port))
    assert result.returncode == 1
    assert result.stderr == f"claude-proxy: Cannot listen on 127.0.0.1:{port}: address already in use.\n"


def test_serve_answers_says_where_it_listens_and_logs_one_line_per_exchange(serve):
    server = serve("--port", "0")
    base_url = server.wait_for(r"OPENAI_BASE_URL=(http://127\.0\.0\.1:\d+/v1)")[1]
    with ask(base_url) as answer:
        assert json.load(answer)["object"] == "chat.completion"
    with ask(base_url, stream=True) as answer:
        assert answer.read().endswith(b"data: [DONE]\n\n")
    assert server.end() == 0
    events = [json.loads(line) for line in server.lines["stdout"]]
    assert [event["status"] for event in events if event["event"] == "exchange"] == [200, 200]
    assert "Traceback" not in "".join(server.lines["stderr"])


@pytest.mark.skipif(os.name != "posix", reason="the shell of Windows closes nothing")
@pytest.mark.parametrize("workers", [1, 2])
def test_serve_answers_though_its_standard_output_is_closed(environment, tmp_path, confdir, workers):
    arguments = ["serve", "--simulate", "--port", "0", "--workers", str(workers), "--confdir", str(confdir)]
    process = subprocess.Popen(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, *arguments],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        server = Server(process)
        try:
            base_url = server.wait_for(r"OPENAI_BASE_URL=(http://127\.0\.0\.1:\d+/v1)")[1]
            with ask(base_url) as answer:
                assert json.load(answer)["object"] == "chat.completion"
        finally:
            status = server.end()
    assert status == 0
    assert "Traceback" not in "".join(server.lines["stderr"])


def test_serve_listens_in_several_modes_at_once(serve, confdir):
    server = serve("--port", "0", "--mode", "standalone", "--mode", "regular@0")
    base_url = server.wait_for(r"OPENAI_BASE_URL=(\S+)")[1]
    proxy = server.wait_for(r"regular@\d+ on (http://\S+)")[1]
    with ask(base_url) as answer:
        assert answer.status == 200
    trust = ssl.create_default_context(cafile=confdir / "mitmproxy-ca-cert.pem")
    through = urllib.request.build_opener(
        urllib.request.ProxyHandler({"https": proxy}), urllib.request.HTTPSHandler(context=trust)
    )
    with through.open("https://api.openai.com/v1/models", timeout=30) as answer:
        assert json.load(answer)["object"] == "list"


def test_beyond_loopback_a_key_is_made_and_shown_once(serve, tmp_path):
    where = {"HOST": "0.0.0.0", "PORT": "0", "CLAUDE_PROXY_KEY_FILE": str(tmp_path / "keys.json")}
    server = serve(**where)
    url = server.wait_for(r"OPENAI_BASE_URL=(\S+)")[1]
    key = server.wait_for(r"OPENAI_API_KEY=(\S+)")[1]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(url)
    server.end()
    assert not any(key in line for line in server.lines["stdout"])
    again = serve("--allow-anonymous", **where)
    with ask(again.wait_for(r"OPENAI_BASE_URL=(\S+)")[1]) as answer:
        assert answer.status == 200
    again.wait_for("asks no client for a key on port")
    again.end()
    assert not any("OPENAI_API_KEY" in line for line in again.lines["stderr"])


def test_settings_come_from_the_users_own_environment_names(serve, tmp_path):
    (tmp_path / "config.json").write_text('{"rate_limiting": {"requests_per_minute": 5}}')
    server = serve(HOST="127.0.0.1", PORT="0", LOG_LEVEL="WARNING")
    with ask(server.wait_for(r"OPENAI_BASE_URL=(\S+)")[1]) as answer:
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit-requests"] == "5"
    server.end()
    events = [json.loads(line) for line in server.lines["stdout"]]
    assert {event["level"] for event in events} == {"warning"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_lets_a_running_answer_end(serve, number):
    server = serve("--port", "0")
    with ask(server.wait_for(r"OPENAI_BASE_URL=(\S+)")[1], stream=True) as answer:
        first = answer.readline()
        server.process.send_signal(number)
        rest = answer.read()
    assert first.startswith(b"data: ")
    assert rest.endswith(b"data: [DONE]\n\n")
    assert server.wait() == 0


APP = textwrap.dedent(
    """
    import os, openai
    client = openai.OpenAI()
    assert str(client.base_url) == "https://api.openai.com/v1/"
    print(client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}]).object)
    raise SystemExit(7)
    """
)


def test_run_lets_an_unchanged_app_talk_to_claude_and_returns_its_status(claude_proxy, confdir):
    result = claude_proxy("run", "--simulate", "--confdir", str(confdir), "--", sys.executable, "-c", APP)
    assert (result.stdout, result.returncode) == ("chat.completion\n", 7), result.stderr


def test_run_returns_128_plus_the_signal_that_ended_the_app(claude_proxy, confdir):
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    result = claude_proxy("run", "--simulate", "--confdir", str(confdir), "--", sys.executable, "-c", script)
    assert result.returncode == 128 + signal.SIGKILL


def test_run_passes_signals_on_to_the_app(environment, tmp_path, confdir):
    app = textwrap.dedent(
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
        print('up', flush=True)
        time.sleep(60)
        """
    )
    command = [*COMMAND, "run", "--simulate", "--confdir", str(confdir), "--", sys.executable, "-c", app]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_SECONDS) == 9


def test_run_does_not_intercept_other_hosts(claude_proxy, confdir):
    """The first bytes of TLS reach a server of the test's own as the app sent them."""
    app = textwrap.dedent(
        """
        import os, socket, ssl, urllib.parse
        sent = ssl.MemoryBIO()
        client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="other.example")
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            hello = sent.read()
        proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
        tunnel = socket.create_connection((proxy.hostname, proxy.port))
        with tunnel, socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(30)
            address = f"127.0.0.1:{server.getsockname()[1]}"
            tunnel.sendall(f"CONNECT {address} HTTP/1.1\\r\\nHost: {address}\\r\\n\\r\\n".encode())
            assert tunnel.recv(1000).startswith(b"HTTP/1.1 200")
            tunnel.sendall(hello)
            connection, _ = server.accept()
            with connection:
                connection.settimeout(30)
                print("untouched" if connection.recv(10_000) == hello else "changed")
        """
    )
    result = claude_proxy("run", "--simulate", "--confdir", str(confdir), "--", sys.executable, "-c", app)
    assert result.stdout == "untouched\n", result.stderr


def test_simulate_listens_as_claude(environment, tmp_path):
    with subprocess.Popen(
        [*COMMAND, "simulate", "--port", "0"], env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as process:
        url = re.search(r"http://\S+", process.stderr.readline())[0]
        with urllib.request.urlopen(
            urllib.request.Request(f"{url}/v1/models", headers={"x-api-key": "k", "anthropic-version": "2023-06-01"}),
            timeout=30,
        ) as answer:
            assert json.load(answer)["data"]
        process.send_signal(signal.SIGINT)
        assert process.wait(START_SECONDS) == 0

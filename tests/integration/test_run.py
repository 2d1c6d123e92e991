"""What `claude-proxy run` sets is what each runtime obeys: each asks api.openai.com with its stock client."""

import contextlib
import functools
import ipaddress
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization as form
from mitmproxy.certs import CertStore

from tests.integration.serving_process import ROOT

URL = "https://api.openai.com/v1/models"
JAVA = """
import java.net.URI;
import java.net.http.*;

public class Ask {
    public static void main(String[] arguments) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(arguments[0])).build();
        System.out.print(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
}
"""
GO = """
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	answer, err := http.Get(os.Args[1])
	if err != nil {
		panic(err)
	}
	io.Copy(os.Stdout, answer.Body)
}
"""
RUBY = {
    "ruby": "require 'net/http'; print Net::HTTP.get(URI(ARGV[0]))",
    "ruby_open_uri": "require 'open-uri'; print URI.open(ARGV[0]).read",
}
PYTHON = {
    "urllib": "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())",
    "openai": "import openai; print(openai.OpenAI(max_retries=0).models.list().to_json())",
    "httpx2": "import httpx2, sys; print(httpx2.get(sys.argv[1]).text)",
    "requests": "import requests, sys; print(requests.get(sys.argv[1]).text)",
    "aiohttp": "import aiohttp, asyncio, sys\n"
    "async def ask():\n"
    "    async with aiohttp.ClientSession(trust_env=True) as session, session.get(sys.argv[1]) as answer:\n"
    "        print(await answer.text())\n"
    "asyncio.run(ask())",
}
NODE = "fetch(process.argv[1]).then(answer => answer.text()).then(text => console.log(text))"
RUN_ALL = """
import json, subprocess, sys
answers = {}
for name, command in json.load(open(sys.argv[1])).items():
    done = subprocess.run(command, capture_output=True, text=True)
    answers[name] = [done.returncode, done.stdout, done.stderr]
json.dump(answers, open(sys.argv[2], "w"))
sys.exit(23)
"""


def commands(folder: Path) -> dict[str, list[str]]:
    """The clients that this machine has."""
    found = {name: [sys.executable, "-c", program, URL] for name, program in PYTHON.items()}
    found["curl"] = ["curl", "--silent", "--show-error", URL]
    (folder / "Ask.java").write_text(JAVA)
    found["java"] = ["java", str(folder / "Ask.java"), URL]
    found["node"] = ["node", "-e", NODE, URL]
    (folder / "ask.go").write_text(GO)
    found["go"] = ["go", "run", str(folder / "ask.go"), URL]
    found |= {name: ["ruby", "-e", program, URL] for name, program in RUBY.items()}
    return {name: command for name, command in found.items() if shutil.which(command[0])}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """What each of them was answered, all under one `claude-proxy run`."""
    folder = tmp_path_factory.mktemp("run")
    asked, answered = folder / "asked.json", folder / "answered.json"
    asked.write_text(json.dumps(commands(folder)))
    command = [sys.executable, "-m", "addon.commands.cli", "run", "--simulate", "--confdir", str(folder), "--"]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "JAVA_TOOL_OPTIONS": "-Xmx256m",
    }
    done = subprocess.run(
        [*command, sys.executable, "-c", RUN_ALL, str(asked), str(answered)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 23, done.stderr
    return {name: tuple(answer) for name, answer in json.loads(answered.read_text()).items()}


@pytest.mark.parametrize("client", [*PYTHON, "curl", "java", "node", "go", *RUBY])
@pytest.mark.timeout(300)
def test_an_unchanged_client_is_answered_by_claude(answers: dict[str, tuple[int, str, str]], client: str) -> None:
    if client not in answers:
        pytest.skip(f"{client} is not installed")
    if client == "node" and not node_obeys():
        pytest.skip("this Node is older than 22.21, and no variable makes it use a proxy: doctor says so")
    if client == "requests" and "No module named 'requests'" in answers[client][2]:
        pytest.skip("requests is not installed")
    status, text, errors = answers[client]
    assert status == 0, errors
    listed = json.loads(text)
    assert listed["object"] == "list"
    assert any(model["id"].startswith("claude-") for model in listed["data"])


@contextlib.contextmanager
def file_server(folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve a folder by HTTPS, at an address of ours that NO_PROXY does not name. Gives its URL and authority."""
    host = "127.0.0.2"
    entry = CertStore.from_store(folder, "real", 2048).get_cert(host, [x509.IPAddress(ipaddress.ip_address(host))])
    chain = folder / "chain.pem"
    key = entry.privatekey.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    chain.write_bytes(entry.cert.to_pem() + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with ThreadingHTTPServer((host, 0), functools.partial(SimpleHTTPRequestHandler, directory=folder)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://{host}:{server.server_port}", folder / "real-ca-cert.pem"
        server.shutdown()


def test_git_fetches_through_the_tunnel_and_trusts_what_it_always_did(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "--quiet", "source"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "one"], cwd=tmp_path / "source", check=True)
    subprocess.run([*git, "clone", "--quiet", "--bare", "source", "served.git"], cwd=tmp_path, check=True)
    subprocess.run([*git, "update-server-info"], cwd=tmp_path / "served.git", check=True)
    with file_server(tmp_path) as (url, authority):
        # GIT_SSL_CAINFO stands for the system's list, where the authority of a real host is.
        environment = {"GIT_SSL_CAINFO": str(authority), "GIT_TRACE_CURL": "1", "PYTHONPATH": str(ROOT)}
        command = [
            sys.executable,
            "-m",
            "addon.commands.cli",
            "run",
            "--simulate",
            "--confdir",
            str(tmp_path / "ca"),
            "--",
        ]
        done = subprocess.run(
            [*command, "git", "clone", "--quiet", f"{url}/served.git", "fetched"],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert f"CONNECT {url.removeprefix('https://')} HTTP/1.1" in done.stderr
    log = subprocess.run([*git, "log", "--format=%s"], cwd=tmp_path / "fetched", capture_output=True, check=True)
    assert log.stdout == b"one\n"


def node_obeys() -> bool:
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    major, minor = map(int, re.findall(r"\d+", said)[:2])
    return (major, minor) >= (22, 21) and not (major == 23 or (24, 0) <= (major, minor) < (24, 5))

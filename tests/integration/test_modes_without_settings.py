"""Modes in which an app is told nothing: its packets come to the proxy. Between network namespaces that are made here.

The commands that start them are those of docs/operations.md, word by word.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.serving_process import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
GATEWAY, CLIENT, FAR_AWAY = "10.77.0.1", "10.77.0.2", "198.51.100.7"
"""The last one is where the app believes api.openai.com to be: an address of documentation, which nobody has."""
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello there"}]}
APP = """
import http.client, socket, ssl, sys
authority, address, asked = sys.argv[1:]
to = http.client.HTTPSConnection("api.openai.com", context=ssl.create_default_context(cafile=authority), timeout=30)
to._create_connection = lambda *_: socket.create_connection((address, 443), 30)  # there is no name server here
to.request("POST", "/v1/chat/completions", asked, {"content-type": "application/json"})
print(to.getresponse().read().decode(), end="")
"""
CONFINED = """
mkdir -p "$2" && mount -t cgroup2 none "$2" && mkdir -p "$2/$1" && echo $$ > "$2/$1/cgroup.procs" && shift 2 &&
exec unshare --cgroup --mount sh -c 'mount -t cgroup2 none /sys/fs/cgroup && exec "$@"' sh "$@"
"""
"""In a part of the machine's cgroups, of the second version, which is all that local mode then sees."""

EMPTIED = """
mount -t cgroup2 none "$0" && until rmdir "$0/$1" 2>/dev/null; do sleep 0.1; done
"""
"""The helper of local mode, which ends a little later than the proxy, was in it too."""


def documented(name: str) -> list[list[str]]:
    """Read the commands of one of these modes."""
    text = (ROOT / "docs/operations.md").read_text()
    found = re.search(rf"^\*\*{name}\*\*(?:.+\n)+\n((?:    .+\n)+)", text, re.MULTILINE)
    assert found is not None
    return [line.split() for line in found[1].splitlines()]


def run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@dataclass(frozen=True)
class Place:
    """Where commands run."""

    prefix: tuple[str, ...]
    folder: Path

    def run(self, *command: str) -> str:
        """Run a command to its end. Returns what it printed."""
        return run(*self.prefix, *command)

    @contextlib.contextmanager
    def serving(self, *command: str, and_says: str = "") -> Iterator[str]:
        """Run the proxy. Gives what it has said once it listens and has said that too, a pattern of whole lines."""
        environment = {
            "PATH": PATH,
            "HOME": str(self.folder),
            "CLAUDE_PROXY_SIMULATE": "true",
            "CLAUDE_PROXY_EXPORTER": "false",
            "CLAUDE_PROXY_STORE_PATH": ":memory:",
        }
        said = self.folder / "stderr"
        with said.open("wb") as stderr:
            process = subprocess.Popen(
                [*self.prefix, *command], env=environment, stdout=subprocess.DEVNULL, stderr=stderr
            )
        try:
            latest = time.monotonic() + 150
            while not (re.search("Claude Proxy listens: ", text := said.read_text()) and re.search(and_says, text)):
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < latest
                time.sleep(0.1)
            yield text
        finally:
            process.terminate()
            assert process.wait(60) == 0

    def ask(self, **more: object) -> str:
        """Ask as an app that trusts the proxy's authority and knows no proxy."""
        authority = str(self.folder / ".mitmproxy/mitmproxy-ca-cert.pem")
        return self.run("python3", "-c", APP, authority, FAR_AWAY, json.dumps({**ASKED, **more}))

    def check_both_answers(self) -> None:
        whole = json.loads(self.ask())["choices"][0]["message"]["content"]
        lines = self.ask(stream=True).split("\n\n")
        assert lines[-2:] == ["data: [DONE]", ""]
        chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == whole


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Place, Place]]:
    """A gateway and a client, each a network namespace, joined by a cable: the gateway's end is eth1."""
    if sys.platform != "linux" or os.geteuid():
        pytest.skip("only root may make network namespaces, and Linux alone has them")
    monkeypatch.setenv("PATH", PATH)
    needs("ip", "unshare")
    names = [f"{name}-{uuid.uuid4().hex[:8]}" for name in ("gateway", "client")]
    gateway, client = (Place(("ip", "netns", "exec", name), tmp_path) for name in names)
    try:
        for name in names:
            run("ip", "netns", "add", name)
        client.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1", "netns", names[0])
        for place, device, address in ((gateway, "eth1", GATEWAY), (client, "eth0", CLIENT)):
            place.run("ip", "address", "add", f"{address}/24", "dev", device)
            place.run("ip", "link", "set", device, "up")
            place.run("ip", "link", "set", "lo", "up")
        client.run("ip", "route", "add", "default", "via", GATEWAY)
        yield gateway, client
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def needs(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def test_transparent_mode_answers_a_client_that_only_has_a_route(places: tuple[Place, Place]) -> None:
    gateway, client = places
    needs("sysctl", "iptables")
    *preparing, serve = documented("Transparent")
    for command in preparing:
        gateway.run(*command)
    with gateway.serving(*serve):
        client.check_both_answers()


def test_wireguard_mode_answers_a_client_that_has_its_configuration(places: tuple[Place, Place]) -> None:
    gateway, client = places
    needs("wireguard-go", "wg")
    [serve] = documented("WireGuard")
    with gateway.serving(*serve, and_says=r"\[Peer\]\n(.* = .*\n){3}") as said:
        values = dict(line.split(" = ", 1) for line in said.splitlines() if " = " in line)
        file = client.folder / "wireguard.conf"
        file.write_text(
            f"[Interface]\nPrivateKey = {values['PrivateKey']}\n"
            f"[Peer]\nPublicKey = {values['PublicKey']}\nAllowedIPs = {values['AllowedIPs']}\n"
            f"Endpoint = {GATEWAY}:{values['Endpoint'].rpartition(':')[2]}\n"
        )
        # Its control sockets are in one folder, whatever the namespace.
        device = f"wg{uuid.uuid4().hex[:8]}"
        said_file = client.folder / "wireguard-go.log"
        with said_file.open("wb") as out:
            command = [*client.prefix, "env", "LOG_LEVEL=verbose", "wireguard-go", "--foreground", device]
            running = subprocess.Popen(command, stdout=out)
        try:
            # `wg` deletes a control socket that is bound and does not listen yet, and wireguard-go ends then.
            client.run("sh", "-c", f"until grep -q 'UAPI listener started' {said_file}; do sleep 0.1; done")
            client.run("wg", "setconf", device, str(file))
            client.run("ip", "address", "add", values["Address"], "dev", device)
            client.run("ip", "link", "set", device, "up")
            client.run("ip", "route", "add", FAR_AWAY, "dev", device)
            client.check_both_answers()
        finally:
            running.terminate()
            running.wait(30)


def test_local_mode_answers_the_apps_that_are_named(places: tuple[Place, Place]) -> None:
    _, client = places
    needs("sudo")
    name, cgroups = f"claude-proxy-{uuid.uuid4().hex[:8]}", str(client.folder / "cgroups")
    here = Place((*client.prefix, "sh", "-c", CONFINED, "sh", name, cgroups), client.folder)
    [serve] = documented("Local")
    try:
        with here.serving(*serve):
            here.check_both_answers()
    finally:
        client.run("sh", "-c", EMPTIED, cgroups, name)

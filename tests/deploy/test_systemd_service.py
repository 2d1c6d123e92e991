"""The unit of deploy/ under a real systemd: the image's file system, booted by systemd-nspawn."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.deploy.cluster import DEPLOY, PATH
from tests.deploy.image import NAME, SECONDS, SYSTEMD, Engine, found, needs, wait_until
from tests.reserved_ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(1200)  # the first one makes a Debian and builds the image

KEY = "sk-ant-of-the-credential"
SERVICE = "claude-proxy.service"
SIMULATING = "[claude]\nsimulate = true\n"
AS_PROXY = """
[Service]
ExecStart=
ExecStart=/opt/claude-proxy/bin/claude-proxy serve --mode regular@{port}
"""
BOOT = """
umount --lazy /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup &&
exec systemd-nspawn --quiet --directory="$0" --machine="$1" --register=no --keep-unit --boot
"""
"""In a mount namespace of its own: the systemd inside knows the second version of cgroups alone."""


@dataclass(frozen=True)
class Booted:
    """A system that runs, on the network of the machine."""

    nspawn: int
    root: Path
    port: int

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        first = Path(f"/proc/{self.nspawn}/task/{self.nspawn}/children").read_text().split()[-1:]
        entering = [found("nsenter"), "--target", *first, "--all", "--root", "--wd"]
        environment = {"PATH": PATH, "SYSTEMD_COLORS": "0"}
        return subprocess.run(
            [*entering, *command], env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def systemctl(self, *arguments: str) -> str:
        """Have systemd do something that has to go well."""
        ended = self.run("systemctl", *arguments)
        assert ended.returncode == 0, ended.stderr + self.log()
        return ended.stdout.strip()

    def log(self) -> str:
        """Read what the service has said so far."""
        return self.run("journalctl", "--no-pager", f"--unit={SERVICE}", "--output=cat").stdout

    def events(self, name: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def configure(self, text: str) -> None:
        (self.root / "etc/claude-proxy/config.toml").write_text(text)

    def is_healthy(self) -> bool:
        return httpx2.get(f"http://127.0.0.1:{self.port}/health", trust_env=False, timeout=20).status_code == 200


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with reserved_port() as reserved:
        yield reserved


@pytest.fixture(scope="module")
def booted(engine: Engine, port: int) -> Iterator[Booted]:
    needs(*SYSTEMD)
    root = engine.folder / "root"
    root.mkdir()
    engine.run("create", "--name=system", NAME)
    with subprocess.Popen(engine.command("export", "system"), stdout=subprocess.PIPE) as exporting:
        subprocess.run(["tar", "--extract", f"--directory={root}"], stdin=exporting.stdout, check=True, timeout=SECONDS)
    (root / "var/lib/claude-proxy").rmdir()  # the image's own, for a volume
    shutil.copy(DEPLOY / SERVICE, root / "etc/systemd/system")
    (root / "etc/claude-proxy").mkdir()
    for name, text in {"api-key": KEY, "environment": f"PORT={port}\nCLAUDE_PROXY_EXPORTER=false\n"}.items():
        (root / "etc/claude-proxy" / name).write_text(text)
        (root / "etc/claude-proxy" / name).chmod(0o600)
    nspawn = subprocess.Popen(
        [found("unshare"), "--mount", "--propagation=private", "sh", "-c", BOOT, str(root), f"claude-{port}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    system = Booted(nspawn.pid, root, port)
    try:
        wait_until(lambda: system.run("systemctl", "is-system-running").stdout in {"running\n", "degraded\n"})
        yield system
        system.run("systemctl", "poweroff")
        nspawn.wait(SECONDS)
    finally:
        nspawn.kill()
        nspawn.wait()


@pytest.fixture
def service(booted: Booted) -> Iterator[Booted]:
    """The system with its service stopped and configured to simulate Claude."""
    booted.configure(SIMULATING)
    yield booted
    booted.run("systemctl", "stop", SERVICE)
    booted.run("systemctl", "reset-failed", SERVICE)


def test_the_service_has_started_once_it_answers_and_ends_in_peace(service: Booted) -> None:
    service.systemctl("start", SERVICE)
    assert service.is_healthy()
    pid = service.systemctl("show", "--property=MainPID", "--value", SERVICE)
    assert f"ANTHROPIC_API_KEY={KEY}" in service.run("cat", f"/proc/{pid}/environ").stdout.split("\0")
    assert service.run("stat", "--format=%a", "/var/lib/private/claude-proxy").stdout == "700\n"

    service.systemctl("stop", SERVICE)
    assert service.systemctl("show", "--property=Result,ExecMainStatus", SERVICE).split() == [
        "Result=success",
        "ExecMainStatus=0",
    ]


def test_a_reload_reads_the_configuration_file_again(service: Booted) -> None:
    service.systemctl("start", SERVICE)
    service.configure(SIMULATING + 'default_model = "claude-opus-5-5"\n')
    service.systemctl("reload", SERVICE)
    wait_until(lambda: bool(service.events("settings_reloaded")))
    assert service.events("settings_reloaded")[0]["changed"] == ["claude.default_model"]
    # What is looked at once a second finds nothing new now: this one is the signal's.
    wait_until(lambda: service.systemctl("reload", SERVICE) == "" and len(service.events("settings_reloaded")) > 1)


def test_a_wrong_configuration_fails_the_start_with_a_sentence(service: Booted) -> None:
    service.configure(SIMULATING + "modle = 1\n")
    assert service.run("systemctl", "start", SERVICE).returncode == 1
    assert "modle" in service.log()


def test_the_confinement_lets_the_proxy_modes_intercept_tls(service: Booted) -> None:
    folder = service.root / "etc/systemd/system" / f"{SERVICE}.d"
    folder.mkdir()
    (folder / "as-proxy.conf").write_text(AS_PROXY.format(port=service.port))
    service.systemctl("daemon-reload")
    service.systemctl("start", SERVICE)
    with httpx2.Client(proxy=f"http://127.0.0.1:{service.port}", verify=False, timeout=60) as client:
        assert client.get("https://api.openai.com/v1/models").json()["object"] == "list"

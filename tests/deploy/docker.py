"""A real Docker with Compose, in a container of podman's that has no network: its ports and its rules are its own.

It has our image, and stand-ins for the others under their names: no package index has the real ones.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.deploy.cluster import DEPLOY
from tests.deploy.image import BASE, BUILD, NAME, SECONDS, Engine, limits, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = DEPLOY / "compose.yaml"
COMPOSE = ("docker", "compose", "--file", str(FILE))
STAND_INS = Path(__file__).with_name("compose_images.Dockerfile")
CONTAINER = "docker"
START = """
umount --recursive /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && cd /sys/fs/cgroup || exit
if [ -e cgroup.type ]; then mkdir daemon && echo 0 >daemon/cgroup.procs || exit; fi
exec dockerd --host unix:///run/docker.sock --data-root /docker 2>&1
"""
"""With the second version of cgroups alone. There no group but the first one may have both processes and groups."""


@dataclass(frozen=True)
class Docker:
    """A daemon that runs, and its clients beside it."""

    engine: Engine
    pid: int

    def command(self, *words: str, **environment: str) -> list[str]:
        given = [f"--env={name}={value}" for name, value in environment.items()]
        return self.engine.command("exec", *given, CONTAINER, *words)

    def run(self, *words: str, **environment: str) -> str:
        """Run a command to its end. Returns what it wrote to standard output."""
        ended = self.ended(*words, **environment)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def ended(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = self.command(*words, **environment)
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    def compose(self, *words: str, **environment: str) -> str:
        return self.run(*COMPOSE, *words, **environment)

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Have this thread open its sockets where the ports are published."""
        with Path("/proc/thread-self/ns/net").open() as ours, Path(f"/proc/{self.pid}/ns/net").open() as its:
            os.setns(its.fileno(), os.CLONE_NEWNET)
            try:
                yield
            finally:
                os.setns(ours.fileno(), os.CLONE_NEWNET)


@contextlib.contextmanager
def running_docker(engine: Engine) -> Iterator[Docker]:
    """Start one that has every image of compose.yaml."""
    services = yaml.safe_load(FILE.read_text())["services"]
    images = {name: f"docker.io/{services[name]['image']}" for name in ("prometheus", "grafana", "valkey")}
    for target, name in {"docker": "docker:test", **images}.items():
        building = [*BUILD, f"--build-arg=BASE={BASE}", "--target", target, "--tag", name]
        engine.run(*building, "--file", str(STAND_INS), str(STAND_INS.parent), seconds=500)
    images["proxy"] = f"docker.io/library/{services['proxy']['image']}"
    engine.run("tag", NAME, images["proxy"])

    data = engine.folder / "docker"
    data.mkdir()
    may = ["--privileged", "--network=none", "--pids-limit=-1", *limits()]
    has = ["--tmpfs=/run", f"--volume={data}:/docker", f"--volume={DEPLOY}:{DEPLOY}:ro", "--log-driver=k8s-file"]
    try:
        engine.run("run", "--detach", f"--name={CONTAINER}", *may, *has, "docker:test", "sh", "-c", START)
        docker = Docker(engine, int(engine.run("inspect", "--format={{.State.Pid}}", CONTAINER)))
        wait_for(docker)
        load(docker, [*images.values()])
        yield docker
    finally:
        engine.run("rm", "--force", "--ignore", CONTAINER)


def wait_for(docker: Docker) -> None:
    try:
        wait_until(lambda: docker.ended("docker", "version").returncode == 0)
    except AssertionError as never:
        never.add_note(docker.engine.run("logs", "--tail=20", CONTAINER))
        raise


def load(docker: Docker, images: list[str]) -> None:
    """Give it images of podman's."""
    archiving = ("save", "--quiet", "--multi-image-archive", "--format", "docker-archive")
    loading = docker.engine.command("exec", "--interactive", CONTAINER, "docker", "load", "--quiet")
    archive = docker.engine.command(*archiving, *images)
    with subprocess.Popen(archive, env=docker.engine.environment, stdout=subprocess.PIPE) as saving:
        subprocess.run(loading, stdin=saving.stdout, capture_output=True, timeout=SECONDS, check=True)
    assert saving.returncode == 0

"""The image of deploy/Dockerfile, built by a real engine on a base that is made here from Debian's packages.

The Python image that the Dockerfile names is on no package index. A Debian 13 has a Python of the same minor version;
it gets that image's name in a storage of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deploy.cluster import DEPLOY, PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAMS = ("podman", "runc", "mmdebstrap")
SYSTEMD = ("systemd-nspawn", "nsenter", "unshare")
PACKAGES = ("python3-venv", "systemd-sysv", "dbus")
"""systemd for tests/deploy/test_systemd_service.py, which boots the same files."""
NAME = "claude-proxy:test"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
[BASE] = set(re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE))
BUILD = ("build", "--quiet", "--format", "docker", "--pull=never", "--network", "host")
LONG_TEXT = ("and so on " * 100).strip()
STALLING = f'[[simulate: {{"text": "{LONG_TEXT}", "stall_after_events": 60, "stall_seconds": 5}}]]'
"""A prompt whose answer stands still in the midst of its text, for long enough to be told to end."""
SECONDS = 120
"""How long anything may take on a busy machine."""


@dataclass(frozen=True)
class Engine:
    """Podman with a storage of its own, in memory. It needs no daemon, and root here."""

    folder: Path
    """A file system in memory: what is written here need not outlive anything."""

    def run(self, *arguments: str, seconds: float = 60) -> str:
        """Run one command to its end. Returns what it wrote to standard output."""
        ended = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": PATH, "TMPDIR": str(self.folder)}

    def command(self, *arguments: str) -> list[str]:
        """Runc and cgroupfs: what works without systemd, whichever cgroups the machine has."""
        storage = ["--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]
        return ["podman", *storage, "--cgroup-manager", "cgroupfs", "--runtime", found("runc"), *arguments]


def found(program: str) -> str:
    path = shutil.which(program, path=PATH)
    assert path is not None
    return path


def needs(*programs: str) -> None:
    """Skip the test where one of them is not installed, or nobody may use it."""
    missing = [program for program in programs if shutil.which(program, path=PATH) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if os.geteuid():
        pytest.skip("only root may make a file system and its containers")


def wait_until(true: Callable[[], bool]) -> None:
    latest = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < latest
        time.sleep(0.1)


@contextlib.contextmanager
def running_engine(folder: Path) -> Iterator[Engine]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", str(folder)], check=True)
    engine = Engine(folder)
    try:
        yield engine
        engine.run("rm", "--all", "--force")
    finally:
        subprocess.run(["umount", "--recursive", "--lazy", str(folder)], check=True)


def limits() -> list[str]:
    """Limits that a container may have. Engines ask for more than they have, which not every root may."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return ["--ulimit", f"nofile={files}:{files}", "--ulimit", "nproc=4096:4096"]


def build_image(engine: Engine) -> None:
    """Make the base, and the image on it as `docker build` would."""
    file = engine.folder / "base.tar"
    making = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    # Where the Python image has them; and the roots, for a machine whose package index has a certificate of its own.
    making += [f'--customize-hook=ln -s /usr/bin/python3 "$1/usr/local/bin/{name}"' for name in ("python", "python3")]
    making += [f'--customize-hook=mkdir -p "$1{CERTIFICATES.parent}" && cp {CERTIFICATES} "$1{CERTIFICATES}"']
    subprocess.run([*making, "trixie", str(file)], check=True, timeout=500, env=engine.environment)
    engine.run("import", "--quiet", str(file), f"docker.io/library/{BASE}", seconds=SECONDS)
    file.unlink()
    engine.run(*BUILD, "--tag", NAME, "--file", str(DEPLOY / "Dockerfile"), str(DEPLOY.parent), seconds=500)

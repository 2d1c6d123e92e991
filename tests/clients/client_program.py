"""Runs a foreign client's program in its own environment, in one way in, and reads what it reports."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from addon.commands.app_runner import app_environment, ca_bundle
from tests.contract.proxy_process import APP_KEY, ROOT, ProxyProcess

FOLDER = Path(__file__).parent
INSTALLED = ROOT / ".cache" / "clients"
MARK = "FEATURE "
CLOSED_PORT = "http://127.0.0.1:9"
"""Nobody listens there: what a client wants of other hosts fails at once."""

type WayName = Literal["base_url", "https_proxy"]

_SECONDS = 480
"""Less than pytest gives a test: what a program that hangs has said is reported."""


@dataclass(frozen=True)
class Client:
    """A foreign client: its folder here holds the program and the pins, `.cache/clients` what was installed."""

    folder: str
    title: str
    package: str
    """The package whose version the table names."""
    apis: tuple[str, ...] = ()
    """The APIs that it speaks with us: its rows of the matrix."""
    program: str = "app.py"
    ways: tuple[WayName, ...] = ("base_url", "https_proxy")

    @property
    def installed(self) -> Path:
        return INSTALLED / self.folder

    @property
    def is_python(self) -> bool:
        return self.program.endswith(".py")

    @property
    def version(self) -> str:
        """The version that is pinned."""
        if self.is_python:
            pins = (FOLDER / self.folder / "requirements.txt").read_text()
            return re.findall(rf"^{re.escape(self.package)}==(\S+)", pins, re.MULTILINE)[0]
        package = json.loads((FOLDER / self.folder / "package.json").read_text())
        return str(package["dependencies"][self.package])

    def command(self) -> list[str]:
        """Name the interpreter and the program; Node finds its packages beside the program alone."""
        if self.is_python:
            return [str(self.installed / "bin" / "python"), str(FOLDER / self.folder / self.program)]
        return [str(node()), str(self.installed / self.program)]


@dataclass(frozen=True)
class Report:
    """What a program reported: for each feature its error, None where it works; and all it wrote."""

    features: dict[str, str | None]
    status: int
    output: str
    log: str


def node() -> Path:
    """Find the Node that was installed from the registry: the machine's own may be too old for the clients."""
    return next(INSTALLED.glob("node/node_modules/node-*/bin/node"), Path("node"))


def environment(proxy: ProxyProcess, way: WayName, home: Path) -> dict[str, str]:
    """Build a client's environment: what `claude-proxy run` sets, or a base URL and no way to anywhere else."""
    given = {
        "PATH": os.pathsep.join([str(node().parent), os.environ["PATH"]]),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(FOLDER / "shared"),
        "OPENAI_API_KEY": APP_KEY,
        "WAY": way,
    }
    if way == "base_url":
        base_url = f"{proxy.origin}/v1"
        blocked = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), CLOSED_PORT)
        no_proxy = "127.0.0.1,localhost"
        urls = {"OPENAI_BASE_URL": base_url, "OPENAI_API_BASE": base_url}  # LlamaIndex knows the older name alone
        return given | blocked | urls | {"NO_PROXY": no_proxy, "no_proxy": no_proxy}
    bundle = home / "ca-bundle.pem"
    bundle.write_bytes(ca_bundle({}, proxy.ca))
    return app_environment(given, proxy.proxy_url, proxy.ca, bundle)


def run(client: Client, variables: Mapping[str, str], home: Path) -> Report:
    """Run the program to its end."""
    if not client.is_python:
        for file in (*FOLDER.glob("shared/*.mjs"), *(FOLDER / client.folder).glob("*.mjs")):
            copy = client.installed / f"{home.name}-{file.name}"
            copy.write_bytes(file.read_bytes())
            copy.replace(client.installed / file.name)  # whole, whoever else runs it at this time
    output, log, status = _finish(client.command(), variables, home)
    results = [json.loads(line.removeprefix(MARK)) for line in output.splitlines() if line.startswith(MARK)]
    other = "\n".join(line for line in output.splitlines() if not line.startswith(MARK))
    features = {result["feature"]: result["error"] for result in results}
    return Report(features, status, other, log)


def _finish(command: list[str], variables: Mapping[str, str], home: Path) -> tuple[str, str, int]:
    """Return what it wrote to standard output and standard error, and its status; one that hangs is killed."""
    with subprocess.Popen(
        command,
        env=dict(variables),
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, log = process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with what it has started, which may hold the pipes open
            output, log = process.communicate()
            log += f"\nkilled after {_SECONDS} s; it had written:\n{output}"
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return output, log, process.returncode

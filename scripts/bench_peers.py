"""The other gateways that scripts/bench compares with: how each is installed, started and asked.

Each is set up as its own documentation has it for production, with one process and without a database: LiteLLM
with its master key, Portkey, which has none, without.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_load import KEY

__all__ = ["PEERS", "Peer", "install"]

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "peers"


@dataclass(frozen=True)
class Peer:
    """A gateway that answers OpenAI's chat completions with Claude."""

    title: str
    packages: tuple[str, ...]
    """Of PyPI, or of npm."""
    overrides: dict[str, str]
    """Versions that its own pins do not allow: those are not to be had everywhere, or fail."""
    environment: dict[str, str]
    program: str
    arguments: tuple[str, ...]
    configuration: str = ""
    headers: tuple[str, ...] = ()
    """Lines of the request's head; `{upstream}` is Claude's address."""

    @property
    def _is_of_npm(self) -> bool:
        return not self.program.startswith("bin/")

    def install(self, name: str) -> None:
        """Install it into a folder of its own, unless it is there."""
        folder = FOLDER / name
        done = folder / "installed.json"
        wanted = json.dumps([self.packages, self.overrides])
        if done.exists() and done.read_text() == wanted:
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if self._is_of_npm:
            versions = dict(package.rsplit("@", 1) for package in self.packages)
            (folder / "package.json").write_text(json.dumps({"dependencies": versions, "overrides": self.overrides}))
            _run("npm", "--prefix", str(folder), "install", "--no-audit", "--no-fund", "--silent")
        else:
            override = folder / "override.txt"
            override.write_text("".join(f"{package}{version}\n" for package, version in self.overrides.items()))
            uv = os.environ["UV"]
            _run(uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder))
            to = ("--python", str(folder / "bin/python"), "--override", str(override), "--compile-bytecode")
            _run(uv, "pip", "install", "--quiet", *to, *self.packages)
        done.write_text(wanted)

    def command(self, name: str, port: int, upstream: str, folder: Path) -> list[str]:
        """Write its configuration; make the command that starts it."""
        configuration = folder / f"{name}.yaml"
        configuration.write_text(self.configuration.replace("{upstream}", upstream))
        program = str(FOLDER / name / self.program)
        arguments = [part.format(port=port, configuration=configuration) for part in self.arguments]
        return [*(["node"] if self._is_of_npm else []), program, *arguments]


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


PEERS: dict[str, Peer] = {
    "litellm": Peer(
        title="LiteLLM 1.109.1",
        # Without opentelemetry it tries that import again at every request; without httptools it parses in Python.
        packages=(
            "litellm[proxy]==1.109.1",
            "httptools",
            "opentelemetry-api",
            "opentelemetry-sdk",
            "opentelemetry-exporter-otlp",
        ),
        overrides={"litellm-proxy-extras": ">=0.4.100", "certifi": ">=2026"},
        environment={
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MASTER_KEY": KEY,  # as its documentation has it for production
        },
        program="bin/litellm",
        arguments=("--config", "{configuration}", "--host", "127.0.0.1", "--port", "{port}", "--num_workers", "1"),
        configuration="""
model_list:
  - model_name: claude-opus-5-5
    litellm_params: {model: anthropic/claude-opus-5-5, api_base: "{upstream}", api_key: bench}
litellm_settings: {set_verbose: false, json_logs: true, request_timeout: 600, num_retries: 0}
general_settings: {disable_spend_logs: true, disable_error_logs: true}
""",
    ),
    "portkey": Peer(
        title="Portkey 1.15.2",
        packages=("@portkey-ai/gateway@1.15.2",),
        overrides={"@hono/node-server": "1.13.8", "hono": "4.9.7"},  # its streams fail on newer ones
        environment={"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"},
        program="node_modules/@portkey-ai/gateway/build/start-server.js",
        arguments=("--port={port}", "--headless"),
        headers=("x-portkey-provider: anthropic", "x-portkey-custom-host: {upstream}/v1"),
    ),
}


def install(names: Sequence[str]) -> None:
    """Install those that are named."""
    for name in names:
        if name in PEERS:
            PEERS[name].install(name)

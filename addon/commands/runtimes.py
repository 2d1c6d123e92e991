"""Which variables make which runtime go through a proxy and trust its certificates."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from addon.commands.finding import Finding, failed, fine, warned

__all__ = ["RUNTIMES", "Runtime", "check_runtime"]

_VERSION_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Runtime:
    """What one runtime obeys."""

    name: str
    commands: str
    """Regular expression of the names of its commands."""
    proxy: tuple[str, ...]
    trust: tuple[str, ...]
    note: str = ""


RUNTIMES = (
    Runtime(
        "Python",
        r"python[\d.]*|pythonw|uv|uvx|pipx|poetry|pytest|ipython|jupyter.*|uvicorn|gunicorn|streamlit|aider|llm",
        ("HTTPS_PROXY",),
        ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
        "openai and httpx follow SSL_CERT_FILE, requests REQUESTS_CA_BUNDLE; aiohttp only with trust_env=True",
    ),
    Runtime(
        "Node",
        r"node|nodejs|npm|npx|pnpm|yarn|tsx|ts-node|next|vite",
        ("HTTPS_PROXY", "NODE_USE_ENV_PROXY"),
        ("NODE_EXTRA_CA_CERTS",),
        "from Node 22.21 and 24.5 on; the package ws ignores them",
    ),
    Runtime("Bun", r"bunx?", ("HTTPS_PROXY",), ("NODE_EXTRA_CA_CERTS",), "its WebSocket ignores them"),
    Runtime("Deno", r"deno", ("HTTPS_PROXY",), ("DENO_CERT",)),
    Runtime("Codex", r"codex", ("HTTPS_PROXY",), ("SSL_CERT_FILE", "CODEX_CA_CERTIFICATE")),
    Runtime("curl", r"curl", ("HTTPS_PROXY",), ("SSL_CERT_FILE", "CURL_CA_BUNDLE")),
    Runtime(
        "Java",
        r"javaw?|mvnw?|gradlew?|kotlin|scala|sbt|jbang",
        ("JAVA_TOOL_OPTIONS",),
        ("JAVA_TOOL_OPTIONS",),
        "a library with an HTTP client of its own may need its own settings",
    ),
    Runtime("Go", r"go", ("HTTPS_PROXY",), ("SSL_CERT_FILE",), "on macOS and Windows it trusts the system's list only"),
    Runtime(
        "Ruby",
        r"ruby|bundle|rails|rake|irb",
        ("HTTPS_PROXY", "http_proxy"),
        ("SSL_CERT_FILE",),
        "its Net::HTTP follows http_proxy, for HTTPS too",
    ),
    Runtime("PHP", r"php|composer", ("HTTPS_PROXY",), ("SSL_CERT_FILE",), "Guzzle follows them, streams do not"),
    Runtime(
        ".NET", r"dotnet|pwsh", ("HTTPS_PROXY",), ("SSL_CERT_FILE",), "on macOS and Windows it trusts the system's list"
    ),
    Runtime("Rust", r"cargo", ("HTTPS_PROXY",), ("SSL_CERT_FILE",), "unless it is built with roots of its own"),
)
"""Seen working: Python, Node, Bun, Deno, Codex, curl, Java, Go, Ruby. The others by their documentation."""

_NODE_WITH_PROXY = ((22, 21), (24, 5))
"""The first versions of their lines that obey NODE_USE_ENV_PROXY."""


def check_runtime(command: Sequence[str], environment: Mapping[str, str]) -> list[Finding]:
    """Say what the app's runtime obeys, and whether it can be made to go through the proxy."""
    check = "runtime"
    found = shutil.which(command[0], path=environment.get("PATH"))
    if found is None:
        return [failed(check, f"{command[0]}: command not found", "check the name and PATH")]
    name = PurePath(command[0]).name.lower().removesuffix(".exe")
    runtime = next((each for each in RUNTIMES if re.fullmatch(each.commands, name)), None)
    if runtime is None:
        advice = "try `claude-proxy run`; if it goes past the proxy, give it the base URL of `claude-proxy serve`"
        return [warned(check, f"{command[0]} is no runtime that is known here", advice)]
    variables = ", ".join(dict.fromkeys((*runtime.proxy, *runtime.trust)))
    note = f" ({runtime.note})" if runtime.note else ""
    findings = [fine(check, f"{runtime.name} obeys {variables}{note}: `claude-proxy run` sets them")]
    if runtime.name == "Node" and (version := _node_version(environment)) and not _obeys_proxy(version):
        advice = "use Node 22.21 or 24.5 or later, or the base URL of `claude-proxy serve`"
        findings = [failed(check, f"Node {version[0]}.{version[1]} ignores HTTPS_PROXY", advice)]
    return findings


def _node_version(environment: Mapping[str, str]) -> tuple[int, int] | None:
    node = shutil.which("node", path=environment.get("PATH"))
    if node is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, timeout=_VERSION_SECONDS, check=False).stdout  # noqa: S603 - the app's own runtime
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(rb"v(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def _obeys_proxy(version: tuple[int, int]) -> bool:
    major, _ = version
    return any(version >= first for first in _NODE_WITH_PROXY if first[0] == major) or major > _NODE_WITH_PROXY[-1][0]

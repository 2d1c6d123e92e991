"""A `mitmdump -s addon/main.py` of its own, as an operator starts it, and the ways in to it."""

import contextlib
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, DefaultHttpx2Client, OpenAI

from tests.reserved_ports import reserved_ports

ROOT = Path(__file__).parents[2]
MITMDUMP = Path(sys.executable).parent / "mitmdump"
APP_KEY = "sk-proj-the-apps-own-key-A1b2C3"
CLAUDE_KEY = "sk-ant-api03-the-operators-own-key-D4e5F6"
STANDALONE = "reverse:http://standalone.claude-proxy.invalid"
REGULAR = "regular"
INHERITED = ("PATH", "HOME", "LANG", "XDG_STATE_HOME", "RATE_LIMIT_REQUESTS", "CLAUDE_PROXY_EGRESS_ALLOW")
SOCKS = "socks5"

_START_SECONDS = 150


@dataclass(frozen=True)
class Way:
    """A way in: the base URL that an app has, and the proxy and CA that its environment has."""

    name: Literal["https_proxy", "base_url", "socks5"]
    base_url: str
    proxy: str | None
    verify: ssl.SSLContext

    def httpx_options(self) -> dict[str, Any]:
        return {"proxy": self.proxy, "verify": self.verify, "trust_env": False}

    def http(self) -> httpx2.Client:
        """Make a plain HTTP client that takes this way, for requests that no SDK would send."""
        return httpx2.Client(base_url=self.base_url, headers=AUTHORIZATION, timeout=60, **self.httpx_options())

    def client(self, **options: Any) -> OpenAI:
        given: dict[str, Any] = {"max_retries": 0, "api_key": APP_KEY, "timeout": 20, **options}
        return OpenAI(base_url=self.base_url, http_client=DefaultHttpx2Client(**self.httpx_options()), **given)

    def async_client(self, **options: Any) -> AsyncOpenAI:
        given: dict[str, Any] = {"max_retries": 0, "api_key": APP_KEY, "timeout": 20, **options}
        return AsyncOpenAI(
            base_url=self.base_url, http_client=DefaultAsyncHttpx2Client(**self.httpx_options()), **given
        )

    def curl(self, path: str, *arguments: str, body: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run curl; `path` comes after the base URL. Standard output is the body, then a line with the status."""
        command = [
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "",
            "--write-out",
            "\n%{http_code}",
        ]
        if self.proxy:
            command += ["--proxy", self.proxy, "--cacert", os.environ.get("CURL_CA_BUNDLE", "")]
        if body is not None:
            command += ["--data-binary", "@-"]
        command += ["--header", f"authorization: Bearer {APP_KEY}", *arguments, f"{self.base_url}{path}"]
        return subprocess.run(command, input=body, capture_output=True, check=True, env={"PATH": os.environ["PATH"]})


AUTHORIZATION = {"authorization": f"Bearer {APP_KEY}"}


@dataclass
class ProxyProcess:
    """A process that listens."""

    confdir: Path
    output: Path
    """Everything that it wrote to standard output and standard error."""
    ports: dict[str, int]
    pid: int

    @property
    def ca(self) -> Path:
        return self.confdir / "mitmproxy-ca-cert.pem"

    @cached_property
    def verify(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    @property
    def origin(self) -> str:
        """The standalone endpoint."""
        return f"http://127.0.0.1:{self.ports['reverse']}"

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['regular']}"

    def way(self, name: Literal["https_proxy", "base_url", "socks5"]) -> Way:
        match name:
            case "https_proxy":
                return Way(name, "https://api.openai.com/v1", self.proxy_url, self.verify)
            case "socks5":
                return Way(
                    name, "https://api.openai.com/v1", f"socks5h://127.0.0.1:{self.ports['socks5']}", self.verify
                )
            case "base_url":
                return Way(name, f"{self.origin}/v1", None, self.verify)

    def printed(self) -> str:
        return self.output.read_text()


@contextlib.contextmanager
def proxy_process(
    confdir: Path,
    output: Path,
    claude_url: str,
    *arguments: str,
    modes: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    credentials: tuple[str, str] | None = None,
) -> Iterator[ProxyProcess]:
    """Start mitmdump with the addon, wait until it answers, end it at the end as an operator would.

    `credentials`: what its `proxyauth` asks for.
    """
    command = [str(MITMDUMP), "-s", str(ROOT / "addon" / "main.py"), "--set", f"confdir={confdir}", *arguments]
    modes = (STANDALONE, REGULAR, *modes)
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    given = {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "ANTHROPIC_API_KEY": CLAUDE_KEY,
        "ANTHROPIC_BASE_URL": claude_url,
        **(environment or {}),
    }
    # mitmproxy takes port 0 for one of its modes only.
    with output.open("wb") as written, reserved_ports(len(modes)) as ports:
        for mode, port in zip(modes, ports, strict=True):
            command += ["--mode", f"{mode}@127.0.0.1:{port}"]
        process = subprocess.Popen(
            command,
            cwd=confdir,
            env=inherited | given,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
        try:
            running = ProxyProcess(
                confdir,
                output,
                {mode.partition(":")[0]: port for mode, port in zip(modes, ports, strict=True)},
                process.pid,
            )
            _wait_until_it_answers(process, running, credentials)
            yield running
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], running: ProxyProcess, credentials: tuple[str, str] | None
) -> None:
    """Ask for its health: it listens a moment before it can answer, and says so with a 503."""
    latest = time.monotonic() + _START_SECONDS
    while time.monotonic() < latest and process.poll() is None:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"{running.origin}/health", auth=credentials, trust_env=False).status_code == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"mitmdump does not answer:\n{running.printed()}")

"""Runs an app whose OpenAI traffic goes through the proxy: its environment, certificates, signals and exit status."""

import asyncio
import contextlib
import os
import signal
import ssl
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

import certifi

__all__ = ["app_environment", "ca_bundle", "run_app", "upstream_mode"]

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""What a shell returns for a command that it cannot start."""

PLACEHOLDER_KEY = "sk-claude-proxy"
"""OpenAI's clients refuse to start without a key. Claude Proxy never passes it on."""

_REPLACING_CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Each names the file that replaces the system's roots: Python and OpenSSL, requests, curl."""

_ADDING_CA_VARIABLES = ("NODE_EXTRA_CA_CERTS", "DENO_CERT", "CODEX_CA_CERTIFICATE")
"""Each names a file that is added to the roots: Node and Bun, Deno, Codex."""


async def run_app(command: Sequence[str], proxy_url: str, ca: Path) -> int:
    """Run `command` to its end with its HTTPS traffic through `proxy_url`.

    Args:
        command: the app and its arguments.
        proxy_url: where the proxy listens.
        ca: the proxy's certificate authority, PEM.

    Returns:
        The app's exit status; 128 + n when signal n ended it, 127 or 126 when it cannot be started, as a shell has it.
    """
    with tempfile.TemporaryDirectory(prefix="claude-proxy-") as folder:
        bundle = Path(folder) / "ca-bundle.pem"
        bundle.write_bytes(ca_bundle(os.environ, ca))
        try:
            app = await asyncio.create_subprocess_exec(*command, env=app_environment(os.environ, proxy_url, ca, bundle))
        except FileNotFoundError:
            return _cannot_start(command[0], "command not found", NOT_FOUND)
        except OSError as error:
            return _cannot_start(command[0], (error.strerror or "cannot be executed").lower(), NOT_EXECUTABLE)
        with _forwarded_signals(app):
            status = await app.wait()
    return 128 - status if status < 0 else status


def _cannot_start(name: str, reason: str, status: int) -> int:
    print(f"claude-proxy: {name}: {reason}.", file=sys.stderr)
    return status


def app_environment(environment: Mapping[str, str], proxy_url: str, ca: Path, bundle: Path) -> dict[str, str]:
    """Build the app's environment: the variables that make each runtime use the proxy and trust its certificates."""
    own = [name.strip() for name in (environment.get("NO_PROXY") or environment.get("no_proxy") or "").split(",")]
    no_proxy = ",".join(dict.fromkeys(name for name in (*own, "localhost", "127.0.0.1", "::1") if name))
    return {
        "OPENAI_API_KEY": PLACEHOLDER_KEY,
        **environment,
        "HTTPS_PROXY": proxy_url,
        "https_proxy": proxy_url,
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "NODE_USE_ENV_PROXY": "1",  # without it, Node's own fetch ignores the proxy
        **dict.fromkeys(_REPLACING_CA_VARIABLES, str(bundle)),
        # Where the user has set one of these already, the bundle holds that file's roots as well.
        **{name: str(bundle if environment.get(name) else ca) for name in _ADDING_CA_VARIABLES},
    }


def ca_bundle(environment: Mapping[str, str], ca: Path) -> bytes:
    """Join the proxy's CA with every root that the app would trust without us: the system's and the user's own."""
    system = ssl.get_default_verify_paths().cafile or certifi.where()
    own = [environment.get(name) for name in (*_REPLACING_CA_VARIABLES, *_ADDING_CA_VARIABLES)]
    files = dict.fromkeys([system, *filter(None, own)])  # each once, in this order
    roots = [Path(file).read_bytes() for file in files if Path(file).is_file()]
    return b"\n".join([*roots, ca.read_bytes()])


def upstream_mode(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Choose mitmproxy's mode, and its options: through the proxy that the environment names already, if any."""
    existing = environment.get("HTTPS_PROXY") or environment.get("https_proxy")
    if not existing:
        return ["regular@0"], []
    parts = urlsplit(existing if "://" in existing else f"http://{existing}")
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    address = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    return [f"upstream:{parts.scheme}://{address}@0"], [f"upstream_auth={credentials}"] if credentials else []


@contextlib.contextmanager
def _forwarded_signals(app: asyncio.subprocess.Process) -> Iterator[None]:
    """Pass signals on to the app. A terminal sends SIGINT and SIGQUIT to the app itself, so those are only outlived."""
    loop = asyncio.get_running_loop()
    outlived = ("SIGINT", "SIGQUIT") if _in_foreground() else ()

    def forward(number: signal.Signals) -> None:
        if number.name not in outlived:
            with contextlib.suppress(ProcessLookupError):
                app.send_signal(number)

    forwarded = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
    numbers = [number for number in signal.Signals if number.name in forwarded]
    with contextlib.suppress(NotImplementedError):  # the event loops of Windows
        for number in numbers:
            loop.add_signal_handler(number, forward, number)
    try:
        yield
    finally:
        with contextlib.suppress(NotImplementedError):
            for number in numbers:
                loop.remove_signal_handler(number)


def _in_foreground() -> bool:
    """Whether a terminal sends its signals to our process group, and with that to the app."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False

"""Runs an app whose OpenAI traffic goes through the proxy: its environment, certificates, signals and exit status."""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from addon.commands.app_environment import JAVA_TRUST_STORE, app_environment, ca_bundle, https_proxy_of
from addon.commands.java_trust_store import encode_trust_store
from addon.configuration.settings import Settings
from addon.configuration.start_error import StartError
from addon.serving.serve import ready_or_ended

__all__ = ["for_one_app", "run_app", "run_with_proxy", "upstream_mode"]

NOT_FOUND, NOT_EXECUTABLE = 127, 126
"""What a shell returns for a command that it cannot start."""


def run_with_proxy(settings: Settings, command: Sequence[str], confdir: Path | None, options: Sequence[str]) -> int:
    """Run `command` to its end with a proxy of its own; return its exit status.

    Args:
        settings: those of `for_one_app`.
        command: the app and its arguments.
        confdir: where mitmproxy keeps its certificate authority; None for its own default.
        options: mitmproxy options, each `name=value`.

    Raises:
        StartError: the proxy cannot start.
    """
    # What is imported here takes seconds: not for --help or a wrong flag.
    from addon.observation.logs import configure_logging
    from addon.serving.event_loop import run_in_event_loop
    from addon.serving.listening import open_sockets
    from addon.serving.master import build_master

    modes, more_options = upstream_mode(os.environ)
    listening = open_sockets(modes, settings.server.host)

    async def run() -> int:
        master = build_master(settings, listening, confdir=confdir, more_options=[*more_options, *options])
        running = asyncio.create_task(master.run())
        await ready_or_ended(master, running)
        if running.done():
            await running
            return 1
        try:
            return await run_app(command, master.listeners[0].url, master.ca)
        finally:
            await master.stop(0, 0)
            await running

    # Standard output belongs to the app alone.
    with contextlib.redirect_stdout(sys.stderr):
        configure_logging(settings.logging.level, settings.logging.format)
        return run_in_event_loop(run)


def for_one_app(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """Fit the settings to one app: its own output stands out (warnings only, as text), its own proxy is used.

    Raises:
        StartError: the environment names a proxy that cannot be used.
    """
    defaults = {"level": "WARNING", "format": "console"}
    logging = settings.logging.model_copy(
        update={name: value for name, value in defaults.items() if name not in settings.logging.model_fields_set}
    )
    server = settings.server.model_copy(update={"host": "127.0.0.1", "port": 0})
    # The app's user pays: a limit that nobody asked for would only be in the way.
    limits = settings.rate_limiting
    if "requests_per_minute" not in limits.model_fields_set:
        limits = limits.model_copy(update={"requests_per_minute": 0})
    # The proxy that the app would have used without us leads to Claude as well.
    existing = _existing_proxy(environment)
    proxy = settings.claude.proxy or (existing.geturl() if existing else None)
    claude = settings.claude.model_copy(update={"proxy": proxy})
    # Nor is the proxy a way to anywhere that the app could not go by itself.
    egress = settings.egress
    if "allow" not in egress.model_fields_set:
        egress = egress.model_copy(update={"allow": ("public", "private")})
    changed = {"logging": logging, "server": server, "claude": claude, "rate_limiting": limits, "egress": egress}
    return settings.model_copy(update=changed)


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
        roots = ca_bundle(os.environ, ca)
        bundle.write_bytes(roots)
        bundle.with_name(JAVA_TRUST_STORE).write_bytes(encode_trust_store(roots, os.environ))
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


def upstream_mode(environment: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Choose mitmproxy's mode, and its options: through the proxy that the environment names already, if any.

    Raises:
        StartError: it names one that cannot be used.
    """
    parts = _existing_proxy(environment)
    if parts is None:
        return ["regular@0"], []
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    address = f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    return [f"upstream:{parts.scheme}://{address}@0"], [f"upstream_auth={credentials}"] if credentials else []


def _existing_proxy(environment: Mapping[str, str]) -> SplitResult | None:
    """Parse the proxy that the environment names, with its scheme or without."""
    name, written = https_proxy_of(environment)
    if not written:
        return None
    with contextlib.suppress(ValueError):  # a port that is none, brackets that do not close
        parts = urlsplit(written if "://" in written else f"http://{written}")
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return parts
    raise StartError([f"{name} names no proxy that the traffic could go through: http://host:port is one."])


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

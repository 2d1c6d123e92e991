"""`claude-proxy serve`: one process that serves, or the start of several (`addon.serving.workers`).

What takes seconds to import, and has to count in the folder of the metrics, is imported where it is used.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from addon.configuration.settings import Settings
from addon.observation.exporter_process import ExporterBeside, exporter_beside
from addon.serving.systemd import tell_systemd

if TYPE_CHECKING:
    from addon.interception.reload import Reloader
    from addon.serving.listening import Listener
    from addon.serving.master import ProxyMaster

__all__ = ["END_SIGNALS", "STANDALONE_MODE", "Serving", "announce", "ready_or_ended", "reload_signals", "serve"]

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""The first one lets exchanges end, the second does not wait."""

STANDALONE_MODE = "standalone"


@dataclass(frozen=True, slots=True)
class Serving:
    """What `serve` was told besides the settings."""

    modes: tuple[str, ...] = (STANDALONE_MODE,)
    full: bool = False
    confdir: Path | None = None
    more_options: tuple[str, ...] = ()


def serve(settings: Settings, serving: Serving, reread: Callable[[], Settings]) -> int:
    """Serve until a signal ends it. Returns the exit status.

    Args:
        settings: checked: they have a key.
        serving: where and how.
        reread: reads the settings again from where they came from.

    Raises:
        StartError: it cannot start.
    """
    with exporter_beside(settings.metrics) as exporter:
        from addon.observation.logs import configure_logging
        from addon.serving.listening import SHARES_PORTS, STANDALONE

        standalone = f"{STANDALONE}@{settings.server.port}"
        serving = replace(
            serving, modes=tuple(standalone if mode == STANDALONE_MODE else mode for mode in serving.modes)
        )
        configure_logging(settings.logging.level, settings.logging.format)
        if settings.server.workers > 1 and SHARES_PORTS:
            from addon.serving.workers import Workers

            return Workers(settings, serving, reread, exporter).run()
        if settings.server.workers > 1:
            print(
                f"claude-proxy: server.workers is {settings.server.workers}, but one process serves: this system "
                "cannot deal the connections to one port out to several.",
                file=sys.stderr,
            )
        return _serve_alone(settings, serving, reread, exporter)


def _serve_alone(
    settings: Settings, serving: Serving, reread: Callable[[], Settings], exporter: ExporterBeside | None
) -> int:
    from addon.interception.reload import Reloader
    from addon.serving.event_loop import run_in_event_loop
    from addon.serving.listening import open_sockets
    from addon.serving.master import build_master

    listening = open_sockets(serving.modes, settings.server.host)

    async def run() -> int:
        master = build_master(
            settings, listening, full=serving.full, confdir=serving.confdir, more_options=serving.more_options
        )
        reloader = Reloader(settings, reread, master.proxy.apply)
        if exporter is not None:
            _watch(exporter)
        with _signals(master, reloader):
            running = asyncio.create_task(master.run())
            await ready_or_ended(master, running)
            if not running.done():
                announce(master.listeners, settings)
            watching = asyncio.create_task(reloader.watch())
            await running
            watching.cancel()
        return 0

    try:
        return run_in_event_loop(run)
    finally:
        for each in listening:
            each.close()


def _signals(master: "ProxyMaster", reloader: "Reloader") -> contextlib.AbstractContextManager[None]:
    from addon.serving.event_loop import call_on_signals

    stopping: list[asyncio.Task[None]] = []

    def on_signal(number: signal.Signals) -> None:
        if number not in END_SIGNALS:
            reloader.reload()
            return
        server = reloader.settings.server
        wait = (0.0, 0.0) if stopping else (server.drain_delay, server.drain_timeout)
        stopping.append(asyncio.create_task(master.stop(*wait)))

    return call_on_signals([*END_SIGNALS, *reload_signals()], on_signal)


def _watch(exporter: ExporterBeside) -> None:
    """Have it begun again when it ends, for as long as the event loop runs."""
    loop = asyncio.get_running_loop()

    def on_end() -> None:
        loop.remove_reader(exporter)
        if exporter.begin_again():
            loop.add_reader(exporter, on_end)

    loop.add_reader(exporter, on_end)


def reload_signals() -> Sequence[signal.Signals]:
    """Name the signal that has the settings read again, where there is one."""
    return [number for number in signal.Signals if number.name == "SIGHUP"]


async def ready_or_ended(master: "ProxyMaster", running: asyncio.Task[None]) -> None:
    """Wait until the proxy listens, or cannot."""
    ready = asyncio.create_task(master.ready.wait())
    await asyncio.wait([ready, running], return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()


def announce(listeners: "Sequence[Listener]", settings: Settings) -> None:
    """Say where the proxy listens: to systemd, on standard error for people and in the log."""
    import structlog

    whom = "the simulated Claude" if settings.claude.simulate else settings.claude.base_url
    for listener in listeners:
        if listener.is_standalone:
            sentence = f"OPENAI_BASE_URL={listener.url}/v1"
        elif listener.client_configuration:
            sentence = f"{listener.mode} on UDP port {listener.port}"
        elif not listener.host:
            sentence = listener.mode
        else:
            sentence = f"{listener.mode} on {listener.url}"
        mode = STANDALONE_MODE if listener.is_standalone else listener.mode
        structlog.get_logger().info("listening", mode=mode, host=listener.host, port=listener.port)
        print(f"Claude Proxy listens: {sentence} (answers come from {whom})", file=sys.stderr, flush=True)
        if listener.client_configuration:
            # Standard error only: it holds a key.
            print(listener.client_configuration, file=sys.stderr, flush=True)
    for listener in listeners:
        if listener.is_public and not _asks_for_keys(listener, settings):
            print(
                f"Claude Proxy asks no client for a key on port {listener.port}: whoever reaches it can use yours.",
                file=sys.stderr,
                flush=True,
            )
    tell_systemd("READY=1")


def _asks_for_keys(listener: "Listener", settings: Settings) -> bool:
    return not settings.access.allow_anonymous if listener.is_standalone else settings.access.proxy_keys

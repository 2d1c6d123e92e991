"""The `claude-proxy` command: `serve`, `run -- CMD`, `simulate`. It only reads flags; the work is done elsewhere."""

import argparse
import asyncio
import contextlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from addon.exporter_process import exporter_beside, run_exporter
from addon.metrics_folder import FOLDER_VARIABLE, folder_in_use
from addon.settings import ALL_SETTINGS, Setting, Settings, SettingsError, load_settings, nest

if TYPE_CHECKING:
    from addon.master import ProxyMaster

__all__ = ["main"]

DRAIN_SECONDS = 10.0
"""How long running exchanges may take to end after the first SIGTERM or SIGINT; a second one does not wait."""

STANDALONE_MODE = "standalone"
_OF_SERVE = frozenset({"server", "metrics"})
"""Sections of settings that have flags of `serve` alone."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0, 1 when it cannot start, or that of the app that it ran."""
    flags = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = flags.command
        return command(flags)
    except SettingsError as error:
        return _fail(error.problems)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _fail(problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"claude-proxy: {problem}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="claude-proxy",
        description="Run any app written for the OpenAI API on Claude, unchanged.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"claude-proxy {importlib.metadata.version('claude-proxy')}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="listen as an OpenAI-compatible endpoint", allow_abbrev=False)
    serve.set_defaults(command=_serve)
    _add_setting_flags(serve, "server")
    serve.add_argument(
        "--mode",
        action="append",
        metavar="MODE",
        help=f"what to listen as, repeatable: {STANDALONE_MODE} (the default), or a mode of mitmproxy's (regular@8080)",
    )
    serve.add_argument(
        "--full", action="store_true", help="with all of mitmproxy's own addons (saving, HAR, proxyauth, ...)"
    )
    _add_mitmproxy_flags(serve)

    run = commands.add_parser(
        "run",
        help="run an app with its OpenAI traffic answered by Claude",
        usage="claude-proxy run [flags] -- CMD [ARG ...]",
        allow_abbrev=False,
    )
    run.set_defaults(command=_run)
    _add_mitmproxy_flags(run)
    run.add_argument("app", nargs="+", metavar="CMD", help="the app and its arguments, after --")

    simulate = commands.add_parser(
        "simulate", help="listen as a simulated Claude, and nothing else", allow_abbrev=False
    )
    simulate.set_defaults(command=_simulate)
    simulate.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    simulate.add_argument("--port", type=int, default=8100, help="port, 0 for a free one (default: %(default)s)")

    exporter = commands.add_parser(
        "exporter", help="show the metrics of all processes that count in one folder", allow_abbrev=False
    )
    exporter.set_defaults(command=_export)
    known: dict[str, Any] = {"default": argparse.SUPPRESS}
    exporter.add_argument("--host", dest="metrics.exporter_host", help="address to listen on", **known)
    exporter.add_argument("--port", dest="metrics.exporter_port", help="port, 0 for a free one", **known)
    exporter.add_argument(
        "--folder", type=Path, metavar="DIR", help=f"the folder (default: environment variable {FOLDER_VARIABLE})"
    )
    exporter.add_argument("--beside", action="store_true", help=argparse.SUPPRESS)  # end with standard input

    for command in (serve, run):
        _add_setting_flags(command, None)
    return parser


def _add_mitmproxy_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--confdir", type=Path, metavar="DIR", help="folder of the certificate authority (default: ~/.mitmproxy)"
    )
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of mitmproxy's")


def _add_setting_flags(parser: argparse.ArgumentParser, section: str | None) -> None:
    """Add the flags of one section's settings; "server" stands for all that only `serve` has, None for the others."""
    for setting in ALL_SETTINGS:
        is_server = setting.path[0] in _OF_SERVE
        if setting.names.flag is None or is_server != (section == "server"):
            continue
        known: dict[str, Any] = {
            "dest": setting.dotted,
            "default": argparse.SUPPRESS,
            "help": setting.field.description,
        }
        if setting.field.annotation is bool:
            action = "store_false" if setting.names.flag.startswith("--no-") else "store_true"
            parser.add_argument(setting.names.flag, action=action, **known)
        else:
            parser.add_argument(setting.names.flag, metavar=setting.path[-1].upper(), **known)


def _settings(flags: argparse.Namespace) -> Settings:
    given = {setting.path: getattr(flags, setting.dotted) for setting in ALL_SETTINGS if hasattr(flags, setting.dotted)}
    return load_settings(nest(given), describe=_flag_of)


def _flag_of(setting: Setting) -> str | None:
    return setting.names.flag


def _serve(flags: argparse.Namespace) -> int:
    settings = _settings(flags)
    settings.require_key()
    with exporter_beside(settings.metrics):
        return _serve_with(settings, flags)


def _serve_with(settings: Settings, flags: argparse.Namespace) -> int:
    # Everything below `_settings` imports mitmproxy and the SDK, which takes seconds: not for --help or a wrong flag.
    from addon.logs import configure_logging  # noqa: PLC0415
    from addon.master import STANDALONE, build_master  # noqa: PLC0415

    configure_logging(settings.logging.level, settings.logging.format)
    standalone = f"{STANDALONE}@{settings.server.port}"
    modes = [standalone if mode == STANDALONE_MODE else mode for mode in flags.mode or [STANDALONE_MODE]]

    async def serve() -> int:
        master = build_master(settings, modes, full=flags.full, confdir=flags.confdir, more_options=flags.set)
        with _signals_stop(master):
            running = asyncio.create_task(master.run())
            await _ready_or_ended(master, running)
            if not running.done():
                _announce(master, settings)
            await running
        return 0

    return _in_event_loop(serve)


def _run(flags: argparse.Namespace) -> int:
    settings = _for_one_app(_settings(flags))
    settings.require_key()
    from addon.app_runner import run_app, upstream_mode  # noqa: PLC0415 - see _serve
    from addon.logs import configure_logging  # noqa: PLC0415
    from addon.master import build_master  # noqa: PLC0415

    async def run() -> int:
        modes, more_options = upstream_mode(os.environ)
        master = build_master(settings, modes, confdir=flags.confdir, more_options=[*more_options, *flags.set])
        running = asyncio.create_task(master.run())
        await _ready_or_ended(master, running)
        if running.done():
            await running
            return 1
        try:
            return await run_app(flags.app, master.listeners[0].url, master.ca)
        finally:
            await master.stop(0)
            await running

    # Standard output belongs to the app alone.
    with contextlib.redirect_stdout(sys.stderr):
        configure_logging(settings.logging.level, settings.logging.format)
        return _in_event_loop(run)


def _for_one_app(settings: Settings) -> Settings:
    """Fit the settings to one app: its own output stands out (warnings only, as text), its own proxy is used."""
    defaults = {"level": "WARNING", "format": "console"}
    logging = settings.logging.model_copy(
        update={name: value for name, value in defaults.items() if name not in settings.logging.model_fields_set}
    )
    server = settings.server.model_copy(update={"host": "127.0.0.1", "port": 0})
    # The proxy that the app would have used without us leads to Claude as well.
    proxy = settings.claude.proxy or os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or None
    claude = settings.claude.model_copy(update={"proxy": proxy})
    return settings.model_copy(update={"logging": logging, "server": server, "claude": claude})


def _simulate(flags: argparse.Namespace) -> int:
    from addon.simulated_claude.server import start  # noqa: PLC0415 - see _serve

    async def simulate() -> int:
        simulation = await start(flags.host, flags.port)
        print(f"Simulated Claude listens on {simulation.base_url}", file=sys.stderr, flush=True)
        stopped = asyncio.Event()
        with _signals(lambda _number: stopped.set()):
            await stopped.wait()
        await simulation.close()
        return 0

    try:
        return _in_event_loop(simulate)
    except OSError as error:
        return _fail([f"Cannot listen on {flags.host}:{flags.port}: {os.strerror(error.errno or 0).lower()}."])


def _export(flags: argparse.Namespace) -> int:
    settings = _settings(flags).metrics
    folder = flags.folder or folder_in_use()
    if folder is None:
        return _fail([f"No folder to read: set {FOLDER_VARIABLE}, or give --folder."])
    host, port = settings.exporter_host, settings.exporter_port
    try:
        run_exporter(folder, host, port, beside=sys.stdin.buffer if flags.beside else None)
    except OSError as error:
        return _fail([f"Cannot show metrics on {host}:{port}: {(error.strerror or str(error)).lower()}."])
    return 0


def _in_event_loop(start: Callable[[], Awaitable[int]]) -> int:
    from addon.event_loop import new_event_loop  # noqa: PLC0415 - see _serve
    from addon.master import StartError  # noqa: PLC0415

    async def started() -> int:
        return await start()

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(started())
    except StartError as error:
        return _fail(error.problems)


async def _ready_or_ended(master: "ProxyMaster", running: asyncio.Task[None]) -> None:
    ready = asyncio.create_task(master.ready.wait())
    await asyncio.wait([ready, running], return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()


def _announce(master: "ProxyMaster", settings: Settings) -> None:
    import structlog  # noqa: PLC0415 - see _serve

    whom = "the simulated Claude" if settings.claude.simulate else settings.claude.base_url
    for listener in master.listeners:
        if listener.is_standalone:
            sentence = f"OPENAI_BASE_URL={listener.url}/v1"
        else:
            sentence = f"{listener.mode} on {listener.url}"
        structlog.get_logger().info("listening", mode=listener.mode, host=listener.host, port=listener.port)
        print(f"Claude Proxy listens: {sentence} (answers come from {whom})", file=sys.stderr, flush=True)
    if any(listener.is_public for listener in master.listeners):
        print(
            "Claude Proxy asks no client for a key: whoever reaches this port can use yours.",
            file=sys.stderr,
            flush=True,
        )


def _signals_stop(master: "ProxyMaster") -> contextlib.AbstractContextManager[None]:
    stopping: list[asyncio.Task[None]] = []

    def stop(_number: int) -> None:
        # The first signal lets exchanges end, the second does not wait.
        stopping.append(asyncio.create_task(master.stop(0 if stopping else DRAIN_SECONDS)))

    return _signals(stop)


@contextlib.contextmanager
def _signals(on_signal: Callable[[int], None]) -> Iterator[None]:
    """Have SIGINT and SIGTERM call `on_signal` inside the event loop."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        for number in numbers:
            loop.add_signal_handler(number, on_signal, number)
    except NotImplementedError:  # the event loops of Windows
        for number in numbers:
            signal.signal(number, lambda number, _frame: loop.call_soon_threadsafe(on_signal, number))
        yield
        return
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            # The process is ending: a signal that comes now must not change its exit status.
            signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())

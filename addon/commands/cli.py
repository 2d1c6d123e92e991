"""The `claude-proxy` command and its parts. It only reads flags; the work is done elsewhere."""

import addon.serving.heap_room  # noqa: F401 - before all others: it says why

# isort: split

import argparse
import asyncio
import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, override

from addon.commands.app_runner import for_one_app, run_with_proxy
from addon.commands.config_command import check_config, config_schema, show_config
from addon.commands.keys_command import KEY_FLAGS, add_key, list_keys, revoke_key
from addon.configuration.settings import ALL_SETTINGS, Setting, Settings, SettingsError, load_settings, nest, sources_of
from addon.configuration.start_error import StartError
from addon.observation.exporter_process import run_exporter
from addon.observation.metrics_folder import FOLDER_VARIABLE, folder_in_use
from addon.serving.serve import END_SIGNALS, STANDALONE_MODE, Serving, serve

__all__ = ["main"]

_CONFDIR_HELP = "Folder of the certificate authority (default: ~/.mitmproxy)."
_CONFIG_HELP = "Configuration file, which may say where the keys are."
_OF_SERVE = frozenset({"access", "metrics", "server"})
"""Sections of settings that have flags of `serve` alone."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns the exit status: 0, 1 when it cannot start, or that of the app that it ran."""
    _open_closed_streams()
    flags = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], int] = flags.command
        return command(flags)
    except (SettingsError, StartError) as error:
        return _fail(error.problems)
    except BrokenPipeError:
        # Whoever read the output has read enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _open_closed_streams() -> None:
    """Have standard streams that are closed (`>&-`) lead nowhere: the next file or socket would take their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - to stay


def _fail(problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"claude-proxy: {problem}", file=sys.stderr)
    return 1


class _Parser(argparse.ArgumentParser):
    """Refuses itself what it does not know, so that a command's own usage is shown, and not that of `claude-proxy`."""

    @override
    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="claude-proxy",
        description="Run any app written for the OpenAI API on Claude, unchanged.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"claude-proxy {importlib.metadata.version('claude-proxy')}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serving = _add_command(commands, "serve", "answer OpenAI requests at an address of your own, or as a proxy")
    serving.set_defaults(command=_serve)
    _add_setting_flags(serving, "server")
    serving.add_argument(
        "--mode",
        action="append",
        metavar="MODE",
        help=f"What to listen as, repeatable: {STANDALONE_MODE} (the default), or a mode of mitmproxy (regular@8080).",
    )
    serving.add_argument(
        "--full", action="store_true", help="Load all of mitmproxy's own addons (saving flows, HAR, proxyauth, ...)."
    )
    _add_mitmproxy_flags(serving)

    run = _add_command(
        commands,
        "run",
        "run one app, and let Claude answer its OpenAI requests",
        usage="claude-proxy run [flags] -- CMD [ARG ...]",
    )
    run.set_defaults(command=_run)
    _add_mitmproxy_flags(run)
    run.add_argument("app", nargs="+", metavar="CMD", help="The app and its arguments, after --.")

    simulate = _add_command(commands, "simulate", "start a simulated Claude, without the proxy")
    simulate.set_defaults(command=_simulate)
    simulate.add_argument("--host", default="127.0.0.1", help="Address to listen on (default: %(default)s).")
    simulate.add_argument("--port", type=int, default=8100, help="Port; 0 takes a free one (default: %(default)s).")

    doctor = _add_command(
        commands,
        "doctor",
        "find out what is wrong with this setup, and what to do about it",
        usage="claude-proxy doctor [flags] [-- CMD [ARG ...]]",
    )
    doctor.set_defaults(command=_doctor)
    doctor.add_argument("--json", action="store_true", help="Print one JSON array instead of lines.")
    doctor.add_argument("--confdir", type=Path, metavar="DIR", help=_CONFDIR_HELP)
    doctor.add_argument("app", nargs="*", metavar="CMD", help="An app, to see which variables its runtime obeys.")

    config = _add_command(commands, "config", "show, check or describe the settings")
    parts = config.add_subparsers(required=True, metavar="show|check|schema")
    show = _add_command(parts, "show", "print each setting and where its value comes from, with secrets masked")
    show.set_defaults(command=_show_config)
    show.add_argument("--json", action="store_true", help="Print one JSON object instead of lines.")
    check = _add_command(parts, "check", "say whether the settings can be used, with one sentence per problem")
    check.set_defaults(command=_check_config)
    check.add_argument("file", nargs="?", metavar="FILE", help="The configuration file, if not the usual one.")
    schema = _add_command(parts, "schema", "print the JSON Schema of a configuration file, for editors")
    schema.set_defaults(command=lambda _flags: config_schema())

    exporter = _add_command(commands, "exporter", "show Prometheus the metrics of all processes that share a folder")
    exporter.set_defaults(command=_export)
    known: dict[str, Any] = {"default": argparse.SUPPRESS}
    for flag, meaning in (("host", "Address to listen on."), ("port", "Port; 0 takes a free one.")):
        exporter.add_argument(f"--{flag}", dest=f"metrics.exporter_{flag}", metavar=flag.upper(), help=meaning, **known)
    exporter.add_argument(
        "--folder", type=Path, metavar="DIR", help=f"The folder (default: that in {FOLDER_VARIABLE})."
    )

    keys = _add_command(commands, "keys", "make, list and revoke client keys")
    _add_key_commands(keys)

    for command in (doctor, show, check):
        _add_setting_flags(command, "server")
    for command in (serving, run, doctor, show, check):
        _add_setting_flags(command, None)
    return parser


def _add_command[P: argparse.ArgumentParser](
    commands: "argparse._SubParsersAction[P]", name: str, does: str, usage: str | None = None
) -> P:
    """Add a command, which says what it does in the list of commands and in its own help."""
    return commands.add_parser(
        name, help=does, description=f"{does[0].upper()}{does[1:]}.", usage=usage, allow_abbrev=False
    )


def _add_key_commands(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = _add_command(commands, "add", "make a client key, and print it this once")
    add.set_defaults(command=_keys_add)
    add.add_argument("name", metavar="NAME", help="Name of the client in the log and for the limits.")
    for flag, metavar, meaning in (
        ("--models", "NAMES", "Models that the client may ask for: patterns, separated by commas."),
        ("--requests-per-minute", "N", "Requests a minute, in place of everybody's limit; 0 means no limit."),
        ("--burst-size", "N", "Requests that may come at once."),
        ("--tokens-per-minute", "N", "Tokens a minute, in place of everybody's limit; 0 means no limit."),
        ("--concurrent-requests", "N", "Requests at the same time, in place of everybody's limit; 0 means no limit."),
        ("--dollars-per-day", "N", "Dollars a day, in place of everybody's limit; 0 means no limit."),
        (
            "--claude-key-variable",
            "NAME",
            "Environment variable that holds the key for Claude for this client's calls.",
        ),
        ("--claude-key-file", "FILE", "File that holds the key for Claude for this client's calls."),
    ):
        add.add_argument(flag, default=argparse.SUPPRESS, metavar=metavar, help=meaning)
    add.add_argument(
        "--cache",
        action=argparse.BooleanOptionalAction,
        default=argparse.SUPPRESS,
        help="Answer this client from the cache, or never, whatever cache.mode says.",
    )
    shown = _add_command(commands, "list", "list the clients and their limits, without the keys themselves")
    shown.set_defaults(command=_keys_list)
    revoke = _add_command(commands, "revoke", "stop accepting the key of a client")
    revoke.set_defaults(command=_keys_revoke)
    revoke.add_argument("name", metavar="NAME")
    for command in (add, shown, revoke):
        command.add_argument("--config", dest="config", default=argparse.SUPPRESS, metavar="FILE", help=_CONFIG_HELP)


def _add_mitmproxy_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--confdir", type=Path, metavar="DIR", help=_CONFDIR_HELP)
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="An option of mitmproxy.")


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
        if setting.names.flag.startswith("--no-"):
            meaning = known["help"]
            known["help"] = f"Do not {meaning[0].lower()}{meaning[1:]}"
            parser.add_argument(setting.names.flag, action="store_false", **known)
        elif setting.field.annotation is bool:
            parser.add_argument(setting.names.flag, action="store_true", **known)
        else:
            choices = get_args(setting.field.annotation) if get_origin(setting.field.annotation) is Literal else ()
            parser.add_argument(setting.names.flag, metavar="|".join(choices) or setting.path[-1].upper(), **known)


def _settings(flags: argparse.Namespace) -> Settings:
    return load_settings(_given(flags), describe=_flag_of)


def _given(flags: argparse.Namespace) -> dict[str, Any]:
    return nest({each.path: getattr(flags, each.dotted) for each in ALL_SETTINGS if hasattr(flags, each.dotted)})


def _flag_of(setting: Setting) -> str | None:
    return setting.names.flag


def _serve(flags: argparse.Namespace) -> int:
    settings = _settings(flags)
    settings.require_key()
    _check_backends(settings)
    modes = tuple(flags.mode or (STANDALONE_MODE,))
    serving = Serving(modes, flags.full, flags.confdir, _mitmproxy_options(flags))
    return serve(settings, serving, reread=lambda: _settings(flags))


def _run(flags: argparse.Namespace) -> int:
    settings = for_one_app(_settings(flags), os.environ)
    settings.require_key()
    _check_backends(settings)
    return run_with_proxy(settings, flags.app, flags.confdir, _mitmproxy_options(flags))


def _mitmproxy_options(flags: argparse.Namespace) -> tuple[str, ...]:
    """Take what --set says. Our own settings are mitmproxy options in mitmdump and mitmweb, which load the addon."""
    names = {option.partition("=")[0] for option in flags.set}
    ours = [setting for setting in ALL_SETTINGS if setting.names.option in names]
    if ours:
        instead = {setting.names.option: setting.names.flag or setting.names.env for setting in ours}
        raise StartError([f"--set {option} is for mitmdump: here it is {name}." for option, name in instead.items()])
    return tuple(flags.set)


def _check_backends(settings: Settings) -> None:
    if settings.claude.backends:
        # It imports the SDK, which takes seconds: not for --help or a wrong flag.
        from addon.claude.backends import check_backends

        check_backends(settings)


def _simulate(flags: argparse.Namespace) -> int:
    # They import what takes seconds: not for --help or a wrong flag.
    from addon.serving.event_loop import call_on_signals, run_in_event_loop
    from addon.simulated_claude.server import start

    async def simulate() -> int:
        simulation = await start(flags.host, flags.port)
        print(f"Simulated Claude listens on {simulation.base_url}", file=sys.stderr, flush=True)
        stopped = asyncio.Event()
        with call_on_signals(END_SIGNALS, lambda _number: stopped.set()):
            await stopped.wait()
        await simulation.close()
        return 0

    try:
        return run_in_event_loop(simulate)
    except OSError as error:
        return _fail([f"Cannot listen on {flags.host}:{flags.port}: {os.strerror(error.errno or 0).lower()}."])


def _doctor(flags: argparse.Namespace) -> int:
    settings = _settings(flags)
    from addon.commands.doctor import doctor

    confdir = flags.confdir or Path("~/.mitmproxy").expanduser()
    return doctor(settings, flags.app, confdir, as_json=flags.json)


def _show_config(flags: argparse.Namespace) -> int:
    settings = _settings(flags)
    return show_config(settings, sources_of(settings, _given(flags), _flag_of), as_json=flags.json)


def _check_config(flags: argparse.Namespace) -> int:
    if flags.file is not None:
        setattr(flags, "config", flags.file)  # noqa: B010 - as the flag --config would
    settings = _settings(flags)
    _check_backends(settings)
    return check_config(settings)


def _export(flags: argparse.Namespace) -> int:
    settings = _settings(flags).metrics
    folder = flags.folder or folder_in_use()
    if folder is None:
        return _fail([f"No folder to read: set {FOLDER_VARIABLE}, or give --folder."])
    run_exporter(folder, settings.exporter_host, settings.exporter_port)
    return 0


def _keys_add(flags: argparse.Namespace) -> int:
    return add_key(_settings(flags), flags.name, {name: vars(flags)[name] for name in KEY_FLAGS if name in flags})


def _keys_list(flags: argparse.Namespace) -> int:
    return list_keys(_settings(flags))


def _keys_revoke(flags: argparse.Namespace) -> int:
    return revoke_key(_settings(flags), flags.name)


if __name__ == "__main__":
    sys.exit(main())

"""The settings as mitmproxy options (`--set claude_…`, config.yaml, mitmweb's editor). Secrets are never options.

mitmproxy shows options in its user interfaces and in the process list, so the key for Claude comes from the
environment or the configuration file alone.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args

from mitmproxy.exceptions import OptionsError
from mitmproxy.optmanager import unset

from addon.configuration.settings import ALL_SETTINGS, Setting, Settings, SettingsError, load_settings, nest

if TYPE_CHECKING:
    from mitmproxy.addonmanager import Loader
    from mitmproxy.optmanager import OptManager

__all__ = ["OPTION_NAMES", "add_options", "option_of", "read_settings", "take_early_options"]

_PREFIX = "claude_"

OPTION_NAMES = frozenset(setting.names.option for setting in ALL_SETTINGS if setting.names.option is not None)


def option_of(dotted: str) -> str | None:
    """Name the option of a setting, such as `claude_aliases` of `claude.aliases`; None if there is none."""
    return next(setting.names.option for setting in ALL_SETTINGS if setting.dotted == dotted)


def add_options(loader: Loader) -> None:
    """Register one option per setting that may be one. Each shows the default that holds when nothing else is set."""
    for setting in ALL_SETTINGS:
        if setting.names.option is not None:
            typespec, default = _option_type(setting)
            help_text = f"{setting.field.description} Environment: {setting.names.env}."
            loader.add_option(setting.names.option, typespec, default, help_text)


def take_early_options(options: OptManager) -> None:
    """Take the values that came before the options were there: from `--set` and from mitmproxy's config.yaml.

    mitmproxy itself does so once an addon is loaded. But where a value is of the wrong type, it then drops the addon
    without a word and goes on, so that requests would go to the real host; and names that are no options are passed
    over. Raises `SettingsError`.
    """
    try:
        options.process_deferred()
    except (OptionsError, TypeError) as error:
        for name in OPTION_NAMES & options.deferred.keys():
            del options.deferred[name]  # else mitmproxy stumbles over them, and drops the addon
        raise SettingsError([str(error)]) from None
    unknown = [name for name in options.deferred if name.startswith(_PREFIX)]
    if unknown:
        raise SettingsError([_is_no_option(name) for name in unknown])


def read_settings(options: OptManager) -> Settings:
    """Merge the options with the other sources; an option counts only where somebody has set it.

    Raises `SettingsError`.
    """
    known = dict(options.items())
    given = {
        setting.path: option.value
        for setting in ALL_SETTINGS
        # An option that was set to its own default still wins over the environment, so `unset` is asked, not `!=`.
        if (option := known.get(setting.names.option)) is not None and option.value not in (unset, None)
    }
    return load_settings(nest(given), describe=lambda setting: f"option {setting.names.option}")


def _is_no_option(name: str) -> str:
    close = difflib.get_close_matches(name, OPTION_NAMES, n=1, cutoff=0.8)
    return f"{name} is no option{f'; did you mean {close[0]}?' if close else '.'}"


def _option_type(setting: Setting) -> tuple[Any, Any]:
    """Say it in mitmproxy's types: bool, int, str, their optional forms, lists of str. Fractions become text."""
    default = setting.field.get_default(call_default_factory=True)
    annotation = setting.field.annotation
    members = get_args(annotation)
    optional = NoneType in members
    kind = next((member for member in members if member is not NoneType), annotation) if optional else annotation
    if kind is bool:
        return bool, default
    if kind is int:
        return (int | None if optional else int), default
    if isinstance(default, tuple):
        return Sequence[str], list(default)
    if isinstance(default, dict):
        return Sequence[str], [f"{pattern}={model}" for pattern, model in default.items()]
    return (str | None, None) if optional else (str, f"{default:g}" if kind is float else str(default))

"""New settings for a proxy that runs: which of them may change, and who reads them again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from addon.claude.backends import check_backends
from addon.configuration.file_watch import FileWatch
from addon.configuration.settings import ALL_SETTINGS, Setting, Settings, SettingsError, value_of

__all__ = ["RELOADABLE", "Changes", "Reloader", "find_changes"]

RELOADABLE = frozenset(
    {
        "access.keys",
        "access.allow_anonymous",
        "claude.api_key",
        "claude.default_model",
        "claude.aliases",
        "claude.fallbacks",
        "claude.max_tokens",
        "claude.max_tokens_limit",
        "claude.prompt_caching",
        "claude.show_thinking",
        "interception.hosts",
        "interception.untranslated",
        "interception.others",
        "egress.allow",
        "limits.max_request_bytes",
        "limits.max_images",
        "limits.max_image_bytes",
        "limits.body_seconds",
        "limits.answer_seconds",
        "logging.level",
        "metrics.clients",
        "rate_limiting.requests_per_minute",
        "rate_limiting.burst_size",
        "rate_limiting.tokens_per_minute",
        "rate_limiting.concurrent_requests",
        "rate_limiting.dollars_per_day",
        "rate_limiting.total_requests_per_minute",
        "rate_limiting.total_tokens_per_minute",
        "rate_limiting.total_concurrent_requests",
        "rate_limiting.total_dollars_per_day",
        "rate_limiting.on_redis_failure",
        "server.drain_delay",
        "server.drain_timeout",
        "stream.keep_alive_seconds",
    }
)
"""Settings that hold from the next request on: all that is read of them is read from `Gateway.settings`, or made anew
by `Gateway.apply`. Every other setting takes effect at the start."""

_POLL_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Changes:
    """What new settings change. Names are dotted, as in the documentation."""

    settings: Settings
    """The old settings with the reloadable ones of the new."""
    changed: tuple[str, ...]
    kept: tuple[str, ...]
    """Those that differ, and cannot change while the proxy runs."""


def find_changes(old: Settings, new: Settings) -> Changes:
    """Compare two settings."""
    different = [setting for setting in ALL_SETTINGS if value_of(old, setting) != value_of(new, setting)]
    settings = old
    for setting in different:
        if setting.dotted in RELOADABLE:
            settings = _with_value(settings, setting, value_of(new, setting))
    changed = tuple(setting.dotted for setting in different if setting.dotted in RELOADABLE)
    kept = tuple(setting.dotted for setting in different if setting.dotted not in RELOADABLE)
    return Changes(settings, changed, kept)


def _with_value(settings: Settings, setting: Setting, value: Any) -> Settings:
    section, name = setting.path
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update={name: value})})


class Reloader:
    """Reads the settings again when it is told to, or when their file has changed.

    Args:
        settings: those that the proxy runs with.
        reread: reads them again from where they came from; raises `SettingsError`.
        apply: puts new ones in force.
        file: their file, seen when they were read; left out, it is looked at now.
    """

    def __init__(
        self,
        settings: Settings,
        reread: Callable[[], Settings],
        apply: Callable[[Settings], None],
        file: FileWatch | None = None,
    ) -> None:
        self.settings = settings
        self._reread = reread
        self._apply = apply
        self._file = file or FileWatch(settings.config)

    def reload(self) -> None:
        """Put new settings in force, all or none; the log says what came of it."""
        self._file.take_as_seen()
        try:
            new = self._reread()
            new.require_key()
            check_backends(new)
        except SettingsError as error:
            for problem in error.problems:
                log.error("settings_not_reloaded", detail=problem)  # noqa: TRY400 - a sentence for the operator
            return
        self.take(new)

    def take(self, new: Settings) -> None:
        """Put settings in force that have been read and checked."""
        changes = find_changes(self.settings, new)
        for name in changes.kept:
            log.warning("setting_not_reloaded", setting=name, detail=f"{name} takes effect at the next start.")
        if changes.changed:
            self.settings = changes.settings
            self._apply(changes.settings)
        log.info("settings_reloaded", changed=list(changes.changed))

    def reload_if_changed(self) -> None:
        """Read the settings again if their file has changed since they were read."""
        if self._file.has_changed():
            self.reload()

    async def watch(self) -> None:
        """Look at the file once a second, for ever; where there is none, there is nothing to look at."""
        while self.settings.config is not None:
            await asyncio.sleep(_POLL_SECONDS)
            self.reload_if_changed()

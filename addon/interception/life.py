"""The addon's life in mitmproxy: its options and settings, and what is opened and closed with the process."""

import logging
from typing import TYPE_CHECKING

import structlog
from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader
from mitmproxy.utils import asyncio_utils

from addon.access.access import Access, key_file_of
from addon.access.proxy_gate import ProxyGate
from addon.claude.backends import check_backends
from addon.configuration.client_keys import KeyFileError
from addon.configuration.file_watch import FileWatch
from addon.configuration.options import OPTION_NAMES, add_options, option_of, read_settings, take_early_options
from addon.configuration.settings import Settings, SettingsError
from addon.configuration.start_error import StartError
from addon.exchanges.gateway import Gateway, open_gateway
from addon.exchanges.run import head_too_large
from addon.interception.beyond_loopback import require_some_key, warn_of_an_open_proxy
from addon.interception.egress_gate import EgressGate
from addon.interception.mitmproxy_errors import answer_errors_with
from addon.interception.refusals import make_last_response, make_mitmproxys_error
from addon.interception.reload import Reloader, find_changes
from addon.observation.logs import configure_logging
from addon.observation.metrics_folder import check_folder, folder_in_use
from addon.routing import Router
from addon.wire.http1 import limit_request_heads

if TYPE_CHECKING:
    import asyncio

__all__ = ["LivingAddon"]

log = structlog.get_logger(__name__)


class LivingAddon:
    """Reads the settings, puts new ones in force, and opens and closes what the hooks of its subclass need.

    The arguments are those of `addon.interception.interceptor.ClaudeProxyAddon`.
    """

    def __init__(self, settings: Settings | None = None, *, keeps_bodies: bool = True) -> None:
        self._given_settings = settings
        self._settings: Settings | None = None
        self._keeps_bodies = keeps_bodies
        self._router = Router((), "refuse")
        self._access: Access | None = None
        self._proxy_gate = ProxyGate(None)
        self._gateway: Gateway | None = None
        self._file = FileWatch(None)
        """That of the settings, as it was when they were read."""
        self._reloader: Reloader | None = None
        self._watching: asyncio.Task[None] | None = None
        self._egress_gate = EgressGate(self._own_ports)

    def load(self, loader: Loader) -> None:
        """Register the options, and set the one of mitmproxy's own that interception stands on."""
        if self._given_settings is None:
            add_options(loader)
            try:
                take_early_options(ctx.options)
            except SettingsError as error:
                _end_the_start(error)
        # The default dials the real host before any hook is asked.
        ctx.options.update(connection_strategy="lazy")

    def configure(self, updated: set[str]) -> None:
        """Read and check the settings. A mistake at the start is one line of the log, on which mitmproxy ends.

        Raises:
            OptionsError: settings that cannot be used, or that cannot change while the proxy runs.
        """
        if self._gateway is not None and updated & {"mode", "listen_host"}:
            self._require_some_key()
        if self._reloader is not None:
            if OPTION_NAMES & updated:
                self._reconfigure(updated)
            return
        try:
            settings = self._given_settings or read_settings(ctx.options)
            self._file = FileWatch(settings.config)
            settings.require_key()
            check_backends(settings)
            if (folder := folder_in_use()) is not None:
                check_folder(folder)
            if self._gateway is None:
                key_file = key_file_of(settings.access, settings.store)
                self._access = Access(settings.access, key_file, has_own_key=settings.answers_without_claude_key)
                self._proxy_gate = ProxyGate(self._access if settings.access.proxy_keys else None)
        except (SettingsError, StartError, KeyFileError) as error:
            _end_the_start(error)
            return
        self.apply(settings)

    def _reconfigure(self, updated: set[str]) -> None:
        """Take options that were changed in mitmproxy's user interfaces."""
        assert self._reloader is not None  # noqa: S101 - for the type checker
        try:
            settings = read_settings(ctx.options)
            settings.require_key()
            check_backends(settings)
        except SettingsError as error:
            raise exceptions.OptionsError(str(error)) from None
        kept = find_changes(self._reloader.settings, settings).kept
        if refused := [name for name in kept if option_of(name) in updated]:
            raise exceptions.OptionsError(f"{', '.join(refused)}: takes effect at the start of Claude Proxy only.")
        self._reloader.take(settings)

    def apply(self, settings: Settings) -> None:
        """Put settings in force, from the next request on: all of them at once."""
        self._settings = settings
        interception = settings.interception
        self._router = Router(interception.hosts, interception.untranslated, settings.other_backends)
        self._egress_gate.allow(settings.egress.allow)
        if self._gateway is not None:
            configure_logging(settings.logging.level, settings.logging.format)
            self._gateway.apply(settings)
            self._require_some_key()

    async def running(self) -> None:
        """Open what lives as long as the process, if that was not done before mitmproxy listens."""
        if self._gateway is None:
            await self.open()

    async def open(self) -> None:
        """Open what lives as long as the process: from then on, requests are answered."""
        if self._settings is None:
            self.configure(set())
        if (settings := self._settings) is None or (access := self._access) is None:
            return
        proxy_gate = self._proxy_gate
        configure_logging(settings.logging.level, settings.logging.format)
        if settings.logging.content == "full":
            log.warning("content_logged", detail="prompts and answers are in the log (logging.content)")
        self._require_some_key()
        limit = settings.limits.max_header_bytes
        limit_request_heads(limit, make_last_response(head_too_large(limit)))
        answer_errors_with(make_mitmproxys_error)
        self._gateway = await open_gateway(settings, access)
        self._gateway.keeps_bodies = self._keeps_bodies
        # It may have waited for Claude's list of models: settings that have come meanwhile are put in force now.
        newest = self._settings or settings
        if self._given_settings is None:
            warn_of_an_open_proxy(settings.access, ctx.options)
            self._access, self._proxy_gate = access, proxy_gate
            self._reloader = Reloader(settings, lambda: read_settings(ctx.options), self.apply, self._file)
            if newest is not settings:
                self._reloader.take(newest)
            self._watching = asyncio_utils.create_task(self._reloader.watch(), name="settings watch", keep_ref=False)
        elif newest is not settings:
            self.apply(newest)

    def _require_some_key(self) -> None:
        if self._access is not None and self._settings is not None:
            require_some_key(self._access, self._settings.access, ctx.options)

    async def done(self) -> None:
        """Accept nothing new, let the running exchanges end, then close."""
        if self._watching is not None:
            self._watching.cancel()
        if (gateway := self._gateway) is None:
            return
        if not gateway.draining:
            # Inside mitmdump, whose end begins here; what it has no delay for is not asked of it.
            gateway.leaving = True
            await ctx.master.addons.get("proxyserver").servers.update([])
            await gateway.drain(gateway.settings.server.drain_timeout)
        self._before_closing()
        await gateway.close()

    def announce_end(self) -> None:
        """Say that the proxy is not ready any more. It still answers."""
        if self._gateway is not None:
            self._gateway.leaving = True

    async def drain(self, seconds: float) -> None:
        """Refuse new exchanges and wait for the running ones, for `seconds` at most."""
        if self._gateway is not None:
            await self._gateway.drain(seconds)

    def _before_closing(self) -> None:
        """Do what is left to do when nothing runs any more."""

    def _own_ports(self) -> set[int]:
        listening = {address[1] for address in ctx.master.addons.get("proxyserver").listen_addrs()}
        metrics = self._settings.metrics if self._settings else None
        return listening | {metrics.exporter_port, metrics.port or 0} if metrics else listening


def _end_the_start(error: Exception) -> None:
    """Log an error, on which mitmproxy ends its start. Raised from a script it would be shown with its traceback."""
    logging.getLogger(__name__).error("%s", error)

"""A mitmproxy of our own, for `claude-proxy`: only the addons that it needs, and clear sentences when it cannot start.

mitmdump carries about forty addons and every hook walks them all; this master carries a handful.
"""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, override

from mitmproxy import addons as all_addons
from mitmproxy import exceptions
from mitmproxy.addonmanager import AddonManager, safecall, traverse
from mitmproxy.addons import block, core, disable_h2c, next_layer, proxyserver, tlsconfig, upstream_auth
from mitmproxy.hooks import Hook
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy.mode_servers import AsyncioServerInstance

from addon.interceptor import ClaudeProxyAddon
from addon.settings import Settings

__all__ = ["BACKLOG", "STANDALONE", "Listener", "ProxyMaster", "StartError", "build_master"]

STANDALONE_HOST = "standalone.claude-proxy.invalid"
STANDALONE = f"reverse:http://{STANDALONE_HOST}"
"""A reverse proxy to a name that never resolves (RFC 6761): nothing can leak to a real host."""

BACKLOG = 4096
"""Connections that may wait to be accepted. mitmproxy's 100 overflow when many clients connect within one second."""


_GARBAGE_THRESHOLD = 5_000
"""New objects between two collections, where Python's own default is 2,000. With 20,000, requests of 100 KB wait so
long to be collected that the process grows by 35 MiB more."""


class StartError(Exception):
    """The proxy cannot start: `problems` holds one sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that the proxy listens on; `mode` as it was given."""

    mode: str
    host: str
    port: int

    @property
    def is_standalone(self) -> bool:
        """Whether clients use it as a base URL, not as a proxy."""
        return self.mode.startswith("reverse:")

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach it."""
        return not ipaddress.ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        """The address for people and for clients on the same machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


class ErrorCheck(logging.Handler):
    """Ends the start when an error is logged during it. `Master.run` asks the addon that has this name."""

    def __init__(self, master: "ProxyMaster") -> None:
        super().__init__(logging.ERROR)
        self._master = master
        self._records: list[logging.LogRecord] = []
        logging.getLogger().addHandler(self)

    name = "errorcheck"

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    async def shutdown_if_errored(self) -> None:
        """Raise `StartError` if anything went wrong so far."""
        if self._records:
            self.finish()
            raise StartError(self._master.failed_listeners() or [_last_line(record) for record in self._records])

    def finish(self) -> None:
        """Stop watching: the start is over."""
        logging.getLogger().removeHandler(self)


class ListeningAddons(AddonManager):
    """Asks only the addons that have a hook. mitmproxy asks all of them, eight times a request.

    For a chain that does not change once events come: no scripts.
    """

    def __init__(self, master: Master) -> None:
        super().__init__(master)  # type: ignore[no-untyped-call] # mitmproxy has no annotations here
        self._listeners: dict[str, list[Any]] = {}

    @override
    def register(self, addon: Any) -> Any:
        self._listeners.clear()
        return super().register(addon)  # type: ignore[no-untyped-call] # see __init__

    @override
    async def trigger_event(self, event: Hook) -> None:
        listeners = self._listeners.get(event.name)
        if listeners is None:
            listeners = [addon for addon in self.chain if any(hasattr(part, event.name) for part in traverse([addon]))]
            self._listeners[event.name] = listeners
        for addon in listeners:
            try:
                with safecall():
                    await self.invoke_addon(addon, event)
            except exceptions.AddonHalt:
                return


class ProxyMaster(Master):
    """Runs the proxy until `stop`. `ready` is set once it listens and answers."""

    def __init__(self, settings: Settings, options: Options, *, full: bool) -> None:
        super().__init__(options)
        if not full:
            self.addons = ListeningAddons(self)
        # These turn every log record into a hook that walks all addons; nothing here listens to it.
        self._legacy_log_events.uninstall()
        self.ready = asyncio.Event()
        self.proxy = ClaudeProxyAddon(settings, keeps_bodies=full)
        self.addons.add(*_addons(full=full))
        self._servers: proxyserver.Servers = self.addons.get("proxyserver").servers
        self._error_check = ErrorCheck(self)
        self.addons.add(self.proxy, self._error_check)

    @property
    def listeners(self) -> list[Listener]:
        """What the proxy listens on, in the order of its modes."""
        return [
            Listener(server.mode.full_spec, *server.listen_addrs[0][:2])
            for server in self._servers
            if server.listen_addrs
        ]

    @property
    def ca(self) -> Path:
        """The certificate that clients of the proxy modes have to trust."""
        return Path(self.options.confdir).expanduser() / "mitmproxy-ca-cert.pem"

    @override
    async def running(self) -> None:
        await super().running()
        for server in self._servers:
            if isinstance(server, AsyncioServerInstance):
                _raise_backlog(server)
        # Errors of the addons' own start count as well; `Master.run` looks at them right after this.
        await self._error_check.shutdown_if_errored()
        _settle_garbage_collector()
        self.ready.set()

    async def stop(self, drain_seconds: float) -> None:
        """Accept nothing new, let the running exchanges end for `drain_seconds` at most, then end `run`."""
        await self._servers.update([])
        await self.proxy.drain(drain_seconds)
        self.should_exit.set()

    def failed_listeners(self) -> list[str]:
        """Name the addresses that could not be taken: one sentence each."""
        problems = []
        for server in self._servers:
            error = server.last_exception
            if isinstance(error, OSError) and error.errno:
                host = server.mode.listen_host(self.options.listen_host) or "*"
                port = server.mode.listen_port(self.options.listen_port)
                reason = os.strerror(error.errno)
                problems.append(f"Cannot listen on {host}:{port}: {reason[:1].lower()}{reason[1:]}.")
        return problems


def build_master(
    settings: Settings,
    modes: Sequence[str],
    *,
    full: bool = False,
    confdir: Path | None = None,
    more_options: Sequence[str] = (),
) -> ProxyMaster:
    """Build a proxy that listens in `modes` once it runs. Call it inside the event loop that will run it.

    Args:
        settings: checked already: `require_key` has been called.
        modes: mitmproxy's mode specifications, such as `regular@8080`.
        full: with all of mitmproxy's own addons, and with whole bodies in its flows.
        confdir: where mitmproxy keeps its certificate authority; None for its own default.
        more_options: mitmproxy options, each `name=value`.

    Raises:
        StartError: an option or a mode is wrong.
    """
    master = ProxyMaster(settings, Options(), full=full)
    try:
        master.options.update(
            listen_host=settings.server.host,
            mode=list(modes),
            keep_host_header=True,
            store_streamed_bodies=False,
            validate_inbound_headers=True,
            **({"confdir": str(confdir)} if confdir else {}),
        )
        master.options.set(*more_options)
    except exceptions.OptionsError as error:
        raise StartError([str(error)]) from error
    return master


def _addons(*, full: bool) -> list[Any]:
    if full:
        return list(all_addons.default_addons())
    return [
        core.Core(),
        block.Block(),
        disable_h2c.DisableH2C(),
        proxyserver.Proxyserver(),
        next_layer.NextLayer(),
        tlsconfig.TlsConfig(),
        upstream_auth.UpstreamAuth(),
    ]


def _settle_garbage_collector() -> None:
    """Take what the start has made, a quarter of a million objects, out of every later collection.

    A full collection of them would hold all streams up for 0.1 to 0.2 s, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)


def _raise_backlog(server: AsyncioServerInstance[Any]) -> None:
    """Lengthen the queue of a socket that listens already: a second listen(2) only changes its length."""
    for asyncio_server in server._servers:  # noqa: SLF001 - mitmproxy has no way to say the backlog
        for listening in getattr(asyncio_server, "sockets", ()):
            with (
                contextlib.suppress(OSError),
                socket.fromfd(listening.fileno(), listening.family, listening.type) as same,
            ):
                same.listen(BACKLOG)


def _last_line(record: logging.LogRecord) -> str:
    """Find the sentence of a record: mitmproxy also logs whole tracebacks as text, and their last line says it."""
    lines = [line for line in record.getMessage().splitlines() if line.strip()]
    return lines[-1].strip() if lines else record.name

"""A mitmproxy of our own, for `claude-proxy`: only the addons that it needs, and clear sentences when it cannot start.

mitmdump carries about forty addons and every hook walks them all; this master carries a handful.
"""

import asyncio
import gc
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, override

from addon.serving.few_addons import few_addons  # before mitmproxy's own master, which imports all of them

# isort: split

from mitmproxy import exceptions
from mitmproxy.addonmanager import AddonManager
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy.mode_servers import AsyncioServerInstance, ServerInstance, WireGuardServerInstance

from addon.configuration.settings import Settings
from addon.configuration.start_error import StartError
from addon.interception.interceptor import ClaudeProxyAddon
from addon.serving.huge_pages import use_huge_pages
from addon.serving.listening import BACKLOG, Listener, Listening
from addon.serving.listening_addons import ListeningAddons, PromptHooks
from addon.serving.mitmproxy_shortcuts import take_shortcuts

if TYPE_CHECKING:
    from mitmproxy.addons.proxyserver import Servers

__all__ = ["ProxyMaster", "build_master"]

_GARBAGE_THRESHOLD = 5_000
"""New objects between two collections, where Python's own default is 2,000: those of a hundred and fifty requests. More
of them save nothing that can be measured, and each collection takes longer."""


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


class ProxyMaster(Master):
    """Runs the proxy until `stop`. `ready` is set once it listens and answers."""

    def __init__(
        self, settings: Settings, options: Options, listening: Sequence[Listening], *, full: bool, with_udp: bool
    ) -> None:
        super().__init__(options)
        if not full:
            self.addons = ListeningAddons(self)
            take_shortcuts()
        # These turn every log record into a hook that walks all addons; nothing here listens to it.
        self._legacy_log_events.uninstall()
        self.ready = asyncio.Event()
        self.proxy = ClaudeProxyAddon(settings, keeps_bodies=full)
        self.addons.add(*_addons(self.addons))
        self._servers: Servers = self.addons.get("proxyserver").servers
        self._sockets: Mapping[str, Sequence[socket.socket]] = {each.mode: each.sockets for each in listening}
        self._with_udp = with_udp
        self._wants_huge_pages = settings.server.huge_pages
        self._opening: asyncio.Future[None] | None = None
        # It is sent when the servers are made and have not started.
        self._servers.changed.connect(self._place_sockets)
        self._error_check = ErrorCheck(self)
        self.addons.add(self.proxy, self._error_check)

    @property
    def listeners(self) -> list[Listener]:
        """What the proxy listens on, in the order of its modes."""
        return [
            Listener(server.mode.full_spec, *_address(server), _client_configuration(server))
            for server in self._servers
            if server.is_running
        ]

    async def _open_once(self) -> None:
        self._opening = self._opening or asyncio.ensure_future(self.proxy.open())
        await self._opening

    def _place_sockets(self) -> None:
        for server in self._servers:
            sockets = self._sockets.get(server.mode.full_spec)
            if sockets and isinstance(server, AsyncioServerInstance) and not server.is_running:
                server.listen = partial(_listen, server, sockets, self._open_once, with_udp=self._with_udp)  # type: ignore[method-assign] # for this one server

    @property
    def ca(self) -> Path:
        """The certificate that clients of the proxy modes have to trust."""
        return Path(self.options.confdir).expanduser() / "mitmproxy-ca-cert.pem"

    @override
    async def running(self) -> None:
        await super().running()
        # Errors of the addons' own start count as well; `Master.run` looks at them right after this.
        await self._error_check.shutdown_if_errored()
        _settle_garbage_collector()
        if self._wants_huge_pages:
            use_huge_pages()
        self.ready.set()

    async def stop(self, drain_delay: float, drain_timeout: float) -> None:
        """End `run`: say at once that the proxy is not ready, accept for `drain_delay` more, then nothing new.

        The running exchanges have `drain_timeout` to end. Both are in seconds.
        """
        self.proxy.announce_end()
        await asyncio.sleep(drain_delay)
        await self._servers.update([])
        await self.proxy.drain(drain_timeout)
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


def build_master(  # noqa: PLR0913 - each is one thing that a user may choose
    settings: Settings,
    listening: Sequence[Listening],
    *,
    full: bool = False,
    with_udp: bool = True,
    confdir: Path | None = None,
    more_options: Sequence[str] = (),
) -> ProxyMaster:
    """Build a proxy that listens as it is told once it runs. Call it inside the event loop that will run it.

    Args:
        settings: checked already: `require_key` has been called.
        listening: the modes, and their open sockets.
        full: with all of mitmproxy's own addons, and with whole bodies in its flows.
        with_udp: also on UDP, where a mode has both (HTTP/3 of `reverse:https`).
        confdir: where mitmproxy keeps its certificate authority; None for its own default.
        more_options: mitmproxy options, each `name=value`.

    Raises:
        StartError: an option or a mode is wrong.
    """
    master = ProxyMaster(settings, Options(), listening, full=full, with_udp=with_udp)
    try:
        master.options.update(
            listen_host=settings.server.host,
            mode=[each.mode for each in listening],
            keep_host_header=True,
            store_streamed_bodies=False,
            validate_inbound_headers=True,
            **({"confdir": str(confdir)} if confdir else {}),
        )
        master.options.set(*more_options)
        _read_certificates(master)
    except exceptions.OptionsError as error:
        raise StartError([str(error)]) from error
    if master.options.listen_host != settings.server.host or master.options.listen_port is not None:
        instead = "--host and --port are, and addresses of modes (regular@127.0.0.1:8080)"
        raise StartError([f"listen_host and listen_port are not used here: {instead}."])
    return master


def _read_certificates(master: ProxyMaster) -> None:
    """Have them read before anybody can connect: by itself mitmproxy does so when everything runs."""
    try:
        master.addons.get("tlsconfig").configure({"confdir"})
    except (OSError, ValueError, TypeError) as error:
        what = f"The certificate authority in {master.options.confdir}, or a certificate,"
        raise StartError([f"{what} cannot be read: {error}."]) from error


def _addons(chain: AddonManager) -> list[Any]:
    if isinstance(chain, ListeningAddons):
        return [PromptHooks(chain), *few_addons()]
    from mitmproxy.addons import default_addons  # noqa: PLC0415 - see addon.serving.few_addons

    return list(default_addons())


def _settle_garbage_collector() -> None:
    """Take what the start has made, a quarter of a million objects, out of every later collection.

    A full collection of them would hold all streams up for 0.1 to 0.2 s, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_THRESHOLD)


async def _listen(
    server: AsyncioServerInstance[Any],
    sockets: Sequence[socket.socket],
    opened: Callable[[], Awaitable[None]],
    _host: str,
    _port: int,
    *,
    with_udp: bool,
) -> list[Any]:
    """Take the place of a server's own `listen`, which would open sockets of its own.

    Whoever connects before the proxy can answer waits in the queue of the socket.
    """
    await opened()
    servers: list[Any] = [
        await asyncio.start_server(server.handle_stream, sock=each, backlog=BACKLOG) for each in sockets
    ]
    if with_udp and server.mode.transport_protocol == "both":
        servers += [await server.start_udp_based_server(*each.getsockname()[:2]) for each in sockets]
    return servers


def _address(server: ServerInstance[Any]) -> tuple[str, int]:
    if not server.listen_addrs:
        return "", 0  # local mode
    host, port = server.listen_addrs[0][:2]
    return host, port


def _client_configuration(server: ServerInstance[Any]) -> str:
    return (server.client_conf() or "") if isinstance(server, WireGuardServerInstance) else ""


def _last_line(record: logging.LogRecord) -> str:
    """Find the sentence of a record: mitmproxy also logs whole tracebacks as text, and their last line says it."""
    said = record.getMessage().partition("Stack backtrace:")[0]  # that of its parts in Rust comes after the sentence
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1].strip() if lines else record.name

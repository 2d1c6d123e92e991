"""The mitmproxy addon: claims the requests that are ours, has them answered, and keeps mitmproxy's views truthful.

Each hook starts with the house guard: a flow that is answered (by `proxyauth`, by another addon), failed or dead is
nobody's.
"""

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import structlog
from mitmproxy import connection, ctx, exceptions, http, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.flow import Error
from mitmproxy.proxy import layer, server_hooks
from mitmproxy.proxy.server import ConnectionHandler
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
from addon.exchanges.run import ExchangeRun, head_too_large
from addon.interception.beyond_loopback import require_some_key, warn_of_an_open_proxy
from addon.interception.claiming import claim_flow
from addon.interception.client_connections import close_client, end_with_its_layers
from addon.interception.connection import (
    Receiver,
    abort_receivers,
    direct_to_claude,
    open_virtual_connections,
)
from addon.interception.egress_gate import EgressGate
from addon.interception.flow_routing import host_of, is_for_us, is_standalone, route_flow
from addon.interception.mitmproxy_errors import answer_errors_with
from addon.interception.passed_flows import PassedFlows
from addon.interception.refusals import make_last_response, make_mitmproxys_error, refuse
from addon.interception.reload import Reloader, find_changes
from addon.interception.replay import answer_replayed
from addon.observation.logs import configure_logging
from addon.observation.masking import mask_password, mask_secrets
from addon.observation.metrics import refusal_reason
from addon.observation.metrics_folder import check_folder, folder_in_use
from addon.routing import Claim, Pass, Refuse, Router
from addon.wire.header_fields import folded_fields
from addon.wire.http1 import limit_request_heads
from translators.errors import OpenAIError

if TYPE_CHECKING:
    import asyncio

__all__ = ["ClaudeProxyAddon"]

log = structlog.get_logger(__name__)


class ClaudeProxyAddon:
    """Answers OpenAI requests with Claude.

    Args:
        settings: None to read them from mitmproxy's options, the environment and the configuration file.
        keeps_bodies: put streamed answers together for mitmproxy's views; costs their size in memory while they run.
    """

    name = "claude_proxy"

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
        self._exchanges: dict[str, ExchangeRun] = {}
        """Those that run, by the ids of their flows."""
        self._passed = PassedFlows()
        self._egress_gate = EgressGate(self._own_ports)

    # mitmproxy's life cycle.

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
        for flow in self._passed:  # mitmproxy saves those too that have no answer yet
            self._mask_secrets(flow)
        await gateway.close()

    def announce_end(self) -> None:
        """Say that the proxy is not ready any more. It still answers."""
        if self._gateway is not None:
            self._gateway.leaving = True

    async def drain(self, seconds: float) -> None:
        """Refuse new exchanges and wait for the running ones, for `seconds` at most."""
        if self._gateway is not None:
            await self._gateway.drain(seconds)

    # Hooks of connections and flows.

    def client_connected(self, client: connection.Client) -> None:
        """See to it that the connection ends if mitmproxy fails in it."""
        handler = ctx.master.addons.get("proxyserver").connections.get(client.id)
        if handler is not None:
            end_with_its_layers(handler, lambda: self._abandon(client, handler))

    def client_disconnected(self, client: connection.Client) -> None:
        """See to it that its socket is closed."""
        handler = ctx.master.addons.get("proxyserver").connections.get(client.id)
        if handler is not None:
            close_client(handler)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Let mitmproxy choose the layers, and give those for HTTP their connection to Claude."""
        if nextlayer.layer is None:
            # Scripts come before mitmproxy's own addon in the chain.
            ctx.master.addons.get("nextlayer").next_layer(nextlayer)
        handler = ctx.master.addons.get("proxyserver").connections.get(nextlayer.context.client.id)
        if handler is not None:
            open_virtual_connections(nextlayer.context, handler, self)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Tunnel a TLS connection to a host that is not ours as it is: its client sees no certificate of ours."""
        if self._settings is None or self._settings.interception.others == "intercept":
            return
        if is_standalone(data.context.client):
            return
        host = data.client_hello.sni or (data.context.server.address or ("", 0))[0]
        if not self._router.is_ours(host):
            data.ignore_connection = True

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """Refuse a tunnel to whoever has no key, if the operator asks for one, and to where it may not lead."""
        if flow.response or flow.error or not flow.live:
            return
        # Those that are ours lead to nobody, unless a request in them is passed on.
        if self._admit_to_proxy(flow) and not self._router.is_ours(flow.request.host):
            await self._admit_to_destination(flow)

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Keep credentials out of what mitmproxy shows of a tunnel that was refused."""
        self._mask_secrets(flow)

    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Claim a request before its body comes, so that no body meant for Claude can go elsewhere."""
        if flow.response or flow.error or not flow.live:
            return None
        mask_password(flow)
        if not self._admit_to_proxy(flow):
            return None
        headers = folded_fields(flow.request.headers.fields)
        match route_flow(flow, self._router, headers):
            case Pass():
                return self._let_pass(flow)
            case Refuse(error=error):
                self._refuse(flow, error)
            case Claim() if self._gateway is None:
                # mitmproxy listens before the addons after it have started.
                error = OpenAIError(
                    503, "The proxy is starting.", "server_error", "starting", None, {"retry-after": "1"}
                )
                refuse(flow, error)
            case Claim() as claim:
                run = claim_flow(flow, claim, self._gateway, headers, self._proxy_gate.client_of(flow))
                self._exchanges[flow.id] = run
                self._mask_secrets(flow)
                if flow.is_replay != "request":
                    run.restore_destination = direct_to_claude(flow)
                    flow.request.stream = True
        return None

    async def _let_pass(self, flow: http.HTTPFlow) -> None:
        if not await self._admit_to_destination(flow):
            return
        if self._router.is_ours(host_of(flow, self._router)):
            self._passed.add(flow)
        if not self._keeps_bodies:  # what nobody looks at goes on as it comes, however large it is
            flow.request.stream = True

    async def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Let a connection go where it may: the last gate, for all that is no HTTP too."""
        refusal = await self._egress_gate.admit(data, is_known=self._proxy_gate.lets_through(data.client))
        if refusal is not None and self._gateway is not None:
            self._gateway.metrics.observe_refusal("host")

    def server_connected(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Name the server as the client did."""
        self._egress_gate.settle(data)

    def server_connect_error(self, data: server_hooks.ServerConnectionHookData) -> None:
        """Name the server as the client did."""
        self._egress_gate.settle(data)

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Answer a replayed flow, which has no connection of its own, in one piece."""
        run = self._exchanges.get(flow.id)
        if flow.response or flow.error or not flow.live:
            if run is not None:  # answered by an addon that is asked after this one
                run.restore_destination()
            return None
        return answer_replayed(run) if run is not None and flow.is_replay == "request" else None

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Let a streamed answer through piece by piece. The request has been sent: its keys need not be kept."""
        run = self._exchanges.get(flow.id)
        if (
            flow.response
            and flow.live
            and not flow.error
            and (self._passes_at_once(flow.response) if run is None else run.exchange.is_streamed)
        ):
            flow.response.stream = True
        if run is None:
            self._mask_secrets(flow)

    def response(self, flow: http.HTTPFlow) -> None:
        """Show in the flow what went to the client."""
        self._passed.end(flow)
        # One that becomes a WebSocket goes on.
        run = self._exchanges.get(flow.id) if flow.websocket else self._exchanges.pop(flow.id, None)
        exchange = run.exchange if run else None
        if exchange and exchange.is_streamed and exchange.kept_body is not None and flow.response:
            flow.response.data.content = bytes(exchange.kept_body)
            exchange.kept_body = None
        self._mask_at_the_end(flow, was_claimed=exchange is not None)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Take a WebSocket that is for us into use."""
        if run := self._exchanges.get(flow.id):
            run.exchange.start_websocket()

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Keep no messages where nobody looks at them: mitmproxy keeps them to the end of the connection."""
        if not self._keeps_bodies and flow.websocket:
            flow.websocket.messages.clear()

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Forget a flow whose WebSocket is closed."""
        self._exchanges.pop(flow.id, None)

    def error(self, flow: http.HTTPFlow) -> None:
        """Forget a flow that failed or whose client has left."""
        self._passed.end(flow)
        run = self._exchanges.pop(flow.id, None)
        if run is not None:
            run.end_unreceived()
        self._mask_at_the_end(flow, was_claimed=run is not None)

    def _abandon(self, client: connection.Client, handler: ConnectionHandler) -> None:
        """End the work for a connection in which mitmproxy has failed, and forget its flows: no hook tells of them."""
        abort_receivers(handler, "mitmproxy has failed")
        for flow in [*(run.exchange.flow for run in self._exchanges.values()), *self._passed]:
            if flow.client_conn is client:
                flow.error = Error("mitmproxy has failed in this connection")
                self.error(flow)

    # What the virtual connection asks.

    def receiver_of(self, flow: http.HTTPFlow) -> Receiver | None:
        """Find what receives the request of a claimed flow."""
        return self._exchanges.get(flow.id)

    # What hooks share.

    def _admit_to_proxy(self, flow: http.HTTPFlow) -> bool:
        error = self._proxy_gate.refusal(flow)
        if error is not None:
            self._refuse(flow, error)
        return error is None

    async def _admit_to_destination(self, flow: http.HTTPFlow) -> bool:
        error = await self._egress_gate.refusal(flow)
        if error is not None:
            self._refuse(flow, error)
        return error is None

    def _own_ports(self) -> set[int]:
        listening = {address[1] for address in ctx.master.addons.get("proxyserver").listen_addrs()}
        metrics = self._settings.metrics if self._settings else None
        return listening | {metrics.exporter_port, metrics.port or 0} if metrics else listening

    def _refuse(self, flow: http.HTTPFlow, error: OpenAIError) -> None:
        if self._gateway is not None and (reason := refusal_reason(error)):
            self._gateway.metrics.observe_refusal(reason)
        refuse(flow, error)

    def _passes_at_once(self, response: http.Response) -> bool:
        """Whether the answer of a real host goes on piece by piece. mitmproxy would hold an event stream to its end."""
        return not self._keeps_bodies or response.headers.get("content-type", "").startswith("text/event-stream")

    def _mask_at_the_end(self, flow: http.HTTPFlow, *, was_claimed: bool) -> None:
        # A claimed one was masked at once; after that `upstream_auth` adds its password, where all addons are there.
        if not was_claimed or self._keeps_bodies:
            self._mask_secrets(flow)

    def _mask_secrets(self, flow: http.HTTPFlow) -> None:
        # Before mitmproxy's own addons save or show the flow, and after whatever needs them has been sent: for one that
        # is claimed, at once.
        mask_secrets(flow.request, is_ours=is_for_us(flow, self._router))


def _end_the_start(error: Exception) -> None:
    """Log an error, on which mitmproxy ends its start. Raised from a script it would be shown with its traceback."""
    logging.getLogger(__name__).error("%s", error)

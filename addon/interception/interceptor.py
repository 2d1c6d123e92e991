"""The mitmproxy addon: claims the requests that are ours, has them answered, and keeps mitmproxy's views truthful.

Each hook starts with the house guard: a flow that is answered (by `proxyauth`, by another addon), failed or dead is
nobody's.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, override

from mitmproxy import connection, ctx, http, tls
from mitmproxy.flow import Error
from mitmproxy.proxy import layer, server_hooks
from mitmproxy.proxy.server import ConnectionHandler

from addon.configuration.settings import Settings
from addon.interception.claiming import claim_flow
from addon.interception.client_connections import close_client, end_with_its_layers
from addon.interception.connection import Receiver, abort_receivers, direct_to_claude, open_virtual_connections
from addon.interception.flow_routing import host_of, is_for_us, is_standalone, route_flow
from addon.interception.life import LivingAddon
from addon.interception.passed_flows import PassedFlows
from addon.interception.refusals import refuse
from addon.interception.replay import answer_replayed
from addon.observation.masking import mask_password, mask_secrets
from addon.observation.metrics import refusal_reason
from addon.routing import Claim, Pass, Refuse
from addon.wire.header_fields import folded_fields
from translators.errors import OpenAIError

if TYPE_CHECKING:
    from addon.exchanges.run import ExchangeRun

__all__ = ["ClaudeProxyAddon"]


class ClaudeProxyAddon(LivingAddon):
    """Answers OpenAI requests with Claude.

    Args:
        settings: None to read them from mitmproxy's options, the environment and the configuration file.
        keeps_bodies: put streamed answers together for mitmproxy's views; costs their size in memory while they run.
    """

    name = "claude_proxy"

    def __init__(self, settings: Settings | None = None, *, keeps_bodies: bool = True) -> None:
        super().__init__(settings, keeps_bodies=keeps_bodies)
        self._exchanges: dict[str, ExchangeRun] = {}
        """Those that run, by the ids of their flows."""
        self._passed = PassedFlows()

    @override
    def _before_closing(self) -> None:
        for flow in self._passed:  # mitmproxy saves those too that have no answer yet
            self._mask_secrets(flow)

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

    @property
    def is_alone(self) -> bool:
        """Whether no other addon is asked about a request before it is answered, or its answer before it is sent."""
        hears_alone = getattr(ctx.master.addons, "hears_alone", None)  # a master of ours can tell
        return hears_alone is not None and hears_alone(self)

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

"""Holds the connections of the proxy modes to the rules of `addon.access.egress`, whatever the way in."""

from collections.abc import Callable, Collection, Sequence

from mitmproxy import http
from mitmproxy.proxy import mode_specs
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addon.access.egress import Egress, EgressRefusedError
from addon.interception.connection import pin_address

__all__ = ["EgressGate"]


class EgressGate:
    """Judges requests early, for the sake of a clear answer, and each connection when it is made.

    Args:
        own_ports: gives the proxy's own ports.
    """

    def __init__(self, own_ports: Callable[[], Collection[int]]) -> None:
        self._own_ports = own_ports
        self._egress = Egress((), own_ports)
        self._pinned: dict[str, Callable[[], None]] = {}
        """What shows the name of a server again that is being connected to, by its id."""

    def allow(self, rules: Sequence[str]) -> None:
        """Put rules in force. Until then nothing is allowed."""
        self._egress = Egress(rules, self._own_ports)

    async def refusal(self, flow: http.HTTPFlow) -> EgressRefusedError | None:
        """Say why a request cannot go where its client wants it to go."""
        mode = flow.client_conn.proxy_mode
        if not _leads_elsewhere(mode):
            return None
        resolves = not isinstance(mode, mode_specs.UpstreamMode)
        return await self._egress.refusal(flow.request.host, flow.request.port, resolves=resolves)

    async def admit(self, data: ServerConnectionHookData, *, is_known: bool) -> EgressRefusedError | None:
        """Let a connection be made, to the very address that was looked at; or refuse it and say why.

        Args:
            data: of the hook `server_connect`.
            is_known: whether the client has shown what it has to show.
        """
        server, mode = data.server, data.client.proxy_mode
        if server.error or server.address is None or not _leads_elsewhere(mode):
            return None
        host, port = server.address[:2]
        if isinstance(mode, mode_specs.UpstreamMode) and (host, port) == mode.address:
            return None
        refusal = None if is_known else EgressRefusedError(host, port, "the client has shown no key")
        try:
            if refusal is None:
                self._pinned[server.id] = pin_address(server, await self._egress.resolve(host, port))
        except EgressRefusedError as error:
            refusal = error
        except OSError as error:
            server.error = f"{host} cannot be resolved: {error.strerror}"
        if refusal is not None:
            server.error = refusal.message
        return refusal

    def settle(self, data: ServerConnectionHookData) -> None:
        """Name a server as the client did, now that it is connected or could not be."""
        if restore := self._pinned.pop(data.server.id, None):
            restore()


def _leads_elsewhere(mode: mode_specs.ProxyMode) -> bool:
    """Whether clients of a mode get to hosts that they could not reach by themselves.

    In reverse mode nothing is passed on; what is captured on this very machine could go anywhere without us.
    """
    return not isinstance(mode, mode_specs.ReverseMode | mode_specs.LocalMode)

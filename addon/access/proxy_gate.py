"""Client keys in the proxy modes: asked for as `Proxy-Authorization`, once for each connection."""

from weakref import WeakKeyDictionary, WeakSet

from mitmproxy import connection, http
from mitmproxy.proxy import mode_specs

from addon.access.access import Access, Client
from translators.errors import OpenAIError

__all__ = ["ProxyGate"]

_HEADER = "proxy-authorization"
_CAN_ASK = (mode_specs.RegularMode, mode_specs.UpstreamMode)
"""The modes in which a client knows that it talks to a proxy by HTTP. The others have no place for a key."""


class ProxyGate:
    """Lets connections in. What a CONNECT has proved holds for what comes through its tunnel, until its key is revoked.

    Args:
        access: knows the keys; None to let everybody in, because `proxyauth` or the network sees to it.
    """

    def __init__(self, access: Access | None) -> None:
        self._access = access
        self._by_connection: WeakKeyDictionary[connection.Client, Client] = WeakKeyDictionary()
        self._let_through: WeakSet[connection.Client] = WeakSet()
        self._by_flow: WeakKeyDictionary[http.HTTPFlow, Client] = WeakKeyDictionary()

    def client_of(self, flow: http.HTTPFlow) -> Client | None:
        """Find whose request it is, if it has shown a key."""
        return self._by_connection.get(flow.client_conn) or self._by_flow.get(flow)

    def lets_through(self, client: connection.Client) -> bool:
        """Whether bytes of a connection may go anywhere, whatever they are."""
        return self._access is None or client in self._let_through

    def refusal(self, flow: http.HTTPFlow) -> OpenAIError | None:
        """Say why the flow's client is not let in; None lets it in, and takes the key out of its request."""
        mode = flow.client_conn.proxy_mode
        if self._access is None or isinstance(mode, mode_specs.ReverseMode) or flow.is_replay == "request":
            return None
        if (proved := self._by_connection.get(flow.client_conn)) is not None:
            try:
                self._by_connection[flow.client_conn] = self._access.renewed(proved)
            except OpenAIError:  # it has been revoked
                self._let_through.discard(flow.client_conn)
                return _key_wanted()
            return None
        client = self._access.proxy_client_of(flow.request.headers) if isinstance(mode, _CAN_ASK) else None
        flow.request.headers.pop(_HEADER, None)
        if client is None:
            return _key_wanted()
        if flow.request.method == "CONNECT":
            self._by_connection[flow.client_conn] = client
        else:
            # It proves nothing for the next one: a balancer may put many clients on one connection.
            self._by_flow[flow] = client
        self._let_through.add(flow.client_conn)
        return None


def _key_wanted() -> OpenAIError:
    challenge = {"proxy-authenticate": 'Basic realm="Claude Proxy"'}
    return OpenAIError(
        407, "This proxy asks for a client key, as the password.", code="invalid_api_key", headers=challenge
    )

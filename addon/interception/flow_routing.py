"""Which host a flow is for, whatever its client has named, and what becomes of it there."""

from collections.abc import Mapping

from mitmproxy import connection, http
from mitmproxy.proxy import mode_specs

from addon.interception.heads import judge_head
from addon.routing import Pass, Refuse, Route, Router

__all__ = ["host_of", "is_for_us", "is_standalone", "route_flow"]


def is_standalone(client: connection.Client) -> bool:
    """Whether a client means this endpoint, and no host behind the proxy."""
    return isinstance(client.proxy_mode, mode_specs.ReverseMode)


def host_of(flow: http.HTTPFlow, router: Router) -> str:
    """Find the host that a request is for: that of ours, if any of its names is one.

    The Host header is the client's word alone; where the request would go, and which name its TLS connection asked for,
    may say otherwise.
    """
    names = (flow.request.pretty_host, flow.request.host, flow.client_conn.sni or "")
    return next((name for name in names if router.is_ours(name)), names[0])


def is_for_us(flow: http.HTTPFlow, router: Router) -> bool:
    """Whether a request is for this endpoint, or for a host that it stands for."""
    return is_standalone(flow.client_conn) or router.is_ours(host_of(flow, router))


def route_flow(flow: http.HTTPFlow, router: Router, headers: Mapping[str, str]) -> Route:
    """Say what becomes of a flow whose headers have come; they are given with their names in lower case."""
    standalone = is_standalone(flow.client_conn)
    route = router.route(
        standalone=standalone,
        host="" if standalone else host_of(flow, router),
        method=flow.request.method,
        path=flow.request.path,
        is_anthropic="anthropic-version" in headers,
    )
    refusal = None if isinstance(route, Pass) else judge_head(flow.request, headers)
    return Refuse(refusal) if refusal else route

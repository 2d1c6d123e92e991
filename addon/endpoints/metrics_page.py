"""GET /metrics of the standalone endpoint: the same as the exporter shows."""

import asyncio

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from addon.access.reachability import is_loopback
from addon.exchanges.exchange import Exchange
from translators.errors import OpenAIError

__all__ = ["answer_metrics"]

_FORWARDED = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})


async def answer_metrics(exchange: Exchange) -> None:
    """Answer with all metrics in Prometheus' text format.

    Raises:
        OpenAIError: 403 for a client on another machine, unless all may ask.
    """
    gateway, flow = exchange.gateway, exchange.flow
    # A reverse proxy on this machine asks for clients that are elsewhere.
    is_near = is_loopback(flow.client_conn.peername[0]) and _FORWARDED.isdisjoint(exchange.headers)
    if gateway.settings.metrics.clients == "loopback" and not is_near:
        raise OpenAIError(403, "Metrics are shown to clients on the same machine only.", code="metrics_not_shown")
    # Reading the files of many processes takes its time, which the streams need not wait for.
    body = await asyncio.to_thread(gateway.metrics.encode)
    await exchange.respond(body, CONTENT_TYPE_PLAIN_0_0_4)

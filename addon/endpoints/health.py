"""GET /health and /health/ready of the standalone endpoint. Claude, whose outages are not ours, is not asked."""

import msgspec

from addon.exchanges.exchange import Exchange
from addon.storage.store import Key
from translators.errors import OpenAIError

__all__ = ["answer_health", "answer_ready"]


async def answer_health(exchange: Exchange) -> None:
    """Answer that the process is alive."""
    await exchange.respond(
        msgspec.json.encode({"status": "ok", "simulated": exchange.gateway.settings.claude.simulate})
    )


async def answer_ready(exchange: Exchange) -> None:
    """Answer that the process takes requests.

    Raises:
        OpenAIError: 503 as soon as the process is told to end, before it refuses any other request.
        StoreUnavailableError: the store cannot be read.
    """
    if exchange.gateway.leaving:
        raise OpenAIError(503, "The proxy is shutting down.", "server_error", "shutting_down")
    await exchange.gateway.store.load([Key("response", "", "ready")])
    await exchange.respond(msgspec.json.encode({"status": "ok"}))

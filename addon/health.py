"""GET /health of the standalone endpoint: the process is alive. Claude, whose outages are not ours, is not asked."""

import msgspec

from addon.exchange import Exchange

__all__ = ["answer_health"]


async def answer_health(exchange: Exchange) -> None:
    """Answer that the process is alive."""
    await exchange.respond(
        msgspec.json.encode({"status": "ok", "simulated": exchange.gateway.settings.claude.simulate})
    )

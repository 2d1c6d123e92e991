"""GET /v1/responses: the way into OpenAI's WebSocket transport, which is refused so that clients take HTTP at once."""

from addon.exchange import Exchange
from translators.errors import OpenAIError

__all__ = ["refuse_websocket"]


async def refuse_websocket(exchange: Exchange) -> None:
    """Refuse the upgrade.

    Codex goes on over HTTP after a 426 without another attempt; a 404 costs it seven, a 400 ends it.

    Raises:
        OpenAIError: always.
    """
    if exchange.flow.request.headers.get("upgrade", "").lower() != "websocket":
        raise OpenAIError(405, "Not allowed to GET on /v1/responses.", code="method_not_supported")
    raise OpenAIError(426, "Responses are served over HTTP here: use POST /v1/responses.", code="upgrade_required")

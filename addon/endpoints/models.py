"""GET /v1/models and /v1/models/{model}: Claude's list in OpenAI's shape."""

from addon.claude.errors import translated_errors
from addon.exchanges.exchange import Exchange
from translators.backends import ANTHROPIC, parse_target
from translators.models.response import translate_model, translate_models

__all__ = ["answer_model", "answer_models"]


async def answer_models(exchange: Exchange) -> None:
    """Answer with every model that the key may use, and the names of the user's aliases.

    Raises:
        OpenAIError: Claude's list cannot be had.
    """
    aliases = exchange.gateway.settings.claude.aliases
    await exchange.respond(translate_models(await _listed(exchange), aliases))


async def answer_model(exchange: Exchange) -> None:
    """Answer with one model: each name that a request may have is one, whichever of Claude's models answers for it.

    Raises:
        OpenAIError: 404 for a Claude model that the key may not use.
    """
    name = exchange.named
    listed = await _listed(exchange)
    answering = exchange.gateway.catalog.resolve(name).id
    is_elsewhere = parse_target(answering).backend != ANTHROPIC
    names = [name] if is_elsewhere or any(entry["id"] == answering for entry in listed) else []
    await exchange.respond(translate_model(name, listed, names))


async def _listed(exchange: Exchange) -> list[dict[str, object]]:
    if not exchange.gateway.catalog.first_party:
        return []  # the other backends have no list
    observe_upstream = exchange.gateway.metrics.observe_upstream
    with translated_errors(observe_upstream):
        listed = await exchange.gateway.claude.models(exchange.client.claude_key)
    observe_upstream("200")
    return listed

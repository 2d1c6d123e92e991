"""GET /v1/models and /v1/models/{model}: Claude's list in OpenAI's shape."""

import anthropic

from addon.exchange import Exchange
from translators.backends import ANTHROPIC, parse_target
from translators.errors import OpenAIError, translate_claude_error
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
    name = exchange.claim.name or ""
    listed = await _listed(exchange)
    answering = exchange.gateway.catalog.resolve(name).id
    is_elsewhere = parse_target(answering).backend != ANTHROPIC
    names = [name] if is_elsewhere or any(entry["id"] == answering for entry in listed) else []
    await exchange.respond(translate_model(name, listed, names))


async def _listed(exchange: Exchange) -> list[dict[str, object]]:
    if not exchange.gateway.catalog.first_party:
        return []  # the other backends have no list
    try:
        return await exchange.gateway.claude.models(exchange.client.claude_key)
    except anthropic.APIStatusError as error:
        response = error.response
        raise translate_claude_error(error.status_code, response.content, response.headers) from error
    except anthropic.APIConnectionError as error:
        raise OpenAIError(502, "Claude could not be reached.", "server_error", "upstream_unreachable") from error

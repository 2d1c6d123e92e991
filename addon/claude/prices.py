"""What an answer of Claude costs in dollars, by the list prices that the `genai-prices` package carries with it.

Its own `calc_price` takes 0.14 ms an answer, a twentieth of a small request. So the rates are read once, and the
multiplication is done here; a test holds both to the same result. Nothing is fetched.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from translators.backends import find_claude_id
from translators.claude_events import Usage

if TYPE_CHECKING:
    from genai_prices.types import TieredPrices

__all__ = ["Bill", "Prices"]

_MILLION = 1e6
_THOUSAND = 1e3
_BATCH_SHARE = 0.5

type Rate = tuple[tuple[int, float], ...]
"""Dollars a token, from the dearest step to the cheapest: a step counts for inputs of more tokens than it says."""


@dataclass(frozen=True, slots=True)
class Bill:
    """What an answer cost: all tokens of input and output, and dollars by list prices."""

    tokens: int = 0
    dollars: float = 0.0


@dataclass(frozen=True, slots=True)
class _Rates:
    input: Rate
    cache_read: Rate
    cache_write: Rate
    cache_write_1h: Rate
    output: Rate
    web_search: Rate


class Prices:
    """The prices of today.

    Args:
        models: Claude's ids. What the package does not know costs nothing here.
    """

    def __init__(self, models: Iterable[str]) -> None:
        # 0.4 s and 25 MB, most of it for providers other than Anthropic: at the start, not at the import.
        from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - see above

        self._rates: dict[str, _Rates] = {}
        today = datetime.now(UTC)
        provider = get_snapshot().find_provider(None, "anthropic", None)
        for name in models:
            model = provider.find_model(name)
            if model is not None:
                price = model.get_prices(today)
                self._rates[name] = _Rates(
                    _rate(price.input_mtok, _MILLION),
                    _rate(price.cache_read_mtok, _MILLION),
                    _rate(price.cache_write_mtok, _MILLION),
                    _rate(price.cache_write_1h_mtok, _MILLION),
                    _rate(price.output_mtok, _MILLION),
                    _rate(price.web_searches_kcount, _THOUSAND),
                )

    def cost(self, model: str | None, usage: Usage) -> float:
        """Say what one answer costs, in dollars; 0 for a model without a price.

        Tokens of batches cost half; searches cost what they always do (https://platform.claude.com/docs/en/pricing).
        """
        name = model or ""
        rates = self._rates.get(name) or self._rates.get(find_claude_id(name, self._rates))
        if rates is None:
            return 0.0
        cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
        total = (usage.input_tokens or 0) + cached + written
        written_1h = usage.cache_creation.ephemeral_1h_input_tokens if usage.cache_creation else 0
        searches = usage.server_tool_use.web_search_requests if usage.server_tool_use else 0
        tokens = (
            (usage.input_tokens or 0) * _at(rates.input, total)
            + cached * _at(rates.cache_read, total)
            + (written - written_1h) * _at(rates.cache_write, total)
            + written_1h * _at(rates.cache_write_1h, total)
            + (usage.output_tokens or 0) * _at(rates.output, total)
        )
        share = _BATCH_SHARE if usage.service_tier == "batch" else 1.0
        return tokens * share + searches * _at(rates.web_search, total)


def _rate(price: "Decimal | TieredPrices | None", per: float) -> Rate:
    if price is None:
        return ((-1, 0.0),)
    if isinstance(price, Decimal):
        return ((-1, float(price) / per),)
    steps = sorted(((tier.start, float(tier.price) / per) for tier in price.tiers), reverse=True)
    return (*steps, (-1, float(price.base) / per))


def _at(rate: Rate, input_tokens: int) -> float:
    for start, price in rate:
        if input_tokens > start:
            return price
    return 0.0

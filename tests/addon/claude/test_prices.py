"""Our multiplication gives what genai-prices' own does, for every model and every kind of token."""

from decimal import Decimal

import pytest
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from msgspec import structs

from addon.claude.prices import Prices
from translators.claude_events import CacheCreation, ServerToolUse, Usage
from translators.model_catalog import CAPABILITIES

PRICES = Prices(CAPABILITIES)
WITHOUT_PRICE = {"claude-mythos-5-1", "claude-mythos-5", "claude-mythos-preview"}
"""Models that the package does not know. Once it does, this test says so."""

USAGES = {
    "nothing": Usage(),
    "input": Usage(input_tokens=1000),
    "output": Usage(input_tokens=1, output_tokens=777),
    "cache_read": Usage(input_tokens=3, cache_read_input_tokens=5000, output_tokens=2),
    "cache_write": Usage(input_tokens=3, cache_creation_input_tokens=5000, output_tokens=2),
    "cache_write_1h": Usage(
        input_tokens=3,
        cache_creation_input_tokens=5000,
        cache_creation=CacheCreation(ephemeral_5m_input_tokens=2000, ephemeral_1h_input_tokens=3000),
        output_tokens=2,
    ),
    "web_search": Usage(input_tokens=10, output_tokens=10, server_tool_use=ServerToolUse(web_search_requests=3)),
    "everything": Usage(
        input_tokens=1234,
        output_tokens=567,
        cache_read_input_tokens=89,
        cache_creation_input_tokens=300,
        cache_creation=CacheCreation(ephemeral_5m_input_tokens=100, ephemeral_1h_input_tokens=200),
        server_tool_use=ServerToolUse(web_search_requests=1),
    ),
    "at_a_step": Usage(input_tokens=200_000, output_tokens=10),
    "above_a_step": Usage(input_tokens=200_001, output_tokens=10),
    "above_it_by_the_cache": Usage(input_tokens=1, cache_read_input_tokens=200_000, output_tokens=10),
}


def priced(usage: Usage) -> PricedUsage:
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    return PricedUsage(
        input_tokens=(usage.input_tokens or 0) + cached + written,
        cache_read_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=usage.cache_creation.ephemeral_1h_input_tokens if usage.cache_creation else 0,
        output_tokens=usage.output_tokens or 0,
        web_searches=usage.server_tool_use.web_search_requests if usage.server_tool_use else 0,
    )


@pytest.mark.parametrize("usage", USAGES.values(), ids=USAGES)
@pytest.mark.parametrize("model", [name for name in CAPABILITIES if name not in WITHOUT_PRICE])
def test_U4_an_answer_costs_what_the_package_says(model, usage):
    expected = calc_price(priced(usage), model, provider_id="anthropic").total_price
    assert isinstance(expected, Decimal)
    assert PRICES.cost(model, usage) == pytest.approx(float(expected), rel=1e-12)


def test_the_tokens_of_a_batch_cost_half_and_its_searches_do_not():
    for name in ("input", "output", "cache_read", "cache_write_1h", "above_a_step"):
        batched = structs.replace(USAGES[name], service_tier="batch")
        assert PRICES.cost("claude-sonnet-4-5", batched) == PRICES.cost("claude-sonnet-4-5", USAGES[name]) / 2
    searches = Usage(server_tool_use=ServerToolUse(web_search_requests=3))
    batched = structs.replace(searches, service_tier="batch")
    assert PRICES.cost("claude-sonnet-4-5", batched) == PRICES.cost("claude-sonnet-4-5", searches) > 0


@pytest.mark.parametrize("model", [*sorted(WITHOUT_PRICE), "claude-of-tomorrow", None])
def test_a_model_without_a_price_costs_nothing(model):
    assert PRICES.cost(model, USAGES["everything"]) == 0


def test_a_price_has_steps_somewhere():
    """Else the cases above say nothing of them."""
    assert PRICES.cost("claude-sonnet-4-5", USAGES["above_a_step"]) > 1.5 * PRICES.cost(
        "claude-sonnet-4-5", USAGES["at_a_step"]
    )

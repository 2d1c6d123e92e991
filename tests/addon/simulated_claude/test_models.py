"""What each model accepts: the table against what is answered, and against the published facts."""

from typing import Any, get_args

import pytest
from anthropic.types import ModelLine

from addon.simulated_claude.errors import ClaudeError
from addon.simulated_claude.model_table import RETIRED_MODELS, find_model, list_models, model_info
from addon.simulated_claude.validation import check_request

MODELS = [model.id for model in list_models()]
EFFORTS = ("low", "medium", "high", "xhigh", "max")
TOOL = {"name": "t", "input_schema": {"type": "object"}}
USER = {"role": "user", "content": "hi"}


def takes(model: str, version: str = "2026-10-21", **changes: Any) -> bool:
    body = {"model": model, "max_tokens": 2000, "messages": [USER], **changes}
    return not isinstance(check_request({"anthropic-version": version}, body), ClaudeError)


@pytest.mark.parametrize("model", MODELS)
def test_a_capability_is_false_exactly_when_sending_it_is_refused(model):
    capabilities = model_info(find_model(model))["capabilities"]
    for kind, support in capabilities["thinking"]["types"].items():
        budget = {"budget_tokens": 1024} if kind == "enabled" else {}
        assert takes(model, thinking={"type": kind, **budget}) == support["supported"], kind
    for effort in EFFORTS:
        assert takes(model, output_config={"effort": effort}) == capabilities["effort"][effort]["supported"], effort


ADAPTIVE, ENABLED, DISABLED = {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 1024}, {"type": "disabled"}
OLD = {"version": "2023-06-01"}
FACTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "forced tools": (
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        set(MODELS)
        - {"claude-fable-5-2", "claude-mythos-5-2", "claude-fable-5-1", "claude-mythos-5-1", "claude-opus-5-5"}
        - {"claude-sonnet-5-5", "claude-mythos-preview"},
    ),
    "system messages": (
        {"messages": [USER, {"role": "system", "content": "x"}]},
        set(MODELS)
        - {"claude-opus-4-7", "claude-opus-4-6", "claude-sonnet-4-6", "claude-mythos-preview"}
        - {"claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"},
    ),
    "prefill": (
        {"messages": [USER, {"role": "assistant", "content": "x"}]},
        {"claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"},
    ),
    "temperature under the old version": (
        {**OLD, "temperature": 0.2},
        {"claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"}
        | {"claude-opus-4-6", "claude-sonnet-4-6"},
    ),
    "temperature under the new version": ({"temperature": 1.0}, set()),
    "thinking disabled at the highest effort": (
        {"thinking": DISABLED, "output_config": {"effort": "max"}},
        {"claude-sonnet-5", "claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6", "claude-sonnet-4-6"},
    ),
    "128K tokens of output": (
        {"max_tokens": 128_000},
        set(MODELS) - {"claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"},
    ),
}


@pytest.mark.parametrize(("changes", "models"), FACTS.values(), ids=FACTS)
def test_the_models_that_take_it_are_the_published_ones(changes, models):
    assert {model for model in MODELS if takes(model, **changes)} == models


def test_retired_models_are_not_served():
    assert [model for model in RETIRED_MODELS if find_model(model)] == []


def test_lines_are_those_of_the_sdk():
    assert {model.line for model in list_models()} == set(get_args(ModelLine))

"""`reasoning_effort` by model: the P13 to P17 and R6 cases."""

from itertools import product

import pytest

from translators.model_catalog import CAPABILITIES, EFFORTS
from translators.reasoning import choose_thinking

ASKED = ("none", "minimal", *EFFORTS)


@pytest.mark.parametrize(("model", "effort"), list(product(sorted(CAPABILITIES), (None, *ASKED))))
@pytest.mark.parametrize("max_tokens", [1, 1024, 1025, 1400, 64_000])
def test_P13_P14_P15_no_model_is_asked_for_what_it_refuses(model, effort, max_tokens):
    capabilities = CAPABILITIES[model]
    chosen = choose_thinking(effort, capabilities, max_tokens)
    kind = None if chosen.thinking is None else chosen.thinking["type"]
    assert kind is None or kind in capabilities.thinking_types
    assert chosen.effort is None or chosen.effort in capabilities.efforts
    if kind == "enabled":
        assert 1024 <= chosen.thinking["budget_tokens"] < max_tokens


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "sent"),
    [
        ("claude-opus-5-5", "high", None, "high"),
        ("claude-opus-5-5", "xhigh", None, "xhigh"),
        ("claude-opus-4-8", "high", {"type": "adaptive"}, "high"),
        ("claude-opus-4-6", "xhigh", {"type": "adaptive"}, "high"),
        ("claude-opus-4-6", "max", {"type": "adaptive"}, "max"),
        ("claude-opus-4-5", "max", {"type": "enabled", "budget_tokens": 24_576}, "high"),
        ("claude-sonnet-4-5", "low", {"type": "enabled", "budget_tokens": 4_096}, None),
        ("claude-haiku-4-5", "max", {"type": "enabled", "budget_tokens": 48_000}, None),
        ("claude-opus-5-5", "minimal", None, "low"),
    ],
)
def test_P14_P15_each_model_thinks_in_its_own_way(model, effort, thinking, sent):
    chosen = choose_thinking(effort, CAPABILITIES[model], 64_000)
    assert (chosen.thinking, chosen.effort, chosen.on) == (thinking, sent, True)


@pytest.mark.parametrize(
    ("model", "thinking", "effort"),
    [
        ("claude-opus-4-5", {"type": "disabled"}, None),
        ("claude-opus-4-8", {"type": "disabled"}, None),
        ("claude-sonnet-5", {"type": "disabled"}, None),
        ("claude-opus-5", {"type": "disabled"}, "low"),
        ("claude-haiku-5-5", {"type": "disabled"}, "low"),
        ("claude-sonnet-5-5", {"type": "between_tools"}, None),
        ("claude-opus-5-5", None, "low"),
        ("claude-fable-5", None, "low"),
    ],
)
def test_P16_P17_none_switches_thinking_off_where_that_is_possible(model, thinking, effort):
    chosen = choose_thinking("none", CAPABILITIES[model], 64_000)
    assert (chosen.thinking, chosen.effort, chosen.on) == (thinking, effort, thinking is None)
    assert bool(chosen.warnings) is (thinking is None)


@pytest.mark.parametrize("effort", [None, *ASKED])
@pytest.mark.parametrize("model", sorted(CAPABILITIES))
def test_R6_a_summary_is_asked_for_only_where_it_is_shown(model, effort):
    hidden = choose_thinking(effort, CAPABILITIES[model], 64_000)
    assert "display" not in (hidden.thinking or {})
    shown = choose_thinking(effort, CAPABILITIES[model], 64_000, show_thinking=True)
    assert ((shown.thinking or {}).get("display") == "summarized") is shown.on


@pytest.mark.parametrize("model", sorted(CAPABILITIES))
def test_without_an_effort_the_model_does_as_it_does(model):
    chosen = choose_thinking(None, CAPABILITIES[model], 64_000)
    assert (chosen.thinking, chosen.effort, chosen.warnings) == (None, None, ())


@pytest.mark.parametrize("model", sorted(CAPABILITIES))
def test_a_small_cap_without_an_effort_is_as_none_and_changes_nothing_of_the_clients(model):
    small = choose_thinking(None, CAPABILITIES[model], 1023)
    none = choose_thinking("none", CAPABILITIES[model], 1023)
    as_none = CAPABILITIES[model].thinks_by_default
    assert (small.thinking, small.effort, small.on) == (
        (none.thinking, none.effort, none.on) if as_none else (None, None, False)
    )
    assert small.warnings == ()


@pytest.mark.parametrize("model", [name for name, known in CAPABILITIES.items() if known.thinks_by_default])
def test_an_effort_that_was_asked_for_stays_under_a_small_cap(model):
    assert choose_thinking("high", CAPABILITIES[model], 1023).on


def test_P13_a_budget_that_has_no_place_is_left_out_and_reported():
    chosen = choose_thinking("high", CAPABILITIES["claude-sonnet-4-5"], 1000)
    assert (chosen.thinking, [warning.action for warning in chosen.warnings]) == (None, ["degraded"])

"""Which model answers, and what it takes."""

from typing import get_args

import pytest
from anthropic.types.model import Model

from translators.model_catalog import CAPABILITIES, NEWEST, SUCCESSORS, ModelCatalog

CATALOG = ModelCatalog(
    "claude-opus-5-5",
    {
        "gpt-4*": "claude-haiku-5-5",
        "gpt-4.1": "claude-sonnet-5-5",
        "gpt-*": "claude-opus-5",
        "old": "claude-3-opus-20240229",
    },
)


def test_the_table_knows_every_model_of_the_sdk():
    literal = next(member for member in get_args(Model) if member is not str)
    assert set(get_args(literal)) == set(CAPABILITIES)


@pytest.mark.parametrize(
    ("requested", "answers"),
    [
        ("claude-opus-5", "claude-opus-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001"),
        ("claude-future-7", "claude-future-7"),
        ("gpt-4.1", "claude-sonnet-5-5"),
        ("gpt-4o", "claude-haiku-5-5"),
        ("gpt-5", "claude-opus-5"),
        ("o3", "claude-opus-5-5"),
        ("my-claude-opus-5", "claude-opus-5-5"),
    ],
)
def test_names_are_resolved_by_id_then_alias_then_pattern_then_default(requested, answers):
    resolved = CATALOG.resolve(requested)
    assert (resolved.id, resolved.warnings) == (answers, ())
    assert resolved.capabilities == CAPABILITIES.get(answers, NEWEST)


@pytest.mark.parametrize(
    "requested",
    [
        "claude-3-opus-20240229",
        "claude-3-sonnet-20240229",
        "claude-3-haiku-20240307",
        "claude-3-5-sonnet-20241022",
        "claude-3-5-haiku-20241022",
        "claude-3-5-sonnet-latest",
        "claude-3-opus",
        "old",
    ],
)
def test_retired_models_are_answered_by_a_living_successor(requested):
    resolved = CATALOG.resolve(requested)
    assert resolved.id in CAPABILITIES
    assert [warning.param for warning in resolved.warnings] == ["model"]


def test_every_successor_is_alive():
    assert set(SUCCESSORS.values()) <= set(CAPABILITIES)


def entry(name, **fields):
    return {"id": name, "type": "model", "lifecycle": "active", **fields}


def test_the_model_list_corrects_the_table():
    types = {"adaptive": {"supported": False}, "enabled": {"supported": True}, "disabled": {"supported": True}}
    capabilities = {
        "thinking": {"supported": True, "types": types},
        "effort": {"supported": True, "low": {"supported": True}, "max": {"supported": False}, "xhigh": None},
        "image_input": {"supported": False},
    }
    listed = entry("claude-opus-4-8", max_tokens=9, max_input_tokens=99, capabilities=capabilities)
    updated = CATALOG.updated([listed]).resolve("claude-opus-4-8").capabilities
    assert updated.thinking_types == {"enabled", "disabled"}
    assert updated.efforts == ("low", "medium", "high", "xhigh")
    assert (updated.max_output_tokens, updated.max_input_tokens, updated.image_input) == (9, 99, False)
    assert updated.mid_conversation_system == "native"
    assert CATALOG.resolve("claude-opus-4-8").capabilities == CAPABILITIES["claude-opus-4-8"]


def test_a_new_model_of_the_list_is_known_and_nulls_change_nothing():
    updated = CATALOG.updated([entry("claude-nova-1", capabilities=None, max_tokens=None)])
    assert updated.resolve("claude-nova-1").capabilities == NEWEST


def test_no_effort_at_all_is_no_level():
    updated = CATALOG.updated([entry("claude-opus-5", capabilities={"effort": {"supported": False}})])
    assert updated.resolve("claude-opus-5").capabilities.efforts == ()


def test_a_model_that_the_list_calls_retired_goes_to_its_successor():
    updated = CATALOG.updated([entry("claude-sonnet-4-5", lifecycle="retired")])
    resolved = updated.resolve("claude-sonnet-4-5")
    assert (resolved.id, len(resolved.warnings)) == ("claude-sonnet-5-5", 1)

"""A small number of hostile cases for each target; `scripts/fuzz` runs as many as one likes."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.target import Target, outcome_of
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS, ids=[target.name.replace(" ", "_") for target in TARGETS])
def test_hostile_bytes_come_to_a_value_or_a_named_error(target: Target) -> None:
    @settings(max_examples=max(20, 60 // target.cost), suppress_health_check=list(HealthCheck))
    @given(target.cases)
    def judge(case: Any) -> None:
        outcome_of(target, case)

    judge()

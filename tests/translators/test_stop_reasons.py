import typing

import pytest
from anthropic.types import StopReason

from translators.stop_reasons import FINISH_REASONS, map_stop_reason


def test_every_stop_reason_of_the_sdk_is_mapped():
    assert set(FINISH_REASONS) == set(typing.get_args(StopReason))


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        pytest.param("end_turn", "stop", id="end_turn"),
        pytest.param("refusal", "content_filter", id="E8"),
        pytest.param("model_context_window_exceeded", "length", id="E9"),
        pytest.param("max_tokens", "length", id="E10"),
        pytest.param("tool_use", "tool_calls", id="tool_use"),
        pytest.param("pause_turn", "length", id="S21"),
        pytest.param("compaction", "stop", id="a beta's"),
        pytest.param(None, "stop", id="none"),
    ],
)
def test_E8_E9_E10_stop_reasons_have_their_finish_reason(stop_reason, finish_reason):
    assert map_stop_reason(stop_reason) == finish_reason

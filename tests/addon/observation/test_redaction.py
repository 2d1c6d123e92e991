"""What is masked of a text. That no secret reaches the log is held in test_logs.py."""

import pytest

from addon.observation.redaction import redact_text


@pytest.mark.parametrize(
    "text",
    [
        "task-specific-words",
        "risk-averse",
        "the bearer of news",
        "tokens per second",
        "finish_reason=stop",
        "a key: value",
        "http://127.0.0.1:8000/v1",
        "https://example.com/@someone",
    ],
)
def test_ordinary_words_are_not_masked(text):
    assert redact_text(text) == text

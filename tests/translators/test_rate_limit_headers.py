from datetime import UTC, datetime

import pytest

from translators.rate_limit_headers import encode_duration, translate_rate_limit_headers

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-5, "0s"),
        (0.017, "17ms"),
        (0.0004, "0s"),
        (0.9996, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.999, "59.999s"),
        (60, "1m0s"),
        (360, "6m0s"),
        (61.25, "1m1.25s"),
        (3600, "1h0m0s"),
        (90061, "25h1m1s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds, text):
    assert encode_duration(seconds) == text


def test_E4_every_header_has_its_counterpart():
    headers = {
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:00.017Z",
        "anthropic-ratelimit-tokens-limit": "2400000",
        "anthropic-ratelimit-tokens-remaining": "2398000",
        "anthropic-ratelimit-tokens-reset": "2026-11-23T12:06:00Z",
        "anthropic-ratelimit-input-tokens-limit": "2000000",
        "request-id": "req_1",
    }
    assert translate_rate_limit_headers(headers, NOW) == {
        "x-ratelimit-limit-requests": "4000",
        "x-ratelimit-remaining-requests": "3999",
        "x-ratelimit-reset-requests": "17ms",
        "x-ratelimit-limit-tokens": "2400000",
        "x-ratelimit-remaining-tokens": "2398000",
        "x-ratelimit-reset-tokens": "6m0s",
    }


def test_input_tokens_stand_in_where_there_is_no_limit_of_all_tokens():
    headers = {
        "anthropic-ratelimit-input-tokens-limit": "10",
        "anthropic-ratelimit-input-tokens-remaining": "9",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-23T14:00:00+02:00",
    }
    assert translate_rate_limit_headers(headers, NOW) == {
        "x-ratelimit-limit-tokens": "10",
        "x-ratelimit-remaining-tokens": "9",
        "x-ratelimit-reset-tokens": "0s",
    }


@pytest.mark.parametrize("value", ["", "soon", "-1", "2026-11-23T12:00:00"])
def test_values_that_cannot_be_read_are_left_out(value):
    headers = {f"anthropic-ratelimit-requests-{part}": value for part in ("limit", "remaining", "reset")}
    assert translate_rate_limit_headers(headers, NOW) == {}


def test_no_limits_give_no_headers():
    assert translate_rate_limit_headers({"retry-after": "5"}, NOW) == {}

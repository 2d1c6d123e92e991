"""The proxy's own limits in OpenAI's words."""

import pytest

from translators.rate_limits import (
    LimitState,
    encode_limit_headers,
    rate_limit_reached,
    spend_limit_reached,
    tighter_limits,
    too_many_at_once,
)


def test_limits_are_told_in_six_headers():
    states = {"requests": LimitState(60, 59, 1.0), "tokens": LimitState(1000, -5, 62.5)}
    assert encode_limit_headers(states) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "1m2.5s",
    }


def headers(kind, remaining):
    return encode_limit_headers({kind: LimitState(100, remaining, 1.0)})


@pytest.mark.parametrize(
    ("ours", "claudes", "chosen"),
    [
        (headers("requests", 5), headers("requests", 9), headers("requests", 5)),
        (headers("requests", 9), headers("requests", 5), headers("requests", 5)),
        (headers("requests", 9), headers("tokens", 5), headers("requests", 9) | headers("tokens", 5)),
        ({}, headers("tokens", 5), headers("tokens", 5)),
        (headers("tokens", 5), {}, headers("tokens", 5)),
        ({}, {}, {}),
    ],
)
def test_a_client_is_told_the_limit_with_less_left(ours, claudes, chosen):
    assert tighter_limits(ours, claudes) == chosen


def test_a_refusal_says_what_is_used_and_when_to_try_again():
    error = rate_limit_reached("requests", "key 'ci'", {"requests": LimitState(60, 0, 59.2)}, 60, 0.64351)
    assert error.message == (
        "Rate limit reached for key 'ci' on requests per min (RPM): Limit 60, Used 60, Requested 1. "
        "Please try again in 0.644s."
    )
    assert (error.status, error.type, error.code, error.param) == (429, "requests", "rate_limit_exceeded", None)
    assert (error.headers["retry-after"], error.headers["retry-after-ms"]) == ("1", "644")
    assert error.headers["x-ratelimit-remaining-requests"] == "0"


def test_a_refusal_names_the_rate_beside_a_smaller_burst():
    error = rate_limit_reached("requests", "this client", {"requests": LimitState(10, 0, 10.0)}, 60, 1.0)
    assert "requests per min (RPM): Limit 60 (10 at once), Used 10, Requested 1." in error.message


def test_a_spent_budget_is_not_tried_again():
    error = spend_limit_reached("this client", 2.5, 3600.2)
    assert (error.status, error.type, error.code) == (429, "insufficient_quota", "insufficient_quota")
    assert error.message.startswith("You exceeded your current quota, please check your plan and billing details.")
    assert "$2.5 a day" in error.message
    assert (error.headers["x-should-retry"], error.headers["retry-after"]) == ("false", "3601")


def test_too_many_at_once_are_told_to_come_again_soon():
    error = too_many_at_once("this client", 3)
    assert (error.status, error.code, error.headers["retry-after"]) == (429, "rate_limit_exceeded", "1")

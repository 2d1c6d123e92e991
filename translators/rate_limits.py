"""The proxy's own limits in OpenAI's words: the headers that tell of them, and the refusals.

https://developers.openai.com/api/docs/guides/rate-limits has the headers, recorded answers the texts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from translators.errors import OpenAIError, retry_headers
from translators.rate_limit_headers import encode_duration

__all__ = [
    "LimitKind",
    "LimitState",
    "encode_limit_headers",
    "rate_limit_reached",
    "spend_limit_reached",
    "tighter_limits",
    "too_many_at_once",
]

type LimitKind = Literal["requests", "tokens"]
_KINDS: tuple[LimitKind, ...] = ("requests", "tokens")
_ABBREVIATIONS: Mapping[LimitKind, str] = {"requests": "RPM", "tokens": "TPM"}
_BUSY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LimitState:
    """What is left of a limit."""

    limit: int
    """How many may come before it is exhausted: a burst, if there is one, for only with it do the other two add up."""
    remaining: int
    reset_after: float
    """Seconds until all of it is there again."""


def encode_limit_headers(states: Mapping[LimitKind, LimitState]) -> dict[str, str]:
    """Encode limits as `x-ratelimit-*`."""
    headers: dict[str, str] = {}
    for kind, state in states.items():
        headers[f"x-ratelimit-limit-{kind}"] = str(state.limit)
        headers[f"x-ratelimit-remaining-{kind}"] = str(max(0, state.remaining))
        headers[f"x-ratelimit-reset-{kind}"] = encode_duration(state.reset_after)
    return headers


def tighter_limits(ours: Mapping[str, str], claudes: Mapping[str, str]) -> dict[str, str]:
    """Choose, of two sets of `x-ratelimit-*`, the one with less left, for requests and tokens each."""
    if not (ours and claudes):
        return dict(ours or claudes)
    chosen: dict[str, str] = {}
    for kind in _KINDS:
        source = min((ours, claudes), key=lambda headers: _remaining(headers, kind))
        chosen |= {name: value for name, value in source.items() if name.endswith(f"-{kind}")}
    return chosen


def _remaining(headers: Mapping[str, str], kind: LimitKind) -> float:
    value = headers.get(f"x-ratelimit-remaining-{kind}", "")
    return int(value) if value.isdecimal() else math.inf


def rate_limit_reached(
    kind: LimitKind, whose: str, states: Mapping[LimitKind, LimitState], per_minute: int, seconds: float
) -> OpenAIError:
    """Refuse for a limit, which is `per_minute`; `states` has that of its kind, `seconds` is how long to wait."""
    state = states[kind]
    seconds = math.ceil(seconds * 1000) / 1000
    used = state.limit - max(0, state.remaining)
    at_once = f" ({state.limit} at once)" if state.limit != per_minute else ""
    message = (
        f"Rate limit reached for {whose} on {kind} per min ({_ABBREVIATIONS[kind]}): Limit {per_minute}{at_once}, "
        f"Used {used}, Requested 1. Please try again in {seconds:g}s."
    )
    headers = {**encode_limit_headers(states), **retry_headers(seconds)}
    return OpenAIError(429, message, type=kind, code="rate_limit_exceeded", headers=headers)


def spend_limit_reached(whose: str, dollars: float, seconds: float) -> OpenAIError:
    """Refuse for a day's money, which is there again after `seconds`.

    Waiting a little does not help, so clients are told not to try again by themselves.
    """
    message = (
        "You exceeded your current quota, please check your plan and billing details. "
        f"(The limit of ${dollars:g} a day for {whose} is used up.)"
    )
    headers = {"x-should-retry": "false", "retry-after": str(math.ceil(seconds))}
    return OpenAIError(429, message, type="insufficient_quota", code="insufficient_quota", headers=headers)


def too_many_at_once(whose: str, limit: int) -> OpenAIError:
    """Refuse for requests that run at the same time; one may end any moment."""
    message = (
        f"Rate limit reached for {whose} on concurrent requests: Limit {limit}, Used {limit}, Requested 1. "
        f"Please try again in {_BUSY_SECONDS:g}s."
    )
    return OpenAIError(429, message, type="requests", code="rate_limit_exceeded", headers=retry_headers(_BUSY_SECONDS))

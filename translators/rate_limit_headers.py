"""Claude's rate-limit headers as OpenAI's.

| OpenAI | Claude |
|---|---|
| x-ratelimit-{limit,remaining}-requests | anthropic-ratelimit-requests-{limit,remaining} |
| x-ratelimit-{limit,remaining}-tokens | anthropic-ratelimit-tokens-{limit,remaining}, else those of input-tokens |
| x-ratelimit-reset-{requests,tokens} | the reset, a time in RFC 3339, as a duration of Go: `6m0s`, `17ms` |
| retry-after, retry-after-ms | retry-after |

https://platform.claude.com/docs/en/api/rate-limits has Claude's,
https://developers.openai.com/api/docs/guides/rate-limits OpenAI's.
"""

from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

__all__ = ["encode_duration", "read_retry_after", "translate_rate_limit_headers"]

_SOURCES = (("requests", ("requests",)), ("tokens", ("tokens", "input-tokens")))


def translate_rate_limit_headers(headers: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Translate what is there; `now` is aware. Values that cannot be read are left out.

    `headers` have names in lower case.
    """
    translated: dict[str, str] = {}
    for target, sources in _SOURCES:
        source = next((name for name in sources if f"anthropic-ratelimit-{name}-limit" in headers), None)
        if source is None:
            continue
        for part in ("limit", "remaining"):
            value = headers.get(f"anthropic-ratelimit-{source}-{part}", "")
            if value.isdecimal():
                translated[f"x-ratelimit-{part}-{target}"] = value
        reset = _parse_time(headers.get(f"anthropic-ratelimit-{source}-reset", ""))
        if reset is not None:
            translated[f"x-ratelimit-reset-{target}"] = encode_duration((reset - now).total_seconds())
    return translated


def read_retry_after(headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Read how many seconds to wait: `retry-after-ms`, or `retry-after` as seconds or, with `now`, as an HTTP date.

    `headers` have names in lower case.
    """
    if (milliseconds := _parse_number(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    if (seconds := _parse_number(value)) is not None:
        return seconds
    if not value or now is None:
        return None
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (date - now).total_seconds()) if date.tzinfo else None


def encode_duration(seconds: float) -> str:
    """Encode as Go prints a `time.Duration`, to the millisecond.

    Examples: `0s`, `17ms`, `1.5s`, `6m0s`, `1h0m0s`. None is negative.
    """
    milliseconds = max(0, round(seconds * 1000))
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _parse_number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _parse_time(value: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo else None

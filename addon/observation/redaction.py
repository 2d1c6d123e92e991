"""What looks like a secret, masked in all that is written: in log lines, in flows, in traces."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from structlog.typing import EventDict, WrappedLogger

__all__ = ["REDACTED", "redact", "redact_text"]

SECRET_NAMES = frozenset({"api-key", "authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"})
REDACTED = "[REDACTED]"
_DEEPEST = 8
_HARMLESS = frozenset({type(None), bool, int, float})
_HARMLESS_AND_TEXT = _HARMLESS | {str}
_BETWEEN = r"""((?:["']\s*[:,]|\s*[:=])\s*b?["']?)"""  # between a header's name and its value, also in a repr
_SECRETS = (
    re.compile(r"()()(?<![a-z0-9])sk-[a-z0-9_\-]{4,}", re.IGNORECASE),  # keys of OpenAI and Claude
    re.compile(r"(bearer)(\s+)[a-z0-9._~+/=\-]{8,}", re.IGNORECASE),
    re.compile(rf"(api[-_]key|authorization){_BETWEEN}(?:(?:basic|bearer|digest)\s+)?[^\s\"',;)}}\]]+", re.IGNORECASE),
    re.compile(r"(://)([^\s/@:\"']*:)[^\s/@\"']+(?=@)"),  # passwords of URLs
    re.compile(rf"(cookie){_BETWEEN}[^\"')}}\]]+", re.IGNORECASE),
)
_SUSPICIOUS = re.compile(r"sk-|://[^\s/@]*@|bearer|api[-_]key|authorization|cookie", re.IGNORECASE)
_SIGNS = ("sk-", "://", "bearer", "api-key", "api_key", "authorization", "cookie")
"""One of these, in small letters, is in every text that is suspicious and in ASCII."""


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop entries named like secret headers, and mask keys and tokens in all text, exception text included."""
    if _holds_secret_name(tuple(event)):
        event = {name: value for name, value in event.items() if not _is_secret_name(name)}
    # One look at all text together, which is harmless nearly always: it costs a tenth of one at each.
    text = "\n".join([value for value in event.values() if type(value) is str])
    harmless = _HARMLESS if _may_be_suspicious(text) else _HARMLESS_AND_TEXT
    return {name: value if type(value) in harmless else _redact_value(value, 0) for name, value in event.items()}


def redact_text(text: str) -> str:
    """Mask what looks like a key or a token."""
    if _may_be_suspicious(text) and _SUSPICIOUS.search(text):
        for pattern in _SECRETS:
            text = pattern.sub(rf"\1\2{REDACTED}", text)
    return text


def _may_be_suspicious(text: str) -> bool:
    """Look without the regular expression, in which some letters beyond ASCII are also `k`, `s` and `i`."""
    if not text.isascii():
        return True
    lowered = text.lower()
    return any(map(lowered.__contains__, _SIGNS))


def _redact_value(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if depth >= _DEEPEST:
        return redact_text(str(value))
    if isinstance(value, dict):
        return {
            redact_text(str(name)): _redact_value(item, depth + 1)
            for name, item in value.items()
            if not _is_secret_name(name)
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(item, depth + 1) for item in value if not _is_secret_pair(item)]
    # Bytes, exceptions, paths, anything else: only its text is logged, and only masked.
    return redact_text(str(value))


@functools.lru_cache(maxsize=1024)
def _is_secret_name(name: Hashable) -> bool:
    text = name.decode("latin-1") if isinstance(name, bytes) else str(name)
    return text.lower().replace("_", "-") in SECRET_NAMES


@functools.lru_cache(maxsize=1024)
def _holds_secret_name(names: tuple[str, ...]) -> bool:
    """Look at the names of an event, which are those of one place in the code."""
    return any(map(_is_secret_name, names))


def _is_secret_pair(item: object) -> bool:
    """Headers also come as pairs of name and value."""
    return (
        isinstance(item, list | tuple)
        and len(item) == 2
        and isinstance(item[0], str | bytes)
        and _is_secret_name(item[0])
    )

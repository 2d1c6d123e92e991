"""Shorter ways to what mitmproxy does for each request many times, for a process that does nothing else.

Not for `mitmdump`, `mitmproxy` and `mitmweb`, in which our addon is a guest.
"""

import copy
from typing import Any

from mitmproxy import http, optmanager

__all__ = ["take_shortcuts"]

_IMMUTABLE = frozenset({type(None), bool, int, str})


def take_shortcuts() -> None:
    """Take them, for the whole process."""
    # The types of every field of every message: they are there to find mistakes of addons, `python -O` leaves them out
    # as well, and they are a twentieth of what a small request costs. The two below are one call of its 27.
    http.MessageData.__post_init__ = lambda _message: None  # type: ignore[method-assign] # for all messages
    # The names of headers are bytes (`Headers.__init__` sees to it), and each look at one compares them all.
    http.Headers._kconv = staticmethod(bytes.lower)  # type: ignore[assignment] # noqa: SLF001 - nothing public decides it
    optmanager._Option.current = _current  # type: ignore[method-assign, assignment] # noqa: SLF001 - nothing public decides it


def _current(option: Any) -> Any:
    """Give the value of an option, copied only where it could be changed."""
    value = option._default if option.value is optmanager.unset else option.value  # noqa: SLF001 - as above
    return value if type(value) in _IMMUTABLE else copy.deepcopy(value)

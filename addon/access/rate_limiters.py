"""What is used of throttled-py, imported without redis-py.

throttled-py imports redis-py for the sake of its errors, to translate them; `addon.access.limits` knows them by
themselves. A proxy that counts in its own memory saves 9 MiB.
"""

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _as_if_missing(package: str) -> Iterator[None]:
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] # the import system's own word for it
    try:
        yield
    finally:
        del sys.modules[package]


with _as_if_missing("redis"):
    from throttled.asyncio import MemoryStore, RedisStore
    from throttled.asyncio.rate_limiter import BaseRateLimiter, RateLimiterRegistry, per_duration
    from throttled.exceptions import StoreUnavailableError

__all__ = [
    "BaseRateLimiter",
    "MemoryStore",
    "RateLimiterRegistry",
    "RedisStore",
    "StoreUnavailableError",
    "per_duration",
]

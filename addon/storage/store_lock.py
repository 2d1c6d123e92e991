"""One process at a time: a lock in the store, for work that two processes must not do both.

The first in a list holds it, because both kinds of store append in one order for all. The list lives no longer than a
lease after the last sign of life, so a process that dies gives it up.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import structlog
from mitmproxy.utils import asyncio_utils

from addon.storage.store import Key, Store, StoreUnavailableError

__all__ = ["LEASE_SECONDS", "hold"]

LEASE_SECONDS = 30.0
_RENEWAL_SECONDS = 10.0

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def hold(store: Store, key: Key) -> AsyncIterator[bool]:
    """Hold the lock of a key, if nobody else does: the value says whether it is held.

    Raises:
        OpenAIError: 503 if the store is not there.
    """
    token = uuid.uuid4().hex.encode()
    if not await _acquire(store, key, token):
        yield False
        return
    renewal = asyncio_utils.create_task(_renew(store, key), name=f"lock {key.id}", keep_ref=True)
    try:
        yield True
    finally:
        renewal.cancel()
        with contextlib.suppress(StoreUnavailableError):  # then it runs out
            # Its own place alone: if its lease has run out, another holds it.
            await store.remove(key, token)


async def _acquire(store: Store, key: Key, token: bytes) -> bool:
    if await store.read_list(key):
        return False
    await store.append(key, [token], LEASE_SECONDS)
    held = await store.read_list(key)
    if held[:1] == [token]:
        return True
    await store.remove(key, token)
    return False


async def _renew(store: Store, key: Key) -> None:
    while True:
        await asyncio.sleep(_RENEWAL_SECONDS)
        try:
            await store.append(key, (), LEASE_SECONDS)
        except StoreUnavailableError as error:
            log.warning("lock_not_renewed", reason=error.reason)

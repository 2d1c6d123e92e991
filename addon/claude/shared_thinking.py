"""The memory of thinking, in the store too, so that the turns of a tool loop may reach different processes.

An answer is written before its client can know its tool calls, and read only where the process does not remember it.
It is sealed as reasoning items are: what another wrote into the store is not taken for Claude's.
"""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from addon.claude.thinking_memory import ThinkingMemory
from addon.storage.store import Key, Store, StoreUnavailableError
from translators.responses.reasoning_envelope import open_envelope, seal

__all__ = ["SharedThinking"]

log = structlog.get_logger(__name__)


class SharedThinking:
    """What all processes of one store remember together. While the store is away, each remembers for itself.

    Args:
        memory: that of this process.
        store: where all find it.
        secret: gives the secret that seals it.
        seconds_to_live: how long an answer is kept.
    """

    def __init__(
        self, memory: ThinkingMemory, store: Store, secret: Callable[[], bytes], seconds_to_live: float
    ) -> None:
        self._memory = memory
        self._store = store
        self._secret = secret
        self._seconds_to_live = seconds_to_live

    async def keep(self, scope: str, tool_call_ids: Sequence[str], content: Sequence[dict[str, Any]]) -> None:
        """Keep the blocks of an answer under each of its tool calls."""
        sealed = seal(content, "", self._secret()).encode()
        keys = [Key("thinking", scope, tool_call_id) for tool_call_id in tool_call_ids]
        try:
            await self._store.save(dict.fromkeys(keys, sealed), self._seconds_to_live)
        except StoreUnavailableError as error:
            log.warning("thinking_not_shared", reason=error.reason)

    async def fetch(self, scope: str, tool_call_ids: Sequence[str]) -> None:
        """Have the memory of this process know the answers that made these tool calls, as far as any process does."""
        missing = [each for each in tool_call_ids if self._memory.recall(scope, each) is None]
        if not missing:
            return
        try:
            found = await self._store.load([Key("thinking", scope, each) for each in missing])
        except StoreUnavailableError as error:
            log.warning("thinking_not_fetched", reason=error.reason)
            return
        for key, sealed in found.items():
            if (envelope := open_envelope(sealed.decode("ascii", "replace"), self._secret())) is not None:
                self._memory.remember(scope, [key.id], envelope.blocks)

"""How many requests run at the same time: places that are taken and given back."""

from collections import Counter
from typing import Protocol

__all__ = ["MemorySlots", "Slots"]


class Slots(Protocol):
    """Places by name."""

    async def take(self, name: str, limit: int) -> bool:
        """Take a place, if fewer than `limit` are taken; say whether it was."""

    async def give_back(self, name: str) -> None:
        """Give one place back that this process has taken."""

    async def close(self) -> None:
        """End what runs for them."""


class MemorySlots:
    """The places of one process."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    async def take(self, name: str, limit: int) -> bool:
        """See `Slots`."""
        if self._taken[name] >= limit:
            return False
        self._taken[name] += 1
        return True

    async def give_back(self, name: str) -> None:
        """See `Slots`."""
        self._taken[name] -= 1
        if self._taken[name] <= 0:
            del self._taken[name]

    async def close(self) -> None:
        """Nothing runs."""

"""What a WebSocket keeps of the responses that were made on it, so that those after them can go on without the store.

Of each stream the last one, as OpenAI does: https://developers.openai.com/api/docs/guides/websocket-mode.
"""

from dataclasses import dataclass
from typing import Any

__all__ = ["RecentResponse", "RecentResponses"]


@dataclass(frozen=True, slots=True)
class RecentResponse:
    """A response that can be gone on from."""

    response_id: str
    chain: tuple[str, ...]
    """Ids of the responses up to it, itself the last."""
    items: list[dict[str, Any]]
    """All that was said so far."""
    is_stored: bool
    """Whether the store has them all, so that it can be gone on from elsewhere too."""


class RecentResponses:
    """The last response of each stream of one connection."""

    def __init__(self) -> None:
        self._last: dict[str | None, RecentResponse] = {}

    def find(self, response_id: str) -> RecentResponse | None:
        """Find one by its id, on whatever stream it was made."""
        return next((recent for recent in self._last.values() if recent.response_id == response_id), None)

    def keep(self, stream_id: str | None, recent: RecentResponse) -> None:
        """Keep a response in the place of the one before it."""
        self._last[stream_id] = recent

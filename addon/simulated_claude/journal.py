"""What reached the simulated Claude: tests read it to see what was sent, and whether the caller stayed."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Journal", "ReceivedRequest", "visible_headers"]

MOST_BYTES = 64 * 1024 * 1024
"""Of the bodies that are kept: it may run for weeks, and be asked about large files."""
SECRET_HEADERS = frozenset({"authorization", "x-api-key", "cookie", "proxy-authorization"})


@dataclass(slots=True)
class ReceivedRequest:
    """One request. Header names are in lower case; the values of keys are not kept."""

    method: str
    path: str
    headers: dict[str, str]
    received_at: float
    """Seconds on the event loop's clock."""
    query: str = ""
    body: Any = None
    """The parsed body; None while it is being read, and where it is no JSON."""
    body_bytes: int = 0
    status: int | None = None
    """The status answered; None until then."""
    events_sent: int = 0
    finished: bool = False
    """The answer was sent to its end, or cut on purpose."""
    left_after: float | None = None
    """Seconds after `received_at` at which the caller went away before the end."""


class Journal(list[ReceivedRequest]):
    """The received requests, oldest first; the oldest are forgotten beyond the size, and where bodies are too large."""

    def __init__(self, size: int, most_bytes: int = MOST_BYTES) -> None:
        super().__init__()
        self._size = size
        self._most_bytes = most_bytes

    def record(self, entry: ReceivedRequest) -> None:
        """Add a request."""
        self.append(entry)
        while len(self) > self._size or (len(self) > 1 and sum(each.body_bytes for each in self) > self._most_bytes):
            del self[0]


def visible_headers(headers: Any) -> dict[str, str]:
    """Hide the values of keys."""
    return {name.lower(): "(hidden)" if name.lower() in SECRET_HEADERS else value for name, value in headers.items()}

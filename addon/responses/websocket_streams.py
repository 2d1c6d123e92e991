"""The requests of one WebSocket in their streams: those of one stream follow each other, several streams run at once.

How many there may be is OpenAI's rule: https://developers.openai.com/api/docs/guides/websocket-mode.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from mitmproxy.utils import asyncio_utils

from translators.errors import OpenAIError
from translators.responses.socket_messages import CreateMessage

__all__ = ["RequestStreams"]

_MOST_AT_ONCE = 16
_MOST_STREAMS = 32
"""OpenAI's own limits. The stream without an id does not count."""
_MOST_WAITING = 64
"""Requests that wait for their turn. OpenAI names no number."""


class RequestStreams:
    """The requests that are not answered yet.

    Args:
        answer: answers one. What goes wrong with it is its own.
        max_bytes: how large those that wait may be together.
        on_idle: told when a stream has no more requests.
    """

    def __init__(
        self, answer: Callable[[CreateMessage], Awaitable[None]], max_bytes: int, on_idle: Callable[[], None]
    ) -> None:
        self._answer = answer
        self._max_bytes = max_bytes
        self._on_idle = on_idle
        self._streams: dict[str | None, deque[CreateMessage]] = {}
        """Of each stream that there was, the one that is being answered first."""
        self._waiting_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        """One for each stream that has requests."""
        self._places = asyncio.Semaphore(_MOST_AT_ONCE)

    @property
    def is_busy(self) -> bool:
        """Whether there are any requests."""
        return any(self._streams.values())

    def refusal_of(self, create: CreateMessage) -> OpenAIError | None:
        """Say why one more request is too many."""
        named = self._streams.keys() - {None}
        if create.stream_id is not None and create.stream_id not in named and len(named) >= _MOST_STREAMS:
            return OpenAIError(
                400,
                f"This WebSocket connection has reached its maximum number of distinct stream IDs ({_MOST_STREAMS}). "
                "Reuse an existing stream_id or open a new WebSocket connection.",
                code="websocket_stream_limit_reached",
                param="stream_id",
            )
        unanswered = sum(map(len, self._streams.values()))
        waits = bool(self._streams.get(create.stream_id)) or unanswered >= _MOST_AT_ONCE
        is_full = unanswered >= _MOST_AT_ONCE + _MOST_WAITING
        if waits and (is_full or self._waiting_bytes + len(create.body) > self._max_bytes):
            text = "Too many requests wait on this connection. Send the next when one has been answered."
            return OpenAIError(429, text, "rate_limit_error", "rate_limit_exceeded")
        return None

    def add(self, create: CreateMessage) -> None:
        """Have a request answered in its turn."""
        stream = self._streams.setdefault(create.stream_id, deque())
        stream.append(create)
        self._waiting_bytes += len(create.body)
        if len(stream) == 1:
            task = asyncio_utils.create_task(self._answer_all(stream), name="websocket stream", keep_ref=True)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer_all(self, stream: deque[CreateMessage]) -> None:
        while stream:
            async with self._places:
                self._waiting_bytes -= len(stream[0].body)
                await self._answer(stream[0])
            stream.popleft()
        self._on_idle()

    async def stop(self) -> None:
        """Give up all requests, and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

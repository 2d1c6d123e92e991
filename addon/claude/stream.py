"""One answer of Claude, streaming: bytes in, events out."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import httpx2

from addon.claude.body import UpstreamBrokenError, body_of
from addon.claude.errors import UNREADABLE
from addon.claude.event_stream import EVENT_STREAM, read_event_stream
from addon.wire.header_fields import folded_fields
from translators.claude_events import Event, MalformedEventError, parse_event
from translators.errors import translate_error_event
from translators.sse import EventTooLargeError, SseParser

__all__ = ["ClaudeStream", "TakeEvents"]

type TakeEvents = Callable[[list[Event]], Coroutine[Any, Any, bool]]
"""Takes the events of one read, so that they go on together; returns whether more are wanted, when there is room."""


class ClaudeStream:
    """One answer of Claude, streaming. Its first events are there, and are no error."""

    def __init__(self, response: httpx2.Response, on_unknown: Callable[[], None] = lambda: None) -> None:
        self._response = response
        self._body = body_of(response)
        self._on_unknown = on_unknown
        self.headers: Mapping[str, str] = folded_fields(response.headers.raw, "latin-1")
        """Claude's response headers, names in lower case."""
        is_framed = self.headers.get("content-type", "").startswith(EVENT_STREAM)
        self._frames = self._read_frames() if is_framed else None
        self._parser = SseParser()
        self._unreadable: Exception | None = None
        """What came after the events that could be read."""
        self._first: list[Event] = []
        self._is_whole = False
        """The last event has been taken: all else of the body holds nothing."""
        self.retries = 0

    async def read_first(self) -> None:
        """Wait for the first events.

        Raises:
            UpstreamBrokenError: the connection ended or broke before, or brought what is no event.
            OpenAIError: the first event is an error, which came with a status of 200.
        """
        if self._frames is not None:
            self._first = await anext(self._frames, [])
        while self._frames is None and not self._first and (chunk := await self._body.read()):
            self._first = self._parse(chunk)
            if not self._first:
                self._require_readable()
        if not self._first:
            raise UpstreamBrokenError("Claude's answer was empty")
        if (error := self._first[0].error) is not None:
            raise translate_error_event(error)

    async def pass_on(self, take: TakeEvents) -> None:
        """Give the events to `take` as they come, until it wants no more or has the last one.

        Nobody waits for the end of the body, which may come late or never.

        Raises:
            UpstreamBrokenError: the connection broke, or brought what is no event.
            Exception: what `take` raises.
        """
        first, self._first = self._first, []
        if not await self._give(first, take):
            return
        self._require_readable()
        if self._frames is None:
            await self._body.pass_on(partial(self._take_chunk, take))
            return
        async for events in self._frames:
            if not await self._give(events, take):
                return

    async def _take_chunk(self, take: TakeEvents, chunk: bytes) -> bool:
        events = self._parse(chunk)
        if events and not await self._give(events, take):
            return False
        self._require_readable()
        return True

    async def _give(self, events: list[Event], take: TakeEvents) -> bool:
        """Give events away; return whether more are wanted, and may come."""
        wants_more = await take(events)
        self._is_whole = events[-1].type == "message_stop"
        return wants_more and not self._is_whole

    def _parse(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        try:
            for payload in self._parser.feed(chunk):
                if (event := self._parse_event(payload)) is not None:
                    events.append(event)
                    if event.type == "message_stop":
                        break  # what comes after it in one read counts as little as what comes in the next
        except (MalformedEventError, EventTooLargeError) as error:
            self._unreadable = error
        return events

    def _parse_event(self, payload: bytes) -> Event | None:
        event = parse_event(payload)
        if event is None:
            self._on_unknown()
        # A ping begins no answer: where an error follows, another try may still help.
        return None if event is None or event.type == "ping" else event

    def _require_readable(self) -> None:
        if self._unreadable is not None:
            raise UpstreamBrokenError("Claude's answer could not be read") from self._unreadable

    async def _read_frames(self) -> AsyncGenerator[list[Event]]:
        try:
            async for payload in read_event_stream(self._pieces()):
                if (event := self._parse_event(payload)) is not None:
                    yield [event]
        except (MalformedEventError, ValueError, *UNREADABLE) as error:
            raise UpstreamBrokenError("Claude's answer could not be read") from error

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self._body.read():
            yield piece

    async def close(self) -> None:
        """End the call; Claude stops generating when its answer is not yet complete."""
        if self._frames is not None:
            await self._frames.aclose()  # it has this
        if not self._body.has_ended and not (self._is_whole and self._body.let_end()):
            await self._response.aclose()

"""One answer of Claude as events, with Bedrock's frames about them and without."""

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator, Callable
from typing import override

import httpx2
import pytest

from addon.claude.body import UpstreamBrokenError
from addon.claude.event_stream import EVENT_STREAM
from addon.claude.stream import ClaudeStream
from tests.integration.clouds import chunk_frame
from translators.claude_events import Event
from translators.errors import OpenAIError

PING = b'{"type": "ping"}'
ERROR = b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}'
EVENTS = [b'{"type": "content_block_stop", "index": 0}', b'{"type": "message_stop"}']


class _Pieces(httpx2.AsyncByteStream):
    """A body that is read by whoever gets it, one piece at a time."""

    def __init__(self, pieces: list[bytes], *, ends: bool = True) -> None:
        self._pieces = pieces
        self._ends = ends

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece
        if not self._ends:
            await asyncio.Event().wait()


def answer(content_type: str, pieces: list[bytes], *, ends: bool = True) -> ClaudeStream:
    return ClaudeStream(httpx2.Response(200, headers={"content-type": content_type}, stream=_Pieces(pieces, ends=ends)))


FORMS = pytest.mark.parametrize(
    ("content_type", "pieces"),
    [
        (EVENT_STREAM, [chunk_frame(event) for event in EVENTS]),
        ("text/event-stream", [b"data: %b\n\n" % event for event in EVENTS]),
    ],
    ids=["bedrock", "claude"],
)


@FORMS
async def test_the_events_come_in_their_order(content_type: str, pieces: list[bytes]):
    taken: list[str] = []

    async def take(events: list[Event]) -> bool:
        taken.extend(event.type for event in events)
        return True

    stream = answer(content_type, pieces)
    await stream.read_first()
    await stream.pass_on(take)
    await stream.close()
    assert taken == [json.loads(event)["type"] for event in EVENTS]


@pytest.mark.parametrize(
    "beyond",
    [EVENTS[0], ERROR, b"{"],
    ids=["event", "error", "garbage"],
)
@pytest.mark.parametrize("reads", [1, 2])
async def test_nothing_counts_that_comes_after_the_last_event(beyond: bytes, reads: int):
    pieces = [b"data: %b\n\n" % event for event in [*EVENTS, beyond]]
    if reads == 1:
        pieces = [b"".join(pieces)]
    taken: list[str] = []

    async def take(events: list[Event]) -> bool:
        taken.extend(event.type for event in events)
        return True

    async with asyncio.timeout(5):
        stream = answer("text/event-stream", pieces, ends=False)
        await stream.read_first()
        await stream.pass_on(take)
        await stream.close()
    assert taken == ["content_block_stop", "message_stop"]


@pytest.mark.parametrize("encode", [chunk_frame, b"data: %b\n\n".__mod__], ids=["bedrock", "claude"])
@pytest.mark.parametrize("reads", [1, 2])
async def test_a_ping_begins_no_answer(encode: Callable[[bytes], bytes], reads: int):
    content_type = EVENT_STREAM if encode is chunk_frame else "text/event-stream"
    pieces = [encode(PING), encode(ERROR)]
    failing = answer(content_type, pieces if reads == 2 else [b"".join(pieces)])
    with pytest.raises(OpenAIError) as raised:
        await failing.read_first()
    assert raised.value.status == 503
    await failing.close()
    empty = answer(content_type, [encode(PING)] * reads)
    with pytest.raises(UpstreamBrokenError, match="empty"):
        await empty.read_first()
    await empty.close()


@FORMS
@pytest.mark.parametrize("ending", ["wants_no_more", "fails"])
async def test_an_answer_that_is_left_is_freed_without_the_garbage_collector(
    content_type: str, pieces: list[bytes], ending: str
):
    async def take(_events: list[Event]) -> bool:
        if ending == "fails":
            raise LookupError("no")
        return False

    gc.collect()
    gc.disable()
    try:
        stream = answer(content_type, pieces)
        await stream.read_first()
        try:
            await stream.pass_on(take)
        except LookupError:
            assert ending == "fails"
        await stream.close()
        left = weakref.ref(stream)
        del stream
        async with asyncio.timeout(5):
            while left() is not None:
                await asyncio.sleep(0.01)
    finally:
        gc.enable()

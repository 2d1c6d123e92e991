"""The turns of the requests on one WebSocket, with answers that end when they are told to."""

import asyncio
from collections import Counter

import pytest

from addon.responses.websocket_streams import RequestStreams
from translators.responses.socket_messages import CreateMessage

MAX_BYTES = 100


class Answering:
    """Takes requests, and answers each when it is told to."""

    def __init__(self):
        self.running = Counter()
        self.answered = []
        self.idle = 0
        self.may_end = asyncio.Semaphore(0)
        self.streams = RequestStreams(self.answer, MAX_BYTES, self.note_idle)

    async def answer(self, create):
        self.running[create.stream_id] += 1
        try:
            await self.may_end.acquire()
            self.answered.append(create.body)
        finally:
            self.running[create.stream_id] -= 1

    def note_idle(self):
        self.idle += 1

    async def end(self, number):
        for _ in range(number):
            self.may_end.release()
        while not self.may_end.locked():
            await asyncio.sleep(0)
        await settled()


def request(stream_id=None, body=b"{}"):
    return CreateMessage(body, stream_id, generates=True)


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_requests_of_one_stream_are_answered_one_after_the_other_in_their_order():
    answering = Answering()
    for body in (b"1", b"2", b"3"):
        answering.streams.add(request("main", body))
    await settled()
    assert answering.running["main"] == 1
    assert answering.streams.is_busy
    await answering.end(3)
    assert answering.answered == [b"1", b"2", b"3"]
    assert not answering.streams.is_busy
    assert answering.idle == 1


async def test_streams_are_answered_at_once_as_many_as_may_be():
    answering = Answering()
    for number in range(20):
        answering.streams.add(request(f"stream-{number}"))
    await settled()
    assert answering.running.total() == 16
    await answering.end(4)
    assert answering.running.total() == 16
    await answering.end(16)
    assert len(answering.answered) == answering.idle == 20


async def test_a_stream_too_many_is_refused_and_those_that_there_were_are_not():
    answering = Answering()
    for number in range(32):
        assert answering.streams.refusal_of(request(f"stream-{number}")) is None
        answering.streams.add(request(f"stream-{number}"))
    await answering.end(32)
    refusal = answering.streams.refusal_of(request("one-more"))
    assert refusal is not None
    assert (refusal.status, refusal.code, refusal.param) == (400, "websocket_stream_limit_reached", "stream_id")
    assert answering.streams.refusal_of(request("stream-0")) is None
    assert answering.streams.refusal_of(request()) is None


@pytest.mark.parametrize(
    ("sizes", "next_size", "is_refused"),
    [
        pytest.param([2], MAX_BYTES, False, id="the first that waits may be as large as all"),
        pytest.param([2], MAX_BYTES + 1, True, id="and no larger"),
        pytest.param([2, 60], 40, False, id="those that wait count together"),
        pytest.param([2, 60], 41, True, id="and are refused together"),
        pytest.param([], MAX_BYTES + 1, False, id="one that does not wait is not counted"),
        pytest.param([0] * 79, 0, False, id="sixteen and sixty-four"),
        pytest.param([0] * 80, 0, True, id="one more"),
    ],
)
async def test_what_waits_is_bounded(sizes, next_size, is_refused):
    answering = Answering()
    for size in sizes:
        answering.streams.add(request("main", b"x" * size))
    await settled()
    refusal = answering.streams.refusal_of(request("main", b"x" * next_size))
    assert (refusal is not None and refusal.code == "rate_limit_exceeded") is is_refused
    await answering.streams.stop()


async def test_what_is_stopped_has_ended_and_nothing_after_it_begins():
    answering = Answering()
    for body in (b"1", b"2"):
        answering.streams.add(request("main", body))
    await settled()
    await answering.streams.stop()
    assert answering.running.total() == 0
    assert answering.answered == []

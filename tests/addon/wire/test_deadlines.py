"""Deadlines that share a timer."""

import asyncio
import time

import pytest

from addon.wire.deadlines import call_in_time


async def test_each_happens_after_its_time_and_only_once():
    begun, happened = time.monotonic(), []

    def note(name: str) -> None:
        happened.append((name, time.monotonic() - begun))

    call_in_time(0.2, lambda: note("late"))
    call_in_time(0.05, lambda: note("early"))
    await asyncio.sleep(0.02)
    call_in_time(0.05, lambda: note("later"))
    await asyncio.sleep(0.4)
    assert [name for name, _ in happened] == ["early", "later", "late"]
    for (_, seconds), expected in zip(happened, [0.05, 0.07, 0.2], strict=True):
        assert seconds == pytest.approx(expected, abs=0.04)
        assert seconds >= expected - 0.005


async def test_what_is_called_off_does_not_happen():
    happened = []
    first, second, third = [call_in_time(0.03, lambda number=number: happened.append(number)) for number in range(3)]
    second.cancel()
    await asyncio.sleep(0.06)
    assert happened == [0, 2]
    for deadline in (first, second, third):
        deadline.cancel()
    call_in_time(0.03, lambda: happened.append(3))
    await asyncio.sleep(0.06)
    assert happened == [0, 2, 3]


async def test_one_that_happens_can_call_another_off():
    happened = []
    deadlines = []
    for number in range(2):
        deadlines.append(call_in_time(0.02, lambda number=number: (happened.append(number), deadlines[1].cancel())))
    await asyncio.sleep(0.05)
    assert happened == [0]


async def test_one_that_fails_keeps_no_other_from_happening():
    happened, failures = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context["exception"]))
    call_in_time(0.02, lambda: 1 / 0)
    call_in_time(0.02, lambda: happened.append(1))
    await asyncio.sleep(0.03)
    call_in_time(0.02, lambda: happened.append(2))
    await asyncio.sleep(0.05)
    assert happened == [1, 2]
    assert [type(failure) for failure in failures] == [ZeroDivisionError]


async def test_a_thousand_need_one_timer(monkeypatch):
    loop, timers = asyncio.get_running_loop(), []
    call_at = loop.call_at
    monkeypatch.setattr(loop, "call_at", lambda when, callback: timers.append(when) or call_at(when, callback))
    for deadline in [call_in_time(0.123, lambda: None) for _ in range(1000)]:
        deadline.cancel()
    assert len(timers) == 1


def test_each_event_loop_has_its_own():
    async def wait() -> list[int]:
        happened: list[int] = []
        call_in_time(0.01, lambda: happened.append(1))
        await asyncio.sleep(0.03)
        return happened

    assert [asyncio.run(wait()) for _ in range(2)] == [[1], [1]]

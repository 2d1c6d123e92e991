"""Limits, counted in memory and in a real Redis, which is also stopped and frozen."""

import asyncio
import os
import re
import signal
import time
from contextlib import contextmanager

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from addon.access.access import Client
from addon.access.limits import Limits
from addon.claude.prices import Bill
from addon.configuration.client_keys import new_key
from addon.configuration.client_settings import RateLimitingSettings
from tests.lived_time import within
from tests.redis_server import redis_process
from translators.errors import OpenAIError

ALICE, BOB = Client("key:alice"), Client("key:bob")


def settings(**given):
    return RateLimitingSettings(**{"requests_per_minute": 0, **given})


@pytest.fixture
def patient(monkeypatch):
    """Redis may take its time, as it does on a busy machine: what is limited by it is counted nowhere else."""
    monkeypatch.setattr("addon.access.limits._REDIS_SECONDS", 30.0)


@pytest.fixture(params=["memory", "redis"])
async def limited(request, patient):
    """Make limits that count where the parameter says, from nothing."""
    made = []
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    if url:
        async with Redis.from_url(url) as redis:
            await redis.flushdb()

    def make(**given):
        limits = Limits(settings(**given), url)
        made.append(limits)
        return limits

    yield make
    for limits in made:
        await limits.close()


async def refusal(limits, client=ALICE):
    with pytest.raises(OpenAIError) as error:
        await limits.admit(client)
    return error.value


def seconds(duration):
    """Read what Go writes of a `time.Duration`."""
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|[hms])", duration))


async def charged(limits, client, tokens=0, dollars=0.0):
    limits.charge(client, Bill(tokens, dollars))
    await settled()


async def settled():
    """Wait for what goes on after a request: it is charged for, and gives its places back."""
    names = ("charge for an answer", "end of a limited request")
    if going_on := [task for task in asyncio.all_tasks() if task.get_name().startswith(names)]:
        await asyncio.wait(going_on)


async def test_a_burst_comes_at_once_and_the_next_request_waits_for_its_share(limited):
    limits = limited(requests_per_minute=20, burst_size=3)
    began = time.monotonic()
    remaining = [(await limits.admit(ALICE)).headers["x-ratelimit-remaining-requests"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    error = await refusal(limits)
    assert (error.status, error.type) == (429, "requests")
    assert 2.9 - (time.monotonic() - began) < int(error.headers["retry-after-ms"]) / 1000 <= 3
    assert (await limits.admit(BOB)).headers["x-ratelimit-remaining-requests"] == "2"
    await asyncio.sleep(int(error.headers["retry-after-ms"]) / 1000 + 0.02)
    await limits.admit(ALICE)
    assert (await refusal(limits)).status == 429


@pytest.mark.parametrize(("rate", "burst"), [(10, 5), (10, 10), (10, 20)], ids=["small", "none", "large"])
async def test_a_client_that_paces_itself_by_the_three_headers_keeps_the_rate(limited, rate, burst):
    limits = limited(requests_per_minute=rate, burst_size=burst)
    remaining = burst
    while remaining:
        headers = (await limits.admit(ALICE)).headers
        limit, remaining = (int(headers[f"x-ratelimit-{part}-requests"]) for part in ("limit", "remaining"))
        used, reset = limit - remaining, seconds(headers["x-ratelimit-reset-requests"])
        assert limit == burst
        # What has come back since is not yet a whole request.
        assert (used - 1) * 60 / rate < reset <= used * 60 / rate
    assert (await refusal(limits)).headers["x-ratelimit-limit-requests"] == str(burst)


async def test_without_limits_nothing_is_told(limited):
    assert (await limited().admit(ALICE)).headers == {}


async def test_tokens_are_charged_afterwards_into_debt(limited):
    limits = limited(tokens_per_minute=600)
    assert (await limits.admit(ALICE)).headers["x-ratelimit-remaining-tokens"] == "600"
    began = time.monotonic()
    await charged(limits, ALICE, tokens=900)
    error = await refusal(limits)
    assert error.type == "tokens"
    assert 29.8 - (time.monotonic() - began) < int(error.headers["retry-after-ms"]) / 1000 <= 30.2
    assert error.headers["x-ratelimit-remaining-tokens"] == "0"
    await limits.admit(BOB)


async def test_what_is_left_of_the_tokens_is_told(limited):
    limits = limited(tokens_per_minute=600)
    began = time.monotonic()
    await charged(limits, ALICE, tokens=100)
    headers = (await limits.admit(ALICE)).headers
    come_back = 10 * (time.monotonic() - began)
    assert headers["x-ratelimit-limit-tokens"] == "600"
    assert 500 <= int(headers["x-ratelimit-remaining-tokens"]) <= 500 + come_back + 1


@pytest.mark.usefixtures("noon")
async def test_a_days_money_is_spent_and_not_a_cent_too_early_and_comes_back_at_midnight(limited, jump):
    limits = limited(dollars_per_day=1)
    await charged(limits, ALICE, dollars=0.99)
    await limits.admit(ALICE)
    await charged(limits, ALICE, dollars=0.02)
    error = await refusal(limits)
    assert (error.type, error.headers["x-should-retry"]) == ("insufficient_quota", "false")
    left = 86400 - time.time() % 86400
    assert left - 5 <= int(error.headers["retry-after"]) <= left + 5
    await limits.admit(BOB)
    jump(43_200)
    await limits.admit(ALICE)


@pytest.mark.parametrize(
    ("given", "use"),
    [
        ({"burst_size": 2}, {}),
        ({"tokens_per_minute": 10}, {"tokens": 100}),
        ({"concurrent_requests": 2}, {}),
        ({"dollars_per_day": 0.5}, {"dollars": 1.0}),
    ],
    ids=["requests", "tokens", "places", "dollars"],
)
@pytest.mark.usefixtures("noon")
async def test_every_refusal_tells_how_all_limits_stand_and_when_to_come_again(limited, given, use):
    limits = limited(**{"requests_per_minute": 10, "tokens_per_minute": 1000, **given})
    await limits.admit(ALICE)
    await limits.admit(ALICE)
    await charged(limits, ALICE, **use)
    error = await refusal(limits)
    assert error.status == 429
    assert float(error.headers["retry-after"]) > 0
    names = {
        f"x-ratelimit-{part}-{kind}" for part in ("limit", "remaining", "reset") for kind in ("requests", "tokens")
    }
    assert names <= error.headers.keys()
    left = 0 if "burst_size" in given else 8
    assert left <= int(error.headers["x-ratelimit-remaining-requests"]) <= left + 1
    tokens = 0 if "tokens_per_minute" in given else 1000
    assert int(error.headers["x-ratelimit-remaining-tokens"]) == tokens


async def test_requests_at_once_are_limited_until_one_ends(limited):
    limits = limited(concurrent_requests=2, requests_per_minute=10)
    first, _second = await limits.admit(ALICE), await limits.admit(ALICE)
    error = await refusal(limits)
    assert error.headers["retry-after"] == "1"
    first.release()
    first.release()
    await settled()
    third = await limits.admit(ALICE)
    assert third.headers["x-ratelimit-remaining-requests"] == "7", "what is refused for a place is not counted"
    assert (await refusal(limits)).status == 429


@pytest.mark.parametrize(
    ("given", "use"),
    [
        ({"total_requests_per_minute": 1}, {}),
        ({"total_concurrent_requests": 1}, {}),
        ({"total_tokens_per_minute": 10}, {"tokens": 100}),
        ({"total_dollars_per_day": 0.5}, {"dollars": 1.0}),
    ],
    ids=lambda value: next(iter(value), "") if isinstance(value, dict) else "",
)
@pytest.mark.usefixtures("noon")
async def test_all_clients_together_have_limits_too(limited, given, use):
    limits = limited(**given)
    await limits.admit(ALICE)
    await charged(limits, ALICE, **use)
    assert "all clients together" in (await refusal(limits, BOB)).message


async def test_a_refusal_for_all_takes_no_place_of_the_client(limited):
    limits = limited(concurrent_requests=1, total_requests_per_minute=1)
    (await limits.admit(ALICE)).release()
    await settled()
    for _ in range(3):
        assert "requests per min" in (await refusal(limits)).message


async def test_a_key_has_limits_of_its_own_and_else_everybodys(limited):
    limits = limited(requests_per_minute=50, tokens_per_minute=70)
    key = Client("key:ci", new_key("ci", requests_per_minute=2)[1])
    free = Client("key:free", new_key("free", requests_per_minute=0)[1])
    headers = (await limits.admit(key)).headers
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-limit-tokens"]) == ("2", "70")
    assert "x-ratelimit-limit-requests" not in (await limits.admit(free)).headers
    await limits.admit(key)
    assert "key 'ci'" in (await refusal(limits, key)).message


async def test_a_keys_limits_are_those_of_the_settings_in_force_and_of_the_key_as_it_was_last_read(limited):
    limits = limited(requests_per_minute=50, tokens_per_minute=70)
    before, after = (Client("key:ci", new_key("ci", requests_per_minute=requests)[1]) for requests in (20, 30))

    async def told(client):
        headers = (await limits.admit(client)).headers
        return headers["x-ratelimit-limit-requests"], headers["x-ratelimit-limit-tokens"]

    assert await told(before) == ("20", "70")
    limits.apply(settings(requests_per_minute=50, tokens_per_minute=80))
    assert await told(before) == ("20", "80")
    assert await told(after) == ("30", "80")


async def test_other_limits_can_be_put_in_force_and_what_was_counted_stays(limited):
    limits = limited(requests_per_minute=2)
    for _ in range(2):
        await limits.admit(ALICE)
    assert (await refusal(limits)).status == 429
    limits.apply(settings(requests_per_minute=2, burst_size=5))
    assert (await limits.admit(ALICE)).headers["x-ratelimit-remaining-requests"] == "2"
    limits.apply(settings())
    assert (await limits.admit(ALICE)).headers == {}


async def test_the_header_tells_of_the_limit_with_the_least_left(limited):
    limits = limited(requests_per_minute=50, total_requests_per_minute=5)
    assert (await limits.admit(ALICE)).headers["x-ratelimit-limit-requests"] == "5"


async def test_two_processes_count_together_in_redis(redis_url, patient):
    client = Client(f"key:shared-{time.time_ns()}")
    one, two = (Limits(settings(requests_per_minute=3, concurrent_requests=9), redis_url) for _ in range(2))
    for limits in (one, two, one):
        await limits.admit(client)
    assert (await refusal(two, client)).status == 429
    await one.close()
    await two.close()


@contextmanager
def frozen(process):
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@contextmanager
def stopped(process):
    process.terminate()
    process.wait(60)
    yield


@pytest.mark.parametrize("away", [frozen, stopped], ids=lambda way: way.__name__)
async def test_without_redis_each_process_counts_for_itself_after_a_bounded_wait(tmp_path, away, monkeypatch):
    monkeypatch.setattr("addon.access.limits._REDIS_SECONDS", 2.0)
    monkeypatch.setattr("addon.access.limits._PAUSE_SECONDS", 60.0)
    with redis_process(tmp_path) as (process, url):
        limits = Limits(settings(requests_per_minute=2, concurrent_requests=10), url)
        await limits.admit(ALICE)
        with away(process), capture_logs() as logs:
            async with asyncio.timeout(20):
                for _ in range(2):
                    await limits.admit(ALICE)
                assert (await refusal(limits)).type == "requests"
            assert {line["event"] for line in logs} == {"limits_not_shared"}

            async def ask_often():
                for number in range(20):
                    await limits.admit(BOB) if number < 2 else await refusal(limits, BOB)

            await within(0.4, ask_often())  # it is not asked again for a while
        await limits.close()


async def test_no_place_stays_taken_of_a_request_that_ended_while_redis_was_away(tmp_path, monkeypatch):
    monkeypatch.setattr("addon.access.redis_slots.LEASE_SECONDS", 2.0)
    monkeypatch.setattr("addon.access.redis_slots._RENEWAL_SECONDS", 0.2)
    with redis_process(tmp_path) as (process, url):
        limits = Limits(settings(concurrent_requests=1, total_concurrent_requests=1), url)
        admission = await limits.admit(ALICE)
        with frozen(process):
            admission.release()
            await asyncio.sleep(1.2)
        async with asyncio.timeout(60):
            while True:
                try:
                    await limits.admit(ALICE)
                    break
                except OpenAIError:
                    await asyncio.sleep(0.2)
        await limits.close()


@pytest.mark.parametrize("away", [frozen, stopped], ids=lambda way: way.__name__)
async def test_without_redis_nobody_gets_in_where_that_is_wanted(tmp_path, away):
    with redis_process(tmp_path) as (process, url):
        limits = Limits(settings(requests_per_minute=100, on_redis_failure="closed"), url)
        await limits.admit(ALICE)
        with away(process):
            async with asyncio.timeout(20):
                error = await refusal(limits)
            assert (error.status, error.code, error.headers["retry-after"]) == (503, "limits_unavailable", "1")
        if away is frozen:
            async with asyncio.timeout(60):
                while True:
                    try:
                        admission = await limits.admit(ALICE)
                        break
                    except OpenAIError:
                        await asyncio.sleep(0.1)
            assert int(admission.headers["x-ratelimit-remaining-requests"]) < 100
        await limits.close()


async def test_a_charge_without_redis_is_counted_in_the_process(tmp_path):
    with redis_process(tmp_path) as (process, url), stopped(process):
        limits = Limits(settings(tokens_per_minute=10), url)
        limits.charge(ALICE, Bill(100))
        with pytest.raises(OpenAIError, match="on tokens per min"):
            await admitted_for_a_minute(limits)
        await limits.close()


async def admitted_for_a_minute(limits):
    async with asyncio.timeout(60):
        while True:
            await limits.admit(ALICE)
            await asyncio.sleep(0.05)


async def test_admission_in_memory_takes_microseconds():
    limits = Limits(settings(requests_per_minute=10**9))
    assert min([await cpu_seconds(limits) for _ in range(5)]) < 100e-6


async def cpu_seconds(limits):
    started = time.process_time()
    for _ in range(200):
        (await limits.admit(ALICE)).release()
    return (time.process_time() - started) / 200

"""Four workers in two instances behind HAProxy are one endpoint to clients with keys: what holds, holds in all."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
import pytest_asyncio

from addon.configuration.client_keys import digest_of
from tests.deploy.cluster import PATH, SECONDS, Cluster, open_stream, rest_of, running_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(400),  # a cluster is two processes, which take their time on a busy machine
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("haproxy", path=PATH) is None,
        reason="haproxy is not installed, or the connections to one port cannot be dealt out to workers",
    ),
]

MANY = 40
"""As many connections as leave none of four workers out."""
KEYS: dict[str, dict[str, Any]] = {
    "sk-burst": {"name": "burst", "requests_per_minute": 1, "burst_size": MANY},
    "sk-places": {"name": "places", "concurrent_requests": MANY},
    "sk-free": {"name": "free"},
}
LEASE_SECONDS = 30.0
"""How long the places of a process that died stay taken, as docs/access.md says."""

type Stream = openai.AsyncStream[openai.types.chat.ChatCompletionChunk]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> AsyncIterator[Cluster]:
    keys = [{**key, "sha256": digest_of(secret)} for secret, key in KEYS.items()]
    folder = tmp_path_factory.mktemp("scale-out")
    async with running_cluster(
        "haproxy", folder, redis_url, CLAUDE_PROXY_CLIENT_KEYS=json.dumps(keys), CLAUDE_PROXY_EXPORTER="true"
    ) as running:
        yield running


async def open_at_once(client: openai.AsyncOpenAI, number: int) -> tuple[list[Stream], list[openai.RateLimitError]]:
    """Begin streams; return those that were let in, and how the others were refused."""
    results = await asyncio.gather(*(open_stream(client) for _ in range(number)), return_exceptions=True)
    unexpected = [each for each in results if not isinstance(each, openai.AsyncStream | openai.RateLimitError)]
    assert unexpected == []
    streams = [each for each in results if isinstance(each, openai.AsyncStream)]
    return streams, [each for each in results if isinstance(each, openai.RateLimitError)]


async def all_open(client: openai.AsyncOpenAI, number: int) -> list[Stream]:
    """Begin streams of which none is refused."""
    streams, refused = await open_at_once(client, number)
    assert refused == []
    return streams


async def all_refused(client: openai.AsyncOpenAI, number: int) -> list[openai.RateLimitError]:
    streams, refused = await open_at_once(client, number)
    assert streams == []
    return refused


def streams_by_worker(cluster: Cluster) -> dict[int, int]:
    """Find what each of the four is making."""
    return {worker: number for instance in cluster.instances for worker, number in instance.streams().items()}


async def require_all_workers_busy(cluster: Cluster, streams: int) -> None:
    while sum((numbers := streams_by_worker(cluster)).values()) > streams:  # what was refused ends after its last byte
        await asyncio.sleep(0.02)
    assert len(numbers) == 4
    assert min(numbers.values()) > 0
    assert sum(numbers.values()) == streams


async def finish(cluster: Cluster, streams: Sequence[Stream]) -> None:
    """Let streams go on to their ends."""
    cluster.script.go_on.set()
    assert await asyncio.gather(*map(rest_of, streams)) == [" last"] * len(streams)
    while sum(streams_by_worker(cluster).values()):  # an exchange ends after its last byte
        await asyncio.sleep(0.02)
    cluster.script.go_on.clear()


async def test_a_burst_is_one_for_all_workers_and_no_other_key_feels_it(cluster: Cluster) -> None:
    async with cluster.client("sk-burst") as client, cluster.client("sk-free") as other, asyncio.timeout(2 * SECONDS):
        streams, refused = await open_at_once(client, MANY + 4)
        assert (len(streams), len(refused)) == (MANY, 4)
        await require_all_workers_busy(cluster, MANY)
        refused += await all_refused(client, 12)
        for error in refused:
            assert (error.type, error.code) == ("requests", "rate_limit_exceeded")
            assert "key 'burst'" in error.message
            assert error.response.headers["x-ratelimit-limit-requests"] == str(MANY)
            assert error.response.headers["x-ratelimit-remaining-requests"] == "0"
            assert float(error.response.headers["retry-after"]) > 0
        await finish(cluster, [*streams, *await all_open(other, 8)])


async def test_places_are_those_of_all_workers_and_no_other_key_needs_them(cluster: Cluster) -> None:
    async with cluster.client("sk-places") as client, cluster.client("sk-free") as other, asyncio.timeout(2 * SECONDS):
        streams = await all_open(client, MANY)
        await require_all_workers_busy(cluster, MANY)
        for error in await all_refused(client, 8):
            assert error.code == "rate_limit_exceeded"
            assert "concurrent requests" in error.message
            assert error.response.headers["retry-after"] == "1"
        await finish(cluster, [*streams, *await all_open(other, 8)])
        # A place is free a moment after its answer has ended: whoever does as it is told finds it.
        await finish(cluster, await all_open(client.with_options(max_retries=3), MANY))


async def test_what_was_asked_is_what_all_have_counted(cluster: Cluster) -> None:
    async def counted(outcome: str) -> list[list[float]]:
        labels = 'endpoint="chat_completions"', f'outcome="{outcome}"'
        return [
            await cluster.metric("claude_proxy_requests_total", *labels, exported=exported)
            for exported in (True, False)
        ]

    before = {outcome: await counted(outcome) for outcome in ("ok", "client_error")}
    async with cluster.client("sk-free") as client, cluster.client("sk-of-nobody") as nobody:
        async with asyncio.timeout(2 * SECONDS):
            streams = await all_open(client, MANY)
            await require_all_workers_busy(cluster, MANY)
            for _ in range(6):
                with pytest.raises(openai.AuthenticationError):
                    await open_stream(nobody)
            await finish(cluster, streams)
    for outcome, number in (("ok", MANY), ("client_error", 6)):
        exported, shown = await counted(outcome)
        assert exported == shown
        assert sum(exported) == sum(before[outcome][0]) + number


async def test_a_conversation_goes_on_in_any_instance_for_its_key_alone(cluster: Cluster) -> None:
    cluster.script.go_on.set()
    one, two = (instance.serving for instance in cluster.instances)
    async with one.client("sk-free") as here, two.client("sk-free") as there, two.client("sk-places") as other:
        first = await here.responses.create(model="gpt-4o", input="the first turn")
        follow_up: Any = {"model": "gpt-4o", "input": "the second turn", "previous_response_id": first.id}
        second = await there.responses.create(**follow_up)
        assert (await here.responses.retrieve(second.id)).previous_response_id == first.id
        turns = json.loads(cluster.claudes[1].calls[-1].body)["messages"]
        assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
        assert ["the first turn" in str(turns[0]), "first last" in str(turns[1])] == [True, True]
        with pytest.raises(openai.APIStatusError, match="not found"):
            await other.responses.create(**follow_up)
    cluster.script.go_on.clear()


async def test_a_worker_that_is_killed_loses_its_own_streams_alone_and_its_places_come_back(cluster: Cluster) -> None:
    async with cluster.client("sk-places") as client, cluster.client("sk-free") as other, asyncio.timeout(5 * SECONDS):
        streams = await all_open(client, MANY)
        await require_all_workers_busy(cluster, MANY)
        victim, lost = next(iter(streams_by_worker(cluster).items()))
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()

        # Whoever asks from now on is answered: by the others, and by the one that takes its place.
        streams_of_others = [await open_stream(other) for _ in range(12)]
        cluster.script.go_on.set()
        ends = await asyncio.gather(*map(rest_of, streams), return_exceptions=True)
        broken = [end for end in ends if isinstance(end, openai.APIError | httpx2.TransportError)]
        assert (len(broken), ends.count(" last")) == (lost, MANY - lost)
        await finish(cluster, streams_of_others)

        # Nobody gives back what it has taken, until its lease has ended. The start of another may take as long.
        streams, refused = await open_at_once(client, MANY)
        assert len(refused) >= lost
        await finish(cluster, streams)
        while len(streams_by_worker(cluster)) < 4:
            await asyncio.sleep(0.1)
        assert victim not in streams_by_worker(cluster)
        await asyncio.sleep(killed + LEASE_SECONDS + 0.5 - time.monotonic())
        streams = await all_open(client.with_options(max_retries=3), MANY)
        await require_all_workers_busy(cluster, MANY)
        await finish(cluster, streams)

"""Two instances of two workers each, with one Redis, behind a real HAProxy and a real nginx as deploy/ has them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import httpx2
import openai
import pytest
import pytest_asyncio

from tests.deploy.cluster import CONFIGURATIONS, PATH, SECONDS, Cluster, Instance, open_stream, rest_of, running_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(400),  # each cluster is two processes, which take their time on a busy machine
]

ANSWERED = 'endpoint="chat_completions"', 'outcome="ok"'


@pytest.fixture(params=CONFIGURATIONS, scope="module")
def balancer(request):
    if sys.platform != "linux" or shutil.which(request.param, path=PATH) is None:
        pytest.skip(f"{request.param} is not installed, or the connections to one port cannot be dealt out to workers")
    return request.param


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_cluster(
    balancer: str, tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> AsyncIterator[Cluster]:
    async with running_cluster(balancer, tmp_path_factory.mktemp(balancer), redis_url) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: Cluster) -> Cluster:
    """One that other tests use too, but for what has been asked so far."""
    shared_cluster.script.go_on.clear()
    shared_cluster.script.waits = False
    shared_cluster.seen = tuple(len(claude.calls) for claude in shared_cluster.claudes)
    return shared_cluster


@pytest_asyncio.fixture(loop_scope="module")
async def own_cluster(balancer: str, tmp_path: Path, redis_url: str) -> AsyncIterator[Cluster]:
    """One that can be broken."""
    async with running_cluster(balancer, tmp_path, redis_url) as cluster:
        yield cluster


async def kill_with_workers(instance: Instance) -> None:
    workers = instance.workers()
    assert len(workers) == 2
    await instance.serving.kill()
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):  # one that had nothing to do has ended with its parent
            os.kill(worker, signal.SIGKILL)


async def test_a_stream_goes_on_piece_by_piece(cluster: Cluster) -> None:
    async with cluster.client() as client, asyncio.timeout(SECONDS):
        stream = await open_stream(client)  # its end is not even asked for
        cluster.script.go_on.set()
        assert await rest_of(stream) == " last"


async def test_the_load_is_shared_and_the_metrics_of_both_add_up(cluster: Cluster) -> None:
    async with cluster.client() as client, asyncio.timeout(SECONDS):
        before = await cluster.metric("claude_proxy_requests_total", *ANSWERED)
        tokens_before = sum(await cluster.metric("claude_proxy_tokens_total", 'kind="output"'))
        streams = await asyncio.gather(*(open_stream(client) for _ in range(8)))
        in_flight = await cluster.metric("claude_proxy_requests_in_flight", 'endpoint="chat_completions"')
        assert sum(in_flight) == 8
        assert in_flight == list(cluster.served())
        assert min(in_flight) >= 2
        cluster.script.go_on.set()
        await asyncio.gather(*map(rest_of, streams))
        ended = before
        while sum(ended) < sum(before) + 8:  # an exchange is counted after its last byte
            ended = await cluster.metric("claude_proxy_requests_total", *ANSWERED)
        assert ended == [sum(pair) for pair in zip(before, in_flight, strict=True)]
        assert await cluster.metric("claude_proxy_requests_in_flight", 'endpoint="chat_completions"') == [0, 0]
        tokens = sum(await cluster.metric("claude_proxy_tokens_total", 'kind="output"'))
        assert tokens == tokens_before + 8 * 5


async def test_killing_one_loses_its_own_streams_and_no_other(own_cluster: Cluster) -> None:
    cluster = own_cluster
    async with cluster.client() as client, asyncio.timeout(3 * SECONDS):
        streams = await asyncio.gather(*(open_stream(client) for _ in range(8)))
        lost, kept = cluster.served()
        assert min(lost, kept) >= 2
        await kill_with_workers(cluster.instances[0])
        cluster.script.go_on.set()
        ends = await asyncio.gather(*map(rest_of, streams), return_exceptions=True)
        assert sorted(str(type(end)) for end in ends if end != " last") == sorted(
            str(type(end)) for end in ends if isinstance(end, openai.APIError | httpx2.TransportError)
        )
        assert sum(end == " last" for end in ends) == kept
        # New requests go to the one that is left.
        answers = [await open_stream(client) for _ in range(4)]
        assert [await rest_of(answer) for answer in answers] == [" last"] * 4
        assert cluster.served() == (lost, kept + 4)


async def test_what_one_has_stored_the_other_finds(cluster: Cluster) -> None:
    cluster.script.go_on.set()
    async with cluster.client() as client, asyncio.timeout(SECONDS):
        response = await client.responses.create(model="gpt-4o", input="hi")
        for instance in cluster.instances:
            async with instance.serving.client() as direct:
                assert (await direct.responses.retrieve(response.id)).output_text == "first last"


async def test_a_client_that_leaves_while_it_waits_takes_its_call_with_it(cluster: Cluster) -> None:
    cluster.script.waits = True
    async with asyncio.timeout(SECONDS):
        async with cluster.client() as client:
            asking = asyncio.create_task(
                client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
            )
            while not sum(cluster.served()):
                await asyncio.sleep(0.01)
            asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asking
        [served] = [claude for claude, calls in zip(cluster.claudes, cluster.served(), strict=True) if calls]
        await served.calls[-1].hung_up.wait()


async def test_what_is_the_operators_is_not_shown_to_clients(cluster: Cluster) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        for path in ("/metrics", "//metrics", "/metrics/", "/health/ready", "/health//ready"):
            answer = await client.get(f"{cluster.url}{path}")
            assert answer.status_code in {403, 404}, path
            assert "claude_proxy_" not in answer.text


async def test_an_instance_that_drains_gets_nothing_new(own_cluster: Cluster) -> None:
    cluster = own_cluster
    async with cluster.client() as client, asyncio.timeout(3 * SECONDS):
        streams = await asyncio.gather(*(open_stream(client) for _ in range(4)))
        before = cluster.served()
        cluster.instances[0].serving.process.terminate()
        await asyncio.sleep(5)  # two checks of HAProxy; nginx finds the port closed
        more = await asyncio.gather(*(open_stream(client) for _ in range(4)))
        assert cluster.served() == (before[0], before[1] + 4)
        cluster.script.go_on.set()
        # The streams that ran on it have their ends: it waited for them.
        assert [await rest_of(stream) for stream in [*streams, *more]] == [" last"] * 8

"""Two instances of two workers each, with one Redis, behind a real HAProxy and a real nginx as deploy/ has them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import openai
import pytest
import pytest_asyncio

from tests.integration.raw_upstream import (
    EVENTS_HEAD,
    Call,
    RawUpstream,
    message_end,
    message_start,
    raw_upstream,
    text_delta,
)
from tests.integration.serving_process import ServingProcess, serving_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(400),  # each cluster is two processes, which take their time on a busy machine
]

DEPLOY = Path(__file__).parents[2] / "deploy"
PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
CONFIGURATIONS = {"haproxy": DEPLOY / "haproxy.cfg", "nginx": DEPLOY / "nginx.conf"}
SECONDS = 20
ANSWERED = 'endpoint="chat_completions"', 'outcome="ok"'
NGINX = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {configuration}
}}
"""


@pytest.fixture(params=CONFIGURATIONS, scope="module")
def balancer(request):
    if sys.platform != "linux" or shutil.which(request.param, path=PATH) is None:
        pytest.skip(f"{request.param} is not installed, or the connections to one port cannot be dealt out to workers")
    return request.param


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def start_balancer(name: str, folder: Path, port: int, instances: list[int]) -> subprocess.Popen[bytes]:
    """Start one with the configuration of deploy/, whose ports alone are others."""
    text = CONFIGURATIONS[name].read_text()
    for written, used in (("8080", port), ("8001", instances[0]), ("8002", instances[1])):
        assert f"127.0.0.1:{written}" in text
        text = text.replace(f"127.0.0.1:{written}", f"127.0.0.1:{used}")
    file = folder / f"{name}.conf"
    program = shutil.which(name, path=PATH)
    assert program is not None
    if name == "haproxy":
        file.write_text(text)
        command = [program, "-q", "-f", str(file)]
    else:
        file.write_text(NGINX.format(configuration=text))
        command = [program, "-p", str(folder), "-c", str(file)]
    checked = [*command, "-c"] if name == "haproxy" else [*command, "-t"]
    subprocess.run(checked, check=True, capture_output=True, timeout=20)
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


class Script:
    """Answers each call with a piece of text, waits to be let go on, and ends it."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.waits = False

    async def __call__(self, call: Call) -> None:
        if self.waits:
            await asyncio.Event().wait()
        await call.send(EVENTS_HEAD + message_start() + text_delta("first"))
        await self.go_on.wait()
        await call.send(text_delta(" last") + message_end())


@dataclass
class Cluster:
    """Two instances, each with a Claude of its own, so that it can be told who served what."""

    url: str
    instances: list[ServingProcess]
    claudes: list[RawUpstream]
    script: Script
    seen: tuple[int, ...] = (0, 0)

    def served(self) -> tuple[int, ...]:
        """How many calls each instance has made for this test."""
        return tuple(len(claude.calls) - seen for claude, seen in zip(self.claudes, self.seen, strict=True))

    def client(self, key: str = "sk-one") -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=f"{self.url}/v1",
            api_key=key,
            max_retries=0,
            timeout=SECONDS,
            http_client=openai.DefaultAsyncHttpx2Client(trust_env=False),
        )

    async def metric(self, name: str, *labels: str) -> list[float]:
        """Read one metric of each instance, 0 where it has none."""
        found = []
        async with httpx2.AsyncClient(trust_env=False) as client:
            for instance in self.instances:
                page = (await client.get(f"http://127.0.0.1:{instance.port}/metrics")).text.splitlines()
                lines = [line for line in page if line.startswith(name) and all(label in line for label in labels)]
                found.append(sum(float(line.rpartition(" ")[2]) for line in lines))
        return found


@contextlib.asynccontextmanager
async def running_cluster(balancer: str, tmp_path: Path, redis_url: str) -> AsyncIterator[Cluster]:
    script = Script()
    async with contextlib.AsyncExitStack() as stack:
        claudes = [await stack.enter_async_context(raw_upstream(script)) for _ in range(2)]
        shared = {
            "CLAUDE_PROXY_REDIS_URL": redis_url,
            "CLAUDE_PROXY_SECRET": "the same for both, and long enough",
            "CLAUDE_PROXY_WORKERS": "2",
        }
        starting = [
            serving_process(
                claude.base_url, tmp_path, **shared, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / f"metrics-{number}")
            )
            for number, claude in enumerate(claudes)
        ]
        instances = list(await asyncio.gather(*(stack.enter_async_context(process) for process in starting)))
        port = free_port()
        process = start_balancer(balancer, tmp_path, port, [instance.port for instance in instances])
        try:
            url = f"http://127.0.0.1:{port}"
            async with asyncio.timeout(3 * SECONDS), httpx2.AsyncClient(trust_env=False) as client:
                while process.poll() is None:
                    with contextlib.suppress(httpx2.TransportError):
                        if (await client.get(f"{url}/health")).status_code == 200:
                            break
                    await asyncio.sleep(0.05)
            assert process.poll() is None, "it ended at its start"
            yield Cluster(url, instances, claudes, script)
        finally:
            script.go_on.set()
            process.terminate()
            process.wait(10)


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


def children_of(number: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


async def kill_with_workers(instance: ServingProcess) -> None:
    workers = children_of(instance.process.pid)
    assert len(workers) == 2
    await instance.kill()
    for worker in workers:
        with contextlib.suppress(ProcessLookupError):  # one that had nothing to do has ended with its parent
            os.kill(worker, signal.SIGKILL)


async def open_stream(client: openai.AsyncOpenAI) -> openai.AsyncStream[openai.types.chat.ChatCompletionChunk]:
    """Begin a stream, and read its first text."""
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content == "first":
            return stream
    raise AssertionError("the stream ended before its first text")


async def rest_of(stream: openai.AsyncStream[openai.types.chat.ChatCompletionChunk]) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


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
            async with instance.client() as direct:
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
        cluster.instances[0].process.terminate()
        await asyncio.sleep(5)  # two checks of HAProxy; nginx finds the port closed
        more = await asyncio.gather(*(open_stream(client) for _ in range(4)))
        assert cluster.served() == (before[0], before[1] + 4)
        cluster.script.go_on.set()
        # The streams that ran on it have their ends: it waited for them.
        assert [await rest_of(stream) for stream in [*streams, *more]] == [" last"] * 8

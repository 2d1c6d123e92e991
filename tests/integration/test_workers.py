"""Several workers on one port: they share the load and what clients may name again, and outlive each other."""

import asyncio
import contextlib
import json
import os
import resource
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from addon.configuration.settings import load_settings
from addon.configuration.start_error import StartError
from addon.serving.listening import open_sockets
from addon.serving.serve import Serving
from addon.serving.workers import Workers
from addon.simulated_claude.server import RunningSimulation
from tests.integration.raw_upstream import Call, begun_answer, raw_upstream
from tests.integration.serving_process import ServingProcess, serving_process

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


async def post(proxy: ServingProcess, path: str, body: dict[str, Any]) -> httpx2.Response:
    """Ask on a connection of its own, so that any worker may answer."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", trust_env=False, timeout=30) as client:
        return await client.post(path, json=body, headers={"authorization": "Bearer sk-one"})


async def tool_turn(proxy: ServingProcess, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    response = await post(proxy, "/v1/chat/completions", {"model": "gpt-5", "messages": messages, "tools": TOOLS})
    assert response.status_code == 200, response.text
    message = response.json()["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "4 C"} for call in message.get("tool_calls", [])]
    return [*messages, message, *results]


async def test_workers_share_connections_state_thinking_metrics_and_one_authority(
    simulation: RunningSimulation, tmp_path: Path
) -> None:
    folder = tmp_path / "metrics"
    arguments = ["--workers", "3", "--confdir", str(tmp_path / "ca"), "--mode", "standalone", "--mode", "regular@0"]
    async with serving_process(
        simulation.base_url, tmp_path, *arguments, PROMETHEUS_MULTIPROC_DIR=str(folder)
    ) as proxy:
        workers = proxy.workers()
        assert len(workers) == 3
        await proxy.event("listening", 1)
        assert {event["mode"].partition("@")[0] for event in proxy.events("listening")} == {
            "standalone",
            "regular",
        }
        assert len(list((tmp_path / "ca").glob("mitmproxy-ca.pem"))) == 1

        # Each turn of a tool loop carries the thinking of the one before, whichever worker takes it.
        for _ in range(8):
            await tool_turn(proxy, await tool_turn(proxy, [{"role": "user", "content": "Weather in Oslo?"}]))
        asked = [entry.body for entry in simulation.journal if entry.path == "/v1/messages"]
        seconds = [body for body in asked if len(body["messages"]) > 1]
        assert len(seconds) == 8
        for body in seconds:
            answer = body["messages"][1]["content"]
            assert "thinking" in [block["type"] for block in answer]

        # A response that one worker made is found by all.
        made = await post(proxy, "/v1/responses", {"model": "gpt-5", "input": "hello"})
        follow_ups = [
            await post(
                proxy, "/v1/responses", {"model": "gpt-5", "input": "and?", "previous_response_id": made.json()["id"]}
            )
            for _ in range(6)
        ]
        assert [answer.status_code for answer in follow_ups] == [200] * 6

        async with httpx2.AsyncClient(trust_env=False) as client:
            shown = (await client.get(f"http://127.0.0.1:{proxy.port}/metrics")).text
        assert "claude_proxy_processes 3.0" in shown
        counted = sum(
            float(line.rpartition(" ")[2])
            for line in shown.splitlines()
            if line.startswith("claude_proxy_requests_total") and 'endpoint="chat_completions"' in line
        )
        assert counted == 16
        proxy.process.terminate()
        assert await proxy.process.wait() == 0


async def test_the_kernel_deals_connections_out_evenly(simulation: RunningSimulation, tmp_path: Path) -> None:
    async with serving_process(simulation.base_url, tmp_path, "--workers", "2") as proxy:
        workers = proxy.workers()
        opened = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(200)]
        async with asyncio.timeout(60):
            while sum(sockets := [len(connections_of(pid, proxy.port)) for pid in workers]) < len(opened):
                await asyncio.sleep(0.1)
        for _, writer in opened:
            writer.close()
            await writer.wait_closed()
    assert min(sockets) > 60


def connections_of(pid: int, port: int) -> set[str]:
    """Find the established connections of a process to its own port."""
    here = f":{port:04X}"
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[9] for row in rows if row[1].endswith(here) and row[3] == "01"}
    held = set()
    for name in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            held.add(str(name.readlink()))
    return {inode for inode in inodes if f"socket:[{inode}]" in held}


async def test_a_worker_that_dies_loses_its_own_streams_only_and_is_started_again(tmp_path: Path) -> None:
    async def endless(call: Call) -> None:
        await call.send(begun_answer("Once"))

    async with raw_upstream(endless) as upstream:
        arguments = "--workers", "2", "--drain-timeout", "600"
        async with serving_process(upstream.base_url, tmp_path, *arguments, LOG_LEVEL="INFO") as proxy:
            streams = [await Stream.open(proxy.port) for _ in range(12)]
            victim, survivor = proxy.workers()
            lost = connections_of(victim, proxy.port)
            kept = connections_of(survivor, proxy.port)
            assert len(lost) + len(kept) == len(streams)
            os.kill(victim, signal.SIGKILL)
            ended = await proxy.event("worker_ended")
            assert ended["status"] == -signal.SIGKILL
            # Whoever connects now is answered: by the other worker, or by the next one.
            answers = [await get(proxy, "/health") for _ in range(20)]
            assert answers == [200] * 20
            assert len(proxy.workers()) == 2
            assert victim not in proxy.workers()
            await asyncio.sleep(0.2)
            assert sum([await stream.has_ended() for stream in streams]) == len(lost)
            for stream in streams:
                stream.writer.close()
            # Two signals in a row do not wait for what still runs.
            proxy.process.terminate()
            await asyncio.sleep(0.1)
            with contextlib.suppress(ProcessLookupError):  # it may have noticed by then that all clients have left
                proxy.process.terminate()
            assert await asyncio.wait_for(proxy.process.wait(), 60) == 0


async def test_a_worker_that_cannot_be_started_again_yet_ends_no_other(
    simulation: RunningSimulation, tmp_path: Path
) -> None:
    async with serving_process(simulation.base_url, tmp_path, "--workers", "2", LOG_LEVEL="INFO") as proxy:
        limits = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (4, limits[1]))
        victim, survivor = proxy.workers()
        os.kill(victim, signal.SIGKILL)
        failed = await proxy.event("worker_not_started")
        assert "Too many open files" in failed["detail"]
        assert proxy.workers() == [survivor]
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, limits)
        async with asyncio.timeout(60):
            while len(proxy.workers()) < 2:
                await asyncio.sleep(0.05)
        assert [await get(proxy, "/health") for _ in range(10)] == [200] * 10


class Stream:
    """A client that reads a stream, whose first bytes have come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Stream":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        content = [{"role": "user", "content": "hi"}]
        body = json.dumps({"model": "gpt-4o", "stream": True, "messages": content}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await asyncio.wait_for(reader.readuntil(b"Once"), 60)
        return cls(reader, writer)

    async def has_ended(self) -> bool:
        try:
            async with asyncio.timeout(0.05):
                while await self.reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True


async def get(proxy: ServingProcess, path: str) -> int:
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as client:
        return (await client.get(f"http://127.0.0.1:{proxy.port}{path}")).status_code


async def test_workers_end_when_the_process_that_began_them_is_killed(
    simulation: RunningSimulation, tmp_path: Path
) -> None:
    async with serving_process(simulation.base_url, tmp_path, "--workers", "2") as proxy:
        workers = proxy.workers()
        await proxy.kill()
        async with asyncio.timeout(30):
            while not all(map(has_ended, workers)):
                await asyncio.sleep(0.05)


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize(
    ("modes", "store", "said"),
    [
        (("wireguard",), None, "several workers can listen on TCP only"),
        (("standalone",), ":memory:", "several workers cannot share"),
    ],
    ids=["udp", "memory"],
)
def test_what_workers_cannot_share_is_refused(
    tmp_path: Path, modes: tuple[str, ...], store: str | None, said: str
) -> None:
    given = {"claude": {"simulate": True}, "server": {"workers": 2}, "store": {"path": store or str(tmp_path / "s")}}
    settings = load_settings(given)
    with pytest.raises(StartError, match=said):
        Workers(settings, Serving(modes, confdir=tmp_path), lambda: settings)


def test_the_port_of_another_proxy_is_not_shared(tmp_path: Path) -> None:
    (other,) = open_sockets(["regular@0"], "127.0.0.1", shared=True)
    given = {"claude": {"simulate": True}, "server": {"workers": 2}, "store": {"path": str(tmp_path / "s")}}
    settings = load_settings(given)
    try:
        with pytest.raises(StartError, match="address already in use"):
            Workers(settings, Serving((other.mode,), confdir=tmp_path), lambda: settings)
    finally:
        other.close()

"""Nobody reads what the proxy writes to standard output: it answers all the same, and says later what was lost."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from io import FileIO
from pathlib import Path
from typing import Any

import httpx2
import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.integration.serving_process import ServingProcess, serving_process

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x " * 10_000}]}
REQUESTS = 80
"""Their lines are more than a pipe and the proxy keep: 64 KiB and 1 MiB."""
SETTINGS = {"RATE_LIMIT_REQUESTS": "0", "CLAUDE_PROXY_LOG_CONTENT": "full"}


async def ask(port: int, times: int) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        for _ in range(times):
            assert (await client.post("/v1/chat/completions", json=BODY)).status_code == 200


@pytest.fixture
def workers() -> int:
    return 1


@pytest.fixture
async def unread(
    simulation: RunningSimulation, tmp_path: Path, workers: int
) -> AsyncIterator[tuple[ServingProcess, FileIO]]:
    """A proxy, and the end of the pipe in which its log waits to be read; the pipe ends with the proxy."""
    reading, writing = os.pipe()
    given = {**SETTINGS, "CLAUDE_PROXY_WORKERS": str(workers)}
    with FileIO(reading) as log, FileIO(writing, "w") as written:
        async with serving_process(simulation.base_url, tmp_path, log_to=writing, **given) as proxy:
            written.close()
            yield proxy, log


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_log_that_nobody_reads_stops_nothing_and_what_is_lost_is_told(
    unread: tuple[ServingProcess, FileIO], workers: int
) -> None:
    proxy, log = unread
    async with asyncio.timeout(60):
        await asyncio.gather(*(ask(proxy.port, REQUESTS // 4 * workers) for _ in range(4)))
    lines = [line async for line in lines_until_lost(log)]
    assert {line["event"] for line in lines} >= {"listening", "exchange", "log_lines_lost"}
    assert len(lines) > 20
    assert lines[-1]["lines"] > 0


async def lines_until_lost(log: FileIO) -> AsyncIterator[dict[str, Any]]:
    received = b""
    async with asyncio.timeout(60):
        while True:
            received += await asyncio.to_thread(log.read, 65536)
            *whole, received = received.split(b"\n")
            for line in map(json.loads, whole):
                yield line
                if line["event"] == "log_lines_lost":
                    return


async def test_it_ends_though_nobody_reads_its_log(unread: tuple[ServingProcess, FileIO]) -> None:
    proxy, _ = unread
    async with asyncio.timeout(60):
        await ask(proxy.port, 10)
    proxy.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(proxy.process.wait(), 25) == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_reader_that_is_behind_gets_all_lines_at_the_end(unread: tuple[ServingProcess, FileIO]) -> None:
    proxy, log = unread
    async with asyncio.timeout(60):
        await ask(proxy.port, 20)
    proxy.process.send_signal(signal.SIGTERM)
    received = b""
    async with asyncio.timeout(60):
        while piece := await asyncio.to_thread(log.read, 65536):
            received += piece
    lines = [json.loads(line) for line in received.splitlines()]
    assert [line["event"] for line in lines].count("exchange") == 20

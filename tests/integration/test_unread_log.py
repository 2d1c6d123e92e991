"""Nobody reads what the proxy writes to standard output: it answers all the same, and says later what was lost."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.integration.serving_process import serving_process

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x " * 10_000}]}
REQUESTS = 80
"""Their lines are more than a pipe and the proxy keep: 64 KiB and 1 MiB."""
SETTINGS = {"RATE_LIMIT_REQUESTS": "0", "CLAUDE_PROXY_LOG_CONTENT": "full"}


async def ask(port: int, times: int) -> None:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        for _ in range(times):
            assert (await client.post("/v1/chat/completions", json=BODY)).status_code == 200


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's end for reading, and the one that is written to."""
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_log_that_nobody_reads_stops_nothing_and_what_is_lost_is_told(
    simulation: RunningSimulation, tmp_path: Path, pipe: tuple[int, int], workers: int
) -> None:
    reading, writing = pipe
    given = {**SETTINGS, "CLAUDE_PROXY_WORKERS": str(workers)}
    async with serving_process(simulation.base_url, tmp_path, log_to=writing, **given) as proxy:
        os.close(writing)
        async with asyncio.timeout(60):
            await asyncio.gather(*(ask(proxy.port, REQUESTS // 4 * workers) for _ in range(4)))
        lines = [line async for line in lines_until_lost(reading)]
        assert {line["event"] for line in lines} >= {"listening", "exchange", "log_lines_lost"}
        assert len(lines) > 20
        assert lines[-1]["lines"] > 0


async def lines_until_lost(reading: int) -> AsyncIterator[dict[str, Any]]:
    received = b""
    async with asyncio.timeout(60):
        while True:
            received += await asyncio.to_thread(os.read, reading, 65536)
            *whole, received = received.split(b"\n")
            for line in map(json.loads, whole):
                yield line
                if line["event"] == "log_lines_lost":
                    return


async def test_it_ends_though_nobody_reads_its_log(
    simulation: RunningSimulation, tmp_path: Path, pipe: tuple[int, int]
) -> None:
    async with serving_process(simulation.base_url, tmp_path, log_to=pipe[1], **SETTINGS) as proxy:
        async with asyncio.timeout(60):
            await ask(proxy.port, 10)
        proxy.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(proxy.process.wait(), 25) == 0


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_reader_that_is_behind_gets_all_lines_at_the_end(
    simulation: RunningSimulation, tmp_path: Path, pipe: tuple[int, int], workers: int
) -> None:
    reading, writing = pipe
    given = {**SETTINGS, "CLAUDE_PROXY_WORKERS": str(workers)}
    async with serving_process(simulation.base_url, tmp_path, log_to=writing, **given) as proxy:
        os.close(writing)
        async with asyncio.timeout(60):
            await ask(proxy.port, 20)
        proxy.process.send_signal(signal.SIGTERM)
        received = b""
        async with asyncio.timeout(60):
            while piece := await asyncio.to_thread(os.read, reading, 65536):
                received += piece
        lines = [json.loads(line) for line in received.splitlines()]
        assert [line["event"] for line in lines].count("exchange") == 20

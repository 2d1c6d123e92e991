"""A simulated Claude that answers at once, a client of the official SDK for it, and the recorded corpus."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anthropic
import pytest

from addon.simulated_claude.server import RunningSimulation, SimulationSettings, start

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of recorded traffic."""
    folder = Path(os.environ.get("CLAUDE_PROXY_CORPUS", "../shared/corpus"))
    folder = folder if folder.is_absolute() else ROOT / folder
    if not folder.is_dir():
        pytest.skip(f"the corpus of recorded traffic is not at {folder} (CLAUDE_PROXY_CORPUS names it)")
    return folder


@pytest.fixture(scope="session")
def recorded_messages(corpus: Path) -> list[dict[str, Any]]:
    """Every recorded exchange with Claude that has a JSON body and an answer."""
    records = [
        json.loads(line)
        for path in sorted((corpus / "anthropic.messages").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [
        record
        for record in records
        if record["request"] and record["response"] and isinstance(record["request"].get("body"), dict)
    ]


@pytest.fixture
async def simulation() -> AsyncIterator[RunningSimulation]:
    """A simulated Claude without any pacing."""
    running = await start(settings=SimulationSettings.instant())
    yield running
    await running.close()


@pytest.fixture
async def client(simulation: RunningSimulation) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The official SDK, pointed at the simulation."""
    async with anthropic.AsyncAnthropic(
        api_key="sk-test", base_url=simulation.base_url, max_retries=0, http_client=anthropic.DefaultAioHttpClient()
    ) as made:
        yield made


@pytest.fixture
async def http(simulation: RunningSimulation) -> AsyncIterator[aiohttp.ClientSession]:
    """A bare HTTP client with valid headers."""
    headers = {"authorization": "Bearer sk-test", "anthropic-version": "2026-10-21"}
    async with aiohttp.ClientSession(simulation.base_url, headers=headers) as session:
        yield session

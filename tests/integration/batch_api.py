"""What the tests of batches share: input files, and the way of a batch with the stock client."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from openai import AsyncOpenAI
from openai.types import Batch

from addon.simulated_claude.server import RunningSimulation, SimulationSettings
from addon.simulated_claude.server import start as start_simulated_claude

CHAT = "/v1/chat/completions"
FINAL = {"completed", "failed", "expired", "cancelled"}


@contextlib.asynccontextmanager
async def simulated_claude(delay: float, port: int = 0) -> AsyncIterator[RunningSimulation]:
    """Run a Claude of its own, which begins with the work on a batch after `delay` seconds."""
    running = await start_simulated_claude(port=port, settings=SimulationSettings(delay=0, batch_delay=delay))
    try:
        yield running
    finally:
        await running.close()


def made_at(simulation: RunningSimulation) -> int:
    """How many batches Claude was asked to make."""
    return sum((entry.method, entry.path) == ("POST", "/v1/messages/batches") for entry in simulation.journal)


def chat(words: str, **parameters: Any) -> dict[str, Any]:
    """Make the body of a chat completion."""
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": words}], **parameters}


def script(**said: Any) -> str:
    """Make words that tell the simulated Claude what to do."""
    return f"[[simulate: {json.dumps(said)}]]"


def line(custom_id: str, body: Any, url: str = CHAT) -> dict[str, Any]:
    """Make a line of an input file."""
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


async def upload(client: AsyncOpenAI, lines: Iterable[Any]) -> str:
    """Upload an input file; return its id."""
    content = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
    file = await client.files.create(file=("in.jsonl", content.encode()), purpose="batch")
    return file.id


async def create(client: AsyncOpenAI, lines: Iterable[Any], endpoint: Any = CHAT, **parameters: Any) -> Batch:
    """Make a batch of lines."""
    input_file_id = await upload(client, lines)
    return await client.batches.create(
        input_file_id=input_file_id, endpoint=endpoint, completion_window="24h", **parameters
    )


async def sent(client: AsyncOpenAI, batch_id: str) -> None:
    """Wait until a batch is with Claude."""
    async with asyncio.timeout(60):
        while (await client.batches.retrieve(batch_id)).status == "validating":
            await asyncio.sleep(0.02)


async def ended(client: AsyncOpenAI, batch_id: str, seconds: float = 30) -> Batch:
    """Ask for a batch until it has ended."""
    async with asyncio.timeout(seconds):
        while (batch := await client.batches.retrieve(batch_id)).status not in FINAL:
            await asyncio.sleep(0.05)
    return batch


async def lines_of(client: AsyncOpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """Download the lines of a file; none of one that is not there."""
    if file_id is None:
        return []
    content = (await client.files.content(file_id)).text
    assert content.endswith("\n")
    return [json.loads(one) for one in content.splitlines()]


async def outcome(client: AsyncOpenAI, batch: Batch) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Download the lines of the output file and of the error file."""
    return await lines_of(client, batch.output_file_id), await lines_of(client, batch.error_file_id)

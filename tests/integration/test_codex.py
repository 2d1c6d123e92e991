"""What Codex gets otherwise than OpenAI's own clients, known by the header in which it names itself."""

import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from addon.simulated_claude.server import RunningSimulation
from tests.integration.responses_api import REVERSE, client_of, settings_with_store
from tests.integration.running_proxy import ProxyStarter

CODEX = {"originator": "codex_exec"}


@pytest.fixture
async def client(start_proxy: ProxyStarter, simulation: RunningSimulation) -> AsyncIterator[openai.AsyncOpenAI]:
    settings = settings_with_store(simulation.base_url, ":memory:")
    async with start_proxy(REVERSE, settings=settings) as running, client_of(running) as client:
        yield client


def scripted(**script: Any) -> dict[str, Any]:
    return {"model": "gpt-5.5", "input": f"Go. [[simulate: {json.dumps(script)}]]"}


@pytest.mark.parametrize(("headers", "kinds"), [({}, ["refusal"]), (CODEX, ["output_text"])], ids=["others", "codex"])
async def test_a_refusal_is_a_part_that_the_client_knows(
    client: openai.AsyncOpenAI, headers: dict[str, str], kinds: list[str]
) -> None:
    refusal = {"type": "refusal", "category": None, "explanation": "Not this."}
    script = scripted(content=[], stop_reason="refusal", stop_details=refusal)
    made = await client.responses.create(**script, extra_headers=headers)
    (message,) = made.output
    assert message.type == "message"
    assert [part.type for part in message.content] == kinds
    assert "Not this." in message.model_dump_json()

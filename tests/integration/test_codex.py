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


@pytest.mark.parametrize(
    ("headers", "names"),
    [({}, {"retry-after", "retry-after-ms"}), (CODEX, {"retry-after-ms"})],
    ids=["others", "codex"],
)
async def test_an_overload_is_nothing_that_codex_asks_thirty_times_for(
    client: openai.AsyncOpenAI, headers: dict[str, str], names: set[str]
) -> None:
    with pytest.raises(openai.InternalServerError) as raised:
        await client.responses.create(**scripted(status=529), extra_headers=headers)
    assert (raised.value.status_code, raised.value.code) == (503, "server_is_overloaded")
    assert {name for name in raised.value.response.headers if name.startswith("retry-after")} == names


@pytest.mark.parametrize("headers", [{}, CODEX], ids=["others", "codex"])
async def test_a_rate_limit_names_its_time_to_all(client: openai.AsyncOpenAI, headers: dict[str, str]) -> None:
    with pytest.raises(openai.RateLimitError) as raised:
        await client.responses.create(**scripted(status=429, headers={"retry-after": "7"}), extra_headers=headers)
    assert raised.value.response.headers["retry-after"] == "7"

"""What the tests of the Responses API share: settings with a store of their own, stock clients, the stream checker."""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, DefaultHttpx2Client, OpenAI

from addon.configuration.settings import Settings, load_settings
from tests.integration.running_proxy import RunningProxy
from tests.integration.serving_process import ServingProcess
from tests.translators.responses.checker import check_stream

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
REGULAR = "regular@127.0.0.1:0"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


def settings_with_store(base_url: str, store: Path | str, **sections: dict[str, Any]) -> Settings:
    """Make settings whose store is the file or `:memory:`."""
    claude = {"api_key": "sk-ant-test-key", "base_url": base_url, "max_retries": 0, **sections.pop("claude", {})}
    return load_settings({"claude": claude, "store": {"path": str(store)}, **sections})


def trusting(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


def _options(proxy: RunningProxy, way: str, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if way == "base_url":
        transport: dict[str, Any] = {"trust_env": False}
        base_url = f"http://127.0.0.1:{proxy.port}/v1"
    else:
        transport = {"trust_env": False, "proxy": f"http://127.0.0.1:{proxy.ports[1]}", "verify": trusting(proxy.ca)}
        base_url = "https://api.openai.com/v1"
    return {"base_url": base_url, "api_key": key, "max_retries": 0, "timeout": 60}, transport


def client_of(proxy: RunningProxy, key: str = "sk-one", way: str = "base_url", *, strict: bool = True) -> AsyncOpenAI:
    """Make the stock client, by its base URL or through the proxy."""
    options, transport = _options(proxy, way, key)
    return AsyncOpenAI(http_client=DefaultAsyncHttpx2Client(**transport), _strict_response_validation=strict, **options)


def blocking_client_of(proxy: RunningProxy, key: str = "sk-one", way: str = "base_url") -> OpenAI:
    """Make the stock client that blocks: to be used in a thread."""
    options, transport = _options(proxy, way, key)
    return OpenAI(http_client=DefaultHttpx2Client(**transport), _strict_response_validation=True, **options)


@contextlib.asynccontextmanager
async def http_of(proxy: RunningProxy | ServingProcess, key: str = "sk-one") -> AsyncIterator[httpx2.AsyncClient]:
    """Make a plain HTTP client, for what no SDK sends."""
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{proxy.port}",
        headers={"authorization": f"Bearer {key}"},
        timeout=60,
        trust_env=False,
    ) as client:
        yield client


def plain(events: Iterable[Any]) -> list[dict[str, Any]]:
    """Turn the SDK's events into plain ones, as they came."""
    return [event.to_dict(mode="json") for event in events]


def parse_events(text: str) -> list[dict[str, Any]]:
    """Parse the text of a stream; each event is named by its type."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            name, data = lines
            event = json.loads(data.removeprefix("data: "))
            assert name == f"event: {event['type']}"
            events.append(event)
    return events


def check(events: Iterable[Any], *, first_number: int = 0) -> dict[str, Any]:
    """Check the SDK's events of a stream; return the final response."""
    return check_stream(plain(events), first_number=first_number)


def results_of(response: Any) -> list[dict[str, Any]]:
    """Answer every call of a response, as an app does; without one, ask the next question."""
    results = [
        {"type": "function_call_output", "call_id": item.call_id, "output": "4 degrees"}
        for item in response.output
        if item.type == "function_call"
    ]
    return results or [{"type": "message", "role": "user", "content": "And tomorrow?"}]


def thinking_in(body: dict[str, Any]) -> int:
    """Count the blocks of thinking that a request gives back to Claude."""
    return sum(block["type"] == "thinking" for message in body["messages"] for block in message["content"])


def without_marks(value: Any) -> Any:
    """Take out the marks of the cache, which move from request to request."""
    if isinstance(value, dict):
        return {name: without_marks(member) for name, member in value.items() if name != "cache_control"}
    return [without_marks(member) for member in value] if isinstance(value, list) else value

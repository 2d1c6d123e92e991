"""What the tests of the WebSocket transport share: a raw client, and the events of one response."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.integration.running_proxy import RunningProxy
from tests.integration.serving_process import ServingProcess
from tests.translators.responses.checker import check_stream

LAST = ("response.completed", "response.incomplete", "response.failed")


@contextlib.asynccontextmanager
async def socket_of(
    proxy: RunningProxy | ServingProcess, *, path: str = "/v1/responses", **options: Any
) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket as OpenAI's clients do."""
    async with connect(
        f"ws://127.0.0.1:{proxy.port}{path}",
        additional_headers={"authorization": "Bearer sk-one"},
        proxy=None,
        max_size=None,
        **options,
    ) as socket:
        yield socket


async def create(socket: ClientConnection, text: str = "Hello.", **more: Any) -> None:
    """Ask for a response."""
    message = {"type": "response.create", "model": "gpt-5", "input": text, "store": False, **more}
    await socket.send(json.dumps(message, ensure_ascii=False))


async def receive(socket: ClientConnection) -> dict[str, Any]:
    """Receive one event."""
    event = json.loads(await asyncio.wait_for(socket.recv(), 60))
    assert isinstance(event, dict)
    return event


async def receive_response(socket: ClientConnection) -> dict[str, Any]:
    """Receive the events of one response, check them, and return the final response."""
    events = [await receive(socket)]
    while events[-1]["type"] not in LAST:
        assert events[-1]["type"] != "error", events[-1]
        events.append(await receive(socket))
    return check_stream(events)


async def receive_to_the_end(socket: ClientConnection) -> tuple[list[dict[str, Any]], int | None]:
    """Receive what comes until the server closes; return it, and the code of the close."""
    events = []
    try:
        while True:
            events.append(await receive(socket))
    except ConnectionClosed as closed:
        return events, closed.rcvd.code if closed.rcvd else None

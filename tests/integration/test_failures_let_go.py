"""What fails lets go of its request at once: bodies that wait for the garbage collector add up to a lot of memory."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from addon.configuration.settings import load_settings
from addon.exchanges.exchange import Exchange
from addon.exchanges.run import ExchangeRun
from tests.faults.http1_client import Http1Client
from tests.integration.raw_upstream import (
    EVENTS_HEAD,
    Call,
    RawUpstream,
    Script,
    message_end,
    message_start,
    raw_upstream,
    text_delta,
)
from tests.integration.responses_api import REVERSE
from tests.integration.running_proxy import ProxyStarter, RunningProxy

PATIENCE = 10
TEXT = "a text that no other request has " * 4000
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": TEXT}]}
RESPONSE: dict[str, Any] = {"model": "gpt-4o", "input": TEXT}
CHATS, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
STREAMED = {"stream": True}


def _refusal(status: int, kind: str) -> bytes:
    body = b'{"type": "error", "error": {"type": "%b", "message": "no"}}' % kind.encode()
    return b"HTTP/1.1 %d No\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


async def answers(call: Call) -> None:
    await call.send(EVENTS_HEAD + message_start() + text_delta("Once") + message_end())


async def refuses(call: Call) -> None:
    await call.send(_refusal(400, "invalid_request_error"))


async def is_overloaded(call: Call) -> None:
    await call.send(_refusal(529, "overloaded_error"))


async def breaks_off(call: Call) -> None:
    await call.send(EVENTS_HEAD + message_start() + text_delta("Once"))
    call.writer.close()


async def ends_without_a_word(call: Call) -> None:
    call.writer.close()


async def goes_on(call: Call) -> None:
    await call.send(EVENTS_HEAD + message_start() + text_delta("Once"))


@pytest.fixture
def no_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture
async def upstream(request: pytest.FixtureRequest) -> AsyncIterator[RawUpstream]:
    script: Script = request.param
    async with raw_upstream(script) as running:
        yield running


@pytest.fixture(params=[("off", True), ("on", False)], ids=["without-cache-as-in-mitmdump", "with-cache"])
async def proxy(
    start_proxy: ProxyStarter, upstream: RawUpstream, request: pytest.FixtureRequest
) -> AsyncIterator[RunningProxy]:
    claude = {"api_key": "k", "base_url": upstream.base_url, "max_retries": 1, "fallbacks": ["claude-haiku-5-5"]}
    limits = {"max_request_bytes": 2 * len(TEXT)}
    cache, keeps_bodies = request.param
    sections = {"claude": claude, "limits": limits, "store": {"path": ":memory:"}, "cache": {"mode": cache}}
    async with start_proxy(REVERSE, settings=load_settings(sections), keeps_bodies=keeps_bodies) as running:
        yield running


def held() -> list[object]:
    """Find what has the text, but for the requests that reached this test's Claude."""
    return [
        each
        for each in gc.get_objects()
        if type(each) in (Exchange, ExchangeRun)
        or (type(each) is httpx2.Request and TEXT[:30].encode() in each.content)
    ]


async def nothing_is_held(proxy: RunningProxy) -> None:
    async with asyncio.timeout(PATIENCE):
        while proxy.running or held():
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("no_garbage_collector")
@pytest.mark.parametrize(
    ("upstream", "path", "body", "status"),
    [
        (answers, CHATS, CHAT, 200),
        (answers, RESPONSES, RESPONSE, 200),
        (refuses, CHATS, CHAT, 400),
        (refuses, CHATS, CHAT | STREAMED, 400),
        (refuses, CHATS, CHAT | {"n": 2}, 400),
        (refuses, RESPONSES, RESPONSE, 400),
        (refuses, RESPONSES, RESPONSE | STREAMED, 400),
        (refuses, MESSAGES, CHAT | {"max_tokens": 5}, 400),
        (is_overloaded, CHATS, CHAT, 503),
        (ends_without_a_word, CHATS, CHAT, 502),
        (breaks_off, CHATS, CHAT, 502),
        (breaks_off, CHATS, CHAT | STREAMED, 200),
        (breaks_off, CHATS, CHAT | STREAMED | {"n": 2}, 200),
        (breaks_off, RESPONSES, RESPONSE, 502),
        (breaks_off, RESPONSES, RESPONSE | STREAMED, 200),
        (answers, CHATS, CHAT | {"n": "many"}, 400),
        (answers, CHATS, CHAT | {"user": TEXT * 2}, 413),
    ],
    indirect=["upstream"],
    ids=[
        "answered",
        "answered-response",
        "refused",
        "refused-stream",
        "refused-choices",
        "refused-response",
        "refused-response-stream",
        "refused-message",
        "overloaded-again-and-its-fallback-too",
        "no-answer",
        "broken-off",
        "broken-off-stream",
        "broken-off-choices",
        "broken-off-response",
        "broken-off-response-stream",
        "refused-by-us",
        "refused-by-its-head",
    ],
)
async def test_an_exchange_lets_go_of_its_request(
    proxy: RunningProxy, path: str, body: dict[str, Any], status: int
) -> None:
    client = await Http1Client.connect(proxy.port)
    assert (await client.ask(path, body)).status == status
    await nothing_is_held(proxy)
    client.writer.close()


@pytest.mark.usefixtures("no_garbage_collector")
@pytest.mark.parametrize(
    ("path", "body"),
    [(CHATS, CHAT), (CHATS, CHAT | STREAMED), (RESPONSES, RESPONSE | STREAMED), (MESSAGES, CHAT | STREAMED)],
    ids=["whole", "stream", "response-stream", "message-stream"],
)
@pytest.mark.parametrize("upstream", [goes_on], indirect=True)
async def test_a_client_that_leaves_has_its_request_let_go(
    proxy: RunningProxy, upstream: RawUpstream, path: str, body: dict[str, Any]
) -> None:
    client = await Http1Client.connect(proxy.port)
    client.send(path, body)
    if "stream" in body:
        await client.receive_until(b"Once")
    else:
        await upstream.call()
    assert held() != []
    client.writer.close()
    await nothing_is_held(proxy)

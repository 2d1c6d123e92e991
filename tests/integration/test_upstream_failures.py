"""What is tried again, how often, and what the client sees when that does not help. Each fault once: tests/faults."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from addon.configuration.settings import Settings, load_settings
from tests.integration.raw_upstream import EVENTS_HEAD, Call, Script, event, raw_upstream, whole_answer
from tests.integration.running_proxy import ProxyStarter

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
PATH = "/v1/chat/completions"


def settings_for(base_url: str, **claude: object) -> Settings:
    return load_settings({"claude": {"api_key": "sk-ant-test-key", "base_url": base_url, **claude}})


def body(*, stream: bool) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": stream}


def answered_with(status: int, error_type: str, message: str, **headers: str) -> bytes:
    payload = json.dumps({"type": "error", "error": {"type": error_type, "message": message}}).encode()
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(payload)}\r\n{fields}\r\n".encode() + payload


async def answer_well(call: Call) -> None:
    await call.send(whole_answer("all is well"))


def in_turn(*scripts: Script) -> Script:
    remaining = list(scripts)

    async def next_one(call: Call) -> None:
        await (remaining.pop(0) if len(remaining) > 1 else remaining[0])(call)

    return next_one


def sending(data: bytes, *, cut: bool = False) -> Script:
    async def script(call: Call) -> None:
        await call.send(data)
        if cut:
            call.writer.transport.abort()

    return script


STREAMED_OVERLOAD = EVENTS_HEAD + event(
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    "failure",
    [
        sending(answered_with(529, "overloaded_error", "Overloaded", retry_after="0")),
        sending(answered_with(500, "api_error", "Internal server error", retry_after="0")),
        sending(answered_with(429, "rate_limit_error", "Slow down", retry_after="0")),
        sending(b"", cut=True),
        sending(EVENTS_HEAD, cut=True),
        sending(EVENTS_HEAD + b"0\r\n\r\n"),
        sending(b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>"),
        sending(STREAMED_OVERLOAD),
        sending(EVENTS_HEAD + b"9\r\ndata: {]\n\r\n1\r\n\n\r\n"),
    ],
    ids=["529", "500", "429", "reset", "reset_after_headers", "empty", "html", "error_as_first_event", "garbage"],
)
async def test_what_fails_before_the_first_byte_is_tried_again(
    start_proxy: ProxyStarter, failure: Script, stream: bool
) -> None:
    async with raw_upstream(in_turn(failure, failure, answer_well)) as upstream:
        async with start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
                response = await client.post(PATH, json=body(stream=stream))
                assert response.status_code == 200, response.text
                assert "all is well" in response.text
                assert len(upstream.calls) == 3


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (sending(answered_with(529, "overloaded_error", "Overloaded", retry_after="0")), 503, "server_is_overloaded"),
        (sending(STREAMED_OVERLOAD), 503, "server_is_overloaded"),
        (sending(answered_with(404, "not_found_error", "model: claude-x")), 404, "model_not_found"),
        (sending(answered_with(401, "authentication_error", "invalid x-api-key")), 401, "invalid_api_key"),
        (sending(b"", cut=True), 502, "upstream_unreachable"),
        (sending(EVENTS_HEAD, cut=True), 502, "upstream_broken"),
    ],
    ids=["529", "error_as_first_event", "404", "401", "reset", "reset_after_headers"],
)
async def test_S12_what_fails_before_the_first_byte_is_plain_json_with_its_status(
    start_proxy: ProxyStarter, failure: Script, status: int, code: str, stream: bool
) -> None:
    async with raw_upstream(failure) as upstream:
        async with start_proxy(REVERSE, settings=settings_for(upstream.base_url, max_retries=1)) as proxy:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
                with capture_logs() as logs:
                    response = await client.post(PATH, json=body(stream=stream))
                    while proxy.running:
                        await asyncio.sleep(0.002)
                assert (response.status_code, response.json()["error"]["code"]) == (status, code)
                assert response.headers["content-type"] == "application/json"
                assert response.headers["x-request-id"].startswith("req_")
                assert len(upstream.calls) == (1 if status < 429 else 2)
                [line] = [entry for entry in logs if entry["event"] == "exchange"]
                assert line["retries"] == len(upstream.calls) - 1


async def test_a_spent_budget_is_not_asked_for_again(start_proxy: ProxyStarter) -> None:
    payload = b'{"type":"error","error":{"type":"rate_limit_error","message":"Spent","details":'
    payload += b'{"error_code":"enforced_spend_limit_reached"}}}'
    spent = sending(b"HTTP/1.1 429 X\r\ncontent-length: %d\r\n\r\n%b" % (len(payload), payload))
    async with raw_upstream(spent) as upstream:
        async with start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
                response = await client.post(PATH, json=body(stream=True))
                assert response.status_code == 429
                assert response.json()["error"]["code"] == "insufficient_quota"
                assert response.headers["x-should-retry"] == "false"
                assert len(upstream.calls) == 1


async def test_a_retry_after_that_is_a_date_is_obeyed(start_proxy: ProxyStarter) -> None:
    date = "Fri, 31 Dec 2100 23:59:59 GMT"
    slow_down = sending(answered_with(429, "rate_limit_error", "Slow down", retry_after=date))
    async with raw_upstream(slow_down) as upstream:
        async with start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
                response = await client.post(PATH, json=body(stream=False))
                assert response.status_code == 429
                assert int(response.headers["retry-after"]) > 10**9
                assert len(upstream.calls) == 1


async def test_a_retry_after_beyond_the_limit_is_the_clients_to_wait_for(start_proxy: ProxyStarter) -> None:
    slow_down = sending(answered_with(429, "rate_limit_error", "Slow down", retry_after="61"))
    async with raw_upstream(slow_down) as upstream:
        async with start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
                response = await client.post(PATH, json=body(stream=True))
                assert response.status_code == 429
                assert response.headers["retry-after"] == "61"
                assert response.headers["retry-after-ms"] == "61000"
                assert response.json()["error"]["code"] == "rate_limit_exceeded"
                assert len(upstream.calls) == 1


async def silent(call: Call) -> None:
    """Take the request and say nothing."""


@pytest.mark.parametrize(
    ("failure", "status", "code", "counted"),
    [
        (silent, 504, "timeout", "timeout"),
        (sending(b"", cut=True), 502, "upstream_unreachable", "unreachable"),
        (sending(answered_with(529, "overloaded_error", "Overloaded")), 503, "server_is_overloaded", "529"),
    ],
    ids=["silence", "reset", "529"],
)
async def test_a_list_of_models_that_fails_says_how_and_is_counted(
    start_proxy: ProxyStarter, failure: Script, status: int, code: str, counted: str
) -> None:
    async with raw_upstream(failure, lists_models=True) as upstream:
        async with start_proxy(REVERSE, settings=settings_for(upstream.base_url, timeout=2)) as proxy:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
                response = await client.get("/v1/models")
                assert (response.status_code, response.json()["error"]["code"]) == (status, code)
                page = (await client.get("/metrics")).text
                assert f'claude_proxy_upstream_responses_total{{status="{counted}"}} 1.0' in page

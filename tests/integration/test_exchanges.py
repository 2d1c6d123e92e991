"""What an exchange leaves behind: mitmproxy's views, one log line, no secrets; and its limits."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from mitmproxy import http
from mitmproxy.addons import clientplayback
from structlog.testing import capture_logs

from addon.configuration.settings import Settings, load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
REGULAR = "regular@127.0.0.1:0"
PATH = "/v1/chat/completions"
URL = "http://api.openai.com/v1/chat/completions"
SECRET = "sk-proj-0123456789abcdef"


def body(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


class Watcher:
    """Another addon of the same mitmproxy: sees what users see."""

    def __init__(self) -> None:
        self.flows: list[http.HTTPFlow] = []
        self.seen_hosts: list[str] = []

    def request(self, flow: http.HTTPFlow) -> None:
        self.seen_hosts.append(flow.request.pretty_url)

    def response(self, flow: http.HTTPFlow) -> None:
        self.flows.append(flow)


async def settled(proxy: RunningProxy) -> None:
    while proxy.running:
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_the_flow_shows_the_clients_request_and_the_answer_it_got(
    start_proxy: ProxyStarter, stream: bool
) -> None:
    async with start_proxy(REGULAR) as proxy:
        watcher = Watcher()
        proxy.master.addons.add(watcher)
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            headers = {"authorization": f"Bearer {SECRET}"}
            response = await client.post(URL, json=body(stream=stream), headers=headers)
        await settled(proxy)
        [flow] = watcher.flows
        assert watcher.seen_hosts == [URL]
        assert flow.request.pretty_url == URL
        assert flow.request.host_header == "api.openai.com"
        assert json.loads(flow.request.content or b"") == body(stream=stream)
        assert flow.response is not None
        assert flow.response.content == response.content
        assert flow.comment.startswith("gpt-4o -> claude-sonnet-5-5: ")
        assert " in, " in flow.comment
        assert flow.comment.endswith(" s")
        assert SECRET not in str(flow.get_state())


async def test_one_log_line_says_what_came_of_an_exchange_and_holds_no_content(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
            with capture_logs() as logs:
                question = "a very private question"
                headers = {"authorization": f"Bearer {SECRET}"}
                response = await client.post(PATH, json=body(question, stream=True, seed=7), headers=headers)
                await settled(proxy)
        [line] = [entry for entry in logs if entry["event"] == "exchange"]
        assert line["request_id"] == response.headers["x-request-id"]
        assert line["claude_request_id"].startswith("req_")
        expected = {
            "endpoint": "chat_completions",
            "mode": "reverse",
            "outcome": "ok",
            "status": 200,
            "stream": True,
            "model": "gpt-4o",
            "claude_model": "claude-sonnet-5-5",
            "retries": 0,
            "warnings": ["seed=ignored"],
        }
        assert expected.items() <= line.items()
        assert line["input_tokens"] > 0
        assert line["output_tokens"] > 0
        assert 0 < line["time_to_first_token"] <= line["duration"]
        assert 0 < line["overhead"] <= line["time_to_first_token"]
        assert response.headers["x-claude-proxy-warnings"] == "seed=ignored"
        written = json.dumps(logs, default=str)
        assert question not in written
        assert SECRET not in written


@pytest.mark.parametrize(
    ("request_body", "status", "outcome"),
    [
        (b"{", 400, "client_error"),
        (
            json.dumps(body('[[simulate: {"status": 529, "error": {"type": "overloaded_error"}}]]')).encode(),
            503,
            "upstream_error",
        ),
        (
            json.dumps(body('[[simulate: {"status": 401, "error": {"type": "authentication_error"}}]]')).encode(),
            401,
            "upstream_error",
        ),
        (
            json.dumps(body('[[simulate: {"status": 400, "error": {"type": "invalid_request_error"}}]]')).encode(),
            400,
            "client_error",
        ),
    ],
    ids=["client", "upstream", "the_operators_key", "the_clients_request"],
)
async def test_the_log_line_names_who_is_to_blame(
    start_proxy: ProxyStarter, simulation: RunningSimulation, request_body: bytes, status: int, outcome: str
) -> None:
    settings = load_settings({"claude": {"api_key": "k", "base_url": simulation.base_url, "max_retries": 0}})
    async with start_proxy(REVERSE, settings=settings) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
            with capture_logs() as logs:
                response = await client.post(PATH, content=request_body)
                await settled(proxy)
        [line] = [entry for entry in logs if entry["event"] == "exchange"]
        assert (response.status_code, line["status"], line["outcome"]) == (status, status, outcome)
        assert (line["claude_request_id"] is not None) == (request_body != b"{")


async def test_U6_a_client_that_leaves_is_logged_with_the_tokens_so_far(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        with capture_logs() as logs:
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
                script = '[[simulate: {"text": "one two three four five six", "event_interval": 0.2}]]'
                async with client.stream("POST", PATH, json=body(script, stream=True)) as response:
                    async for part in response.aiter_lines():
                        if "three" in part:
                            break
            await settled(proxy)
        [line] = [entry for entry in logs if entry["event"] == "exchange"]
        assert line["outcome"] == "client_left"
        assert line["input_tokens"] > 0
        assert len("one two three") // 3 <= line["output_tokens"] <= len("one two three four five six") // 3


def limited(simulation: RunningSimulation) -> Settings:
    claude = {"api_key": "sk-ant-test-key", "base_url": simulation.base_url}
    return load_settings({"claude": claude, "limits": {"max_request_bytes": 10_000}})


@pytest.mark.parametrize("declared", [True, False], ids=["content_length", "chunked"])
@pytest.mark.parametrize("option", [{}, {"stream_large_bodies": "1k"}], ids=["plain", "stream_large_bodies"])
async def test_an_oversize_body_is_refused_as_json_and_reaches_nobody(
    start_proxy: ProxyStarter, simulation: RunningSimulation, declared: bool, option: dict[str, str]
) -> None:
    large = json.dumps(body("x" * 200_000)).encode()

    async def pieces() -> Any:
        for start in range(0, len(large), 5_000):
            yield large[start : start + 5_000]

    async with start_proxy(REGULAR, settings=limited(simulation), **option) as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            response = await client.post(URL, content=large if declared else pieces())
            assert response.status_code == 413
            assert response.json()["error"] == {
                "message": "The request body is larger than 10000 bytes (setting limits.max_request_bytes).",
                "type": "invalid_request_error",
                "param": None,
                "code": "request_too_large",
            }
            small = await client.post(URL, json=body())
            assert small.status_code == 200
        assert [entry.path for entry in simulation.journal].count("/v1/messages") == 1


async def test_a_large_chunked_body_never_reaches_the_original_host(start_proxy: ProxyStarter) -> None:
    """mitmproxy's `stream_large_bodies` opens the upstream connection before the `request` hook."""

    async def pieces() -> Any:
        for piece in [json.dumps(body("x" * 50_000)).encode()]:
            for start in range(0, len(piece), 1_000):
                yield piece[start : start + 1_000]

    async with start_proxy(REGULAR, stream_large_bodies="2k") as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            response = await client.post(URL, content=pieces())
            assert response.status_code == 200
            assert response.json()["choices"][0]["message"]["content"]


@pytest.mark.parametrize("keeps_bodies", [True, False], ids=["views", "no_views"])
async def test_a_request_is_kept_where_somebody_may_look_at_it(start_proxy: ProxyStarter, keeps_bodies: bool) -> None:
    async with start_proxy(REGULAR, keeps_bodies=keeps_bodies) as proxy:
        watcher = Watcher()
        proxy.master.addons.add(watcher)
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            sent = await client.post(URL, json=body())
        await settled(proxy)
    assert watcher.flows[0].request.raw_content == (sent.request.content if keeps_bodies else None)


async def test_a_flow_replayed_from_a_view_is_answered_in_one_piece(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REGULAR, full=True) as proxy:
        watcher = Watcher()
        proxy.master.addons.add(watcher)
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            await client.post(URL, json=body(stream=True))
        await settled(proxy)
        playback = proxy.master.addons.get("clientplayback")
        assert isinstance(playback, clientplayback.ClientPlayback)
        again = watcher.flows[0].copy()
        playback.start_replay([again])
        async with asyncio.timeout(60):
            while len(watcher.flows) < 2:
                await asyncio.sleep(0.01)
        assert again.response is not None
        assert again.response.content is not None
        assert again.response.content.endswith(b"data: [DONE]\n\n")


async def test_proxyauth_cannot_be_bypassed(start_proxy: ProxyStarter, simulation: RunningSimulation) -> None:
    async with start_proxy(REGULAR, full=True, proxyauth="me:secret") as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            assert (await client.post(URL, json=body())).status_code == 407
        assert [entry for entry in simulation.journal if entry.path == "/v1/messages"] == []
        async with httpx2.AsyncClient(proxy=f"http://me:secret@127.0.0.1:{proxy.port}") as client:
            assert (await client.post(URL, json=body())).status_code == 200


async def test_the_virtual_address_is_nobodys_to_name(start_proxy: ProxyStarter, simulation: RunningSimulation) -> None:
    claude = {"api_key": "sk-ant-test-key", "base_url": simulation.base_url}
    settings = load_settings({"claude": claude, "interception": {"others": "intercept"}})
    async with start_proxy(REGULAR, settings=settings) as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}", verify=False) as client:
            response = await client.post("https://virtual.claude-proxy.invalid/v1/chat/completions", json=body())
            assert response.status_code in {400, 502}


async def test_draining_lets_running_answers_end_and_refuses_new_ones(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
            slow = '[[simulate: {"text": "slow but whole", "delay": 0.5}]]'
            running = asyncio.create_task(client.post(PATH, json=body(slow)))
            while not proxy.running:
                await asyncio.sleep(0.01)
            draining = asyncio.create_task(proxy.addon.drain(5))
            await asyncio.sleep(0.05)
            refused = await client.post(PATH, json=body())
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
            assert "slow but whole" in (await running).text
            await draining


async def test_a_stream_cut_by_the_end_of_draining_ends_with_an_error(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
            endless = json.dumps({"text": "word " * 200, "event_interval": 0.1})
            running = asyncio.create_task(client.post(PATH, json=body(f"[[simulate: {endless}]]", stream=True)))
            await asyncio.sleep(0.5)
            await proxy.addon.drain(0.1)
            text = (await running).text
            assert '"code":"shutting_down"' in text
            assert "[DONE]" not in text


async def test_E11_a_model_name_that_no_header_can_hold_is_no_obstacle(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
            name = "модель\r\nx-injected: 1 🎉"
            response = await client.post(PATH, json={**body(seed=1), "model": name, name: True})
            assert response.status_code == 200
            assert response.json()["model"] == name
            assert "x-injected" not in response.headers
            assert response.headers["x-claude-proxy-warnings"].isascii()


async def test_E13_nothing_of_the_clients_headers_reaches_claude(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    headers = {
        "authorization": f"Bearer {SECRET}",
        "openai-organization": "org-secret",
        "openai-project": "proj-secret",
        "cookie": "session=secret",
        "proxy-authorization": "Basic secret",
        "x-stainless-lang": "client-secret",
        "x-forwarded-for": "secret",
        "idempotency-key": "secret",
        "user-agent": "secret-agent",
    }
    async with start_proxy(REVERSE) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}") as client:
            assert (await client.post(PATH, json=body(), headers=headers)).status_code == 200
    [entry] = [entry for entry in simulation.journal if entry.path == "/v1/messages"]
    assert "secret" not in json.dumps(dict(entry.headers))
    assert SECRET not in json.dumps(dict(entry.headers))

"""The metrics of real exchanges: one observation each, whatever becomes of it, and nothing of what was said."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from addon.configuration.settings import Settings, load_settings
from addon.simulated_claude.server import RunningSimulation
from tests.integration.raw_upstream import (
    EVENTS_HEAD,
    Call,
    Script,
    begun_answer,
    event,
    message_end,
    message_start,
    raw_upstream,
    text_delta,
)
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.integration.test_upstream_failures import answer_well, answered_with, in_turn, sending

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
REGULAR = "regular@127.0.0.1:0"
CHAT = "/v1/chat/completions"
IN_FLIGHT = 'claude_proxy_requests_in_flight{endpoint="chat_completions"}'
PROMPT, ANSWER, SECRET = "Zq7prompt", "Zq7answer", "sk-proj-Zq7secret0123"


def settings_for(base_url: str, **sections: Any) -> Settings:
    claude = {"api_key": "sk-ant-test-key", "base_url": base_url, **sections.pop("claude", {})}
    return load_settings({"claude": claude, **sections})


def body(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


def client_of(proxy: RunningProxy, **options: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60, **options)


def page_of(proxy: RunningProxy) -> dict[str, float]:
    """Read the metrics without an exchange, which would be counted too."""
    assert proxy.addon._gateway is not None
    lines = proxy.addon._gateway.metrics.encode().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(number) for name, _, number in pairs}


def total(page: dict[str, float], name: str, **labels: str) -> float:
    """Add up the series of a metric that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        number
        for series, number in page.items()
        if series.partition("{")[0] == name and all(label in series for label in wanted)
    )


async def settled(proxy: RunningProxy) -> dict[str, float]:
    async with asyncio.timeout(60):
        while proxy.running:
            await asyncio.sleep(0.002)
    return page_of(proxy)


def outcomes(page: dict[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for series, number in page.items():
        if series.startswith("claude_proxy_requests_total{"):
            [outcome] = re.findall('outcome="([^"]*)"', series)
            found[outcome] = found.get(outcome, 0) + number
    return found


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_an_answer_is_one_observation_with_its_tokens_and_its_price(
    start_proxy: ProxyStarter, stream: bool
) -> None:
    async with start_proxy(REVERSE) as proxy, client_of(proxy) as client:
        answer = await client.post(CHAT, json=body("hello " * 2000, stream=stream, stream_options=None, seed=7))
        assert answer.status_code == 200
        page = await settled(proxy)
        assert page[IN_FLIGHT] == 0
        labels = {"endpoint": "chat_completions", "mode": "reverse", "stream": str(stream).lower()}
        assert total(page, "claude_proxy_requests_total", **labels, status_class="2xx", outcome="ok") == 1
        assert sum(outcomes(page).values()) == 1
        for name in ("claude_proxy_request_duration_seconds", "claude_proxy_overhead_seconds"):
            assert page[f'{name}_count{{endpoint="chat_completions"}}'] == 1
        assert total(page, "gen_ai_server_request_duration_seconds_count", error_type="") == 1
        assert total(page, "gen_ai_server_time_to_first_token_seconds_count") == int(stream)
        assert total(page, "gen_ai_server_time_per_output_token_seconds_count") == int(stream)
        assert total(page, "claude_proxy_tokens_total", kind="output") > 0
        assert total(page, "claude_proxy_tokens_total", kind="cache_write") > 0
        assert total(page, "claude_proxy_cost_dollars_total", model="claude-sonnet-5-5") > 0
        assert total(page, "claude_proxy_upstream_responses_total", status="200") == 1
        assert total(page, "claude_proxy_translation_warnings_total", param="seed", action="ignored") == 1
        if not stream:
            usage = answer.json()["usage"]
            assert total(page, "gen_ai_client_token_usage_sum", gen_ai_token_type="input") == usage["prompt_tokens"]
            assert (
                total(page, "gen_ai_client_token_usage_sum", gen_ai_token_type="output") == usage["completion_tokens"]
            )


async def test_the_second_turn_reads_the_cache_and_says_so(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy, client_of(proxy) as client:
        for _ in range(2):
            await client.post(CHAT, json=body("hello " * 5000))
        page = await settled(proxy)
        read = total(page, "claude_proxy_tokens_total", kind="cache_read")
        assert read > 1000
        assert total(page, "gen_ai_client_token_usage_sum", gen_ai_token_type="cached_input") == read


async def test_many_exchanges_at_once_end_at_zero(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy, client_of(proxy) as client:
        limit = asyncio.Semaphore(50)

        async def ask(number: int) -> None:
            async with limit:
                text = "hi" if number % 3 else '[[simulate: {"status": 400}]]'
                await client.post(CHAT, json=body(text, stream=number % 2 == 0))

        await asyncio.gather(*(ask(number) for number in range(200)))
        page = await settled(proxy)
        assert page[IN_FLIGHT] == 0
        assert outcomes(page) == {"ok": 133, "client_error": 67}


@pytest.mark.parametrize(
    ("script", "stream", "outcome", "status_class"),
    [
        (sending(answered_with(400, "invalid_request_error", "no")), True, "client_error", "4xx"),
        (sending(answered_with(401, "authentication_error", "no")), False, "upstream_error", "4xx"),
        (sending(answered_with(429, "rate_limit_error", "no", retry_after="900")), False, "upstream_error", "4xx"),
        (sending(answered_with(529, "overloaded_error", "no", retry_after="900")), True, "upstream_error", "5xx"),
        (sending(b"", cut=True), True, "upstream_error", "5xx"),
        (sending(begun_answer("x"), cut=True), True, "upstream_error", "2xx"),
        (sending(begun_answer("x"), cut=True), False, "upstream_error", "5xx"),
    ],
    ids=["400", "401", "429", "529", "reset", "cut_stream", "cut_whole"],
)
async def test_a_failure_is_one_observation(
    start_proxy: ProxyStarter, script: Script, stream: bool, outcome: str, status_class: str
) -> None:
    async with raw_upstream(script) as upstream:
        settings = settings_for(upstream.base_url, claude={"max_retries": 0})
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            await client.post(CHAT, json=body(stream=stream))
            page = await settled(proxy)
            assert page[IN_FLIGHT] == 0
            assert outcomes(page) == {outcome: 1}
            assert total(page, "claude_proxy_requests_total", status_class=status_class) == 1
            assert total(page, "gen_ai_server_request_duration_seconds_count", error_type=outcome) == 1
            # What Claude refuses is no refusal of ours.
            assert total(page, "claude_proxy_refused_total") == 0


async def test_each_try_and_each_retry_is_counted(start_proxy: ProxyStarter) -> None:
    failures = [
        sending(answered_with(529, "overloaded_error", "no", retry_after="0")),
        sending(b"", cut=True),
        sending(EVENTS_HEAD + b"0\r\n\r\n"),
        sending(EVENTS_HEAD + event({"type": "error", "error": {"type": "api_error", "message": "no"}})),
    ]
    async with raw_upstream(in_turn(*failures, answer_well)) as upstream:
        settings = settings_for(upstream.base_url, claude={"max_retries": 5})
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            assert (await client.post(CHAT, json=body())).status_code == 200
            page = await settled(proxy)
            assert page["claude_proxy_upstream_retries_total"] == 4
            for status in ("529", "unreachable", "broken", "error_event", "200"):
                assert total(page, "claude_proxy_upstream_responses_total", status=status) == 1, status
            assert outcomes(page) == {"ok": 1}


async def test_events_of_an_unknown_type_are_passed_over_and_counted(start_proxy: ProxyStarter) -> None:
    news = event({"type": "message_news", "text": PROMPT})
    answer = sending(EVENTS_HEAD + message_start() + news + text_delta("well") + news + message_end())
    async with raw_upstream(answer) as upstream:
        async with start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy, client_of(proxy) as client:
            assert "well" in (await client.post(CHAT, json=body())).text
            assert (await settled(proxy))["claude_proxy_stream_events_unknown_total"] == 2


# Clients that leave.


async def silent(call: Call) -> None:
    """Take the request and say nothing."""


async def silent_after_the_first_text(call: Call) -> None:
    await call.send(begun_answer("Once"))


async def silent_after_much(call: Call) -> None:
    await call.send(begun_answer("Once " * 30))


def request_bytes(*, cut: int = 0) -> bytes:
    content = json.dumps(body(stream=True)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n".encode()
    return head + content[: len(content) - cut]


@pytest.mark.parametrize(
    ("script", "cut", "phase"),
    [(silent, 10, "request"), (silent, 0, "waiting"), (silent_after_the_first_text, 0, "answering")],
    ids=["request", "waiting", "answering"],
)
async def test_E7_a_client_that_leaves_is_one_observation_of_its_phase(
    start_proxy: ProxyStarter, script: Script, cut: int, phase: str
) -> None:
    async with (
        raw_upstream(script) as upstream,
        start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(request_bytes(cut=cut))
        if phase == "request":
            async with asyncio.timeout(60):
                while not page_of(proxy).get(IN_FLIGHT):
                    await asyncio.sleep(0.005)
        else:
            await upstream.call()
        if phase == "answering":
            await reader.readuntil(b"Once")
        assert page_of(proxy)[IN_FLIGHT] == 1
        writer.close()
        async with asyncio.timeout(60):
            while (page := page_of(proxy))[IN_FLIGHT]:
                await asyncio.sleep(0.005)
        assert outcomes(page) == {"client_left": 1}
        assert total(page, "claude_proxy_client_disconnects_total", phase=phase) == 1
        assert total(page, "claude_proxy_client_disconnects_total") == 1
        if phase == "answering":  # U6: what was used by then is counted
            assert total(page, "claude_proxy_tokens_total", kind="input") == 10


async def test_U6_of_claudes_own_api_too_what_was_used_is_counted_when_the_client_leaves(
    start_proxy: ProxyStarter,
) -> None:
    async with (
        raw_upstream(silent_after_much) as upstream,
        start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy,
    ):
        content = b'{"model":"claude-sonnet-5-5","stream":true}'
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content))
        await reader.readuntil(b"Once")
        writer.close()
        page = await settled(proxy)
        assert outcomes(page) == {"client_left": 1}
        assert total(page, "claude_proxy_tokens_total", model="claude-sonnet-5-5", kind="input") == 10
        assert (
            total(page, "claude_proxy_tokens_total", model="claude-sonnet-5-5", kind="output") == len("Once " * 30) // 3
        )
        assert total(page, "claude_proxy_cost_dollars_total", model="claude-sonnet-5-5") > 0


async def test_the_overhead_of_a_whole_answer_holds_nothing_of_the_wait_for_claude(start_proxy: ProxyStarter) -> None:
    script = '[[simulate: {"delay": 1.5, "event_interval": 0.05, "text": "one two three four five"}]]'
    async with start_proxy(REVERSE) as proxy, client_of(proxy) as client:
        assert (await client.post(CHAT, json=body(script))).status_code == 200
        page = await settled(proxy)
        assert page['claude_proxy_overhead_seconds_count{endpoint="chat_completions"}'] == 1
        assert page['claude_proxy_overhead_seconds_sum{endpoint="chat_completions"}'] < 1
        assert page['claude_proxy_request_duration_seconds_sum{endpoint="chat_completions"}'] > 1.5


async def test_the_overhead_of_a_stream_holds_nothing_of_the_wait_for_claude(start_proxy: ProxyStarter) -> None:
    async def slow(call: Call) -> None:
        await asyncio.sleep(1)
        await call.send(begun_answer("x"))
        await asyncio.sleep(1)
        await call.send(message_end())

    async with raw_upstream(slow) as upstream:
        async with start_proxy(REVERSE, settings=settings_for(upstream.base_url)) as proxy, client_of(proxy) as client:
            await client.post(CHAT, json=body(stream=True))
            await client.post(
                "/v1/messages", json={"model": "claude-sonnet-5-5", "stream": True}, headers={"x-api-key": "x"}
            )
            page = await settled(proxy)
            for endpoint in ("chat_completions", "anthropic"):
                assert page[f'claude_proxy_overhead_seconds_sum{{endpoint="{endpoint}"}}'] < 1
                assert page[f'claude_proxy_request_duration_seconds_sum{{endpoint="{endpoint}"}}'] > 2


# What is refused.


@pytest.mark.parametrize(
    ("method", "path", "content", "reason"),
    [
        ("POST", CHAT, b"{", "request"),
        ("POST", CHAT, json.dumps(body(logprobs=True)).encode(), "request"),
        ("POST", CHAT, b"x" * 5000, "size"),
        ("POST", "/v1/embeddings", b"{}", "not_found"),
        ("GET", "/v1/responses/resp_unknown", b"", "not_found"),
    ],
    ids=["not_json", "logprobs", "too_large", "unknown_path", "unknown_response"],
)
async def test_a_refusal_is_counted_by_its_reason(
    start_proxy: ProxyStarter, simulation: RunningSimulation, method: str, path: str, content: bytes, reason: str
) -> None:
    settings = settings_for(simulation.base_url, limits={"max_request_bytes": 4000}, store={"path": ":memory:"})
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        assert (await client.request(method, path, content=content)).status_code >= 400
        page = await settled(proxy)
        assert total(page, "claude_proxy_refused_total", reason=reason) == 1
        assert total(page, "claude_proxy_refused_total") == 1
        assert total(page, "claude_proxy_requests_in_flight") == 0


async def test_while_it_drains_the_page_is_shown_and_everything_else_refused(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy, client_of(proxy) as client:
        assert proxy.addon._gateway is not None
        proxy.addon._gateway.draining = True
        statuses = [(await client.get(path)).status_code for path in ("/health", "/metrics", "/health/ready")]
        assert statuses == [200, 200, 503]
        assert (await client.post(CHAT, json=body())).status_code == 503
        assert total(await settled(proxy), "claude_proxy_refused_total", reason="draining") == 2


# What a client can do to it.


async def test_X2_names_that_clients_make_up_add_no_series(start_proxy: ProxyStarter) -> None:
    def made_up(number: int) -> dict[str, Any]:
        return body(**{"model": f"model-{number}", f"param-{number}": number, "user": f"user-{number}"})

    async with start_proxy(REVERSE) as proxy, client_of(proxy) as client:
        await client.post(CHAT, json=made_up(0))
        before = set(await settled(proxy))
        for number in range(1, 40):
            await client.post(CHAT, json=made_up(number), headers={"authorization": f"Bearer sk-{number}"})
        assert set(await settled(proxy)) == before


async def test_nothing_of_what_was_said_is_in_the_page(start_proxy: ProxyStarter) -> None:
    script = json.dumps({"text": ANSWER})
    asked = body(
        f"{PROMPT} [[simulate: {script}]]",
        model=f"{PROMPT}-model",
        user=PROMPT,
        metadata={PROMPT: PROMPT},
        **{PROMPT: PROMPT},
    )
    async with start_proxy(REVERSE) as proxy, client_of(proxy) as client:
        headers = {"authorization": f"Bearer {SECRET}", "x-request-id": PROMPT}
        answer = await client.post(f"{CHAT}?{PROMPT}", json=asked, headers=headers)
        assert ANSWER in answer.text
        await client.post(f"/v1/{PROMPT}", json=asked, headers=headers)
        await settled(proxy)
        page = (await client.get("/metrics")).text
        assert 'claude_proxy_requests_total{endpoint="chat_completions"' in page
        assert "Zq7" not in page


# Who may see the page.


async def test_the_page_is_prometheus_text(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy, client_of(proxy) as client:
        answer = await client.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "# TYPE claude_proxy_requests_in_flight gauge" in answer.text
        assert "claude_proxy_build_info{" in answer.text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
async def test_a_client_behind_a_reverse_proxy_on_this_machine_is_not_shown_the_page(
    start_proxy: ProxyStarter, simulation: RunningSimulation, header: str
) -> None:
    for clients, status in (("loopback", 403), ("any", 200)):
        settings = settings_for(simulation.base_url, metrics={"clients": clients})
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            assert (await client.get("/metrics", headers={header: "203.0.113.7"})).status_code == status


@pytest.mark.parametrize(
    ("clients", "peer", "status"),
    [
        ("loopback", "127.0.0.1", 200),
        ("loopback", "127.9.9.9", 200),
        ("loopback", "::1", 200),
        ("loopback", "::ffff:127.0.0.1", 200),
        ("loopback", "10.0.0.7", 403),
        ("loopback", "fe80::1%eth0", 403),
        ("any", "10.0.0.7", 200),
    ],
)
async def test_the_page_is_shown_to_the_clients_that_the_setting_names(
    start_proxy: ProxyStarter, simulation: RunningSimulation, clients: str, peer: str, status: int
) -> None:
    class From:
        """Another addon, which makes the client come from elsewhere: there is one address here to come from."""

        def requestheaders(self, flow: Any) -> None:
            flow.client_conn.peername = (peer, 1)

    settings = settings_for(simulation.base_url, metrics={"clients": clients})
    async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        proxy.master.addons.add(From())
        answer = await client.get("/metrics")
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["error"]["code"] == "metrics_not_shown"


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/ready"])
async def test_a_proxy_mode_answers_no_page_of_its_own_for_a_host_that_is_ours(
    start_proxy: ProxyStarter, simulation: RunningSimulation, path: str
) -> None:
    settings = settings_for(simulation.base_url, interception={"untranslated": "refuse"})
    async with start_proxy(REGULAR, settings=settings) as proxy:
        async with httpx2.AsyncClient(proxy=f"http://127.0.0.1:{proxy.port}") as client:
            answer = await client.get(f"http://api.openai.com{path}")
            assert answer.status_code == 404
            assert "claude_proxy_" not in answer.text


async def test_one_process_shows_its_metrics_on_a_port_of_its_own(
    start_proxy: ProxyStarter, simulation: RunningSimulation, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_for(simulation.base_url, metrics={"port": 0})
    async with start_proxy(REVERSE, settings=settings):
        [url] = re.findall(r"http://127\.0\.0\.1:\d+/metrics", capsys.readouterr().out)
        async with httpx2.AsyncClient() as client:
            assert "claude_proxy_build_info" in (await client.get(url)).text


async def test_a_metrics_port_that_is_taken_stops_nothing(
    start_proxy: ProxyStarter, simulation: RunningSimulation, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    settings = settings_for(simulation.base_url, metrics={"port": taken.sockets[0].getsockname()[1]})
    async with taken, start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
        assert (await client.get("/health")).status_code == 200
        assert '"event":"metrics_not_shown"' in capsys.readouterr().out


async def test_ready_asks_the_store(start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"no database at all, but long enough to be taken for one" * 50)
    for path, status in ((":memory:", 200), (str(tmp_path / "broken"), 503)):
        settings = settings_for(simulation.base_url, store={"path": path})
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            assert (await client.get("/health/ready")).status_code == status
            assert (await client.get("/health")).status_code == 200


async def test_probes_are_logged_at_debug_while_all_is_well(
    start_proxy: ProxyStarter, simulation: RunningSimulation, tmp_path: Path
) -> None:
    (tmp_path / "broken").write_bytes(b"no database at all, but long enough to be taken for one" * 50)
    for path, level in ((":memory:", "debug"), (str(tmp_path / "broken"), "info")):
        settings = settings_for(simulation.base_url, store={"path": path}, logging={"level": "DEBUG"})
        async with start_proxy(REVERSE, settings=settings) as proxy, client_of(proxy) as client:
            with capture_logs() as logs:
                for probe in ("/health", "/health/ready", "/v1/models"):
                    await client.get(probe)
                while proxy.running:
                    await asyncio.sleep(0.002)
        levels = {entry["endpoint"]: entry["log_level"] for entry in logs if entry["event"] == "exchange"}
        assert levels == {"health": "debug", "ready": level, "models": "info"}

"""Traces of real exchanges: one server span each, calls below it, the client's trace continued, nothing of content."""

import asyncio
import contextlib
import gzip
import importlib.metadata
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from addon.configuration.settings import Settings, SettingsError, load_settings
from addon.observation.tracing import GEN_AI_SCHEMA, SPAN_ATTRIBUTES, Tracing
from addon.simulated_claude.server import RunningSimulation
from tests.integration.raw_upstream import Call, begun_answer, raw_upstream
from tests.integration.running_proxy import ProxyStarter, RunningProxy

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
CHAT = "/v1/chat/completions"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SECRET = "sk-proj-Zq7secret0123"


def body(text: str = "hi", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def traced(start_proxy: ProxyStarter, exporter: InMemorySpanExporter):
    """Start a proxy whose spans the exporter gets."""

    @contextlib.asynccontextmanager
    async def start(**options: Any):
        async with start_proxy(REVERSE, **options) as proxy:
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            proxy.addon._gateway.tracing = Tracing(provider)
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
                yield proxy, client
            provider.shutdown()

    return start


async def spans_of(proxy: RunningProxy, exporter: InMemorySpanExporter) -> tuple[ReadableSpan, list[ReadableSpan]]:
    async with asyncio.timeout(60):
        while proxy.running:
            await asyncio.sleep(0.002)
    spans = exporter.get_finished_spans()
    [server] = [span for span in spans if span.kind is SpanKind.SERVER]
    return server, [span for span in spans if span.kind is SpanKind.CLIENT]


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_an_answer_is_a_server_span_with_its_call_below_it(traced, exporter, stream: bool) -> None:
    async with traced() as (proxy, client):
        answer = await client.post(CHAT, json=body(stream=stream))
        server, [call] = await spans_of(proxy, exporter)
        assert server.name == call.name == "chat claude-sonnet-5-5"
        assert call.parent is not None
        assert call.parent.span_id == server.get_span_context().span_id
        assert server.start_time <= call.start_time <= call.end_time <= server.end_time
        assert abs(server.end_time / 1e9 - time.time()) < 20
        assert server.instrumentation_scope.schema_url == GEN_AI_SCHEMA
        attributes = dict(server.attributes)
        expected = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "anthropic",
            "gen_ai.request.model": "claude-sonnet-5-5",
            "gen_ai.response.model": "claude-sonnet-5-5",
            "gen_ai.request.stream": stream,
            "http.request.method": "POST",
            "http.response.status_code": 200,
            "claude_proxy.endpoint": "chat_completions",
            "claude_proxy.mode": "reverse",
            "claude_proxy.request_id": answer.headers["x-request-id"],
        }
        assert expected.items() <= attributes.items()
        assert attributes["gen_ai.usage.input_tokens"] > 0
        assert attributes["gen_ai.usage.output_tokens"] > 0
        assert ("gen_ai.response.time_to_first_chunk" in attributes) == stream
        assert server.status.status_code is StatusCode.UNSET
        assert attributes.keys() | call.attributes.keys() <= SPAN_ATTRIBUTES.keys()


async def test_a_clients_trace_is_continued_and_goes_no_further_than_here(
    traced, exporter, simulation: RunningSimulation, capsys: pytest.CaptureFixture[str]
) -> None:
    async with traced() as (proxy, client):
        await client.post(CHAT, json=body(), headers={"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=b"})
        server, [call] = await spans_of(proxy, exporter)
        for span in (server, call):
            assert f"{span.get_span_context().trace_id:032x}" == TRACE
        assert f"{server.parent.span_id:016x}" == PARENT
        assert server.get_span_context().trace_state.get("a") == "b"
        assert f'"trace_id":"{TRACE}"' in capsys.readouterr().out
        [received] = [entry for entry in simulation.journal if entry.path == "/v1/messages"]
        assert "traceparent" not in {name.lower() for name in received.headers}


@pytest.mark.parametrize("header", ["00-zero-b7-01", "", "x" * 5000, f"00-{'0' * 32}-{PARENT}-01"])
async def test_a_traceparent_that_is_none_begins_a_new_trace(traced, exporter, header: str) -> None:
    async with traced() as (proxy, client):
        assert (await client.post(CHAT, json=body(), headers={"traceparent": header})).status_code == 200
        server, _ = await spans_of(proxy, exporter)
        assert server.parent is None


async def test_what_a_client_does_not_want_traced_is_not(traced, exporter) -> None:
    async with traced() as (proxy, client):
        await client.post(CHAT, json=body(), headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
        while proxy.running:
            await asyncio.sleep(0.002)
        assert exporter.get_finished_spans() == ()


async def test_each_choice_is_a_call_of_its_own(traced, exporter) -> None:
    async with traced() as (proxy, client):
        await client.post(CHAT, json=body(n=3))
        _, calls = await spans_of(proxy, exporter)
        assert len(calls) == 3


@pytest.mark.parametrize(
    ("text", "outcome", "status", "code"),
    [
        ('[[simulate: {"status": 400}]]', "client_error", StatusCode.UNSET, None),
        (
            '[[simulate: {"status": 529, "headers": {"retry-after": "900"}}]]',
            "upstream_error",
            StatusCode.ERROR,
            "server_is_overloaded",
        ),
    ],
    ids=["400", "529"],
)
async def test_a_failure_is_an_error_of_the_span_unless_the_client_is_to_blame(
    traced, exporter, simulation: RunningSimulation, text: str, outcome: str, status: StatusCode, code: str | None
) -> None:
    settings = load_settings({"claude": {"api_key": "k", "base_url": simulation.base_url, "max_retries": 0}})
    async with traced(settings=settings) as (proxy, client):
        await client.post(CHAT, json=body(text))
        server, [call] = await spans_of(proxy, exporter)
        assert server.attributes["error.type"] == outcome
        assert server.status.status_code is status
        assert call.status.status_code is StatusCode.ERROR
        assert code is None or call.attributes["error.type"] == code


async def test_a_client_that_leaves_ends_both_spans(traced, exporter) -> None:
    async def silent_after_the_first_text(call: Call) -> None:
        await call.send(begun_answer("Once"))

    async with raw_upstream(silent_after_the_first_text) as upstream:
        settings = load_settings({"claude": {"api_key": "k", "base_url": upstream.base_url}})
        async with traced(settings=settings) as (proxy, _client):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            content = json.dumps(body(stream=True)).encode()
            head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(content)}\r\n\r\n"
            writer.write(head.encode() + content)
            await reader.readuntil(b"Once")
            writer.close()
            server, [call] = await spans_of(proxy, exporter)
            assert server.attributes["error.type"] == "client_left"
            assert call.attributes["error.type"] == "CancelledError"


async def test_what_asks_no_model_has_no_gen_ai_attributes(traced, exporter) -> None:
    async with traced() as (proxy, client):
        await client.get("/v1/models")
        server, calls = await spans_of(proxy, exporter)
        assert server.name == "GET models"
        assert calls == []
        assert not [name for name in server.attributes if name.startswith("gen_ai.")]


async def test_nothing_of_what_was_said_is_in_a_span(traced, exporter) -> None:
    script = json.dumps({"text": "Zq7answer"})
    asked = body(f"Zq7prompt [[simulate: {script}]]", model="Zq7-model", user="Zq7user", metadata={"Zq7": "Zq7"})
    async with traced() as (proxy, client):
        await client.post(f"{CHAT}?Zq7query", json=asked, headers={"authorization": f"Bearer {SECRET}"})
        server, calls = await spans_of(proxy, exporter)
        assert "Zq7" not in "".join(span.to_json() for span in (server, *calls))


async def test_a_key_in_the_place_of_a_model_is_in_no_span(traced, exporter) -> None:
    async with traced() as (proxy, client):
        await client.post(CHAT, json=body(model=f"claude-{SECRET}"))
        server, calls = await spans_of(proxy, exporter)
        assert server.attributes["gen_ai.request.model"] == "claude-[REDACTED]"
        assert SECRET not in "".join(span.to_json() for span in (server, *calls))


# To a real receiver.


class Receiver(ThreadingHTTPServer):
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        requests: list[ExportTraceServiceRequest] = []

        class Taking(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    data = gzip.decompress(data)
                requests.append(ExportTraceServiceRequest.FromString(data))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Taking)
        self.requests = requests


@pytest.fixture
def receiver():
    server = Receiver()
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def settings_with_traces(simulation: RunningSimulation) -> Settings:
    return load_settings(
        {"claude": {"api_key": "sk-ant-test-key", "base_url": simulation.base_url}, "tracing": {"enabled": True}}
    )


async def test_spans_reach_a_receiver_by_the_time_the_proxy_has_ended(
    start_proxy: ProxyStarter, simulation: RunningSimulation, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{receiver.server_port}")
    async with start_proxy(REVERSE, settings=settings_with_traces(simulation)) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
            await client.post(CHAT, json=body(stream=True))
    resources = [resource for request in receiver.requests for resource in request.resource_spans]
    spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
    assert sorted(span.name for span in spans) == ["chat claude-sonnet-5-5"] * 2
    names = {item.key: item.value.string_value for item in resources[0].resource.attributes}
    assert names["service.name"] == "claude-proxy"
    assert {scope.schema_url for resource in resources for scope in resource.scope_spans} == {GEN_AI_SCHEMA}


async def test_a_receiver_that_is_not_there_stops_nothing(
    start_proxy: ProxyStarter, simulation: RunningSimulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    async with start_proxy(REVERSE, settings=settings_with_traces(simulation)) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as client:
            assert (await client.post(CHAT, json=body())).status_code == 200


def test_without_the_extra_the_setting_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(SettingsError, match=r"tracing\.enabled: traces need more packages: pip install"):
        load_settings({"tracing": {"enabled": True}})

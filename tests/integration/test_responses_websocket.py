"""The Responses API over WebSockets: stock clients and raw ones, in both ways in."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from mitmproxy import http
from openai.types.responses import ResponsesServerEvent
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode

from addon.responses import websocket, websocket_streams
from addon.simulated_claude.server import RunningSimulation
from tests.fuzz.frames import Frame as RawFrame
from tests.fuzz.frames import encode_frame
from tests.integration.raw_upstream import EVENTS_HEAD, Call, message_end, message_start, raw_upstream, text_delta
from tests.integration.responses_api import (
    REGULAR,
    REVERSE,
    WEATHER,
    blocking_client_of,
    check,
    client_of,
    http_of,
    results_of,
    settings_with_store,
    thinking_in,
    without_marks,
)
from tests.integration.responses_socket import create, receive, receive_response, receive_to_the_end, socket_of
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.integration.serving_process import serving_process
from tests.lived_time import within
from tests.translators.responses.checker import check_stream

VIEWS = pytest.mark.parametrize("proxy", [True, False], ids=["views", "no_views"], indirect=True)
"""With messages in mitmproxy's views, and without, as `claude-proxy` runs."""
WAYS = pytest.mark.parametrize("way", ["base_url", "https_proxy"])
SLOW = "[[simulate: " + json.dumps({"text": "word " * 40, "event_interval": 0.05}) + "]]"


@pytest.fixture
async def proxy(
    start_proxy: ProxyStarter,
    simulation: RunningSimulation,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> AsyncIterator[RunningProxy]:
    settings = settings_with_store(simulation.base_url, ":memory:")
    keeps_bodies: bool = getattr(request, "param", True)
    async with start_proxy(REVERSE, REGULAR, settings=settings, keeps_bodies=keeps_bodies) as running:
        # The SDK's WebSocket goes the way that the environment names, and nothing else here does.
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{running.ports[1]}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setenv("SSL_CERT_FILE", str(running.ca))
        yield running


def sent(simulation: RunningSimulation) -> list[dict[str, Any]]:
    return [entry.body for entry in simulation.journal if entry.path == "/v1/messages"]


async def events_of_one(connection: AsyncIterator[ResponsesServerEvent]) -> list[Any]:
    events = []
    async for event in connection:
        events.append(event)
        if event.type in ("response.completed", "response.incomplete", "response.failed", "error"):
            break
    return events


# Stock clients.


@VIEWS
@WAYS
async def test_the_sdk_gets_a_well_formed_response(proxy: RunningProxy, way: str) -> None:
    async with client_of(proxy, way=way) as client, client.responses.connect() as connection:
        await connection.response.create(model="gpt-5", input="Hello.", reasoning={"summary": "auto"})
        final = check(await events_of_one(aiter(connection)))
        assert final["status"] == "completed"
        assert final["usage"]["output_tokens"] > 0
        again = await client.responses.retrieve(final["id"])
        assert again.to_dict(mode="json") == final


@WAYS
async def test_the_blocking_sdk_gets_the_same(proxy: RunningProxy, way: str) -> None:
    def ask() -> list[Any]:
        events = []
        with blocking_client_of(proxy, way=way) as client, client.responses.connect() as connection:
            connection.response.create(model="gpt-5", input="Hello.", store=False)
            for event in connection:
                events.append(event)
                if event.type == "response.completed":
                    break
        return events

    assert check(await asyncio.to_thread(ask))["store"] is False


@VIEWS
@WAYS
async def test_tools_over_three_turns_go_on_without_the_store(
    proxy: RunningProxy, simulation: RunningSimulation, way: str
) -> None:
    async with client_of(proxy, way=way) as client, client.responses.connect() as connection:
        more: dict[str, Any] = {"model": "gpt-5", "tools": [WEATHER], "store": False}
        await connection.response.create(input="Weather in Oslo?", **more)
        for _ in range(2):
            response = (await events_of_one(aiter(connection)))[-1].response
            await connection.response.create(previous_response_id=response.id, input=results_of(response), **more)
        final = check(await events_of_one(aiter(connection)))
        assert final["previous_response_id"] == response.id
    first, second, third = (without_marks(body) for body in sent(simulation))
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert third["messages"][: len(second["messages"])] == second["messages"]
    assert [thinking_in(body) for body in (first, second, third)] == [0, 1, 2]


async def test_compression_is_offered_and_declined(proxy: RunningProxy) -> None:
    async with socket_of(proxy, compression="deflate") as socket:
        assert socket.response is not None
        assert "sec-websocket-extensions" not in socket.response.headers
        assert socket.response.headers["x-request-id"].startswith("req_")
        await create(socket)
        assert (await receive_response(socket))["status"] == "completed"


@pytest.mark.parametrize("path", ["/openai/v1/responses?api-version=preview", "/responses", "/v1/responses?beta=true"])
async def test_every_prefix_is_served(proxy: RunningProxy, path: str) -> None:
    async with socket_of(proxy, path=path) as socket:
        await create(socket)
        assert (await receive_response(socket))["status"] == "completed"


async def test_a_process_of_its_own_serves_them_too(simulation: RunningSimulation, tmp_path: Path) -> None:
    async with serving_process(simulation.base_url, tmp_path) as proxy:
        async with socket_of(proxy, origin=f"http://127.0.0.1:{proxy.port}") as socket:
            await create(socket)
            first = await receive_response(socket)
            await create(socket, previous_response_id=first["id"])
            assert (await receive_response(socket))["status"] == "completed"


async def test_many_connections_at_once(proxy: RunningProxy) -> None:
    async def ask(number: int) -> str:
        async with socket_of(proxy) as socket:
            await create(socket, f'[[simulate: {{"text": "answer {number}"}}]]')
            text = (await receive_response(socket))["output"][-1]["content"][0]["text"]
            assert isinstance(text, str)
            return text

    assert await asyncio.gather(*map(ask, range(20))) == [f"answer {number}" for number in range(20)]


# What goes on from what.


async def test_a_previous_response_that_nobody_has_is_an_error_and_the_connection_goes_on(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as socket:
        await create(socket, previous_response_id="resp_nobody")
        error = await receive(socket)
        assert (error["type"], error["status"]) == ("error", 400)
        assert error["headers"]["x-request-id"].startswith("req_")
        assert error["error"] == {
            "type": "invalid_request_error",
            "code": "previous_response_not_found",
            "message": "Previous response with id 'resp_nobody' not found.",
            "param": "previous_response_id",
        }
        await create(socket)
        assert (await receive_response(socket))["status"] == "completed"


async def test_a_response_that_is_not_stored_is_known_on_its_own_connection_alone(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as socket, socket_of(proxy) as other:
        await create(socket)
        first = await receive_response(socket)
        await create(other, previous_response_id=first["id"])
        assert (await receive(other))["error"]["code"] == "previous_response_not_found"
        await create(socket, previous_response_id=first["id"])
        await receive_response(socket)
        # Of each stream the last one is kept.
        await create(socket, previous_response_id=first["id"])
        assert (await receive(socket))["error"]["code"] == "previous_response_not_found"


async def test_stored_responses_go_on_from_http_to_the_socket_and_back(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client, socket_of(proxy) as socket:
        by_http = await client.responses.create(model="gpt-5", input="First.")
        await create(socket, "Second.", previous_response_id=by_http.id, store=True)
        by_socket = await receive_response(socket)
        await client.responses.create(model="gpt-5", input="Third.", previous_response_id=by_socket["id"])
    asked = [message["content"][0]["text"] for message in sent(simulation)[-1]["messages"] if message["role"] == "user"]
    assert asked == ["First.", "Second.", "Third."]


async def test_a_stored_response_holds_what_was_said_before_it_on_the_socket_and_not_stored(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy) as client, socket_of(proxy) as socket:
        await create(socket, "First.")
        first = await receive_response(socket)
        await create(socket, "Second.", previous_response_id=first["id"], store=True)
        second = await receive_response(socket)
        await create(socket, "Third.", previous_response_id=second["id"], store=True)
        third = await receive_response(socket)
        await create(socket, "Aside.", previous_response_id=third["id"])
        aside = await receive_response(socket)
        await create(socket, "Fourth.", previous_response_id=aside["id"], store=True)
        fourth = await receive_response(socket)
        await socket.close()
        for previous in (second, third, fourth):
            await client.responses.create(model="gpt-5", input="Go on.", previous_response_id=previous["id"])
        own = await client.responses.input_items.list(second["id"])
        assert [item.to_dict()["content"][0]["text"] for item in own.data] == ["Second."]
        for unstored in (first, aside):
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(unstored["id"])
            with pytest.raises(openai.BadRequestError, match="not found"):
                await client.responses.create(model="gpt-5", input="Go on.", previous_response_id=unstored["id"])
    said = [
        [block["text"] for message in body["messages"] if message["role"] == "user" for block in message["content"]]
        for body in sent(simulation)[-3:]
    ]
    assert said == [
        ["First.", "Second.", "Go on."],
        ["First.", "Second.", "Third.", "Go on."],
        ["First.", "Second.", "Third.", "Aside.", "Fourth.", "Go on."],
    ]


async def test_another_stream_can_fork_a_response(proxy: RunningProxy, simulation: RunningSimulation) -> None:
    async with socket_of(proxy) as socket:
        await create(socket, "First.", stream_id="main")
        first = await receive_response(socket)
        await create(socket, "Fork.", stream_id="critic", previous_response_id=first["id"])
        await receive_response(socket)
        await create(socket, "Main.", stream_id="main", previous_response_id=first["id"])
        await receive_response(socket)
    fork, main = sent(simulation)[1:]
    assert len(fork["messages"]) == len(main["messages"]) == 3


async def test_a_response_that_is_not_generated_asks_nobody_and_is_gone_on_from(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    rules = [{"type": "message", "role": "developer", "content": "Answer in rhymes."}]
    async with client_of(proxy) as client, client.responses.connect() as connection:
        await connection.response.create(model="gpt-5", input=rules, store=False, generate=False)
        prepared = check(await events_of_one(aiter(connection)))
        assert (prepared["status"], prepared["output"]) == ("completed", [])
        assert prepared["usage"]["total_tokens"] == 0
        assert sent(simulation) == []
        await connection.response.create(
            model="gpt-5", input="Hello.", store=False, previous_response_id=prepared["id"]
        )
        check(await events_of_one(aiter(connection)))
    [asked] = sent(simulation)
    assert "Answer in rhymes." in json.dumps(asked["system"])


# Order.


@VIEWS
async def test_requests_of_one_stream_are_answered_one_after_the_other(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as socket:
        for word in ("one", "two", "three"):
            await create(socket, f'[[simulate: {{"text": "{word}"}}]]')
        texts = [(await receive_response(socket))["output"][-1]["content"][0]["text"] for _ in range(3)]
    assert texts == ["one", "two", "three"]


async def test_streams_run_at_once_and_name_themselves(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as socket:
        await create(socket, SLOW, stream_id="a")
        await create(socket, SLOW, stream_id="b")
        events: dict[str, list[dict[str, Any]]] = {"a": [], "b": []}
        order = ""
        for _ in range(400):
            event = await receive(socket)
            stream_id = event.pop("stream_id")
            events[stream_id].append(event)
            order += stream_id
            if all(each and each[-1]["type"] == "response.completed" for each in events.values()):
                break
    assert check_stream(events["a"])["status"] == check_stream(events["b"])["status"] == "completed"
    assert order.count("ab") > 5, "one waited for the other"


async def test_sixteen_run_at_once_and_more_wait(start_proxy: ProxyStarter) -> None:
    may_end = asyncio.Event()

    async def wait(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())
        await may_end.wait()
        await call.send(text_delta("done") + message_end())

    async with raw_upstream(wait) as upstream:
        settings = settings_with_store(upstream.base_url, ":memory:")
        async with start_proxy(REVERSE, settings=settings) as proxy, socket_of(proxy) as socket:
            for number in range(18):
                await create(socket, stream_id=f"s{number}")
            await upstream.call(15)
            await asyncio.sleep(0.2)
            assert len(upstream.calls) == 16
            may_end.set()
            ended = 0
            while ended < 18:
                ended += (await receive(socket))["type"] == "response.completed"


async def test_the_limits_of_streams_are_openais(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as socket:
        for number in range(32):
            await create(socket, stream_id=f"s{number}", generate=False)
        await create(socket, stream_id="one-more", generate=False)
        await create(socket, generate=False)
        ended, refused = [], []
        while len(ended) + len(refused) < 34:
            event = await receive(socket)
            if event["type"] == "response.completed":
                ended.append(event.get("stream_id"))
            elif event["type"] == "error":
                refused.append((event["stream_id"], event["error"]["code"], event["error"]["param"]))
        assert None in ended
        assert refused == [("one-more", "websocket_stream_limit_reached", "stream_id")]
        await create(socket, stream_id="no spaces")
        assert (await receive(socket))["error"]["code"] == "invalid_stream_id"


async def test_too_many_that_wait_are_refused(start_proxy: ProxyStarter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_streams, "_MOST_AT_ONCE", 1)
    monkeypatch.setattr(websocket_streams, "_MOST_WAITING", 2)

    async def silent(call: Call) -> None:
        """Take the request and say nothing."""

    async with raw_upstream(silent) as upstream:
        settings = settings_with_store(upstream.base_url, ":memory:")
        async with start_proxy(REVERSE, settings=settings) as proxy, socket_of(proxy) as socket:
            for _ in range(4):
                await create(socket)
            error = await receive(socket)
            assert (error["status"], error["error"]["code"]) == (429, "rate_limit_exceeded")


# Errors.


async def test_a_request_with_a_mistake_is_an_error_of_its_stream(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as socket:
        await create(socket, stream_id="main", temperature=3)
        error = await receive(socket)
        assert (error["type"], error["status"], error["stream_id"]) == ("error", 400, "main")
        assert error["error"]["param"] == "temperature"
        await create(socket, stream_id="main", background=True, store=True)
        assert (await receive(socket))["error"]["param"] == "background"


async def test_claudes_refusal_comes_with_its_status_and_headers(proxy: RunningProxy) -> None:
    script = {"status": 429, "error": {"type": "rate_limit_error"}, "headers": {"retry-after": "7"}}
    async with socket_of(proxy) as socket:
        await create(socket, f"[[simulate: {json.dumps(script)}]]")
        error = await receive(socket)
        assert (error["status"], error["error"]["code"]) == (429, "rate_limit_exceeded")
        assert error["headers"]["retry-after"] == "7"


@VIEWS
async def test_an_answer_that_breaks_off_fails_and_the_connection_goes_on(proxy: RunningProxy) -> None:
    script = '[[simulate: {"text": "one two three", "error_after_events": 4, "error": {"type": "overloaded_error"}}]]'
    async with socket_of(proxy) as socket:
        await create(socket, script, stream_id="main")
        events = [await receive(socket)]
        while events[-1]["type"] != "response.failed":
            events.append(await receive(socket))
        assert {event.pop("stream_id") for event in events} == {"main"}
        assert check_stream(events)["error"]["code"] == "server_is_overloaded"
        await create(socket, stream_id="main")
        assert (await receive_response(socket))["status"] == "completed"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("garbage", None),
        ("[]", None),
        ('{"model": "gpt-5"}', "type"),
        ('{"type": "response.cancel"}', "type"),
        ('{"type": "response.create", "generate": "no"}', "generate"),
        ('{"type": "response.create", "stream_id": ""}', "stream_id"),
        ('{"type": "response.steer", "input": "x"}', "previous_response_id"),
        (b'{"type": "response.create", "model": "gpt-5", "input": "hi"}', None),
        ("[" * 100_000, None),
        ('{"type": "response.create", "input": ' + "[" * 100_000, None),
    ],
    ids=["text", "list", "no_type", "type", "generate", "stream_id", "steer", "binary", "deep", "deep_input"],
)
async def test_a_message_that_is_none_is_an_error_and_the_connection_goes_on(
    proxy: RunningProxy, message: str | bytes, param: str | None
) -> None:
    async with socket_of(proxy) as socket:
        await socket.send(message)
        error = await receive(socket)
        assert (error["type"], error["status"], error["error"]["param"]) == ("error", 400, param)
        await create(socket)
        assert (await receive_response(socket))["status"] == "completed"


@pytest.mark.parametrize("character", ["x", "€"])
async def test_a_message_that_is_too_large_is_refused_and_not_kept(
    start_proxy: ProxyStarter, simulation: RunningSimulation, character: str
) -> None:
    settings = settings_with_store(simulation.base_url, ":memory:", limits={"max_request_bytes": 100_000})
    async with start_proxy(REVERSE, settings=settings) as proxy, socket_of(proxy) as socket:
        for size in (99_000, 100_000, 3_000_000):
            await create(socket, character * (size // len(character.encode())))
            answer = await receive(socket)
            if size < 100_000:
                assert answer["type"] == "response.created"
                while (await receive(socket))["type"] != "response.completed":
                    pass
            else:
                assert (answer["status"], answer["error"]["code"]) == (413, "request_too_large")
        await create(socket)
        assert (await receive_response(socket))["status"] == "completed"


async def test_a_message_in_pieces_is_one_message(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as socket:
        text = json.dumps({"type": "response.create", "model": "gpt-5", "input": "Grüße 🎉" * 2000}, ensure_ascii=False)

        async def pieces() -> AsyncIterator[str]:
            for start in range(0, len(text), 7001):
                yield text[start : start + 7001]

        await socket.send(pieces())
        assert (await receive_response(socket))["status"] == "completed"


@VIEWS
async def test_a_client_that_closes_everything_in_one_breath_has_its_socket_closed(proxy: RunningProxy) -> None:
    handshake = (
        b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    creating = encode_frame(
        RawFrame(1, b'{"type": "response.create", "model": "gpt-5", "input": "hi", "store": false}')
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(handshake)
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(creating * 2 + encode_frame(RawFrame(8, b"\x03\xe8")))
    writer.write_eof()
    async with asyncio.timeout(60):
        assert await reader.read() == b"\x88\x02\x03\xe8"
    writer.close()


@VIEWS
async def test_frames_that_are_none_close_the_connection(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as socket:
        with_a_reserved_bit = b"\xc1\x82" + bytes(4) + b"hi"
        socket.transport.write(with_a_reserved_bit)
        assert await receive_to_the_end(socket) == ([], 1002)


async def test_a_client_that_floods_is_closed(start_proxy: ProxyStarter, simulation: RunningSimulation) -> None:
    settings = settings_with_store(simulation.base_url, ":memory:", limits={"max_request_bytes": 50_000})
    async with start_proxy(REVERSE, settings=settings) as proxy, socket_of(proxy) as socket:
        ping = b"\x89\x80" + bytes(4)
        socket.transport.write(ping * 10_000)
        _, code = await receive_to_the_end(socket)
        assert code == 1008


async def test_steering_is_refused_with_its_own_event(proxy: RunningProxy) -> None:
    def steer(response_id: str) -> str:
        return json.dumps({"type": "response.steer", "previous_response_id": response_id, "input": "Shorter."})

    async with socket_of(proxy) as socket:
        await socket.send(steer("resp_nobody"))
        failed = await receive(socket)
        assert failed["type"] == "response.steer.failed"
        assert failed["error"]["code"] == "response_not_found"
        assert failed["steer"] == {"previous_response_id": "resp_nobody", "input": "Shorter."}
        await create(socket, SLOW)
        events = [await receive(socket)]
        await socket.send(steer(events[0]["response"]["id"]))
        while events[-1]["type"] != "response.completed":
            events.append(await receive(socket))
        [failed] = [event for event in events if event["type"] == "response.steer.failed"]
        assert failed["error"]["code"] == "steering_not_supported"
        check_stream([event for event in events if event is not failed])
        await socket.send(steer(events[0]["response"]["id"]))
        assert (await receive(socket))["error"]["code"] == "response_already_completed"


# The life of a connection.


@pytest.mark.parametrize("politely", [True, False], ids=["close_frame", "cut"])
async def test_a_client_that_leaves_ends_the_calls_to_claude(start_proxy: ProxyStarter, politely: bool) -> None:
    async def silent_after_the_first_event(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())

    async with raw_upstream(silent_after_the_first_event) as upstream:
        settings = settings_with_store(upstream.base_url, ":memory:")
        async with start_proxy(REVERSE, settings=settings) as proxy:
            async with socket_of(proxy) as socket:
                for stream_id in ("a", "b"):
                    await create(socket, stream_id=stream_id)
                calls = [await upstream.call(0), await upstream.call(1)]
                await receive(socket)
                with capture_logs() as logs:
                    if politely:
                        await socket.close()
                    else:
                        socket.transport.abort()
                    for call in calls:
                        await within(0.5, call.hung_up.wait())
                    while proxy.running:
                        await asyncio.sleep(0.002)
    assert [entry["outcome"] for entry in logs if entry["event"] == "exchange"] == ["client_left"] * 3


@VIEWS
async def test_the_simulated_claude_sees_that_the_client_left(
    proxy: RunningProxy, simulation: RunningSimulation
) -> None:
    async with client_of(proxy, way="https_proxy") as client:
        async with client.responses.connect() as connection:
            await connection.response.create(model="gpt-5", input=SLOW)
            async for event in connection:
                if event.type == "response.output_text.delta":
                    break
        async with asyncio.timeout(60):
            [entry] = [entry for entry in simulation.journal if entry.path == "/v1/messages"]
            while entry.left_after is None:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("keeps_bodies", [True, False], ids=["views", "no_views"])
async def test_a_reader_that_stops_holds_claude_back(start_proxy: ProxyStarter, keeps_bodies: bool) -> None:
    async def flood(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start())
        piece = text_delta("x" * 16_000)
        while True:
            await call.send(piece)

    async with raw_upstream(flood) as upstream:
        settings = settings_with_store(upstream.base_url, ":memory:")
        starting = start_proxy(REVERSE, settings=settings, keeps_bodies=keeps_bodies)
        async with starting as proxy, socket_of(proxy) as socket:
            socket.transport.pause_reading()
            await create(socket)
            call = await upstream.call()
            sent_before = -1
            while call.sent != sent_before:
                sent_before = call.sent
                await asyncio.sleep(0.5)
            assert 0 < sent_before < 32 * 1024 * 1024
            socket.transport.resume_reading()
            assert (await receive(socket))["type"] == "response.created"


async def test_pings_are_answered_and_silence_is_filled_with_them(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    settings = settings_with_store(simulation.base_url, ":memory:", stream={"keep_alive_seconds": 0.1})
    async with start_proxy(REVERSE, settings=settings) as proxy, socket_of(proxy, ping_interval=None) as socket:
        await asyncio.wait_for(await socket.ping("are you there"), 60)
        pings: list[bytes] = []
        protocol = socket.protocol
        receive_frame = protocol.recv_frame

        def count(frame: Frame) -> None:
            if frame.opcode is Opcode.PING:
                pings.append(bytes(frame.data))
            receive_frame(frame)

        protocol.recv_frame = count
        async with asyncio.timeout(60):
            while len(pings) < 3:
                await asyncio.sleep(0.01)
        await create(socket)
        assert (await receive_response(socket))["status"] == "completed"


@VIEWS
async def test_draining_closes_idle_connections_and_lets_responses_end(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as idle, socket_of(proxy) as busy:
        await create(busy, SLOW)
        await receive(busy)
        draining = asyncio.create_task(proxy.addon.drain(10))
        assert await within(1, receive_to_the_end(idle)) == ([], 1001)
        await create(busy, stream_id="late")
        refused = None
        while (event := await receive(busy))["type"] != "response.completed":
            refused = event if event["type"] == "error" else refused
        assert refused is not None
        assert (refused["status"], refused["stream_id"]) == (503, "late")
        assert await within(1, receive_to_the_end(busy)) == ([], 1001)
        await within(2, draining)


@VIEWS
async def test_what_drains_too_long_fails_and_is_closed(proxy: RunningProxy) -> None:
    async with socket_of(proxy) as socket:
        await create(socket, SLOW)
        await receive(socket)
        await proxy.addon.drain(0.1)
        events, code = await receive_to_the_end(socket)
        assert code == 1001
        failed = [event for event in events if event["type"] == "response.failed"]
        assert failed[0]["response"]["error"]["code"] == "shutting_down"


@VIEWS
async def test_a_connection_has_an_end_which_is_told(proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_LIFETIME_SECONDS", 0.3)
    async with socket_of(proxy) as socket:
        await create(socket, SLOW)
        while (await receive(socket))["type"] != "response.completed":
            pass
        [last], code = await receive_to_the_end(socket)
        assert (last["status"], last["error"]["code"]) == (400, "websocket_connection_limit_reached")
        assert code == 1000


@VIEWS
async def test_each_response_and_each_connection_is_one_line_and_one_observation(proxy: RunningProxy) -> None:
    with capture_logs() as logs:
        async with socket_of(proxy) as socket:
            for stream_id in ("a", "b"):
                await create(socket, stream_id=stream_id)
            ended = 0
            while ended < 2:
                ended += (await receive(socket))["type"] == "response.completed"
            await create(socket, previous_response_id="resp_nobody")
            await receive(socket)
        while proxy.running:
            await asyncio.sleep(0.002)
    lines = [(entry["endpoint"], entry["outcome"], entry["status"]) for entry in logs if entry["event"] == "exchange"]
    assert lines == [
        ("responses", "ok", 200),
        ("responses", "ok", 200),
        ("responses", "client_error", 400),
        ("responses_websocket", "ok", 101),
    ]
    async with http_of(proxy) as http:
        metrics = (await http.get("/metrics")).text
    answered = 'endpoint="responses",mode="reverse",outcome="ok",status_class="2xx",stream="true"'
    assert f"claude_proxy_requests_total{{{answered}}} 2.0" in metrics
    assert 'claude_proxy_requests_in_flight{endpoint="responses_websocket"} 0.0' in metrics
    assert 'claude_proxy_requests_in_flight{endpoint="responses"} 0.0' in metrics


# What is no WebSocket here.


@VIEWS
async def test_messages_are_in_the_views_where_there_are_any(
    proxy: RunningProxy, request: pytest.FixtureRequest
) -> None:
    class Watcher:
        messages: list[bytes]

        def websocket_end(self, flow: http.HTTPFlow) -> None:
            assert flow.websocket is not None
            self.messages = [message.content for message in flow.websocket.messages]

    watcher = Watcher()
    proxy.master.addons.add(watcher)
    async with socket_of(proxy) as socket:
        await create(socket)
        await receive_response(socket)
    while proxy.running:
        await asyncio.sleep(0.002)
    if "no_views" in request.node.name:
        assert watcher.messages == []
    else:
        assert json.loads(watcher.messages[0])["type"] == "response.create"
        assert json.loads(watcher.messages[-1])["type"] == "response.completed"


async def test_where_none_is_served_the_answer_is_426(start_proxy: ProxyStarter, simulation: RunningSimulation) -> None:
    settings = settings_with_store(simulation.base_url, ":memory:", stream={"websocket": False})
    async with start_proxy(REVERSE, settings=settings) as proxy:
        with pytest.raises(InvalidStatus) as refused:
            async with socket_of(proxy):
                pass
        assert refused.value.response.status_code == 426
        async with http_of(proxy) as http:
            upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
            assert (await http.get("/v1/responses", headers=upgrade)).status_code == 426
            # The connection goes on to be of use.
            assert (await http.post("/v1/responses", json={"model": "gpt-5", "input": "hi"})).status_code == 200


async def test_where_mitmproxy_knows_no_websockets_the_answer_is_426(
    start_proxy: ProxyStarter, simulation: RunningSimulation
) -> None:
    settings = settings_with_store(simulation.base_url, ":memory:")
    async with start_proxy(REVERSE, settings=settings, websocket=False) as proxy:
        with pytest.raises(InvalidStatus) as refused:
            async with socket_of(proxy):
                pass
        assert refused.value.response.status_code == 426


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 405),
        ({"upgrade": "h2c"}, 405),
        ({"upgrade": "websocket", "sec-websocket-version": "8", "sec-websocket-key": "a"}, 426),
        ({"upgrade": "websocket", "sec-websocket-version": "13"}, 426),
        ({"upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "a" * 22}, 426),
        ({"upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "?" * 24}, 426),
        ({"upgrade": "websocket", "origin": "https://page.example"}, 403),
        ({"upgrade": "websocket", "origin": "null"}, 403),
        ({"upgrade": "websocket", "origin": "http://[::1"}, 403),
    ],
    ids=["none", "h2c", "version", "key", "short_key", "no_key", "page", "no_page", "no_origin"],
)
async def test_what_asks_for_no_websocket_gets_none(proxy: RunningProxy, headers: dict[str, str], status: int) -> None:
    async with http_of(proxy) as http:
        response = await http.get("/v1/responses", headers={"connection": "upgrade", **headers})
        assert (response.status_code, response.headers.get("allow")) == (status, "POST" if status == 405 else None)


@pytest.mark.parametrize(
    ("line", "connection"),
    [
        ("GET /v1/responses HTTP/1.1", ""),
        ("GET /v1/responses HTTP/1.1", "connection: keep-alive\r\n"),
        ("GET /v1/responses HTTP/1.0", "connection: upgrade\r\n"),
        ("HEAD /v1/responses HTTP/1.1", "connection: upgrade\r\n"),
    ],
    ids=["through_a_proxy", "other_option", "http10", "head"],
)
async def test_nobody_gets_a_websocket_on_a_connection_that_cannot_become_one(
    proxy: RunningProxy, line: str, connection: str
) -> None:
    key = "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(f"{line}\r\nhost: x\r\n{connection}upgrade: websocket\r\n{key}\r\n".encode())
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert head.split()[1] == b"405"


async def test_http2_has_no_upgrade(start_proxy: ProxyStarter, simulation: RunningSimulation) -> None:
    settings = settings_with_store(simulation.base_url, ":memory:")
    mode = "reverse:https://standalone.claude-proxy.invalid@127.0.0.1:0"
    async with start_proxy(mode, settings=settings) as proxy:
        trusted = ssl.create_default_context(cafile=str(proxy.ca))
        trusted.check_hostname = False
        async with httpx2.AsyncClient(http2=True, verify=trusted, trust_env=False, timeout=60) as client:
            headers = {"sec-websocket-version": "13", "sec-websocket-key": "a"}
            response = await client.get(f"https://127.0.0.1:{proxy.port}/v1/responses", headers=headers)
            assert (response.http_version, response.status_code) == ("HTTP/2", 405)

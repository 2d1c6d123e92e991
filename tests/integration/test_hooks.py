"""Hooks of the few addons that `claude-proxy` has, and what goes out in one write."""

import asyncio
import json
import ssl

import httpx2
import pytest
from mitmproxy import http
from mitmproxy.master import Master

from addon.simulated_claude.server import RunningSimulation
from tests.integration.running_proxy import ProxyStarter

REVERSE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()


def ask(*, stream: bool) -> bytes:
    body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    return head.encode() + body


async def answer_to(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


class Waiting:
    """Holds the requests up whose path says so."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.waits = asyncio.Event()

    async def request(self, flow: http.HTTPFlow) -> None:
        if flow.request.path.endswith("?wait"):
            self.waits.set()
            await self.go_on.wait()


class WriteLog:
    """Notes what is written to clients, and which hooks are tasks."""

    def __init__(self, master: Master) -> None:
        self._master = master
        self.writes: list[bytes] = []
        self.hook_tasks: list[str] = []

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        handler = self._master.addons.get("proxyserver").connections[flow.client_conn.id]
        writer = handler.transports[flow.client_conn].writer
        write = writer.write

        def note(data: bytes) -> None:
            self.writes.append(bytes(data))
            write(data)

        writer.write = note

    def request(self, _flow: http.HTTPFlow) -> None:
        self.hook_tasks += [name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("handle_hook")]


class Emptying:
    """Takes the body out of each answer."""

    def response(self, flow: http.HTTPFlow) -> None:
        if flow.response:
            flow.response.content = b""


class Counting:
    """Counts the requests."""

    requests = 0

    def requestheaders(self, _flow: http.HTTPFlow) -> None:
        self.requests += 1


class Correcting:
    """Takes a header away that clients send by mistake."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        flow.request.headers.pop("content-encoding", None)


class Swallowing:
    """Lets nothing of a streamed answer through."""

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        if flow.response and flow.response.stream:
            flow.response.stream = lambda _data: []


class Answering:
    """Answers requests by their heads, and notes what mitmproxy shows of all."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.failed = 0

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        if "answer" in flow.request.headers:
            flow.response = http.Response.make(418, b"by another addon", {"x-answered-by": "another"})

    def response(self, flow: http.HTTPFlow) -> None:
        self.urls.append(flow.request.pretty_url)

    def error(self, _flow: http.HTTPFlow) -> None:
        self.failed += 1


@pytest.mark.parametrize("full", [True, False], ids=["in-mitmdump", "in-our-own-master"])
@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
async def test_what_an_addon_answers_that_is_asked_after_ours_is_sent(
    start_proxy: ProxyStarter,
    simulation: RunningSimulation,
    caplog: pytest.LogCaptureFixture,
    full: bool,
    http2: bool,
) -> None:
    answering, body = Answering(), {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi" * 100_000}]}
    async with start_proxy("regular@127.0.0.1:0", full=full, keeps_bodies=full) as proxy:
        proxy.master.addons.add(answering)
        async with httpx2.AsyncClient(
            proxy=f"http://127.0.0.1:{proxy.port}",
            verify=ssl.create_default_context(cafile=str(proxy.ca)),
            http1=not http2,
            http2=http2,
            trust_env=False,
        ) as client:
            chat, models = "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/models"
            for _ in range(2):
                for asked in (
                    client.post(chat, json=body, headers={"answer": "1"}),
                    client.get(models, headers={"answer": "1"}),
                ):
                    answer = await asked
                    assert (answer.status_code, answer.content) == (418, b"by another addon")
                    assert answer.headers["x-answered-by"] == "another"
                assert (await client.post(chat, json=body)).status_code == 200, "on the same connection"
        assert answering.urls == [chat, models, chat] * 2
        assert answering.failed == 0
        assert proxy.addon._exchanges == {}
    assert [entry.path for entry in simulation.journal if entry.path == "/v1/messages"] == ["/v1/messages"] * 2
    assert "mitmproxy has crashed!" not in caplog.text


async def test_a_hook_that_waits_holds_its_own_request_up_alone(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        waiting = Waiting()
        proxy.master.addons.add(waiting)
        first = asyncio.create_task(answer_to(proxy.port, get("/health?wait")))
        await asyncio.wait_for(waiting.waits.wait(), 60)
        assert b" 200 OK" in await answer_to(proxy.port, get("/health"))
        assert not first.done()
        waiting.go_on.set()
        assert b" 200 OK" in await first


async def test_hooks_that_are_done_at_once_are_no_tasks(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        log = WriteLog(proxy.master)
        proxy.master.addons.add(log)
        assert b" 200 OK" in await answer_to(proxy.port, ask(stream=True))
        assert log.hook_tasks == []


async def test_the_headers_that_count_are_those_that_other_addons_leave(start_proxy: ProxyStarter) -> None:
    mistaken = ask(stream=False).replace(b"content-length", b"content-encoding: gzip\r\ncontent-length")
    async with start_proxy(REVERSE) as proxy:
        assert b" 400 " in await answer_to(proxy.port, mistaken)
        proxy.master.addons.add(Correcting())
        assert b" 200 OK" in await answer_to(proxy.port, mistaken)


async def test_a_whole_answer_is_one_write(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        log = WriteLog(proxy.master)
        proxy.master.addons.add(log)
        answer = await answer_to(proxy.port, ask(stream=False))
        assert log.writes == [answer]


async def test_the_head_of_a_stream_goes_out_with_the_first_chunk(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        log = WriteLog(proxy.master)
        proxy.master.addons.add(log)
        await answer_to(proxy.port, ask(stream=True))
        assert log.writes[0].startswith(b"HTTP/1.1 200 OK")
        assert b"\r\n\r\n" in log.writes[0]
        assert b"\r\ndata: {" in log.writes[0]


async def test_a_head_goes_out_where_another_addon_keeps_all_chunks_back(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        proxy.master.addons.add(Swallowing())
        head, _, rest = (await answer_to(proxy.port, ask(stream=True))).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert rest == b"0\r\n\r\n"


async def test_a_head_goes_out_where_another_addon_empties_the_answer(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        proxy.master.addons.add(Emptying())
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        try:
            for _ in range(2):  # the connection goes on
                writer.write(ask(stream=False).replace(b"connection: close\r\n", b""))
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
                assert head.startswith(b"HTTP/1.1 200 OK")
                assert b"content-length: 0\r\n" in head.lower()
        finally:
            writer.close()


async def test_requests_that_come_in_one_read_hold_nobody_else_up(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        counting = Counting()
        proxy.master.addons.add(counting)
        refused = b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n"
        number = 60_000 // len(refused)
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        most_in_one_turn = 0
        try:
            writer.write(refused * number)
            async with asyncio.timeout(60):
                while counting.requests < number:
                    before = counting.requests
                    await asyncio.sleep(0)
                    most_in_one_turn = max(most_in_one_turn, counting.requests - before)
        finally:
            writer.close()
        assert most_in_one_turn < 10


class Errors:
    """Notes the flows that failed."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def error(self, flow: http.HTTPFlow) -> None:
        self.messages.append(flow.error.msg if flow.error else "")


async def test_a_hook_that_waits_outlives_its_client_and_the_flow_has_failed(start_proxy: ProxyStarter) -> None:
    async with start_proxy(REVERSE) as proxy:
        waiting, errors = Waiting(), Errors()
        proxy.master.addons.add(waiting, errors)
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(get("/health?wait"))
        await asyncio.wait_for(waiting.waits.wait(), 60)
        writer.close()
        connections = proxy.master.addons.get("proxyserver").connections
        async with asyncio.timeout(60):
            while connections:
                await asyncio.sleep(0.01)
        waiting.go_on.set()
        async with asyncio.timeout(60):
            while not errors.messages:
                await asyncio.sleep(0.01)
        assert errors.messages == ["Client disconnected."]
        assert not proxy.addon._exchanges

"""The end of a proxy that is busy: not ready at once, nothing new, and running streams end or say why they do not."""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from tests.integration.raw_upstream import Call, begun_answer, message_end, raw_upstream, text_delta
from tests.integration.serving_process import ROOT, serving_process
from tests.reserved_ports import reserved_port

STREAMS = 200
PATHS = ("/v1/chat/completions", "/v1/responses", "/v1/completions")


class Client:
    """One connection, whose answers are read as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def ask(self, path: str = "/v1/chat/completions") -> None:
        named: dict[str, object] = {"messages": [{"role": "user", "content": "hi"}]}
        if not path.endswith("/chat/completions"):
            named = {"input": "hi"} if path.endswith("/responses") else {"prompt": "hi"}
        body = json.dumps({"model": "gpt-4o", "stream": True, **named}).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)

    async def get(self, path: str) -> bytes:
        self.writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head + await self.reader.readexactly(length)


type Connect = Callable[[int], Awaitable[Client]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with contextlib.AsyncExitStack() as opened:

        async def open_client(port: int) -> Client:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.callback(writer.close)
            return Client(reader, writer)

        yield open_client


async def endless(call: Call) -> None:
    await call.send(begun_answer("Once"))


@pytest.mark.parametrize("workers", [1, 2])
async def test_streams_that_do_not_end_in_time_are_told_and_the_status_is_0(
    connect: Connect, tmp_path: Path, workers: int
) -> None:
    async with raw_upstream(endless) as upstream:
        async with serving_process(
            upstream.base_url, tmp_path, "--drain-timeout", "2", "--workers", str(workers)
        ) as proxy:
            clients = [await connect(proxy.port) for _ in range(STREAMS)]
            for number, client in enumerate(clients):
                client.ask(PATHS[number % 3])
            await asyncio.gather(*(client.reader.readuntil(b"Once") for client in clients))
            proxy.process.terminate()
            started = time.monotonic()
            rests = await asyncio.gather(*(client.reader.read() for client in clients))
            assert await proxy.process.wait() == 0
            assert time.monotonic() - started > 1.5
            assert [line["outcome"] for line in proxy.events("exchange")] == ["cut"] * STREAMS
    for number, rest in enumerate(rests):
        assert b"shutting down" in rest
        assert b"[DONE]" not in rest
        assert rest.endswith(b"\r\n0\r\n\r\n")
        if PATHS[number % 3] == "/v1/responses":
            assert b"event: response.failed" in rest or b"event: error" in rest
        else:
            assert b'data: {"error":{' in rest


async def test_the_end_is_announced_then_refused_and_a_running_stream_is_finished(
    connect: Connect, tmp_path: Path
) -> None:
    goes_on = asyncio.Event()

    async def paused(call: Call) -> None:
        await call.send(begun_answer("Once"))
        await goes_on.wait()
        await call.send(text_delta(" more") + message_end())

    async with raw_upstream(paused) as upstream:
        async with serving_process(
            upstream.base_url, tmp_path, "--drain-timeout", "30", CLAUDE_PROXY_DRAIN_DELAY="2"
        ) as proxy:
            running, idle = await connect(proxy.port), await connect(proxy.port)
            running.ask()
            await running.reader.readuntil(b"Once")
            assert (await idle.get("/health/ready")).startswith(b"HTTP/1.1 200")
            proxy.process.terminate()
            await until_not_ready(idle)
            # For the delay, it only says so: whoever has not heard of it is answered.
            late = await connect(proxy.port)
            assert (await late.get("/v1/responses/resp_none")).startswith(b"HTTP/1.1 404")
            await until_refused(proxy.port)
            refused = await idle.get("/v1/models")
            assert refused.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 1" in refused.lower()
            assert b"connection: close" in refused.lower()
            assert await idle.reader.read() == b""
            assert (await late.get("/health")).startswith(b"HTTP/1.1 200")
            goes_on.set()
            rest = await running.reader.readuntil(b"[DONE]")
            assert b" more" in rest
            assert await proxy.process.wait() == 0
            [draining] = proxy.events("draining")
            assert (draining["running"], draining["seconds"]) == (1, 30)


async def until_not_ready(client: Client) -> None:
    async with asyncio.timeout(60):
        while not (await client.get("/health/ready")).startswith(b"HTTP/1.1 503"):
            await asyncio.sleep(0.02)


async def until_refused(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                continue  # it was in the queue of the socket that closed
            writer.close()
            await asyncio.sleep(0.05)


async def test_a_second_signal_does_not_wait(connect: Connect, tmp_path: Path) -> None:
    async with raw_upstream(endless) as upstream:
        async with serving_process(upstream.base_url, tmp_path, "--drain-timeout", "600") as proxy:
            client = await connect(proxy.port)
            client.ask()
            await client.reader.readuntil(b"Once")
            proxy.process.send_signal(signal.SIGTERM)
            await until_refused(proxy.port)
            proxy.process.send_signal(signal.SIGTERM)
            assert b"shutting down" in await asyncio.wait_for(client.reader.read(), 60)
            assert await asyncio.wait_for(proxy.process.wait(), 60) == 0


async def test_a_client_in_the_middle_of_its_request_is_told_at_once(connect: Connect, tmp_path: Path) -> None:
    async with (
        raw_upstream(endless) as upstream,
        serving_process(upstream.base_url, tmp_path, "--drain-timeout", "600") as proxy,
    ):
        client = await connect(proxy.port)
        client.writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
        await asyncio.sleep(0.2)
        proxy.process.send_signal(signal.SIGTERM)
        told = await asyncio.wait_for(client.reader.read(), 60)
        assert told.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nretry-after: 1\r\n" in told
        assert b"shutting_down" in told
        assert await asyncio.wait_for(proxy.process.wait(), 60) == 0
        [exchange] = proxy.events("exchange")
        assert (exchange["status"], exchange["code"], exchange["outcome"]) == (503, "shutting_down", "cut")
        assert upstream.calls == []


async def test_settings_that_are_read_again_and_again_disturb_no_answer(connect: Connect, tmp_path: Path) -> None:
    async def slow(call: Call) -> None:
        await call.send(begun_answer("Once"))
        for _ in range(20):
            await asyncio.sleep(0.05)
            await call.send(text_delta(" more"))
        await call.send(message_end())

    async with raw_upstream(slow) as upstream, serving_process(upstream.base_url, tmp_path) as proxy:
        client = await connect(proxy.port)
        client.ask()
        await client.reader.readuntil(b"Once")
        for _ in range(20):
            proxy.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.05)
        answer = await asyncio.wait_for(client.reader.readuntil(b"data: [DONE]"), 60)
        assert answer.count(b" more") == 20
        await proxy.event("settings_reloaded")


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_reload_meanwhile_changes_nothing_of_the_end(connect: Connect, tmp_path: Path, workers: int) -> None:
    goes_on = asyncio.Event()

    async def paused(call: Call) -> None:
        await call.send(begun_answer("Once"))
        await goes_on.wait()
        await call.send(text_delta(" more") + message_end())

    config = tmp_path / "config.json"
    config.write_text(json.dumps({"server": {"drain_timeout": 600, "workers": workers}}))
    async with raw_upstream(paused) as upstream:
        async with serving_process(upstream.base_url, tmp_path) as proxy:
            client = await connect(proxy.port)
            client.ask()
            await client.reader.readuntil(b"Once")
            proxy.process.terminate()
            await until_refused(proxy.port)
            config.write_text(
                json.dumps({"server": {"drain_timeout": 1, "workers": workers}, "claude": {"aliases": {"a": "b"}}})
            )
            proxy.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(2)
            goes_on.set()
            assert b" more" in await client.reader.readuntil(b"[DONE]")
            proxy.process.send_signal(signal.SIGHUP)
            assert await asyncio.wait_for(proxy.process.wait(), 60) == 0


async def test_mitmdump_drains_too(connect: Connect, tmp_path: Path, confdir: Path) -> None:
    async with raw_upstream(endless) as upstream, contextlib.AsyncExitStack() as stack:
        port = stack.enter_context(reserved_port())
        command = ["-s", str(ROOT / "addon/main.py"), "--set", f"confdir={confdir}", "--set", "claude_drain_timeout=1"]
        environment = {
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "ANTHROPIC_API_KEY": "sk-ant-test-key",
            "ANTHROPIC_BASE_URL": upstream.base_url,
            "PYTHONUNBUFFERED": "1",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from mitmproxy.tools.main import mitmdump; mitmdump()",
            *command,
            "--mode",
            f"reverse:http://standalone.claude-proxy.invalid@127.0.0.1:{port}",
            env=environment,
            cwd=tmp_path,
            stdout=asyncio.subprocess.DEVNULL,
        )
        await until_healthy(port)
        client = await connect(port)
        client.ask()
        await client.reader.readuntil(b"Once")
        process.terminate()
        await until_refused(port)
        rest = await asyncio.wait_for(client.reader.read(), 60)
        assert b"shutting down" in rest
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def until_healthy(port: int) -> None:
    async with asyncio.timeout(150), httpx2.AsyncClient(trust_env=False) as client:
        while True:
            try:
                if (await client.get(f"http://127.0.0.1:{port}/health")).status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            await asyncio.sleep(0.1)

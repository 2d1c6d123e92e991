"""A process that may open no more files and sockets: what runs goes on, what is new is refused, and it recovers."""

import asyncio
import resource
from pathlib import Path

from tests.faults.encodings import TRANSLATED
from tests.faults.http1_client import Http1Client, Received
from tests.integration.raw_upstream import EVENTS_HEAD, Call, message_end, message_start, raw_upstream, text_delta
from tests.integration.serving_process import ServingProcess, serving_process

CLIENTS = 40
ROOM = 10
"""Descriptors that are left for them: one for each client, one for its call."""
STREAMED, WHOLE = TRANSLATED[0], TRANSLATED[1]


def descriptors(proxy: ServingProcess) -> int:
    return len(list(Path(f"/proc/{proxy.process.pid}/fd").iterdir()))


async def test_when_descriptors_run_out_streams_go_on_and_the_process_recovers(tmp_path: Path) -> None:
    goes_on = asyncio.Event()

    async def paused(call: Call) -> None:
        await call.send(EVENTS_HEAD + message_start() + text_delta("Once"))
        await goes_on.wait()
        await call.send(text_delta(" more") + message_end())

    async with raw_upstream(paused) as upstream, serving_process(upstream.base_url, tmp_path) as proxy:
        running = await Http1Client.connect(proxy.port)
        running.send(STREAMED.path, STREAMED.body)
        await running.reader.readuntil(b"Once")
        before = descriptors(proxy)
        _, most = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (before + ROOM, most))
        clients = [await Http1Client.connect(proxy.port) for _ in range(CLIENTS)]
        for client in clients:
            client.send(WHOLE.path, WHOLE.body)
        received = await asyncio.gather(*map(receive_if_answered, clients))
        answered = [each for each in received if each is not None]
        # Who was accepted cannot be answered for want of a connection to Claude, the others are turned away at once.
        assert 0 < len(answered) <= ROOM
        for each in answered:
            WHOLE.check_error(each, 502, "server_error", "upstream_unreachable")
        assert len(upstream.calls) == 1
        goes_on.set()
        rest = await asyncio.wait_for(running.reader.readuntil(b"[DONE]"), 10)
        assert b" more" in rest
        for client in clients:
            await client.close()
        await until_closed(proxy, before)
        # Still with as little room as before: whoever comes now is answered.
        last = await Http1Client.connect(proxy.port)
        assert WHOLE.text(await last.ask(WHOLE.path, WHOLE.body)) == "Once more"
        for client in (running, last):
            await client.close()
        await until_closed(proxy, before)
        assert len(proxy.events("exchange")) == len(answered) + 2
        assert proxy.process.returncode is None


async def receive_if_answered(client: Http1Client) -> Received | None:
    try:
        return await client.receive()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def until_closed(proxy: ServingProcess, count: int) -> None:
    async with asyncio.timeout(10):
        while descriptors(proxy) > count:
            await asyncio.sleep(0.02)

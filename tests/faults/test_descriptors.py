"""A process that may open no more files and sockets: what runs goes on, what is new is refused, and it recovers."""

import asyncio
import itertools
import resource
from pathlib import Path

from tests.faults.encodings import STREAMED, WHOLE
from tests.faults.http1_client import Http1Client, Received
from tests.integration.raw_upstream import Call, begun_answer, message_end, raw_upstream, text_delta
from tests.integration.serving_process import ServingProcess, serving_process

CLIENTS = 40
ROOM = 10
"""Descriptors that are left for them: one for each client, one for its call."""


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_when_descriptors_run_out_streams_go_on_and_the_process_recovers(tmp_path: Path) -> None:
    goes_on = asyncio.Event()
    calls = itertools.count()

    async def answer(call: Call) -> None:
        is_first = next(calls) == 0
        await call.send(begun_answer("Once"))
        if is_first:
            await goes_on.wait()
        await call.send(text_delta(" more") + message_end())

    async with raw_upstream(answer) as upstream, serving_process(upstream.base_url, tmp_path) as proxy:
        running = await Http1Client.connect(proxy.port)
        running.send(STREAMED[0].path, STREAMED[0].body)
        await running.reader.readuntil(b"Once")
        before = descriptors(proxy.process.pid)
        _, most = resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(proxy.process.pid, resource.RLIMIT_NOFILE, (before + ROOM, most))
        clients = [await Http1Client.connect(proxy.port) for _ in range(CLIENTS)]
        for client, encoding in zip(clients, itertools.cycle(WHOLE)):
            client.send(encoding.path, encoding.body)
        received = await asyncio.gather(*map(receive_if_answered, clients))
        answered = [(each, way) for each, way in zip(received, itertools.cycle(WHOLE)) if each is not None]
        # Who was accepted may find no descriptor for a connection to Claude, the others are turned away at once.
        assert 0 < len(answered) <= ROOM
        for each, encoding in answered:
            if each.status == 200:
                assert encoding.text(each) == "Once more"
            else:
                encoding.check_error(each, 502, "server_error", "upstream_unreachable")
        # Connections to Claude are kept for the next requests.
        kept = sum(each.status == 200 for each, _ in answered)
        goes_on.set()
        rest = await asyncio.wait_for(running.reader.readuntil(b"[DONE]"), 60)
        assert b" more" in rest
        for client in clients:
            await client.close()
        await until_closed(proxy, before + kept)
        # Still with as little room as before: whoever comes now is answered.
        last = await Http1Client.connect(proxy.port)
        for encoding in WHOLE:
            assert encoding.text(await last.ask(encoding.path, encoding.body)) == "Once more"
        for client in (running, last):
            await client.close()
        await until_closed(proxy, before + kept)
        await proxy.event("exchange", len(answered) + len(WHOLE))  # a line may come after its answer
        exchanges = proxy.events("exchange")
        assert len(exchanges) == len(answered) + 1 + len(WHOLE)
        assert {line["cause"] for line in exchanges if line["status"] != 200} <= {"OSError: Too many open files"}
        assert proxy.process.returncode is None


async def receive_if_answered(client: Http1Client) -> Received | None:
    try:
        return await client.receive()
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def until_closed(proxy: ServingProcess, count: int) -> None:
    async with asyncio.timeout(60):
        while descriptors(proxy.process.pid) > count:
            await asyncio.sleep(0.02)

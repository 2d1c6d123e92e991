"""A process of its own whose clients speak HTTP/2, many streams on a connection: it ends, it is out of descriptors."""

import asyncio
import contextlib
import os
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.contract.proxy_process import ProxyProcess, proxy_process
from tests.faults.encodings import STREAMED, WHOLE
from tests.faults.http2_client import Http2Client
from tests.faults.test_descriptors import descriptors
from tests.integration.raw_upstream import Call, begun_answer, message_end, raw_upstream, text_delta
from tests.lived_time import within

CONNECTIONS = 4
STREAMS_EACH = 50
ROOM = 5
"""Descriptors that are left: a stream needs one, for its call."""

SLOW_ADDON = """
import asyncio

async def response(flow):
    await asyncio.sleep(0.3)
"""
"""The end of an answer is sent after this hook."""


@contextlib.asynccontextmanager
async def mitmdump(
    confdir: Path, folder: Path, claude_url: str, *arguments: str, **environment: str
) -> AsyncIterator[ProxyProcess]:
    given = {"CLAUDE_PROXY_STORE_PATH": ":memory:", "CLAUDE_PROXY_MAX_RETRIES": "0", **environment}
    starting = proxy_process(confdir, folder / "output", claude_url, *arguments, environment=given)
    proxy = await asyncio.to_thread(starting.__enter__)
    try:
        yield proxy
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)


@pytest.mark.parametrize("beside", ["", SLOW_ADDON], ids=["alone", "beside_a_slow_addon"])
async def test_200_streams_that_do_not_end_in_time_are_told_and_ended_when_the_process_ends(
    confdir: Path, tmp_path: Path, beside: str
) -> None:
    script = tmp_path / "beside.py"
    script.write_text(beside)

    async def endless(call: Call) -> None:
        await call.send(begun_answer("Once upon"))

    async with (
        raw_upstream(endless) as upstream,
        mitmdump(confdir, tmp_path, upstream.base_url, "-s", str(script), CLAUDE_PROXY_DRAIN_TIMEOUT="2") as proxy,
    ):
        clients = [await Http2Client.connect_through(proxy.ports["regular"], proxy.ca) for _ in range(CONNECTIONS)]
        for client in clients:
            for number in range(STREAMS_EACH):
                encoding = STREAMED[number % len(STREAMED)]
                client.send(encoding.path, encoding.body)
        for client in clients:
            await client.receive_until(b"Once upon")
        os.kill(proxy.pid, signal.SIGTERM)
        for client in clients:
            for _ in range(STREAMS_EACH):
                received = await client.receive()
                assert received.status == 200
                assert received.is_whole
                assert b'"code":"shutting_down"' in received.body
                assert b"[DONE]" not in received.body
            await client.close()
        for call in upstream.calls:
            await within(5, call.hung_up.wait())


async def test_when_descriptors_run_out_streams_that_need_one_are_refused_and_others_go_on(
    confdir: Path, tmp_path: Path
) -> None:
    goes_on = asyncio.Event()

    async def paused(call: Call) -> None:
        await call.send(begun_answer("Once"))
        await goes_on.wait()
        await call.send(text_delta(" more") + message_end())

    async with (
        raw_upstream(paused) as upstream,
        mitmdump(confdir, tmp_path, upstream.base_url) as proxy,
    ):
        client = await Http2Client.connect_through(proxy.ports["regular"], proxy.ca)
        running, whole = STREAMED[0], WHOLE[0]
        client.send(running.path, running.body)
        await client.receive_until(b"Once")
        used = descriptors(proxy.pid)
        limits = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (used + ROOM, limits[1]))
        asked = [WHOLE[number % len(WHOLE)] for number in range(20)]
        for encoding in asked:
            client.send(encoding.path, encoding.body)
        async with asyncio.timeout(60):  # until each is at Claude, beside the first one, or is refused
            while len(upstream.calls) - 1 + proxy.printed().count('"code":"upstream_unreachable"') < len(asked):
                await asyncio.sleep(0.05)
        goes_on.set()
        assert running.text(await client.receive()) == "Once more"
        refused = 0
        for encoding in asked:
            received = await client.receive()
            if received.status == 200:
                assert encoding.text(received) == "Once more"
            else:
                encoding.check_error(received, 502, "server_error", "upstream_unreachable")
                refused += 1
        assert len(asked) - ROOM <= refused < len(asked)
        # With as little room as before, but the calls have ended.
        assert whole.text(await client.ask(whole.path, whole.body)) == "Once more"
        await client.close()

"""The store stops, freezes, fills up, and comes back: who needs it is told, whoever does not is answered.

What is locked, away, taken away or too small is in tests/integration/test_state.py, read-only in
tests/addon/storage/test_sqlite_store.py.
"""

import asyncio
import contextlib
import resource
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from addon.configuration.settings import load_settings
from tests.faults.conftest import REVERSE, WAYS
from tests.faults.faulty_claude import FaultyClaude, faulty_claude
from tests.faults.leftovers import nothing_left
from tests.integration.running_proxy import RunningProxy, run_proxy
from tests.integration.serving_process import serving_process
from tests.lived_time import within
from tests.redis_server import redis_process

ONE_COMMAND_SECONDS = 1.0
"""How long Redis may take here for a command before it counts as away."""

type Process = subprocess.Popen[bytes]


@contextlib.contextmanager
def stopped(process: Process, later: contextlib.ExitStack) -> Iterator[None]:
    """Kill it, and start another one in its place, with nothing in it."""
    process.kill()
    process.wait()
    yield
    another = later.enter_context(subprocess.Popen(process.args, stdout=subprocess.DEVNULL))
    later.callback(another.kill)


@contextlib.contextmanager
def frozen(process: Process, _later: contextlib.ExitStack) -> Iterator[None]:
    """Let it do nothing, with all its connections open."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@pytest.fixture
async def claude() -> AsyncIterator[FaultyClaude]:
    async with faulty_claude() as claude:
        yield claude


class Api:
    """What a client does with stored responses."""

    def __init__(self, http: httpx2.AsyncClient, health: httpx2.AsyncClient | None = None) -> None:
        self.http = http
        self.health = health or http

    async def respond(self, text: str = "hi", **more: Any) -> httpx2.Response:
        return await self.http.post("/v1/responses", json={"model": "gpt-5", "input": text, **more})

    async def chat(self) -> httpx2.Response:
        body = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
        return await self.http.post("/v1/chat/completions", json=body)

    async def complete(self) -> httpx2.Response:
        return await self.http.post("/v1/completions", json={"model": "gpt-5", "prompt": "hi"})

    async def is_ready(self) -> bool:
        return (await self.health.get("/health/ready")).status_code == 200


def http_of(proxy: RunningProxy, way: str) -> httpx2.AsyncClient:
    """Make a client: of the standalone endpoint, or by HTTP/2 of OpenAI's host through the proxy."""
    if way == "http1":
        return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60)
    return httpx2.AsyncClient(
        base_url="https://api.openai.com",
        http1=False,
        http2=True,
        proxy=f"http://127.0.0.1:{proxy.ports[1]}",
        verify=ssl.create_default_context(cafile=str(proxy.ca)),
        timeout=60,
    )


def assert_missed(refused: httpx2.Response) -> None:
    assert refused.status_code == 503
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("server_error", "store_unavailable")
    assert refused.headers["retry-after"] == "1"


def assert_answered_unstored(answered: httpx2.Response) -> None:
    assert answered.json()["status"] == "completed"
    assert "store=ignored" in answered.headers["x-claude-proxy-warnings"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("outage", "longest"), [(stopped, 1.0), (frozen, 4 * ONE_COMMAND_SECONDS)], ids=["stopped", "frozen"]
)
async def test_a_redis_that_stops_is_missed_only_where_state_is_asked_for_until_it_is_back(
    claude: FaultyClaude,
    confdir: Path,
    tmp_path: Path,
    outage: Callable[[Process, contextlib.ExitStack], contextlib.AbstractContextManager[None]],
    longest: float,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("addon.storage.redis_store._TIMEOUT_SECONDS", ONE_COMMAND_SECONDS)
    with redis_process(tmp_path) as (process, url), contextlib.ExitStack() as later:
        settings = load_settings(
            {"claude": {"api_key": "k", "base_url": claude.base_url}, "store": {"redis_url": url, "secret": "s"}}
        )
        async with nothing_left(upstream=claude.upstream):
            async with run_proxy(settings, confdir, REVERSE, "regular") as proxy:
                async with http_of(proxy, way) as http, http_of(proxy, "http1") as health:
                    api = Api(http, health)
                    kept = (await api.respond()).json()
                    assert await api.is_ready()
                    with outage(process, later):
                        assert (await within(1, api.chat())).status_code == 200
                        assert (await within(1, api.complete())).status_code == 200
                        assert (await within(1, api.respond(store=False))).json()["status"] == "completed"
                        for missing in (
                            api.respond(previous_response_id=kept["id"]),
                            http.get(f"/v1/responses/{kept['id']}"),
                        ):
                            assert_missed(await within(longest, missing))
                        assert_answered_unstored(await within(longest, api.respond()))
                        assert not await within(longest, api.is_ready())
                        assert (await health.get("/health")).status_code == 200
                    async with asyncio.timeout(60):
                        while not await api.is_ready():
                            await asyncio.sleep(0.05)
                    again = (await api.respond()).json()
                    assert (await http.get(f"/v1/responses/{again['id']}")).json()["id"] == again["id"]
                    if outage is frozen:
                        assert (await api.respond(previous_response_id=kept["id"])).json()["status"] == "completed"
                assert proxy.running == 0
                assert proxy.addon._exchanges == {}


@contextlib.contextmanager
def files_no_larger_than(size: int, pid: int):
    """Let a process write no file beyond a size: for it, the disk is full."""
    _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))


async def test_a_full_disk_takes_nothing_from_an_answer_and_is_used_again_once_there_is_room(
    claude: FaultyClaude, tmp_path: Path
) -> None:
    async with serving_process(claude.base_url, tmp_path) as proxy:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as http:
            api = Api(http)
            kept = (await api.respond("long text. " * 10_000)).json()
            with files_no_larger_than(100_000, proxy.process.pid):
                assert_answered_unstored(await api.respond("long text. " * 10_000))
                streamed = await api.respond("long text. " * 10_000, stream=True)
                assert "response.completed" in streamed.text
                assert_missed(await api.respond("long text. " * 10_000, background=True))
                # What is there can be read.
                assert await api.is_ready()
                assert (await http.get(f"/v1/responses/{kept['id']}")).status_code == 200
                following = await api.respond(previous_response_id=kept["id"], store=False)
                assert following.json()["status"] == "completed"
                assert (await api.chat()).status_code == 200
                assert (await api.complete()).status_code == 200
            again = await api.respond("long text. " * 10_000)
            assert "x-claude-proxy-warnings" not in again.headers
            assert (await http.get(f"/v1/responses/{again.json()['id']}")).status_code == 200
        reasons = [line["reason"] for line in proxy.events("response_not_stored")]
        assert len(reasons) == 2

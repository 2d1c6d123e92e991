"""The wall clock jumps. What lasts is measured by other clocks; the wall clock says only when things are forgotten.

Of the process's clocks the wall clock alone can jump: `created` times, the store's times to live (SQLite; Redis has its
own clock), dates in `retry-after`. mitmproxy's idle timeout reads it too.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from addon.configuration.settings import load_settings
from addon.storage.sqlite_store import SqliteStore
from addon.storage.store import Key
from tests.faults.conftest import MODES, REVERSE, WAYS, connect
from tests.faults.encodings import TRANSLATED, Encoding, name_of
from tests.faults.faulty_claude import faulty_claude
from tests.faults.leftovers import nothing_left
from tests.faults.logged import exchanges_in
from tests.integration.raw_upstream import (
    EVENTS_HEAD,
    Call,
    Script,
    begun_answer,
    event,
    message_end,
    message_start,
    text_delta,
)
from tests.integration.running_proxy import run_proxy

HOUR = 3600.0
type Jump = Callable[[float], None]


def slowly(between: Callable[[], None]) -> Script:
    """Make an answer in the middle of which something happens, and that is silent for longer than a keep-alive."""

    async def script(call: Call) -> None:
        await call.send(begun_answer("Once"))
        await asyncio.sleep(0.1)
        between()
        for _ in range(8):
            await asyncio.sleep(0.1)
            await call.send(event({"type": "ping"}))
        await call.send(text_delta(" more") + message_end())

    return script


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
@pytest.mark.parametrize("seconds", [-HOUR, HOUR], ids=["back", "ahead"])
async def test_an_answer_goes_on_while_the_clock_jumps(
    jump: Jump, confdir: Path, capsys: pytest.CaptureFixture[str], seconds: float, encoding: Encoding, way: str
) -> None:
    async with faulty_claude() as claude:
        claude.begin(slowly(lambda: jump(seconds)))
        settings = load_settings(
            {
                "claude": {"api_key": "k", "base_url": claude.base_url, "max_retries": 0, "timeout": 3},
                "store": {"path": ":memory:"},
                "stream": {"keep_alive_seconds": 0.2},
            }
        )
        async with run_proxy(settings, confdir, *MODES) as proxy, nothing_left(proxy, claude.upstream):
            client = await connect(proxy, way)
            received = await client.ask(encoding.path, encoding.body)
            assert encoding.text(received) == "Once more"
            assert received.body.count(b": keep-alive") in (range(2, 50) if encoding.stream else (0,))
            assert encoding.text(await client.ask(encoding.path, encoding.body)) == "all is well"
            await client.close()
    first, second = (line["duration"] for line in exchanges_in(capsys))
    assert 0.8 < first < 100
    assert 0 < second < 100


async def test_what_is_stored_is_found_whatever_the_clock_did_within_its_time(
    jump: Jump, confdir: Path, tmp_path: Path
) -> None:
    async with faulty_claude() as claude:
        store = {"path": str(tmp_path / "store.sqlite3"), "seconds_to_live": 2 * HOUR}
        settings = load_settings({"claude": {"api_key": "k", "base_url": claude.base_url}, "store": store})
        async with run_proxy(settings, confdir, REVERSE) as proxy, nothing_left(proxy, claude.upstream):
            async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", timeout=60) as http:
                made = (await http.post("/v1/responses", json={"model": "gpt-5", "input": "hi"})).json()
                url = f"/v1/responses/{made['id']}"
                for seconds in (HOUR, -HOUR, -24 * HOUR, 24 * HOUR):
                    jump(seconds)
                    assert (await http.get(url)).status_code == 200
                jump(3 * HOUR)
                assert (await http.get(url)).status_code == 404


async def test_a_clock_that_was_ahead_for_a_moment_does_not_stop_the_store_from_forgetting(
    jump: Jump, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("addon.storage.sqlite_store._PURGE_SECONDS", 0.1)
    store = SqliteStore(tmp_path / "store.sqlite3", 0.2, 1 << 20)
    jump(24 * HOUR)
    await store.save({Key("response", "", "ahead"): b"x"})
    jump(-24 * HOUR)
    await store.save({Key("response", "", "old"): b"x"})
    await asyncio.sleep(0.4)
    await store.save({Key("response", "", "new"): b"x"})
    await store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite3")) as file:
        assert {name for (name,) in file.execute("SELECT id FROM entries")} == {"ahead", "new"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("encoding", TRANSLATED, ids=name_of)
async def test_an_answer_may_take_longer_than_a_connection_may_be_idle(
    confdir: Path, encoding: Encoding, way: str
) -> None:
    async with faulty_claude() as claude:
        settings = load_settings(
            {"claude": {"api_key": "k", "base_url": claude.base_url}, "store": {"path": ":memory:"}}
        )

        async def long_thought(call: Call) -> None:
            await call.send(EVENTS_HEAD + message_start())
            for _ in range(7):
                await asyncio.sleep(0.2)
                await call.send(event({"type": "ping"}))
            await call.send(text_delta("at last") + message_end())

        claude.begin(long_thought)
        async with run_proxy(settings, confdir, *MODES, tcp_timeout=1) as proxy, nothing_left(proxy, claude.upstream):
            client = await connect(proxy, way)
            assert encoding.text(await client.ask(encoding.path, encoding.body)) == "at last"
            # And then it is idle.
            assert await client.is_closed()
            await client.close()

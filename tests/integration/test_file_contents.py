"""/v1/files/{id}/content: read from the store as its client takes it, piece by piece."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from addon.configuration.settings import Settings
from addon.simulated_claude.server import RunningSimulation
from addon.storage.file_records import FileRecords
from addon.storage.redis_store import RedisStore
from addon.storage.sqlite_store import SqliteStore
from addon.storage.store import PIECE_BYTES, Key, StoreUnavailableError, scope_of
from tests.faults.leftovers import nothing_left
from tests.integration.responses_api import REGULAR, REVERSE, client_of, http_of, settings_with_store, trusting
from tests.integration.running_proxy import ProxyStarter, RunningProxy
from tests.integration.serving_process import serving_process
from tests.integration.test_uploads import resident_bytes

OWNER = scope_of("Bearer sk-one")
KEY = {"authorization": "Bearer sk-one"}
MIB = 2**20
LARGE = 64 * MIB
"""More than the buffers on the way of a client that does not read."""


class Reads:
    """The pieces that are read of a store, counted, and what is to happen before one of them."""

    def __init__(self, store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.failure: tuple[int, Exception] | None = None
        read_piece = store.read_piece

        async def counted(key: Key, start: int) -> bytes:
            self.count += 1
            if self.failure is not None and self.count > self.failure[0]:
                raise self.failure[1]
            piece: bytes = await read_piece(key, start)
            return piece

        monkeypatch.setattr(store, "read_piece", counted)

    async def have_stopped(self) -> int:
        """Wait until none is read any more."""
        async with asyncio.timeout(30):
            before = -1
            while before != self.count or self.count == 0:
                before = self.count
                await asyncio.sleep(0.5)
        return self.count


@pytest.fixture
def settings(simulation: RunningSimulation, tmp_path: Path) -> Settings:
    return settings_with_store(simulation.base_url, tmp_path / "store.sqlite3")


@pytest.fixture(params=[True, False], ids=["in-mitmdump", "in-our-own-master"])
async def proxy(start_proxy: ProxyStarter, request: pytest.FixtureRequest) -> AsyncIterator[RunningProxy]:
    async with start_proxy(REVERSE, REGULAR, full=request.param, keeps_bodies=request.param) as running:
        yield running


@pytest.fixture
def reads(proxy: RunningProxy, monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(store_of(proxy), monkeypatch)


def store_of(proxy: RunningProxy) -> Any:
    assert proxy.addon._gateway is not None
    return proxy.addon._gateway.store


async def make_file(proxy: RunningProxy, content: bytes) -> str:
    made = await FileRecords(store_of(proxy), OWNER).create("a.bin", "user_data", content)
    return str(made["id"])


@contextlib.asynccontextmanager
async def http1_of(proxy: RunningProxy) -> AsyncIterator[httpx2.AsyncClient]:
    async with http_of(proxy) as client:
        yield client


@contextlib.asynccontextmanager
async def http2_of(proxy: RunningProxy) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(
        base_url="https://api.openai.com",
        headers=KEY,
        proxy=f"http://127.0.0.1:{proxy.ports[1]}",
        verify=trusting(proxy.ca),
        http1=False,
        http2=True,
        timeout=60,
        trust_env=False,
    ) as client:
        yield client


WAYS = pytest.mark.parametrize("way", [http1_of, http2_of], ids=["h1", "h2"])


@WAYS
@pytest.mark.parametrize("size", [1, PIECE_BYTES, 5 * MIB + 1], ids=["small", "one-piece", "many"])
async def test_a_file_comes_whole_and_with_its_length(proxy: RunningProxy, way: Any, size: int) -> None:
    content = os.urandom(size)
    file_id = await make_file(proxy, content)
    async with way(proxy) as client:
        for _ in range(2):  # on one connection
            answer = await client.get(f"/v1/files/{file_id}/content")
            assert answer.status_code == 200
            assert answer.content == content
            assert answer.headers["content-length"] == str(size)
            assert answer.headers["content-type"] == "application/octet-stream"
            assert "transfer-encoding" not in answer.headers
            assert answer.headers["x-request-id"].startswith("req_")


async def test_an_http10_client_gets_it_with_its_length(proxy: RunningProxy) -> None:
    content = os.urandom(MIB)
    file_id = await make_file(proxy, content)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(f"GET /v1/files/{file_id}/content HTTP/1.0\r\nauthorization: Bearer sk-one\r\n\r\n".encode())
    async with asyncio.timeout(30):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert f"content-length: {MIB}".encode() in head
    assert body == content


@WAYS
async def test_a_client_that_does_not_read_slows_the_reading_and_ends_it_when_it_leaves(
    proxy: RunningProxy, reads: Reads, way: Any
) -> None:
    file_id = await make_file(proxy, bytes(LARGE))
    async with nothing_left(proxy):
        async with way(proxy) as client, client.stream("GET", f"/v1/files/{file_id}/content") as answer:
            assert answer.status_code == 200
            await reads.have_stopped()
            assert proxy.running == 1
    assert reads.count * PIECE_BYTES < LARGE / 2


@WAYS
async def test_a_client_that_reads_slowly_gets_all_of_it(proxy: RunningProxy, reads: Reads, way: Any) -> None:
    content = os.urandom(LARGE // 2)
    file_id = await make_file(proxy, content)
    received = bytearray()
    async with way(proxy) as client, client.stream("GET", f"/v1/files/{file_id}/content") as answer:
        await reads.have_stopped()
        async for piece in answer.aiter_raw():
            received += piece
    assert received == content
    assert reads.count == LARGE // 2 // PIECE_BYTES


@WAYS
@pytest.mark.parametrize("kind", ["deleted", "store-away"])
async def test_what_is_lost_in_the_middle_breaks_the_answer_off(
    proxy: RunningProxy, reads: Reads, way: Any, kind: str
) -> None:
    file_id = await make_file(proxy, bytes(LARGE))
    async with nothing_left(proxy), way(proxy) as client:
        async with client.stream("GET", f"/v1/files/{file_id}/content") as answer:
            assert answer.status_code == 200
            stopped = await reads.have_stopped()
            if kind == "deleted":
                await FileRecords(store_of(proxy), OWNER).delete(file_id)
            else:
                reads.failure = stopped, StoreUnavailableError("gone")
            with pytest.raises(httpx2.RemoteProtocolError):
                await answer.aread()
        await client.aclose()


async def test_what_fails_before_the_first_piece_is_an_error(proxy: RunningProxy, reads: Reads) -> None:
    file_id = await make_file(proxy, b"content")
    reads.failure = 0, StoreUnavailableError("gone")
    async with client_of(proxy) as client:
        with pytest.raises(openai.InternalServerError) as failure:
            await client.files.content(file_id)
        assert (failure.value.status_code, failure.value.code) == (503, "store_unavailable")
        reads.failure = None
        await store_of(proxy).delete([Key("content", OWNER, file_id)])
        with pytest.raises(openai.NotFoundError, match=f"No such File object: {file_id}"):
            await client.files.content(file_id)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_a_file_is_read_back_in_the_memory_of_a_few_pieces(
    simulation: RunningSimulation, tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    store = {"CLAUDE_PROXY_REDIS_URL": request.getfixturevalue("redis_url")} if kind == "redis" else {}
    async with serving_process(simulation.base_url, tmp_path, **store) as process, http_of(process) as http:
        upload = {"file": ("a.bin", b"content"), "purpose": (None, "user_data")}
        made = (await http.post("/v1/files", files=upload)).json()
        resident = resident_bytes(process.process.pid)
        if kind == "redis":
            opened: Any = RedisStore(store["CLAUDE_PROXY_REDIS_URL"], 1000)
        else:
            opened = SqliteStore(tmp_path / "store.sqlite3", 1000, 1 << 30)
        large = {**made, "bytes": 2 * LARGE}
        await opened.save({Key("content", OWNER, made["id"]): bytes(large["bytes"])})
        await FileRecords(opened, OWNER).listed.put(large)
        await opened.close()
        most, received = 0, 0
        async with http.stream("GET", f"/v1/files/{made['id']}/content") as answer:
            async for piece in answer.aiter_raw(MIB):
                received += len(piece)
                most = max(most, resident_bytes(process.process.pid))
    assert received == large["bytes"]
    assert most - resident < 24 * MIB

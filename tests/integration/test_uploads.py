"""/v1/uploads with the stock client: files that come in parts."""

import asyncio
import hashlib
import io
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from addon.simulated_claude.server import RunningSimulation
from addon.storage.store import StoreUnavailableError
from tests.integration.batch_api import chat, ended, line
from tests.integration.responses_api import client_of, http_of
from tests.integration.running_proxy import RunningProxy
from tests.integration.serving_process import serving_process

MIB = 2**20
CONTENT = bytes(range(256)) * 1000
UPLOAD: dict[str, Any] = {
    "bytes": len(CONTENT),
    "filename": "données.bin",
    "mime_type": "application/octet-stream",
    "purpose": "user_data",
}


def resident_bytes(pid: int) -> int:
    [row] = [row for row in Path(f"/proc/{pid}/status").read_text().splitlines() if row.startswith("VmRSS:")]
    return int(row.split()[1]) * 1024


@pytest.fixture
async def client(proxy: RunningProxy) -> AsyncIterator[openai.AsyncOpenAI]:
    async with client_of(proxy) as made:
        yield made


async def test_parts_that_come_at_once_become_a_file_in_the_order_told(client: openai.AsyncOpenAI) -> None:
    upload = await client.uploads.create(**UPLOAD)
    assert (upload.object, upload.status, upload.bytes) == ("upload", "pending", len(CONTENT))
    assert upload.expires_at == upload.created_at + 3600
    pieces = [CONTENT[start : start + 100_000] for start in range(0, len(CONTENT), 100_000)]
    parts = await asyncio.gather(*(client.uploads.parts.create(upload.id, data=piece) for piece in reversed(pieces)))
    assert {(part.object, part.upload_id) for part in parts} == {("upload.part", upload.id)}
    ids = [part.id for part in reversed(parts)]
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    completed = await client.uploads.complete(upload.id, part_ids=ids, md5=md5)
    assert completed.status == "completed"
    assert completed.file is not None
    assert (completed.file.filename, completed.file.purpose, completed.file.bytes) == (
        upload.filename,
        upload.purpose,
        len(CONTENT),
    )
    assert await client.files.retrieve(completed.file.id) == completed.file
    assert (await client.files.content(completed.file.id)).read() == CONTENT
    assert await client.uploads.complete(upload.id, part_ids=ids) == completed
    assert [file.id async for file in client.files.list()] == [completed.file.id]


async def test_a_batch_is_made_of_what_the_clients_own_helper_uploads(client: openai.AsyncOpenAI) -> None:
    requests = [line(str(number), chat(f"Question {number}")) for number in range(20)]
    lines = "\n".join(json.dumps(request) for request in requests).encode()
    upload = await client.uploads.upload_file_chunked(
        file=lines, filename="in.jsonl", bytes=len(lines), mime_type="application/jsonl", purpose="batch", part_size=999
    )
    assert upload.file is not None
    assert upload.file.expires_at == upload.file.created_at + 30 * 24 * 3600
    batch = await client.batches.create(
        input_file_id=upload.file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    assert (await ended(client, batch.id)).request_counts.completed == 20


async def test_an_upload_that_is_given_up_takes_nothing_more(client: openai.AsyncOpenAI) -> None:
    upload = await client.uploads.create(**UPLOAD)
    part = await client.uploads.parts.create(upload.id, data=CONTENT)
    assert (await client.uploads.cancel(upload.id)).status == "cancelled"
    for late in (
        client.uploads.parts.create(upload.id, data=b"x"),
        client.uploads.complete(upload.id, part_ids=[part.id]),
        client.uploads.cancel(upload.id),
    ):
        with pytest.raises(openai.BadRequestError, match="is cancelled"):
            await late
    assert [file async for file in client.files.list()] == []


async def test_a_file_is_made_of_the_whole_alone(client: openai.AsyncOpenAI) -> None:
    upload = await client.uploads.create(**UPLOAD, expires_after={"anchor": "created_at", "seconds": 3600})
    first = await client.uploads.parts.create(upload.id, data=CONTENT[:1000])
    with pytest.raises(openai.BadRequestError, match="have 1000 bytes, but the upload was created with 256000"):
        await client.uploads.complete(upload.id, part_ids=[first.id])
    with pytest.raises(openai.BadRequestError, match="No such part: part_other"):
        await client.uploads.complete(upload.id, part_ids=[first.id, "part_other"])
    with pytest.raises(openai.BadRequestError, match="more than the 256000 bytes"):
        await client.uploads.parts.create(upload.id, data=CONTENT[999:])
    rest = await client.uploads.parts.create(upload.id, data=CONTENT[1000:])
    with pytest.raises(openai.BadRequestError, match="checksum"):
        await client.uploads.complete(upload.id, part_ids=[first.id, rest.id], md5="0" * 32)
    completed = await client.uploads.complete(upload.id, part_ids=[first.id, rest.id])
    assert completed.file is not None
    assert completed.file.expires_at == completed.file.created_at + 3600


async def test_a_part_that_is_sent_again_because_its_answer_was_lost_counts_once(client: openai.AsyncOpenAI) -> None:
    upload = await client.uploads.create(**UPLOAD)
    await client.uploads.parts.create(upload.id, data=CONTENT)
    again = await client.uploads.parts.create(upload.id, data=CONTENT)
    assert (await client.uploads.complete(upload.id, part_ids=[again.id])).status == "completed"


async def test_parts_that_are_equal_are_all_parts_of_the_whole(client: openai.AsyncOpenAI) -> None:
    upload = await client.uploads.create(**{**UPLOAD, "bytes": 3000})
    parts = [await client.uploads.parts.create(upload.id, data=data * 1000) for data in (b"a", b"b", b"a")]
    completed = await client.uploads.complete(upload.id, part_ids=[part.id for part in parts])
    assert completed.file is not None
    content = (await client.files.content(completed.file.id)).read()
    assert content == b"a" * 1000 + b"b" * 1000 + b"a" * 1000


async def test_a_completion_that_was_cut_off_and_is_asked_for_again_makes_one_file(
    proxy: RunningProxy, client: openai.AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await client.uploads.create(**UPLOAD)
    part = await client.uploads.parts.create(upload.id, data=CONTENT)
    store = proxy.addon._gateway.store
    save = type(store).save

    async def save_but_no_end(self: Any, values: Any, seconds: float | None = None) -> None:
        if any(key.kind == "upload" for key in values):
            raise StoreUnavailableError("locked")
        await save(self, values, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "save", save_but_no_end)
        with pytest.raises(openai.InternalServerError):
            await client.uploads.complete(upload.id, part_ids=[part.id])
    completed = await client.uploads.complete(upload.id, part_ids=[part.id])
    assert completed.file is not None
    assert [file.id async for file in client.files.list()] == [completed.file.id]


async def test_of_two_completions_at_once_one_makes_the_file_and_the_other_may_ask_again(
    proxy: RunningProxy, client: openai.AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await client.uploads.create(**UPLOAD)
    part = await client.uploads.parts.create(upload.id, data=CONTENT)
    store = proxy.addon._gateway.store
    load, is_reading, may_read = type(store).load, asyncio.Event(), asyncio.Event()

    async def load_late(self: Any, keys: Any) -> Any:
        if any(key.kind == "part" for key in keys) and not is_reading.is_set():
            is_reading.set()
            await may_read.wait()
        return await load(self, keys)

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "load", load_late)
        first = asyncio.create_task(client.uploads.complete(upload.id, part_ids=[part.id]))
        await is_reading.wait()
        with pytest.raises(openai.ConflictError):
            await client.uploads.complete(upload.id, part_ids=[part.id])
        may_read.set()
        completed = await first
    assert await client.uploads.complete(upload.id, part_ids=[part.id]) == completed
    assert completed.file is not None
    assert [file.id async for file in client.files.list()] == [completed.file.id]


async def test_a_completion_and_a_cancellation_that_come_at_once_agree(client: openai.AsyncOpenAI) -> None:
    for _ in range(5):
        upload = await client.uploads.create(**UPLOAD)
        part = await client.uploads.parts.create(upload.id, data=CONTENT)
        outcomes = await asyncio.gather(
            client.uploads.complete(upload.id, part_ids=[part.id]),
            client.uploads.cancel(upload.id),
            return_exceptions=True,
        )
        [kept] = [outcome for outcome in outcomes if not isinstance(outcome, openai.APIStatusError)]
        assert {type(outcome) for outcome in outcomes} <= {type(kept), openai.ConflictError, openai.BadRequestError}


async def test_an_upload_is_found_by_its_own_client_alone(proxy: RunningProxy, client: openai.AsyncOpenAI) -> None:
    upload = await client.uploads.create(**UPLOAD)
    part = await client.uploads.parts.create(upload.id, data=CONTENT)
    async with client_of(proxy, "sk-another") as other:
        for attempt in (
            other.uploads.parts.create(upload.id, data=b"x"),
            other.uploads.complete(upload.id, part_ids=[part.id]),
            other.uploads.cancel(upload.id),
        ):
            with pytest.raises(openai.NotFoundError, match=f"No such Upload object: {upload.id}"):
                await attempt
        theirs = await other.uploads.create(**UPLOAD)
        with pytest.raises(openai.BadRequestError, match="No such part"):
            await other.uploads.complete(theirs.id, part_ids=[part.id])


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"bytes": 0}, "integer_below_min_value", "bytes"),
        ({"bytes": 2**40}, "integer_above_max_value", "bytes"),
        ({"bytes": "many"}, "invalid_type", "bytes"),
        ({"filename": ""}, "missing_required_parameter", "filename"),
        ({"purpose": "fine-tune"}, "invalid_value", "purpose"),
        ({"purpose": None}, "invalid_type", "purpose"),
        ({"expires_after": {"anchor": "created_at", "seconds": 1}}, "integer_below_min_value", "expires_after.seconds"),
        ({"expires_after": {"anchor": "now", "seconds": 3600}}, "invalid_value", "expires_after.anchor"),
    ],
)
async def test_a_wrong_upload_is_refused(proxy: RunningProxy, change: dict[str, Any], code: str, param: str) -> None:
    async with http_of(proxy) as http:
        answer = await http.post("/v1/uploads", json={**UPLOAD, **change})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
async def test_parts_that_are_refused_do_not_stay_in_memory(simulation: RunningSimulation, tmp_path: Path) -> None:
    async with (
        serving_process(simulation.base_url, tmp_path, RATE_LIMIT_REQUESTS="0") as process,
        http_of(process) as http,
    ):
        files, resident = {"data": ("part", bytes(16 * MIB))}, []
        for _ in range(20):
            assert (await http.post("/v1/uploads/upload_none/parts", files=files)).status_code == 404
            resident.append(resident_bytes(process.process.pid))
    assert resident[-1] - resident[0] < 100 * MIB


async def test_a_part_without_data_is_refused(proxy: RunningProxy, client: openai.AsyncOpenAI) -> None:
    upload = await client.uploads.create(**UPLOAD)
    with pytest.raises(openai.BadRequestError, match="data"):
        await client.uploads.parts.create(upload.id, data=io.BytesIO(b""))
    async with http_of(proxy) as http:
        answer = await http.post(f"/v1/uploads/{upload.id}/parts", files={"other": b"x"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "data")

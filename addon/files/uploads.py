"""/v1/uploads: files that come in parts, because they are larger than one request may be."""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from addon.exchanges.exchange import Exchange
from addon.files.upload_records import UploadRecords, file_id_of
from addon.storage.file_records import FileRecords, seconds_of
from addon.storage.store_lock import hold
from addon.wire.multipart import parse_form
from translators.errors import OpenAIError
from translators.request_errors import check_range, missing_parameter
from translators.upload_requests import MOST_PART_BYTES, UploadCompletionRequest, parse_completion, parse_upload

__all__ = ["answer_new_part", "answer_new_upload", "answer_upload_cancel", "answer_upload_completion"]


async def answer_new_upload(exchange: Exchange) -> None:
    """Begin an upload."""
    request = parse_upload(exchange.decoded_body())
    seconds = seconds_of(request.purpose, request.expires_after)
    await _respond(exchange, await _records(exchange).create(request.filename, request.purpose, request.bytes, seconds))


async def answer_new_part(exchange: Exchange) -> None:
    """Keep a part of an upload.

    Raises:
        OpenAIError: 400 for a part that is none or one too many, or comes too late; 404, 503.
    """
    records = _records(exchange)
    upload = await _load_pending(records, exchange)
    form = parse_form(exchange.headers.get("content-type", ""), exchange.decoded_body())
    if "data" not in form:
        raise missing_parameter("data")
    data = form["data"].data
    check_range("data", len(data), 1, MOST_PART_BYTES)
    part = {
        "id": await records.add_part(upload, data),
        "object": "upload.part",
        "created_at": int(time.time()),
        "upload_id": upload["id"],
    }
    await exchange.respond(msgspec.json.encode(part))


async def answer_upload_completion(exchange: Exchange) -> None:
    """Make a file of the parts. What is complete already is answered again: a client may not have seen the answer.

    Raises:
        OpenAIError: 400 for parts that are not the whole, or not what the checksum is of; 404, 409, 503.
    """
    records = _records(exchange)
    request = parse_completion(exchange.decoded_body())
    async with _alone_at_its_end(records, exchange):
        upload = await records.load(exchange.named)
        if upload["status"] != "completed":
            upload = await _complete(exchange, records, upload, request)
    await _respond(exchange, upload)


async def _complete(
    exchange: Exchange, records: UploadRecords, upload: dict[str, Any], request: UploadCompletionRequest
) -> dict[str, Any]:
    _require_pending(upload)
    content = await records.join_parts(upload, request.part_ids)
    # In a thread: the streams need not wait for half a gigabyte.
    if request.md5 is not None and await asyncio.to_thread(_md5_of, content) != request.md5.lower():
        raise OpenAIError(400, "The parts do not have this checksum.", code="invalid_value", param="md5")
    # The file has its id from the upload: one that was made before work was cut off is not made twice.
    file = await FileRecords(exchange.gateway.store, exchange.scope).create(
        upload["filename"], upload["purpose"], content, upload["file_seconds"], file_id_of(upload)
    )
    completed = {**upload, "status": "completed", "file": file}
    await records.save(completed)
    await records.delete_parts(upload)
    return completed


async def answer_upload_cancel(exchange: Exchange) -> None:
    """Give an upload up.

    Raises:
        OpenAIError: 400 for one that has ended; 404, 409, 503.
    """
    records = _records(exchange)
    async with _alone_at_its_end(records, exchange):
        upload = await _load_pending(records, exchange)
        cancelled = {**upload, "status": "cancelled"}
        await records.save(cancelled)
        await records.delete_parts(upload)
    await _respond(exchange, cancelled)


@contextlib.asynccontextmanager
async def _alone_at_its_end(records: UploadRecords, exchange: Exchange) -> AsyncIterator[None]:
    """Let one request at a time end an upload, in all processes. Stock clients ask again after a 409."""
    upload_id = exchange.named
    await records.load(upload_id)
    async with hold(records.store, records.run_key(upload_id)) as is_held:
        if not is_held:
            raise OpenAIError(409, f"The upload {upload_id} is just being completed or cancelled.")
        yield


def _md5_of(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


async def _load_pending(records: UploadRecords, exchange: Exchange) -> dict[str, Any]:
    upload = await records.load(exchange.named)
    _require_pending(upload)
    return upload


def _require_pending(upload: Mapping[str, Any]) -> None:
    if upload["status"] != "pending":
        raise OpenAIError(400, f"The upload {upload['id']} is {upload['status']}.")


def _records(exchange: Exchange) -> UploadRecords:
    return UploadRecords(exchange.gateway.store, exchange.scope)


async def _respond(exchange: Exchange, upload: Mapping[str, Any]) -> None:
    await exchange.respond(msgspec.json.encode({name: upload[name] for name in upload if name != "file_seconds"}))

"""/v1/batches: make, get, list and cancel batches, which Claude's Message Batches answer."""

import time
import uuid

import msgspec

from addon.batches.records import BatchRecord, BatchRecords
from addon.batches.run import advance
from addon.exchanges.exchange import Exchange
from addon.storage.file_records import FileRecords
from addon.storage.pages import encode_list, read_page_query
from translators.batches.batch import FINAL, Batch
from translators.batches.input_lines import MAX_INPUT_BYTES
from translators.batches.request_body import parse_request
from translators.errors import OpenAIError

__all__ = ["answer_batch", "answer_batch_cancel", "answer_batches", "answer_new_batch"]

_WINDOW_SECONDS = 24 * 3600
_OWN_KEY = (
    "Batches use the proxy's own key for Claude, and this client has one of its own: send the requests one by one."
)
_PATIENCE_SECONDS = 2.0
"""How long a client waits for its batch to move on, before it is told how the batch stands."""


async def answer_new_batch(exchange: Exchange) -> None:
    """Make a batch of an uploaded file. It is checked and sent while its client goes on.

    Raises:
        OpenAIError: 400 for a wrong parameter, a file that is not there or for something else, or a
            client with a key of its own for Claude: that is not kept, and Claude would have to be asked with it later.
    """
    request = parse_request(exchange.decoded_body())
    if exchange.client.claude_key is not None:
        raise OpenAIError(400, _OWN_KEY)
    files = FileRecords(exchange.gateway.store, exchange.scope)
    file = await files.listed.load(request.input_file_id)
    if file is None:
        raise OpenAIError(400, f"No such File object: {request.input_file_id[:64]}", param="input_file_id")
    if file["purpose"] != "batch":
        message = f"Invalid purpose of the input file: expected 'batch', but got '{file['purpose']}' instead."
        raise OpenAIError(400, message, code="invalid_value", param="input_file_id")
    if file["bytes"] > MAX_INPUT_BYTES:
        message = f"The input file is larger than {MAX_INPUT_BYTES} bytes."
        raise OpenAIError(400, message, code="file_too_large", param="input_file_id")
    created = int(time.time())
    batch = Batch(
        id=f"batch_{uuid.uuid4().hex}",
        endpoint=request.endpoint,
        input_file_id=request.input_file_id,
        created_at=created,
        expires_at=created + _WINDOW_SECONDS,
        metadata=request.metadata,
    )
    expiry = request.output_expires_after
    record = BatchRecord(
        id=batch.id,
        created_at=created,
        batch=batch,
        client=exchange.client.id,
        output_seconds=expiry.seconds if expiry is not None else None,
    )
    await _records(exchange).create(record, await files.content(request.input_file_id))
    await advance(exchange.gateway, exchange.scope, batch.id, 0)
    await exchange.respond(msgspec.json.encode(batch))


async def answer_batch(exchange: Exchange) -> None:
    """Answer with a batch, after it has had a moment to move on.

    Raises:
        OpenAIError: 404 if it is not there, 503 if the store is away.
    """
    records, batch_id = _records(exchange), exchange.named
    record = await records.load(batch_id)
    if record.batch.status not in FINAL:
        await advance(exchange.gateway, exchange.scope, batch_id, _PATIENCE_SECONDS)
    await _respond(exchange, records, batch_id)


async def answer_batch_cancel(exchange: Exchange) -> None:
    """Cancel a batch; answer with it. Requests that Claude has answered by then stay answered.

    Raises:
        OpenAIError: 404 if it is not there, 409 if it has ended, 503 if the store is away.
    """
    records, batch_id = _records(exchange), exchange.named
    status = (await records.load(batch_id)).batch.status
    if status in FINAL or status == "finalizing":
        raise OpenAIError(409, f"Cannot cancel a batch with status '{status}'.")
    if status != "cancelling":
        await records.wish_to_cancel(batch_id)
    await advance(exchange.gateway, exchange.scope, batch_id, _PATIENCE_SECONDS)
    await _respond(exchange, records, batch_id)


async def answer_batches(exchange: Exchange) -> None:
    """List the batches, the newest first. Those that have not ended move on meanwhile."""
    records = _records(exchange)
    asked = read_page_query(exchange.flow.request.query)
    after = None if asked.after is None else msgspec.to_builtins(await records.load(asked.after))
    listed, has_more = await records.listed.page(asked.limit, "desc", after, lambda _: True)
    shown = []
    for found in listed:
        record = msgspec.convert(found, BatchRecord)
        if record.batch.status not in FINAL:
            await advance(exchange.gateway, exchange.scope, record.id, 0)
        shown.append(await records.show(record))
    await exchange.respond(encode_list(shown, has_more=has_more))


async def _respond(exchange: Exchange, records: BatchRecords, batch_id: str) -> None:
    record = await records.load(batch_id)
    exchange.figures.warnings = record.warnings
    await exchange.respond(msgspec.json.encode(await records.show(record)))


def _records(exchange: Exchange) -> BatchRecords:
    return BatchRecords(exchange.gateway.store, exchange.scope)

"""A batch of Claude's whose making was cut off: found, if it was made, so that nothing is sent and paid for twice.

Claude has no way to ask for a batch only once, and shows no custom id of one before its end. So an attempt is noted
before it is made. If its outcome is lost, because the process died or no answer came, Claude's list tells: of the
batches that were made since, have as many requests and are in no record of ours, one alone is taken for ours. Its
results have to prove it, and until then it is not cancelled. Where there is none, none was made. Where there are
several nobody can say, and the batch fails.
"""

import asyncio
import time

import msgspec
import structlog

from addon.batches.records import BatchRecord, BatchRecords
from addon.batches.sending import give_up
from addon.exchanges.gateway import Gateway
from translators.batches.batch import BatchError, fail_batch

__all__ = ["UNCONFIRMED", "recover_attempt"]

UNCONFIRMED = "batch_unconfirmed"
"""Code of the error of a batch that Claude may have taken, or not."""
_SETTLING_SECONDS = 30.0
"""How long after an attempt Claude's list is taken for complete. Claude does not say; its answer to the making of a
batch comes within seconds after its last byte."""
_AMBIGUOUS = BatchError(
    UNCONFIRMED,
    "The sending of this batch was cut off, and several batches of Claude's could be it. It is not sent again, because "
    "it may have been taken.",
)

log = structlog.get_logger(__name__)


async def recover_attempt(gateway: Gateway, records: BatchRecords, record: BatchRecord) -> BatchRecord:
    """Find out what became of an attempt, once that can be seen.

    Returns:
        The record without it: with what it made, without, or of a batch that has failed.

    Raises:
        OpenAIError: Claude or the store is out of reach for the moment.
    """
    attempt = record.attempt
    if attempt is None:
        return record
    await asyncio.sleep(min(max(attempt.at + _SETTLING_SECONDS - time.time(), 0.0), _SETTLING_SECONDS))
    made = await gateway.claude.batches.made_after(attempt.newest_at)
    alike = [batch.id for batch in made if sum(batch.request_counts.values()) == attempt.requests]
    found = await records.unknown(alike)
    log.warning("batch_sending_cut_off", batch_id=record.id, requests=attempt.requests, claude_batches=found)
    match found:
        case []:
            return msgspec.structs.replace(record, attempt=None)
        case [claude_batch]:
            return msgspec.structs.replace(record.made(claude_batch), adopted=(*record.adopted, claude_batch))
        case _:
            await give_up(gateway, record)
            failed = fail_batch(record.batch, [_AMBIGUOUS], int(time.time()))
            return msgspec.structs.replace(record.moved(failed), attempt=None)

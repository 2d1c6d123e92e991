"""A batch, moved on as far as it goes now: sent, asked for, cancelled, its results written.

This happens when its client asks for it, and apart from the request, because it may take long. One process at a time
does it; whatever it finds is in the store before the next step, so that any other can go on from there. Only what
could not be sent or cancelled yet is tried again by itself: everything else waits in Claude's hands, for 29 days.
"""

import asyncio
import time
from contextlib import suppress

import structlog
from mitmproxy.utils import asyncio_utils

from addon.batches.records import BatchRecord, BatchRecords
from addon.batches.recovery import UNCONFIRMED, recover_attempt
from addon.batches.results import Charge, finish_batch
from addon.batches.sending import send_batch
from addon.claude.failure_cause import cause_of
from addon.exchanges.gateway import Gateway
from addon.observation.figures import Figures
from addon.storage.store import StoreUnavailableError
from addon.storage.store_lock import hold
from translators.batches.batch import FINAL, BatchError, BatchErrors, fail_batch, move_batch
from translators.errors import OpenAIError

__all__ = ["advance"]

_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 1.0, 60.0
_NOT_SENT = BatchError("batch_expired", "The batch could not be sent before its completion window expired.")

log = structlog.get_logger(__name__)


async def advance(gateway: Gateway, owner: str, batch_id: str, seconds: float) -> None:
    """Let the batch move on, and wait for it so many seconds; it goes on after them."""
    task = _start(gateway, owner, batch_id)
    if task is not None and seconds:
        await asyncio.wait([task], timeout=seconds)


def _start(
    gateway: Gateway, owner: str, batch_id: str, retry_seconds: float = _FIRST_RETRY_SECONDS
) -> asyncio.Task[None] | None:
    name = owner, batch_id
    if name in gateway.batches or gateway.draining:
        return gateway.batches.get(name)
    run = _Run(gateway, owner, batch_id, retry_seconds)
    task = asyncio_utils.create_task(run.work(), name=f"batch {batch_id}", keep_ref=True)
    if not task.done():
        gateway.batches[name] = task
        task.add_done_callback(lambda _: gateway.batches.pop(name, None))
    return task


class _Run:
    """The work on one batch."""

    def __init__(self, gateway: Gateway, owner: str, batch_id: str, retry_seconds: float) -> None:
        self._gateway = gateway
        self._owner = owner
        self._batch_id = batch_id
        self._retry_seconds = retry_seconds
        self._records = BatchRecords(gateway.store, owner)

    async def work(self) -> None:
        """Take step after step until the batch has ended, or Claude is at it."""
        try:
            async with hold(self._gateway.store, self._records.run_key(self._batch_id)) as is_held:
                if is_held:
                    await self._take_steps()
        except OpenAIError as error:
            reason = error.reason if isinstance(error, StoreUnavailableError) else error.message
            log.warning("batch_not_advanced", batch_id=self._batch_id, reason=reason, cause=cause_of(error))
            _try_again(self._gateway, self._owner, self._batch_id, self._retry_seconds)
        except Exception:
            log.exception("batch_failed", batch_id=self._batch_id)

    async def _take_steps(self) -> None:
        record = await self._records.load(self._batch_id)
        while record.batch.status not in FINAL:
            charge: Charge = _free_of_charge
            moved: BatchRecord | None
            wished = await self._records.cancel_wished_at(record.id)
            if record.attempt is not None:
                moved = await recover_attempt(self._gateway, self._records, record)
            elif wished is not None and record.batch.status in ("validating", "in_progress"):
                moved = await self._cancel(record, wished)
            elif record.batch.status == "validating":
                moved = await self._send(record)
            elif record.batch.status == "in_progress":
                moved = await self._finalize(record)
            elif not await self._has_ended(record):
                moved = None
            else:
                moved, charge = await self._finish(record)
            if moved is None:
                return
            await self._records.save(moved)
            record = moved
            self._log(record, await charge())
        with suppress(StoreUnavailableError):  # then it is forgotten in its time
            await self._records.forget_input(record.id)

    async def _send(self, record: BatchRecord) -> BatchRecord:
        now = int(time.time())
        if now >= record.batch.expires_at:
            if not record.claude_batches:
                return record.moved(move_batch(record.batch, "expired", now, errors=BatchErrors((_NOT_SENT,))))
            return record.moved(move_batch(record.batch, "in_progress", now))  # lines that were not sent expire
        return await send_batch(self._gateway, self._records, record)

    async def _cancel(self, record: BatchRecord, wished: int) -> BatchRecord:
        for claude_batch in record.cancellable:
            try:
                await self._gateway.claude.batches.cancel(claude_batch)
            except OpenAIError as error:
                # One that has ended, or is not there any more, cannot be cancelled.
                if error.status not in (400, 404, 409):
                    raise
        return record.moved(move_batch(record.batch, "cancelling", wished))

    async def _finalize(self, record: BatchRecord) -> BatchRecord | None:
        if not await self._has_ended(record):
            return None
        return record.moved(move_batch(record.batch, "finalizing", int(time.time())))

    async def _has_ended(self, record: BatchRecord) -> bool:
        if record.batch.status == "finalizing":
            return True
        for claude_batch in record.claude_batches:
            try:
                found = await self._gateway.claude.batches.retrieve(claude_batch)
            except OpenAIError as error:
                if error.status != 404:
                    raise
            else:
                if found.processing_status != "ended":
                    return False
        return True

    async def _finish(self, record: BatchRecord) -> tuple[BatchRecord, Charge]:
        try:
            return await finish_batch(self._gateway, self._records, record)
        except OpenAIError as error:
            if error.code not in ("input_file_not_found", UNCONFIRMED):
                raise
            reason = BatchError(error.code, error.message)
            return record.moved(fail_batch(record.batch, [reason], int(time.time()))), _free_of_charge

    def _log(self, record: BatchRecord, figures: Figures) -> None:
        batch = record.batch
        if batch.status not in FINAL:
            return
        log.info(
            "batch",
            batch_id=batch.id,
            claude_batches=list(record.claude_batches),
            endpoint=batch.endpoint,
            status=batch.status,
            model=batch.model,
            claude_model=record.claude_model or None,
            total=batch.request_counts.total,
            completed=batch.request_counts.completed,
            failed=batch.request_counts.failed,
            input_tokens=figures.input_tokens,
            cached_tokens=figures.cached_tokens,
            output_tokens=figures.output_tokens,
            cost=round(figures.cost, 6),
            duration=int(time.time()) - batch.created_at,
            warnings=[f"{warning.param}={warning.action}" for warning in record.warnings],
            errors=[error.code for error in batch.errors.data] if batch.errors else [],
        )


async def _free_of_charge() -> Figures:
    return Figures()


def _try_again(gateway: Gateway, owner: str, batch_id: str, seconds: float) -> None:
    # A batch that is not with Claude loses its day, and one that is unwanted costs; others wait for their client.
    later = min(seconds * 2, _LONGEST_RETRY_SECONDS)
    asyncio.get_running_loop().call_later(seconds, _start_if_urgent, gateway, owner, batch_id, later)


def _start_if_urgent(gateway: Gateway, owner: str, batch_id: str, retry_seconds: float) -> None:
    async def start() -> None:
        records = BatchRecords(gateway.store, owner)
        try:
            status = (await records.load(batch_id)).batch.status
            wished = await records.cancel_wished_at(batch_id)
        except StoreUnavailableError:
            _try_again(gateway, owner, batch_id, retry_seconds)
            return
        except OpenAIError:  # it is not there any more
            return
        if status == "validating" or (status == "in_progress" and wished is not None):
            _start(gateway, owner, batch_id, retry_seconds)

    if not gateway.draining:
        asyncio_utils.create_task(start(), name=f"batch {batch_id} again", keep_ref=True)

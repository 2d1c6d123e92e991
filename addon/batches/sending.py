"""The lines of a batch on their way to Claude: checked, translated, sent in as few batches of Claude as hold them.

Each of these is noted before it is made, and its id afterwards. What was noted and has no id is for
`addon.batches.recovery` to find out about before anything more is sent.
"""

import asyncio
import time
from dataclasses import dataclass, field

import msgspec
import structlog

from addon.batches.lines import BatchScope, prepare_line, read_lines
from addon.batches.records import BatchRecord, BatchRecords, SendingAttempt, SentLines
from addon.claude.batches import says_not_made
from addon.exchanges.gateway import Gateway
from addon.files.named_files import NamedFiles
from addon.storage.file_records import FileRecords
from addon.storage.store import StoreUnavailableError
from translators.backends import ANTHROPIC, BACKENDS, parse_target
from translators.batches.batch import BatchError, RequestCounts, fail_batch, move_batch
from translators.batches.claude_requests import MAX_BYTES, MAX_REQUESTS, encode_request, join_requests, name_request
from translators.batches.input_lines import InputChecker, InputLine
from translators.batches.output_lines import LineIds, encode_refusal
from translators.errors import OpenAIError

__all__ = ["give_up", "send_batch"]

_MAX_WARNINGS = 50
_BATCH_SECONDS = 26 * 3600.0
"""When Claude has looked at the files of a batch that it takes within the next two hours."""
_PAUSES_BETWEEN_NOTES = (0.5, 1.0, 2.0, 4.0)
"""Seconds until it is tried again to keep what was sent: less than the lease of the lock in all."""
_ENVELOPE_BYTES = 64
"""Generously, what a body has besides its requests."""

log = structlog.get_logger(__name__)


async def send_batch(gateway: Gateway, records: BatchRecords, record: BatchRecord) -> BatchRecord:
    """Check a batch and send it; return it as it stands then: in progress, failed, or with a wish to cancel it.

    What is sent is noted at once, so that whoever goes on after a break sends the rest.

    Args:
        gateway: what asks Claude.
        records: where the batch is kept.
        record: of the batch, without an attempt whose outcome is not known.

    Raises:
        OpenAIError: Claude or the store is out of reach for the moment.
    """
    sending = _Sending(gateway, records, record)
    try:
        return await sending.send()
    except OpenAIError as error:
        if isinstance(error, StoreUnavailableError) or not _is_lasting(error):
            raise
        await give_up(gateway, sending.record)
        reason = BatchError(error.code or "invalid_request", error.message, None, error.param)
        return sending.record.moved(fail_batch(sending.record.batch, [reason], int(time.time())))


async def give_up(gateway: Gateway, record: BatchRecord) -> None:
    """Stop what is sent already of a batch that has failed as a whole."""
    for claude_batch in record.cancellable:
        try:
            await gateway.claude.batches.cancel(claude_batch)
        except OpenAIError as error:
            log.warning("claude_batch_not_cancelled", batch_id=record.id, reason=error.message)


def _is_lasting(error: OpenAIError) -> bool:
    """Whether Claude would say the same again."""
    return error.code == "insufficient_quota" or (400 <= error.status < 500 and error.status not in (408, 409, 429))


type _Headers = tuple[tuple[str, str], ...]


@dataclass
class _Part:
    """Lines that need the same headers, and their encoded requests: one batch of Claude."""

    numbers: set[int] = field(default_factory=set)
    requests: list[bytes] = field(default_factory=list)


@dataclass
class _Window:
    """Consecutive lines that are held until they are as many as one batch of Claude takes."""

    parts: dict[_Headers, _Part] = field(default_factory=dict)
    requests: int = 0
    size: int = 0

    def has_room(self, added: list[bytes]) -> bool:
        size = sum(len(request) + 1 for request in added)
        return self.requests + len(added) <= MAX_REQUESTS and self.size + size + _ENVELOPE_BYTES <= MAX_BYTES

    def add(self, number: int, headers: _Headers, added: list[bytes]) -> None:
        part = self.parts.setdefault(headers, _Part())
        part.numbers.add(number)
        part.requests += added
        self.requests += len(added)
        self.size += sum(len(request) + 1 for request in added)


class _Sending:
    """One batch on its way."""

    def __init__(self, gateway: Gateway, records: BatchRecords, record: BatchRecord) -> None:
        self.record = record
        self._gateway = gateway
        self._records = records
        self._sent = SentLines()
        self._window = _Window()
        self._files = NamedFiles(
            gateway, lambda: FileRecords(gateway.store, records.owner), None, lasting=_BATCH_SECONDS
        )

    async def send(self) -> BatchRecord:
        """Check all lines, and send them if all are right."""
        content, self._sent = await self._records.load_input(self.record.id)
        checker = InputChecker(self.record.batch.endpoint)
        lines = [line async for line in read_lines(checker, content)]
        del content  # the lines have copies of it, and sending them takes long
        counted = msgspec.structs.replace(
            self.record.batch, model=checker.model, request_counts=RequestCounts(total=checker.count)
        )
        errors = checker.errors or self._refuse_model(checker.model or "")
        if errors:
            return self.record.moved(fail_batch(counted, errors, int(time.time())))
        self.record = self.record.moved(counted)
        return await self._send_lines(lines, checker.model or "")

    def _refuse_model(self, model: str) -> list[BatchError]:
        """Say that the client may not use the model, or that its backend has no batches: only Claude's own API has."""
        try:
            self._gateway.access.client(self.record.client).require_model(model)
        except OpenAIError as error:
            return [BatchError("model_not_found", error.message, None, "body.model")]
        backend = parse_target(self._gateway.catalog.resolve(model).id).backend
        if backend == ANTHROPIC:
            return []
        return [BatchError("model_not_found", f"{BACKENDS[backend].title} makes no batches here.", None, "body.model")]

    async def _send_lines(self, lines: list[InputLine], model: str) -> BatchRecord:
        claude_model = self.record.claude_model or self._gateway.catalog.resolve(model).id
        self.record = msgspec.structs.replace(self.record, claude_model=claude_model)
        batch = self.record.batch
        catalog = self._gateway.catalog.pinned(model, claude_model)
        times = batch.created_at, batch.created_at
        scope = BatchScope(self._gateway, self._records.owner, batch.id, batch.endpoint, catalog, *times)
        last = 0
        for line in lines:
            translated = None if self.record.is_sent(line.number) else await self._translate(scope, line)
            if translated is not None:
                headers, requests = translated
                if not self._window.has_room(requests):
                    await self._flush(last)
                    if await self._records.cancel_wished_at(batch.id) is not None:
                        return self.record
                self._window.add(line.number, headers, requests)
                await asyncio.sleep(0)
            last = line.number
        await self._flush(last)
        counts = RequestCounts(len(lines), 0, len(self._sent.refusals))
        moved = move_batch(self.record.batch, "in_progress", int(time.time()), request_counts=counts)
        return self.record.moved(moved)

    async def _translate(self, scope: BatchScope, line: InputLine) -> tuple[_Headers, list[bytes]] | None:
        """Translate a line to its requests; None for one that is refused."""
        self._sent.refusals.pop(line.number, None)
        try:
            prepared = await prepare_line(scope, line)
            requests = [
                encode_request(name_request(scope.batch_id, line.number, index), await self._files.put(params))
                for index, params in enumerate(prepared.requests)
            ]
            _refuse_oversize(requests)
        except StoreUnavailableError:
            raise
        except OpenAIError as error:
            self._refuse(line, error)
            return None
        except Exception:
            # One line that we cannot translate takes nothing from the others.
            log.exception("batch_line_failed", batch_id=scope.batch_id, line=line.number)
            self._refuse(line, OpenAIError(500, "The proxy had an error while sending this.", "server_error"))
            return None
        if prepared.named is not None:
            self._sent.named[line.number] = prepared.named
        warnings = tuple(dict.fromkeys((*self.record.warnings, *prepared.warnings)))[:_MAX_WARNINGS]
        self.record = msgspec.structs.replace(self.record, warnings=warnings)
        return tuple(prepared.headers.items()), requests

    def _refuse(self, line: InputLine, error: OpenAIError) -> None:
        refusal = encode_refusal(LineIds(self.record.id, line.number), line.custom_id, error)
        self._sent.refusals[line.number] = refusal.decode()

    async def _flush(self, last: int) -> None:
        """Send the window, and note that everything up to line `last` is done with."""
        for headers, part in self._window.parts.items():
            await self._make(headers, part)
        self._window = _Window()
        self.record = msgspec.structs.replace(self.record, sent_lines=last, sent_beyond=frozenset())
        await self._note_sent()

    async def _make(self, headers: _Headers, part: _Part) -> None:
        """Have Claude make a batch, noted before and after."""
        claude = self._gateway.claude.batches
        newest = await claude.newest()
        attempt = SendingAttempt(
            time.time(),
            None if newest is None else newest.created_at,
            len(part.requests),
            self.record.sent_beyond | part.numbers,
        )
        self.record = msgspec.structs.replace(self.record, attempt=attempt)
        await self._records.save(self.record, self._sent)
        try:
            made = await claude.create(join_requests(part.requests), dict(headers))
        except OpenAIError as error:
            left = None if says_not_made(error) else msgspec.structs.replace(attempt, at=time.time())
            self.record = msgspec.structs.replace(self.record, attempt=left)
            await self._records.save(self.record)
            raise
        self.record = self.record.made(made)
        await self._note_sent()

    async def _note_sent(self) -> None:
        """Keep what is sent. What cannot be kept has to be found again."""
        for seconds in _PAUSES_BETWEEN_NOTES:
            try:
                await self._records.save(self.record, self._sent)
            except StoreUnavailableError as error:
                log.warning("batch_not_noted", batch_id=self.record.id, reason=error.reason)
                await asyncio.sleep(seconds)
            else:
                return
        await self._records.save(self.record, self._sent)


def _refuse_oversize(requests: list[bytes]) -> None:
    if not _Window().has_room(requests):
        raise OpenAIError(413, "The request is too large for Claude.", code="request_too_large")

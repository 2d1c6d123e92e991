"""Claude's results of a batch as OpenAI's output and error files, in the order of the input."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
import structlog

from addon.batches.lines import BatchScope, endpoint_of, prepare_line, read_lines
from addon.batches.records import BatchRecord, BatchRecords, SentLines
from addon.batches.recovery import UNCONFIRMED
from addon.exchanges.gateway import Gateway
from addon.observation.figures import Figures
from addon.storage.file_records import FileRecords
from addon.storage.store import StoreUnavailableError
from translators.batches.batch import BatchUsage, RequestCounts, Status, move_batch
from translators.batches.claude_requests import ClaudeResult, is_of_batch, judge_results, name_request, parse_result
from translators.batches.input_lines import InputChecker, InputLine
from translators.batches.output_lines import (
    LineIds,
    Unexecuted,
    encode_answer,
    encode_refusal,
    encode_unexecuted,
    file_id_of,
)
from translators.claude_events import MalformedEventError, Usage
from translators.errors import OpenAIError
from translators.usage import CompletionUsage, add_usage, translate_usage
from translators.whole_message import read_usage

__all__ = ["Charge", "finish_batch"]

_MISTAKEN = (
    "The sending of this batch was cut off, and what was taken for it among Claude's batches has other requests. "
    "Whether Claude has taken this one is not known."
)

log = structlog.get_logger(__name__)


type Charge = Callable[[], Awaitable[Figures]]
"""Charges for a batch, and returns what it cost."""


async def finish_batch(gateway: Gateway, records: BatchRecords, record: BatchRecord) -> tuple[BatchRecord, Charge]:
    """Write the files of a batch whose requests have all ended; return it as it is for ever, and what charges for it.

    To be charged for when it is stored: what is cut off before that is done again, whole.

    Raises:
        OpenAIError: Claude or the store is out of reach for the moment; with the code `UNCONFIRMED`, for ever: the
            results are those of another batch.
    """
    content, sent = await records.load_input(record.id)
    written = _Writing(gateway, records, record, sent)
    await written.load_results()
    checker = InputChecker(record.batch.endpoint)
    async for line in read_lines(checker, content):
        await written.write(line)
    return await written.save(), written.charge


@dataclass
class _Writing:
    """The files of one batch, and what is counted on the way."""

    gateway: Gateway
    records: BatchRecords
    record: BatchRecord
    sent: SentLines
    _results: dict[str, ClaudeResult] = field(default_factory=dict, init=False)
    _output: bytearray = field(default_factory=bytearray, init=False)
    _errors: bytearray = field(default_factory=bytearray, init=False)
    _completed: int = field(default=0, init=False)
    _failed: int = field(default=0, init=False)
    _has_expired: bool = field(default=False, init=False)
    _usage: Usage = field(default_factory=Usage, init=False)
    _usages: list[list[Usage]] = field(default_factory=list, init=False)
    """Of the messages of each line, whether they make an answer or not: Claude bills them."""

    def __post_init__(self) -> None:
        batch, gateway = self.record.batch, self.gateway
        created = batch.in_progress_at or batch.created_at
        self._scope = BatchScope(
            gateway,
            self.records.owner,
            batch.id,
            batch.endpoint,
            gateway.catalog.pinned(batch.model or "", self.record.claude_model),
            created,
            batch.finalizing_at or batch.cancelling_at or created,
        )

    async def load_results(self) -> None:
        """Load Claude's results."""
        for batch_id in self.record.claude_batches:
            try:
                async for line in self.gateway.claude.batches.results(batch_id):
                    self._add(*parse_result(line))
            except MalformedEventError as error:
                raise OpenAIError(502, f"Claude's results could not be read: {error}", "server_error") from error
            except OpenAIError as error:
                # What Claude does not know any more has no results: its lines say so.
                if error.status != 404:
                    raise

    def _add(self, name: str, result: ClaudeResult) -> None:
        if not is_of_batch(name, self.record.id):
            raise OpenAIError(502, _MISTAKEN, "server_error", UNCONFIRMED)
        self._results[name] = result

    async def write(self, line: InputLine) -> None:
        """Write a line to the file where it belongs."""
        ids = LineIds(self.record.id, line.number)
        try:
            outcome = await self._answer(line)
        except StoreUnavailableError:
            raise
        except OpenAIError as error:
            self._fail(encode_refusal(ids, line.custom_id, error))
            return
        except Exception:
            # One line that we cannot make an answer of takes nothing from the others.
            log.exception("batch_line_failed", batch_id=self.record.id, line=line.number)
            failure = OpenAIError(500, "The proxy had an error while making this answer.", "server_error")
            self._fail(encode_refusal(ids, line.custom_id, failure))
            return
        match outcome:
            case bytes():
                self._completed += 1
                self._output += encode_answer(ids, line.custom_id, outcome)
            case "batch_expired" | "batch_cancelled":
                self._has_expired = self._has_expired or outcome == "batch_expired"
                self._fail(encode_unexecuted(ids, line.custom_id, outcome))
            case _:
                self._fail(self.sent.refusals[line.number].encode())

    async def _answer(self, line: InputLine) -> bytes | Unexecuted | None:
        """Make the answer of a line; None for one that was refused when it was to be sent."""
        if line.number in self.sent.refusals:
            return None
        if not self.record.is_sent(line.number):
            return "batch_cancelled" if self.record.batch.cancelling_at else "batch_expired"
        prepared = await prepare_line(self._scope, line, self.sent.named.get(line.number))
        names = [name_request(self.record.id, line.number, index) for index in range(len(prepared.requests))]
        results = [self._results.pop(name, None) for name in names]
        self._count(results)
        judged = judge_results(results, prepared.word_error)
        return judged if isinstance(judged, str) else await prepared.answer(judged)

    def _count(self, results: list[ClaudeResult | None]) -> None:
        messages = [result.message for result in results if result is not None]
        usages = [read_usage(message) for message in messages if isinstance(message, msgspec.Raw)]
        self._usages.append(usages)
        for usage in usages:
            self._usage = add_usage(self._usage, usage)

    async def charge(self) -> Figures:
        """Charge for the batch, count it, and return what it cost. Others run after each line."""
        gateway, claude_model = self.gateway, self.record.claude_model
        client = gateway.access.client(self.record.client)
        endpoint = endpoint_of(self.record.batch.endpoint)
        total = Figures(model=self.record.batch.model, claude_model=claude_model)
        for usages in self._usages:
            figures = Figures(model=self.record.batch.model, claude_model=claude_model)
            for usage in usages:
                gateway.limits.charge(client, figures.count(usage, gateway.prices))
            gateway.metrics.observe_apart(figures, gateway.catalog, endpoint)
            total.add(figures)
            await asyncio.sleep(0)
        return total

    def _fail(self, line: bytes) -> None:
        self._failed += 1
        self._errors += line

    async def save(self) -> BatchRecord:
        """Save the files; return the batch with them."""
        batch = self.record.batch
        output = await self._save_file("output", bytes(self._output))
        errors = await self._save_file("error", bytes(self._errors))
        status: Status = "expired" if self._has_expired else "completed"
        if batch.status == "cancelling":
            status = "cancelled"
        moved = move_batch(
            batch,
            status,
            int(time.time()),
            output_file_id=output,
            error_file_id=errors,
            request_counts=RequestCounts(self._completed + self._failed, self._completed, self._failed),
            usage=_batch_usage(translate_usage(self._usage)),
        )
        return self.record.moved(moved)

    async def _save_file(self, kind: str, content: bytes) -> str | None:
        if not content:
            return None
        files = FileRecords(self.gateway.store, self.records.owner)
        batch = self.record.batch
        file_id = file_id_of(batch.id, "output" if kind == "output" else "error")
        filename = f"{batch.id}_{kind}.jsonl"
        await files.create(filename, "batch_output", content, self.record.output_seconds, file_id)
        await asyncio.sleep(0)
        return file_id


def _batch_usage(usage: CompletionUsage) -> BatchUsage:
    return BatchUsage.of(
        usage.prompt_tokens,
        usage.prompt_tokens_details.cached_tokens,
        usage.completion_tokens,
        usage.completion_tokens_details.reasoning_tokens,
    )

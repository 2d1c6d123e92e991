"""What is stored of batches: each with its input, what was found of its lines, and the wish to cancel it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from addon.responses.request import NamedState
from addon.storage.listed_records import ListedRecords
from addon.storage.store import Key, Store
from translators.batches.batch import FINAL, Batch, move_batch
from translators.errors import OpenAIError
from translators.translation_warning import TranslationWarning

__all__ = ["BatchRecord", "BatchRecords", "SendingAttempt", "SentLines"]


class SendingAttempt(msgspec.Struct, frozen=True):
    """A batch of Claude's that is about to be made. Until its id is noted, nobody knows whether it was."""

    at: float
    """When it was begun, or its outcome lost: seconds since 1970."""
    newest_at: datetime | None
    """When the newest of Claude's batches until then was made, by Claude's clock; None: there was none."""
    requests: int
    """How many it has."""
    sent_beyond: frozenset[int]
    """That of the record, once it is made."""


class BatchRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stored batch."""

    id: str
    created_at: int
    batch: Batch
    """As its client sees it."""
    client: str = ""
    """`Client.id` of who made it: whose limits it is charged to."""
    output_seconds: int | None = None
    """How long the output is kept, if the client has said it."""
    claude_model: str = ""
    """Who answers the lines: found once, whatever the aliases become."""
    claude_batches: tuple[str, ...] = ()
    """Ids of Claude's batches."""
    adopted: tuple[str, ...] = ()
    """Those that were taken for this batch's when an attempt was cut off: another's, perhaps, until their results are
    there."""
    sent_lines: int = 0
    """All lines up to this number are done with: their requests are in Claude's batches, or they were refused."""
    sent_beyond: frozenset[int] = frozenset()
    """Numbers of later lines whose requests are there already. Those between wait: they need other headers."""
    attempt: SendingAttempt | None = None
    """What was begun and is not known to have ended."""
    warnings: tuple[TranslationWarning, ...] = ()
    """What did not reach Claude as the lines said it."""

    def moved(self, batch: Batch) -> "BatchRecord":
        """Return the record with the batch as it stands now."""
        return msgspec.structs.replace(self, batch=batch)

    def is_sent(self, number: int) -> bool:
        """Whether the requests of this line are in Claude's batches, as far as it was not refused."""
        return number <= self.sent_lines or number in self.sent_beyond

    def made(self, claude_batch: str) -> "BatchRecord":
        """Return the record with what its attempt has made."""
        if self.attempt is None:
            raise ValueError(f"{claude_batch} was not attempted")
        return msgspec.structs.replace(
            self,
            claude_batches=(*self.claude_batches, claude_batch),
            sent_beyond=self.attempt.sent_beyond,
            attempt=None,
        )

    @property
    def cancellable(self) -> list[str]:
        """Those of Claude's batches that are this batch's beyond doubt."""
        return [claude_batch for claude_batch in self.claude_batches if claude_batch not in self.adopted]


class SentLines(msgspec.Struct):
    """What was found of the lines when they were sent, and cannot be found again from the input alone."""

    refusals: dict[int, str] = {}
    """The lines of the error file for those that were not sent, by their numbers."""
    named: dict[int, NamedState] = {}
    """What was stored then of what they name."""


_sent_decoder = msgspec.json.Decoder(SentLines)


@dataclass(frozen=True, slots=True)
class BatchRecords:
    """The batches of one client. Every method raises OpenAIError, 503, if the store is not there."""

    store: Store
    owner: str
    """`scope_of` of the client's credentials."""

    @property
    def listed(self) -> ListedRecords:
        """The records in plain form."""
        return ListedRecords(self.store, self.owner, "batch", "batches")

    async def create(self, record: BatchRecord, content: bytes) -> None:
        """Keep a new batch with its input, which its client may delete meanwhile."""
        await self.store.save({self._key("content", record.id): content})
        await self.listed.add(msgspec.to_builtins(record))

    async def load(self, batch_id: str) -> BatchRecord:
        """Find a batch.

        Raises:
            OpenAIError: 404 if it is not there.
        """
        found = await self.listed.load(batch_id)
        if found is None:
            raise OpenAIError(404, f"No batch found with id '{batch_id}'.")
        return msgspec.convert(found, BatchRecord)

    async def save(self, record: BatchRecord, sent: SentLines | None = None) -> None:
        """Keep a batch as it stands, together with what was found of its lines."""
        values = self.listed.entries_of(msgspec.to_builtins(record))
        values |= {_known_key(claude_batch): b"" for claude_batch in record.claude_batches}
        if sent is not None:
            values[self._key("lines", record.id)] = msgspec.json.encode(sent)
        await self.store.save(values)

    async def load_input(self, batch_id: str) -> tuple[bytes, SentLines]:
        """Load the input of a batch, and what was found of its lines.

        Raises:
            OpenAIError: 404 if the store has lost it.
        """
        content, lines = self._key("content", batch_id), self._key("lines", batch_id)
        found = await self.store.load([content, lines])
        if content not in found:
            raise OpenAIError(404, "The input of this batch is not stored any more.", code="input_file_not_found")
        return found[content], _sent_decoder.decode(found[lines]) if lines in found else SentLines()

    async def unknown(self, claude_batches: Iterable[str]) -> list[str]:
        """Say which of Claude's batches are in no record, of any client."""
        keys = {claude_batch: _known_key(claude_batch) for claude_batch in claude_batches}
        found = await self.store.load(list(keys.values()))
        return [claude_batch for claude_batch, key in keys.items() if key not in found]

    async def forget_input(self, batch_id: str) -> None:
        """Delete what is not needed any more when a batch has ended."""
        await self.store.delete([self._key(kind, batch_id) for kind in ("content", "lines", "cancel")])

    async def wish_to_cancel(self, batch_id: str) -> None:
        """Note that a batch is to be cancelled, for whichever process works on it."""
        await self.store.save({self._key("cancel", batch_id): str(int(time.time())).encode()})

    async def cancel_wished_at(self, batch_id: str) -> int | None:
        """Find out when a batch was asked to be cancelled, if it was."""
        key = self._key("cancel", batch_id)
        found = (await self.store.load([key])).get(key)
        return None if found is None else int(found)

    async def show(self, record: BatchRecord) -> dict[str, Any]:
        """Build the batch as its client sees it: a wish to cancel it shows at once, whoever works on it."""
        batch = record.batch
        if batch.status not in FINAL and batch.status != "cancelling":
            wished = await self.cancel_wished_at(record.id)
            if wished is not None and batch.status != "finalizing":
                batch = move_batch(batch, "cancelling", wished)
        shown: dict[str, Any] = msgspec.to_builtins(batch)
        return shown

    def run_key(self, batch_id: str) -> Key:
        """Name the sign of life of the process that works on a batch."""
        return self._key("run", batch_id)

    def _key(self, kind: Any, batch_id: str) -> Key:
        return Key(kind, self.owner, batch_id)


def _known_key(claude_batch: str) -> Key:
    return Key("claude_batch", "", claude_batch)

"""The batch object (`openai.types.Batch`), and which status may follow which.

validating ─> in_progress ─> finalizing ─> completed
     │ └─> failed   │   └──────────┴─> expired, failed
     └──────────────┴─> cancelling ─> cancelled
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import msgspec

__all__ = [
    "FINAL",
    "Batch",
    "BatchError",
    "BatchErrors",
    "BatchUsage",
    "IllegalTransitionError",
    "RequestCounts",
    "Status",
    "fail_batch",
    "move_batch",
]

type Status = Literal[
    "validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"
]

FINAL: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})
"""A batch with one of these changes no more."""

_NEXT: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        "validating": frozenset({"in_progress", "failed", "expired", "cancelling"}),
        "in_progress": frozenset({"finalizing", "failed", "cancelling"}),
        "finalizing": frozenset({"completed", "expired", "failed"}),
        "cancelling": frozenset({"cancelled", "failed"}),
        "failed": frozenset(),
        "completed": frozenset(),
        "expired": frozenset(),
        "cancelled": frozenset(),
    }
)


class IllegalTransitionError(ValueError):
    """A status cannot follow the one that a batch has."""


class BatchError(msgspec.Struct, frozen=True):
    """What is wrong with the input file."""

    code: str
    message: str
    line: int | None = None
    """Number of the line, from 1 on."""
    param: str | None = None


class BatchErrors(msgspec.Struct, frozen=True):
    """All of it."""

    data: tuple[BatchError, ...]
    object: Literal["list"] = "list"


class RequestCounts(msgspec.Struct, frozen=True):
    """How many lines there are, and what became of them."""

    total: int = 0
    completed: int = 0
    failed: int = 0


class InputTokensDetails(msgspec.Struct, frozen=True):
    """Parts of `input_tokens`."""

    cached_tokens: int = 0


class OutputTokensDetails(msgspec.Struct, frozen=True):
    """Parts of `output_tokens`."""

    reasoning_tokens: int = 0


class BatchUsage(msgspec.Struct, frozen=True):
    """The tokens of all answers."""

    input_tokens: int = 0
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int = 0
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int = 0

    @classmethod
    def of(cls, input_tokens: int, cached_tokens: int, output_tokens: int, reasoning_tokens: int) -> "BatchUsage":
        """Put counts together; `input_tokens` holds `cached_tokens`, `output_tokens` holds `reasoning_tokens`."""
        return cls(
            input_tokens,
            InputTokensDetails(cached_tokens),
            output_tokens,
            OutputTokensDetails(reasoning_tokens),
            input_tokens + output_tokens,
        )


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch. Times are in seconds since 1970."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    model: str | None = None
    errors: BatchErrors | None = None
    input_file_id: str
    completion_window: str = "24h"
    status: Status = "validating"
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: RequestCounts = RequestCounts()
    usage: BatchUsage | None = None
    metadata: dict[str, str] | None = None


def move_batch(batch: Batch, status: Status, now: int, **fields: Any) -> Batch:
    """Return the batch with its next status, the time of it, and other fields that change.

    Raises:
        IllegalTransitionError: that status cannot follow.
    """
    if status not in _NEXT[batch.status]:
        raise IllegalTransitionError(f"{status} after {batch.status}")
    return msgspec.structs.replace(batch, status=status, **{f"{status}_at": now}, **fields)


def fail_batch(batch: Batch, errors: Sequence[BatchError], now: int) -> Batch:
    """Return the batch as failed, for these reasons."""
    return move_batch(batch, "failed", now, errors=BatchErrors(tuple(errors)))

"""The batch object: the statuses that may follow each other, and the form that the `openai` package reads."""

from typing import get_args

import msgspec
import openai.types
import pytest

from translators.batches.batch import (
    FINAL,
    Batch,
    BatchError,
    BatchUsage,
    IllegalTransitionError,
    RequestCounts,
    Status,
    fail_batch,
    move_batch,
)

NEW = Batch(id="batch_1", endpoint="/v1/responses", input_file_id="file-1", created_at=1, expires_at=86401)
STATUSES = get_args(Status.__value__)


def read(batch):
    return openai.types.Batch.model_validate_json(msgspec.json.encode(batch), strict=True)


def test_every_field_is_the_packages_own():
    assert set(Batch.__struct_fields__) == set(openai.types.Batch.model_fields)
    assert set(STATUSES) == set(get_args(openai.types.Batch.model_fields["status"].annotation))


@pytest.mark.parametrize(
    "way",
    [
        ("in_progress", "finalizing", "completed"),
        ("in_progress", "finalizing", "expired"),
        ("in_progress", "cancelling", "cancelled"),
        ("cancelling", "cancelled"),
        ("failed",),
        ("expired",),
    ],
    ids="-".join,
)
def test_each_status_has_its_time(way):
    batch = NEW
    for now, status in enumerate(way, 2):
        batch = move_batch(batch, status, now)
        assert (batch.status, getattr(batch, f"{status}_at")) == (status, now)
    shown = read(batch)
    assert shown.status == way[-1]
    assert shown.status in FINAL


@pytest.mark.parametrize("first", sorted(FINAL))
@pytest.mark.parametrize("second", STATUSES)
def test_nothing_follows_an_end(first, second):
    with pytest.raises(IllegalTransitionError):
        move_batch(msgspec.structs.replace(NEW, status=first), second, 3)


def test_a_batch_does_not_end_before_it_is_sent():
    for status in ("completed", "finalizing", "cancelled"):
        with pytest.raises(IllegalTransitionError):
            move_batch(NEW, status, 3)


def test_errors_counts_and_usage_are_read_by_the_package():
    failed = read(fail_batch(NEW, [BatchError("invalid_url", "No.", 3, "url")], 5))
    assert (failed.failed_at, failed.errors.object) == (5, "list")
    assert failed.errors.data[0].to_dict() == {"code": "invalid_url", "line": 3, "message": "No.", "param": "url"}
    done = read(
        move_batch(
            move_batch(move_batch(NEW, "in_progress", 2), "finalizing", 3),
            "completed",
            4,
            request_counts=RequestCounts(3, 2, 1),
            usage=BatchUsage.of(10, 4, 6, 2),
        )
    )
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (3, 2, 1)
    assert (done.usage.input_tokens, done.usage.output_tokens, done.usage.total_tokens) == (10, 6, 16)
    assert (done.usage.input_tokens_details.cached_tokens, done.usage.output_tokens_details.reasoning_tokens) == (4, 2)

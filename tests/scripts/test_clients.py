"""A run of the foreign clients that did not show all that it should has failed."""

import pytest

from scripts.clients import failure_of


@pytest.mark.parametrize(
    ("statuses", "missing", "is_whole", "failure"),
    [
        ([0, 0], [], True, None),
        ([0, 1], [], True, "pytest ended with 0, 1"),
        ([0, -9], [], True, "pytest ended with 0, -9"),
        ([0, 5], [], True, "pytest ended with 0, 5"),
        ([0, 0], ["langchain by base_url"], True, "nothing was reported of langchain by base_url"),
        ([0, 0], ["langchain by base_url"], False, None),
        ([0, 5], ["langchain by https_proxy"], False, None),
        ([5, 5], ["langchain by base_url"], False, "pytest ended with 5, 5"),
        ([-9, 5], [], False, "pytest ended with -9, 5"),
    ],
    ids=["all", "failed", "killed", "no-tests", "silent", "a-part", "one-way", "nothing-chosen", "a-part-killed"],
)
def test_what_fails_a_run(statuses, missing, is_whole, failure):
    assert failure_of(statuses, missing, is_whole=is_whole) == failure

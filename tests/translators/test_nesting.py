"""How deep is too deep."""

import pytest

from translators.nesting import MAX_DEPTH, is_too_deep


def nested(levels):
    value = "leaf"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("levels", "too_deep"), [(0, False), (1, False), (MAX_DEPTH, False), (MAX_DEPTH + 1, True), (100_000, True)]
)
def test_lists_and_objects_are_counted(levels, too_deep):
    assert is_too_deep(nested(levels)) is too_deep

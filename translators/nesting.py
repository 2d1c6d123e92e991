"""How deeply JSON may be nested: clients' values are walked and encoded again, without a RecursionError."""

from typing import Any

__all__ = ["MAX_DEPTH", "is_too_deep"]

MAX_DEPTH = 128
"""Far beyond any schema or argument of an app, and far within Python's and msgspec's own limits."""


def is_too_deep(value: Any) -> bool:
    """Whether lists and objects are nested more than `MAX_DEPTH` deep. Walks without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            member
            for parent in level
            if isinstance(parent, (dict, list))
            for member in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(member, (dict, list))
        ]
        if not level:
            return False
    return True

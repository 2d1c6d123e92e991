"""References within a JSON schema: what `#/$defs/Name` means, and whether one leads back to itself."""

from collections.abc import Mapping
from typing import Any

__all__ = ["DEFINITIONS", "find_definition", "is_recursive", "reference_to"]

DEFINITIONS = ("$defs", "definitions")
"""The keywords that hold definitions, in the current draft and in those before."""


def reference_to(keyword: str, name: str) -> str:
    """Write the `$ref` of a definition (https://datatracker.ietf.org/doc/html/rfc6901#section-3)."""
    return f"#/{keyword}/{name.replace('~', '~0').replace('/', '~1')}"


def find_definition(root: Mapping[str, Any], reference: Any) -> dict[str, Any] | None:
    """Find what a `$ref` means; None where it leads elsewhere, or to nothing.

    Args:
        root: the whole schema, which has the definitions.
        reference: the value of `$ref`, whatever a client wrote there.
    """
    if not isinstance(reference, str):
        return None
    for keyword in DEFINITIONS:
        definitions = root.get(keyword)
        name = reference.removeprefix(f"#/{keyword}/").replace("~1", "/").replace("~0", "~")
        if reference_to(keyword, name) == reference and isinstance(definitions, Mapping):
            target = definitions.get(name)
            if isinstance(target, Mapping):
                return dict(target)
    return None


def is_recursive(root: Mapping[str, Any], max_depth: int) -> bool:
    """Follow every reference between the definitions of a schema: whether one leads back to itself, or too deep."""
    edges = {
        reference_to(keyword, name): _references_in(definition)
        for keyword in DEFINITIONS
        for name, definition in root.get(keyword, {}).items()
    }
    finished: set[str] = set()

    def leads_back(reference: str, path: tuple[str, ...]) -> bool:
        if reference in path or len(path) > max_depth:
            return True
        if reference not in finished:
            if any(leads_back(target, (*path, reference)) for target in edges.get(reference, ())):
                return True
            finished.add(reference)
        return False

    return any(leads_back(reference, ()) for reference in edges)


def _references_in(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references_in(member) for member in value.values()))
    if isinstance(value, list):
        return set().union(*(_references_in(member) for member in value))
    return set()

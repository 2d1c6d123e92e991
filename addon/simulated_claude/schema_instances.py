"""A value that satisfies a JSON schema: what the simulated Claude passes to tools, and its structured output.

Deterministic: the same schema gives the same value. Optional properties are given too where that is cheap, so that a
reader of the value sees every field; where schemas recurse they are left out.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["make_instance"]

type Schema = Mapping[str, Any] | bool

MAX_DEPTH = 12
OPTIONAL_DEPTH = 4
"""Deeper than this only required properties are given."""
MOST_VALUES = 10_000
"""A schema that recurses in several required properties asks for more than there is memory."""
MOST_ITEMS = 1000
MOST_CHARACTERS = 1_000_000
"""Nothing that Claude may say is longer."""
MOST_TRIED = 20
"""Characters on which a pattern is tried: one that backtracks takes twice as long for each of them."""

FORMATS = {
    "date-time": "2026-11-23T08:00:00Z",
    "date": "2026-11-23",
    "time": "08:00:00Z",
    "duration": "PT1H",
    "email": "claude@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "url": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def make_instance(schema: Schema, hint: str = "") -> Any:
    """Make a value for the schema. `hint` is a text that free strings may quote."""
    return _Maker(schema if isinstance(schema, Mapping) else {}, hint).make(schema, 0, "value")


@dataclass(frozen=True, slots=True)
class _Maker:
    root: Mapping[str, Any]
    """Where references point into."""
    hint: str
    left: Iterator[int] = field(default_factory=lambda: iter(range(MOST_VALUES)))
    """Runs out after so many values."""

    def make(self, schema: Schema, depth: int, name: str) -> Any:
        """Make a value for a part of the schema, `depth` levels down, in the property `name`."""
        if depth > MAX_DEPTH or next(self.left, None) is None:
            return None
        if isinstance(schema, bool) or not schema:
            return _string({}, self.hint, name)
        if "$ref" in schema:
            return self.make(_resolve(schema["$ref"], self.root), depth + 1, name)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        if "default" in schema:
            return schema["default"]
        for key in ("anyOf", "oneOf"):
            if schema.get(key):
                return self.make(_merge(schema, key, _simplest(schema[key])), depth + 1, name)
        if schema.get("allOf"):
            merged: Mapping[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                resolved = _resolve(part["$ref"], self.root) if isinstance(part, Mapping) and "$ref" in part else part
                merged = _merge_all_of(merged, resolved)
            return self.make(merged, depth + 1, name)
        return self._make_by_type(schema, depth, name)

    def _make_by_type(self, schema: Mapping[str, Any], depth: int, name: str) -> Any:
        match _type_of(schema):
            case "object":
                return self._make_object(schema, depth)
            case "array":
                return self._make_array(schema, depth, name)
            case "integer":
                return _number(schema, whole=True)
            case "number":
                return _number(schema, whole=False)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _string(schema, self.hint, name)

    def _make_array(self, schema: Mapping[str, Any], depth: int, name: str) -> list[Any]:
        made = [self.make(item, depth + 1, name) for item in schema.get("prefixItems", ())]
        items = schema.get("items", True)
        if items is False:
            return made
        shown = 1 if depth < OPTIONAL_DEPTH and schema.get("maxItems") != 0 else 0
        wanted = max(min(int(schema.get("minItems", 0)), MOST_ITEMS), shown)
        return made + [self.make(items, depth + 1, name) for _ in range(wanted - len(made))]

    def _make_object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties: Mapping[str, Schema] = schema.get("properties") or {}
        required = [name for name in schema.get("required") or () if name in properties]
        # Claude writes required properties first.
        optional = [name for name in properties if name not in required] if depth < OPTIONAL_DEPTH else []
        made = {name: self.make(properties[name], depth + 1, name) for name in required + optional}
        for name in schema.get("required") or ():
            made.setdefault(name, _string({}, self.hint, name))
        return made


def _resolve(reference: str, root: Mapping[str, Any]) -> Schema:
    target: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            target = target.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(target, Mapping) else {}
    return target if isinstance(target, Mapping | bool) else {}


def _simplest(options: list[Schema]) -> Schema:
    # A nullable value is better shown than null; among others the first is as good as any.
    return next(
        (option for option in options if not (isinstance(option, Mapping) and option.get("type") == "null")), options[0]
    )


def _merge(schema: Mapping[str, Any], without: str, part: Schema) -> Schema:
    rest = {key: value for key, value in schema.items() if key not in {without, "title", "description"}}
    return _merge_all_of(rest, part)


def _merge_all_of(first: Mapping[str, Any], second: Schema) -> Mapping[str, Any]:
    if isinstance(second, bool):
        return first
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        merged["required"] = [
            *first["required"],
            *(name for name in second["required"] if name not in first["required"]),
        ]
    return merged


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((option for option in kind if option != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf")
    value: float = 1
    if isinstance(above, int | float) and not isinstance(above, bool) and value <= above:
        value = above + 1
    if isinstance(low, int | float) and value < low:
        value = low
    if isinstance(high, int | float) and value > high:
        value = high
    if isinstance(below, int | float) and not isinstance(below, bool) and value >= below:
        value = below - 1 if above is None or below - above > 1 else (below + above) / 2
    if step:
        value = -(-value // step) * step
    return int(value) if whole or float(value).is_integer() else value


def _string(schema: Mapping[str, Any], hint: str, name: str) -> str:
    if form := FORMATS.get(schema.get("format", "")):
        return form
    least, most = min(int(schema.get("minLength", 0)), MOST_CHARACTERS), schema.get("maxLength")
    text = hint.strip()[:80] or f"a simulated {name.replace('_', ' ')}"
    if pattern := schema.get("pattern"):
        text = _match(pattern, text)
    text = text.ljust(least, ".")
    return text if most is None else text[: int(most)]


def _match(pattern: str, text: str) -> str:
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return text  # JSON Schema's patterns are those of JavaScript: Python cannot read each of them
    candidates = (
        text[:MOST_TRIED],
        "a",
        "A",
        "1",
        "abc",
        "ABC",
        "123",
        "2026-11-23",
        "A1",
        "a1",
        "claude@example.com",
        "https://example.com/",
        "+1",
        "#000000",
    )
    return next((candidate for candidate in candidates if compiled.search(candidate)), text)

"""JSON schemas inside the subset that Claude compiles into a grammar (`output_config.format`, strict tools).

| keyword | here |
|---|---|
| bounds (`minimum`, `maxLength`, `maxItems`, ...), `not`, `if`, `contains` | said in the description |
| `format`s and `pattern`s that Claude does not know | said in the description |
| `additionalProperties` absent | `false` |
| `type: [a, b]`, `oneOf`, `nullable` (OpenAPI 3.0) | `anyOf` |
| `allOf` | merged into one schema |
| internal `$ref` without recursion | kept; with other bounds beside it merged with them |
| recursion, references elsewhere, maps and open objects, tuples, `{}` | not expressible: the caller degrades |
| a `type` that JSON Schema does not have (`str`, `any`) | no schema: the caller refuses |

The order of keys stays, and equal schemas give equal bytes, so that a conversation's prefix stays in Claude's cache.
Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs. (The SDK's own `transform_schema`
raises on nullable types and turns maps into closed empty objects.)
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from translators.schema_references import DEFINITIONS, find_definition, is_recursive, reference_to

__all__ = [
    "MAX_OPTIONAL_PROPERTIES",
    "MAX_STRICT_TOOLS",
    "MAX_UNIONS",
    "GrammarSchema",
    "NotExpressibleError",
    "UnknownTypeError",
    "to_current_draft",
    "to_grammar_schema",
]

MAX_STRICT_TOOLS = 20
MAX_OPTIONAL_PROPERTIES = 24
MAX_UNIONS = 16
"""Limits over all schemas of a request."""

_MAX_DEPTH = 64
_MAX_MERGES = 1_000
"""Members of `allOf` that are merged. Thirty definitions that each name the next one twice would be a milliard."""
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_SAID = frozenset(
    {
        "contains",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "if",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "not",
        "propertyNames",
        "then",
        "uniqueItems",
    }
)
_KEPT = frozenset({"title", "default", "const"})
_BINDING = _SAID | {
    "additionalProperties",
    "anyOf",
    "const",
    "enum",
    "format",
    "items",
    "oneOf",
    "pattern",
    "prefixItems",
    "properties",
    "required",
    "type",
}
"""Keywords that bind a value. Beside a `$ref` they bind it too."""
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_HARD_PATTERN = re.compile(r"\(\?|\\[bB1-9]|\{\d{3,}|\{\d*,\d{3,}")
_OF_TYPE: Mapping[str, frozenset[str]] = {
    "object": frozenset(
        {"properties", "required", "additionalProperties", "minProperties", "maxProperties", "propertyNames"}
    ),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems", "contains", "prefixItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
}
"""Keywords that only matter to one type, for splitting a `type` array."""


class NotExpressibleError(ValueError):
    """The schema says what Claude's grammar cannot hold; the message says what, without the schema's content."""


class UnknownTypeError(NotExpressibleError):
    """The schema is none: it has a `type` that JSON Schema does not know, as `str` or `any`."""

    def __init__(self, value: str) -> None:
        super().__init__("an unknown type")
        self.value = value
        """The type, as the client wrote it."""


@dataclass(frozen=True, slots=True)
class GrammarSchema:
    """A schema that Claude compiles, and what it costs of the request's limits."""

    schema: dict[str, Any]
    optional_properties: int
    unions: int
    said: tuple[str, ...]
    """Keywords that are only said in a description now: Claude is told of them, but not held to them."""


def to_grammar_schema(schema: Mapping[str, Any]) -> GrammarSchema:
    """Rewrite a schema for Claude's grammar.

    Raises:
        NotExpressibleError: nothing but a weaker request would do.
    """
    rewriting = _Rewriting(schema)
    rewritten = {**rewriting.rewrite(schema, 0), **rewriting.rewrite_definitions()}
    if is_recursive(rewritten, _MAX_DEPTH):
        raise NotExpressibleError("a recursion")
    return GrammarSchema(
        rewritten, rewriting.optional_properties, rewriting.unions, tuple(dict.fromkeys(rewriting.said))
    )


@dataclass(slots=True)
class _Rewriting:
    root: Mapping[str, Any]
    optional_properties: int = 0
    unions: int = 0
    said: list[str] = field(default_factory=list)
    references: set[str] = field(default_factory=set)
    merges: int = 0

    def rewrite(self, schema: Any, depth: int) -> dict[str, Any]:
        if depth > _MAX_DEPTH:
            raise NotExpressibleError("nested too deeply")
        schema = self._merge_all_of(_object(schema), depth)
        if "$ref" in schema and not schema.keys() & _BINDING:
            return self._rewrite_reference(schema)
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return self.rewrite({"allOf": [{"$ref": schema["$ref"]}], **rest}, depth + 1)
        types = schema.get("type")
        if schema.get("nullable") is True and isinstance(types, str):
            types = [types, "null"]
            schema = {key: value for key, value in schema.items() if key != "nullable"}
        if isinstance(types, list):
            if len(types) != 1:
                return self.rewrite(_split_types(schema, types), depth)
            schema = {**schema, "type": types[0]}
        elif types is None and "properties" in schema:
            schema = {"type": "object", **schema}
        rewritten: dict[str, Any] = {}
        said: list[str] = []
        for keyword, value in schema.items():
            self._rewrite_keyword(keyword, value, rewritten, said, depth)
        if rewritten.get("type") == "object":
            self._close(schema, rewritten)
        elif not rewritten.keys() & {"type", "enum", "const", "anyOf"}:
            raise NotExpressibleError("a value of any type")
        elif rewritten.get("type") == "array" and "items" not in rewritten:
            raise NotExpressibleError("an array of anything")
        if said:
            self.said.extend(word.partition(":")[0] for word in said)
            text = f"({'; '.join(said)})"
            rewritten["description"] = f"{rewritten['description']} {text}" if rewritten.get("description") else text
        return rewritten

    def _rewrite_keyword(
        self,
        keyword: str,
        value: Any,
        rewritten: dict[str, Any],
        said: list[str],
        depth: int,
    ) -> None:
        match keyword:
            case "type":
                if not isinstance(value, str):
                    raise NotExpressibleError("a type that is no name")
                _check_types([value])
                rewritten["type"] = value
            case "description":
                if isinstance(value, str):
                    rewritten["description"] = value
            case "enum":
                if not isinstance(value, list) or any(isinstance(member, (list, dict)) for member in value):
                    raise NotExpressibleError("an enum of structures")
                rewritten["enum"] = value
            case "anyOf" | "oneOf":
                if not isinstance(value, list) or not value:
                    raise NotExpressibleError("an empty union")
                if "anyOf" in rewritten:
                    raise NotExpressibleError("two unions at once")
                self.unions += 1
                members = [self.rewrite(member, depth + 1) for member in value]
                rewritten["anyOf"] = members
            case "properties":
                properties = _object(value)
                rewritten["properties"] = {name: self.rewrite(member, depth + 1) for name, member in properties.items()}
            case "items":
                if isinstance(value, list):
                    raise NotExpressibleError("a tuple")
                rewritten["items"] = self.rewrite(value, depth + 1)
            case "prefixItems":
                raise NotExpressibleError("a tuple")
            case "patternProperties":
                if value:
                    raise NotExpressibleError("a map")
            case "minItems" if value in (0, 1):
                rewritten["minItems"] = value
            case "pattern" if isinstance(value, str) and not _HARD_PATTERN.search(value):
                rewritten["pattern"] = value
            case "format" if isinstance(value, str) and value in _FORMATS:
                rewritten["format"] = value
            case "minItems" | "pattern" | "format":
                said.append(f"{keyword}: {_json(value)}")
            case _ if keyword in _SAID:
                said.append(f"{keyword}: {_json(value)}")
            case _ if keyword in _KEPT:
                rewritten[keyword] = value
            case _:
                # Annotations ($schema, examples, ...), and what has its own place: definitions, what closes an object.
                pass

    def _close(self, schema: Mapping[str, Any], rewritten: dict[str, Any]) -> None:
        if schema.get("additionalProperties", False) is not False:
            raise NotExpressibleError("a map or an open object")
        if "properties" not in rewritten:
            raise NotExpressibleError("an object of any properties")
        properties = rewritten["properties"]
        asked = schema.get("required")
        required = [name for name in _names(asked) if name in properties]
        rewritten["required"] = required
        rewritten["additionalProperties"] = False
        self.optional_properties += len(properties) - len(set(required))

    def _rewrite_reference(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        reference = schema["$ref"]
        self.resolve(reference)
        self.references.add(reference)
        described = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        return {"$ref": reference, **described}

    def rewrite_definitions(self) -> dict[str, dict[str, Any]]:
        """Rewrite the definitions that are used, those that only another one uses among them, by their keywords."""
        places = {
            reference_to(keyword, name): (keyword, name)
            for keyword in DEFINITIONS
            if isinstance(definitions := self.root.get(keyword), Mapping)
            for name in definitions
        }
        done: dict[str, Any] = {}
        while used := self.references - done.keys():
            done.update((each, self.rewrite(self.resolve(each), 0)) for each in places if each in used)
        rewritten: dict[str, dict[str, Any]] = {}
        for reference, (keyword, name) in places.items():
            if reference in done:
                rewritten.setdefault(keyword, {})[name] = done[reference]
        return rewritten

    def resolve(self, reference: Any) -> dict[str, Any]:
        """Find what a `$ref` means."""
        found = find_definition(self.root, reference)
        if found is None:
            raise NotExpressibleError("a reference elsewhere, or a recursion")
        return found

    def _merge_all_of(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        """Merge `allOf`: closed members would exclude each other's properties, and references are refused inside it."""
        members = schema.get("allOf")
        if members is None:
            return schema
        if not isinstance(members, list) or depth > _MAX_DEPTH:
            raise NotExpressibleError("an allOf that is no list")
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        if len(members) == 1 and not rest.keys() - {"title", "description", "default"}:
            return self._merge_all_of({**_object(members[0]), **rest}, depth + 1)
        merged: dict[str, Any] = dict(rest)
        for member in members:
            self.merges += 1
            if self.merges > _MAX_MERGES:
                raise NotExpressibleError("an allOf of too many members")
            part = _object(member)
            if "$ref" in part:
                part = {**self.resolve(part["$ref"]), **{key: value for key, value in part.items() if key != "$ref"}}
            part = self._merge_all_of(part, depth + 1)
            for key, value in part.items():
                if key == "properties":
                    merged[key] = _merge_properties(_object(merged.get(key, {})), _object(value))
                elif key == "required":
                    merged[key] = list(dict.fromkeys([*_names(merged.get(key)), *_names(value)]))
                elif key in {"title", "description", "default"}:
                    merged.setdefault(key, value)
                elif merged.setdefault(key, value) != value:
                    raise NotExpressibleError("an allOf whose members differ")
        return merged


def to_current_draft(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrite what drafts before 2020-12 and OpenAPI 3.0 write otherwise: Claude refuses a schema of another draft.

    Boolean bounds (`minimum: 0, exclusiveMinimum: true`), boolean `required`, lists of `items`. All else stays.

    Raises:
        UnknownTypeError: no draft has the type, so that Claude would refuse the schema without saying where.
    """
    rewritten: dict[str, Any] = {}
    for keyword, value in schema.items():
        match keyword, value:
            case (("exclusiveMinimum" | "exclusiveMaximum" | "required"), bool()):
                pass
            case (("minimum" | "maximum"), _) if schema.get(f"exclusive{keyword.capitalize()}") is True:
                rewritten[f"exclusive{keyword.capitalize()}"] = value
            case "type", str() | list():
                _check_types(value if isinstance(value, list) else [value])
                rewritten[keyword] = value
            case "items", list():
                rewritten["prefixItems"] = [_to_current_draft(member) for member in value]
            case (("properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas"), dict()):
                rewritten[keyword] = {name: _to_current_draft(member) for name, member in value.items()}
            case (("anyOf" | "oneOf" | "allOf" | "prefixItems"), list()):
                rewritten[keyword] = [_to_current_draft(member) for member in value]
            case (
                ("items" | "additionalProperties" | "not" | "if" | "then" | "else" | "contains" | "propertyNames"),
                dict(),
            ):
                rewritten[keyword] = to_current_draft(value)
            case _:
                rewritten[keyword] = value
    return rewritten


def _to_current_draft(value: Any) -> Any:
    return to_current_draft(value) if isinstance(value, dict) else value


def _check_types(names: Iterable[Any]) -> None:
    for name in names:
        if isinstance(name, str) and name not in _TYPES:
            raise UnknownTypeError(name)


def _split_types(schema: Mapping[str, Any], types: list[Any]) -> dict[str, Any]:
    """Split `{"type": ["string", "null"], "minLength": 1}` into a union, each member with the keywords of its type."""
    outer = {key: schema[key] for key in ("title", "description", "default") if key in schema}
    bound_to_types = frozenset().union(*_OF_TYPE.values())
    shared = {
        key: value for key, value in schema.items() if key not in outer and key not in {"type", "enum"} | bound_to_types
    }
    members = []
    for name in types:
        own = _OF_TYPE.get("number" if name == "integer" else str(name), frozenset())
        member = {"type": name, **{key: value for key, value in schema.items() if key in own}, **shared}
        if isinstance(schema.get("enum"), list):
            values = [value for value in schema["enum"] if _is_of_type(value, name)]
            if not values:
                continue
            if name != "null":
                member["enum"] = values
        members.append(member)
    if not members:
        raise NotExpressibleError("an empty union")
    return {"anyOf": members, **outer}


def _is_of_type(value: Any, name: Any) -> bool:
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case _:
            return False


def _merge_properties(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Put the properties of two members of `allOf` together: one that both have is bound by both."""
    shared = {name: {"allOf": [one[name], other[name]]} for name in one if name in other and one[name] != other[name]}
    return {**one, **other, **shared}


def _names(required: Any) -> list[str]:
    return [name for name in required if isinstance(name, str)] if isinstance(required, list) else []


def _object(schema: Any) -> dict[str, Any]:
    if isinstance(schema, Mapping):
        return dict(schema)
    raise NotExpressibleError("a schema that is no object")


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()

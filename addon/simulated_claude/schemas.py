"""Which JSON schemas are taken: for any tool, and, more narrowly, for strict tools and structured output.

Sources: https://platform.claude.com/docs/en/build-with-claude/structured-outputs (the subset and the limits), and the
API's own answers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from addon.simulated_claude.errors import ClaudeError, invalid_request

__all__ = ["check_schemas"]

MAX_STRICT_TOOLS = 20
MAX_OPTIONAL = 24
MAX_UNIONS = 16
PROPERTY_KEY = r"^[a-zA-Z0-9_.-]{1,64}$"
TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
NOT_A_SCHEMA = (
    "JSON schema is invalid. It must match JSON Schema draft 2020-12 (https://json-schema.org/draft/2020-12)."
)
TOOL_HELP = "Learn more about tool use at https://docs.claude.com/en/docs/tool-use."

COUNTS = ("maxItems", "maxLength", "minItems", "minLength")

NUMBER_BOUNDS = ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf")
UNSUPPORTED = {
    "integer": NUMBER_BOUNDS,
    "number": NUMBER_BOUNDS,
    "string": ("maxLength", "minLength"),
    "array": ("contains", "maxContains", "maxItems", "minContains", "prefixItems", "uniqueItems"),
    "object": ("dependentRequired", "maxProperties", "minProperties", "patternProperties", "propertyNames"),
}
UNSUPPORTED_ANYWHERE = ("dependentSchemas", "else", "if", "not", "oneOf", "then")
STRING_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
BEYOND_SIMPLE_PATTERN = re.compile(r"\(\?[=!<]|\\[bB1-9]|\{\d{4,}")
"""Lookaround, word borders, backreferences, and counts in the thousands."""


def check_schemas(body: Mapping[str, Any]) -> Iterator[ClaudeError]:
    """Everything that is wrong with the schemas of the tools and of the output format."""
    tools = [
        (index, tool) for index, tool in enumerate(body.get("tools") or ()) if tool.get("type") in {None, "custom"}
    ]
    for index, tool in tools:
        yield from _check_tool_schema(tool, f"tools.{index}.custom")
    strict = [(f"tools.{index}.custom", tool["input_schema"]) for index, tool in tools if tool.get("strict")]
    output = (body.get("output_config") or {}).get("format")
    name = "output_config.format.schema"
    if output is None and body.get("output_format"):
        output, name = body["output_format"], "output_format.schema"
    narrow = [*strict, (name, output["schema"])] if output else strict
    if output and not _is_schema(output["schema"]):
        yield invalid_request(f"{name}: {NOT_A_SCHEMA}")
        return
    for path, schema in narrow:
        yield from (invalid_request(f"{path}: {fault}") for fault in _faults(schema, schema, ()))
    if len(strict) > MAX_STRICT_TOOLS:
        yield invalid_request(
            f"Too many strict tools ({len(strict)}). The maximum number of strict tools supported is "
            f"{MAX_STRICT_TOOLS}."
        )
    optional = sum(_count_optional(schema) for _, schema in narrow)
    if optional > MAX_OPTIONAL:
        yield invalid_request(
            f"Schemas contains too many optional parameters ({optional}), which would make grammar compilation "
            f"inefficient. Reduce the number of optional parameters in your tool schemas (limit: {MAX_OPTIONAL})."
        )
    unions = sum(_count_unions(schema) for _, schema in narrow)
    if unions > MAX_UNIONS:
        yield invalid_request(
            f"Schemas contains too many parameters with union types ({unions} parameters with type arrays or anyOf), "
            "which causes exponential compilation cost. Reduce the number of nullable or union-typed parameters "
            f"(limit: {MAX_UNIONS} parameters with unions)."
        )


def _check_tool_schema(tool: Mapping[str, Any], path: str) -> Iterator[ClaudeError]:
    schema = tool["input_schema"]
    if "type" not in schema:
        yield invalid_request(f"{path}.input_schema.type: Field required")
    elif schema["type"] != "object":
        yield invalid_request(f"{path}.input_schema.type: Input should be 'object'")
    if any(key in schema for key in ("oneOf", "allOf", "anyOf")):
        yield invalid_request(
            f"{path}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
        )
    if not _is_schema(schema):
        yield invalid_request(f"{path}.input_schema: {NOT_A_SCHEMA} {TOOL_HELP}")
        return
    for key in schema.get("properties") or {}:
        if not re.match(PROPERTY_KEY, key):
            yield invalid_request(
                f"{path}.input_schema.properties: Property keys should match pattern '{PROPERTY_KEY}'"
            )
    for index, example in enumerate(tool.get("input_examples") or ()):
        for name in schema.get("required") or ():
            if name not in example:
                yield invalid_request(f"{path}.input_examples.{index}: '{name}' is a required property")


def _is_schema(schema: Any) -> bool:
    """Whether the keywords have the types that the draft gives them, all the way down."""
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, Mapping):
        return False
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind] if kind is not None else []
    if any(not isinstance(one, str) or one not in TYPES for one in kinds):
        return False
    required = schema.get("required", [])
    if not isinstance(required, list) or any(not isinstance(name, str) for name in required):
        return False
    if not isinstance(schema.get("enum", []), list) or not _has_plain_keywords(schema):
        return False
    children: list[Any] = []
    for key in ("properties", "patternProperties", "$defs", "definitions"):
        if not isinstance(schema.get(key) or {}, Mapping):
            return False
        children += (schema.get(key) or {}).values()
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if not isinstance(schema.get(key, []), list):
            return False
        children += schema.get(key, [])
    children += [schema[key] for key in ("items", "additionalProperties", "not") if key in schema]
    return all(_is_schema(child) for child in children)


def _has_plain_keywords(schema: Mapping[str, Any]) -> bool:
    """Whether the keywords that hold a string, a number or a count do."""
    if any(not isinstance(schema.get(key, ""), str) for key in ("$ref", "format", "pattern")):
        return False
    if any(not isinstance(schema.get(key, 1), int | float) for key in NUMBER_BOUNDS):
        return False
    if schema.get("multipleOf", 1) <= 0:
        return False
    counts = [schema.get(key, 0) for key in COUNTS]
    return all(isinstance(count, int | float) and count >= 0 and int(count) == count for count in counts)


def _faults(schema: Any, root: Mapping[str, Any], references: Sequence[str]) -> Iterator[str]:
    """Why a schema is outside the subset that becomes a grammar."""
    if not isinstance(schema, Mapping):
        yield "Boolean schemas are not supported"
        return
    for key in UNSUPPORTED_ANYWHERE:
        if key in schema:
            yield f"Schema keyword '{key}' is not supported"
    if "$ref" in schema:
        yield from _reference_faults(schema["$ref"], root, references)
        return
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds] if kinds else []
    if not kinds and not {"anyOf", "allOf", "enum", "const"} & schema.keys():
        yield "Schema must have a 'type', 'anyOf', 'allOf', 'enum', 'const' or '$ref'"
    for kind in kinds:
        used = [name for name in UNSUPPORTED.get(kind, ()) if name in schema]
        if used:
            noun = "property" if len(used) == 1 else "properties"
            verb = "is" if len(used) == 1 else "are"
            yield f"For '{kind}' type, {noun} {', '.join(used)} {verb} not supported"
    if "object" in kinds:
        yield from _object_faults(schema)
    if "array" in kinds and schema.get("minItems", 0) not in {0, 1}:
        yield "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    if "string" in kinds:
        form = schema.get("format")
        if form is not None and form not in STRING_FORMATS:
            yield f"For 'string' type, format '{form}' is not supported"
        if BEYOND_SIMPLE_PATTERN.search(schema.get("pattern", "")):
            yield "For 'string' type, this 'pattern' is not supported"
    if any(isinstance(value, Mapping | list) for value in schema.get("enum", ())):
        yield "Only primitive values are supported in 'enum'"
    for child in _children(schema):
        yield from _faults(child, root, references)
    if any(isinstance(part, Mapping) and "$ref" in part for part in schema.get("allOf", ())):
        yield "'$ref' inside 'allOf' is not supported"


def _object_faults(schema: Mapping[str, Any]) -> Iterator[str]:
    additional = schema.get("additionalProperties")
    if additional is None:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
    elif additional is not False:
        shown = "true" if additional is True else "object"
        yield (
            f"For 'object' type, 'additionalProperties: {shown}' is not supported. "
            "Please set 'additionalProperties' to false"
        )


def _reference_faults(reference: str, root: Mapping[str, Any], references: Sequence[str]) -> Iterator[str]:
    if not reference.startswith("#"):
        yield f"External '$ref' is not supported: {reference}"
        return
    if reference in references or reference == "#":
        yield "Recursive schemas are not supported"
        return
    target: Any = root
    for part in reference.removeprefix("#/").split("/"):
        target = target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
    if target is None:
        yield f"'$ref' does not resolve: {reference}"
        return
    yield from _faults(target, root, (*references, reference))


def _children(schema: Mapping[str, Any]) -> Iterator[Any]:
    yield from (schema.get("properties") or {}).values()
    if "items" in schema:
        yield schema["items"]
    yield from schema.get("anyOf", ())
    yield from (part for part in schema.get("allOf", ()) if not (isinstance(part, Mapping) and "$ref" in part))


def _definitions(schema: Mapping[str, Any]) -> Iterator[Any]:
    yield from (schema.get("$defs") or {}).values()
    yield from (schema.get("definitions") or {}).values()


def _count_optional(schema: Any) -> int:
    if not isinstance(schema, Mapping):
        return 0
    required = schema.get("required") or ()
    own = sum(name not in required for name in schema.get("properties") or {})
    return own + sum(_count_optional(child) for child in [*_children(schema), *_definitions(schema)])


def _count_unions(schema: Any) -> int:
    if not isinstance(schema, Mapping):
        return 0
    own = sum(
        isinstance(prop, Mapping) and ("anyOf" in prop or isinstance(prop.get("type"), list))
        for prop in (schema.get("properties") or {}).values()
    )
    return own + sum(_count_unions(child) for child in [*_children(schema), *_definitions(schema)])

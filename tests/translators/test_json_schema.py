"""Schemas inside Claude's subset, and those that have no place in it."""

from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.json_schema import NotExpressibleError, to_grammar_schema

STRING: dict[str, Any] = {"type": "string"}


def closed(properties: dict[str, Any], required: list[str] | None = None, **more: Any) -> dict[str, Any]:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False, **more}


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        pytest.param(closed({"a": STRING}), closed({"a": STRING}), id="already-closed"),
        pytest.param(
            {"type": "object", "properties": {"a": STRING}}, closed({"a": STRING}, []), id="T14-closed-and-completed"
        ),
        pytest.param({"properties": {"a": STRING}}, closed({"a": STRING}, []), id="type-left-out"),
        pytest.param({"type": ["string"]}, STRING, id="one-type-in-a-list"),
        pytest.param(
            {"type": ["string", "null"], "minLength": 2, "description": "A name"},
            {"anyOf": [{"type": "string", "description": "(minLength: 2)"}, {"type": "null"}], "description": "A name"},
            id="T14-nullable",
        ),
        pytest.param(
            {"type": ["string", "null"], "enum": ["a", None]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
            id="nullable-enum",
        ),
        pytest.param(
            {"type": "string", "nullable": True, "maxLength": 9},
            {"anyOf": [{"type": "string", "description": "(maxLength: 9)"}, {"type": "null"}]},
            id="nullable-of-openapi",
        ),
        pytest.param({"oneOf": [STRING, {"type": "null"}]}, {"anyOf": [STRING, {"type": "null"}]}, id="one-of"),
        pytest.param(
            {"type": "integer", "minimum": 1, "maximum": 5, "description": "Stars"},
            {"type": "integer", "description": "Stars (minimum: 1; maximum: 5)"},
            id="T13-bounds",
        ),
        pytest.param(
            {"type": "array", "items": STRING, "minItems": 1},
            {"type": "array", "items": STRING, "minItems": 1},
            id="min-items-1",
        ),
        pytest.param(
            {"type": "array", "items": STRING, "minItems": 2, "maxItems": 3},
            {"type": "array", "items": STRING, "description": "(minItems: 2; maxItems: 3)"},
            id="T13-min-items-2",
        ),
        pytest.param({"type": "string", "format": "date"}, {"type": "string", "format": "date"}, id="format"),
        pytest.param(
            {"type": "string", "format": "iri"}, {"type": "string", "description": '(format: "iri")'}, id="other-format"
        ),
        pytest.param(
            {"type": "string", "format": ["date"]},
            {"type": "string", "description": '(format: ["date"])'},
            id="format-that-is-no-name",
        ),
        pytest.param(
            {"allOf": [{"required": 1}], "type": "object", "properties": {"a": STRING}, "required": [["a"], "a"]},
            closed({"a": STRING}),
            id="required-that-is-no-name",
        ),
        pytest.param({"type": "string", "pattern": "^a+$"}, {"type": "string", "pattern": "^a+$"}, id="pattern"),
        pytest.param(
            {"type": "string", "pattern": "(?=a)"},
            {"type": "string", "description": '(pattern: "(?=a)")'},
            id="T13-hard-pattern",
        ),
        pytest.param({"enum": ["a", 1, None]}, {"enum": ["a", 1, None]}, id="enum"),
        pytest.param({"const": "a", "title": "T"}, {"const": "a", "title": "T"}, id="const"),
        pytest.param({"$schema": "s", "$id": "i", "examples": [1], **STRING}, STRING, id="annotations"),
        pytest.param(
            {"allOf": [closed({"a": STRING}), closed({"b": STRING})]},
            closed({"a": STRING, "b": STRING}),
            id="all-of-merged",
        ),
        pytest.param(
            {"allOf": [closed({"kind": {"const": "dog"}}), closed({"kind": STRING})]},
            closed({"kind": {"const": "dog", **STRING}}),
            id="all-of-that-bounds-one-property-twice",
        ),
        pytest.param({"type": "string", "required": True}, STRING, id="required-of-an-earlier-draft"),
    ],
)
def test_schemas_are_put_in_claudes_terms(schema, sent):
    assert to_grammar_schema(schema).schema == sent


def test_T4_internal_references_are_kept_and_unused_definitions_left_out():
    definitions = {
        "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}},
        "B": STRING,
        "C": {"type": "object"},
    }
    rewritten = to_grammar_schema(
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": definitions}
    ).schema
    assert rewritten["properties"] == {"a": {"$ref": "#/$defs/A"}}
    assert rewritten["$defs"] == {"A": closed({"b": {"$ref": "#/$defs/B"}}, []), "B": STRING}


def test_T4_a_definition_that_one_under_the_other_keyword_uses_is_kept():
    older = {"A": closed({"b": {"$ref": "#/$defs/B"}})}
    newer = {"B": closed({"c": {"$ref": "#/definitions/C"}})}
    schema = closed({"a": {"$ref": "#/definitions/A"}}, **{"definitions": {**older, "C": STRING}, "$defs": newer})
    rewritten = to_grammar_schema(schema).schema
    assert rewritten["$defs"].keys() == {"B"}
    assert rewritten["definitions"].keys() == {"A", "C"}


def test_T4_a_definition_whose_name_has_to_be_escaped_is_kept():
    definitions = {"a/b~c": STRING, "a": STRING}
    schema = closed({"a": {"$ref": "#/$defs/a~1b~0c"}}, **{"$defs": definitions})
    assert to_grammar_schema(schema).schema["$defs"] == {"a/b~c": STRING}


def test_a_reference_in_all_of_is_resolved():
    schema = {"allOf": [{"$ref": "#/$defs/A"}, {"properties": {"b": STRING}}], "$defs": {"A": closed({"a": STRING})}}
    assert to_grammar_schema(schema).schema == closed({"a": STRING, "b": STRING}, ["a"])


@pytest.mark.parametrize(
    ("beside", "sent"),
    [
        ({"description": "An A"}, {"$ref": "#/$defs/A", "description": "An A"}),
        ({"properties": {"b": STRING}, "required": ["b"]}, closed({"a": STRING, "b": STRING}, ["b", "a"])),
        ({"type": "object"}, closed({"a": STRING})),
        ({"minProperties": 1}, {**closed({"a": STRING}), "description": "(minProperties: 1)"}),
    ],
    ids=["annotation", "more-properties", "type", "bound"],
)
def test_what_stands_beside_a_reference_counts(beside, sent):
    schema = closed({"x": {"$ref": "#/$defs/A", **beside}}, **{"$defs": {"A": closed({"a": STRING})}})
    assert to_grammar_schema(schema).schema["properties"]["x"] == sent


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = STRING
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({}, id="anything"),
        pytest.param({"description": "anything"}, id="anything-described"),
        pytest.param({"type": "object"}, id="T15-any-object"),
        pytest.param({"type": "object", "additionalProperties": STRING}, id="T15-map"),
        pytest.param(
            {"type": "object", "properties": {"a": STRING}, "additionalProperties": True}, id="T15-open-object"
        ),
        pytest.param(
            {"type": "object", "properties": {}, "patternProperties": {"^x": STRING}}, id="pattern-properties"
        ),
        pytest.param({"type": "array"}, id="array-of-anything"),
        pytest.param({"type": "array", "items": [STRING]}, id="tuple"),
        pytest.param({"type": "array", "prefixItems": [STRING], "items": False}, id="prefix-items"),
        pytest.param({"type": "object", "properties": {"a": True}}, id="boolean-schema"),
        pytest.param({"$ref": "#"}, id="recursion-to-the-root"),
        pytest.param({"$ref": "https://example.org/a"}, id="reference-elsewhere"),
        pytest.param({"$ref": "#/$defs/None", "$defs": {}}, id="reference-to-nothing"),
        pytest.param(
            {
                "$ref": "#/$defs/A",
                "$defs": {
                    "A": {"type": "array", "items": {"$ref": "#/$defs/B"}},
                    "B": {"anyOf": [{"$ref": "#/$defs/A"}]},
                },
            },
            id="recursion",
        ),
        pytest.param({"enum": [["a"]]}, id="enum-of-lists"),
        pytest.param({"anyOf": []}, id="empty-union"),
        pytest.param({"anyOf": [STRING], "oneOf": [{"type": "null"}]}, id="two-unions"),
        pytest.param(
            {"allOf": [closed({"a": STRING}), closed({"a": {"type": "integer"}})]}, id="contradiction-in-a-property"
        ),
        pytest.param(
            {
                "type": "object",
                "properties": {"a": {"$ref": "#/$defs/a~1b"}},
                "$defs": {"a/b": {"type": "array", "items": {"$ref": "#/$defs/a~1b"}}},
            },
            id="recursion-by-an-escaped-name",
        ),
        pytest.param(
            closed(
                {"a": {"type": "object", "$ref": "#/$defs/A"}},
                **{"$defs": {"A": closed({"a": {"type": "object", "$ref": "#/$defs/A"}})}},
            ),
            id="recursion-beside-a-type",
        ),
        pytest.param({"type": "text"}, id="unknown-type"),
        pytest.param({"allOf": [{"type": "string"}, {"type": "integer"}]}, id="contradiction"),
        pytest.param(deep(500), id="deep"),
        pytest.param(
            {"allOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}, {"type": "string"}]}}},
            id="recursive-all-of",
        ),
        pytest.param(
            {
                "$ref": "#/$defs/0",
                "$defs": {
                    str(level): {"allOf": [{"$ref": f"#/$defs/{level + 1}"}] * 2} if level < 40 else STRING
                    for level in range(41)
                },
            },
            id="all-of-that-doubles",
        ),
        pytest.param(
            {
                "$ref": "#/$defs/0",
                "$defs": {str(level): {"anyOf": [{"$ref": f"#/$defs/{level + 1}"}, STRING]} for level in range(2000)}
                | {"2000": STRING},
            },
            id="long-chain-of-references",
        ),
        pytest.param({"type": {"a": 1}}, id="type-that-is-no-name"),
    ],
)
def test_what_has_no_place_in_the_subset_is_said(schema):
    with pytest.raises(NotExpressibleError):
        to_grammar_schema(schema)


def test_optional_properties_and_unions_are_counted():
    schema = {
        "type": "object",
        "properties": {"a": {"type": ["string", "null"]}, "b": closed({"c": STRING}, [])},
        "required": ["a"],
    }
    counted = to_grammar_schema(schema)
    assert (counted.optional_properties, counted.unions) == (2, 1)


def test_what_is_only_said_is_named():
    assert to_grammar_schema({"type": "integer", "minimum": 1, "not": {"const": 3}}).said == ("minimum", "not")


_names = st.sampled_from(["a", "b", "c", "d"])
_leaves = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"minLength": st.integers(0, 3), "description": st.text(max_size=5)}
    ),
    st.fixed_dictionaries({"type": st.sampled_from(["integer", "number"])}, optional={"minimum": st.integers(-3, 3)}),
    st.fixed_dictionaries({"type": st.sampled_from([["string", "null"], ["integer", "null", "boolean"]])}),
    st.fixed_dictionaries({"enum": st.lists(st.one_of(st.integers(), st.text(max_size=3)), min_size=1, max_size=3)}),
)
_schemas = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"maxItems": st.integers(1, 3)}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(_names, inner, max_size=3)},
            optional={"required": st.lists(_names, unique=True, max_size=2)},
        ),
    ),
    max_leaves=8,
)
_REFUSED = {"minimum", "minLength", "maxItems", "oneOf", "allOf"}


def _walk(schema: Any) -> Any:
    if isinstance(schema, dict):
        yield schema
        for key, member in schema.items():
            for inner in member.values() if key == "properties" else [member]:
                yield from _walk(inner)
    elif isinstance(schema, list):
        for member in schema:
            yield from _walk(member)


@given(_schemas)
def test_the_result_is_a_valid_schema_of_the_subset_and_always_the_same(schema):
    before = msgspec.json.encode(schema)
    rewritten = to_grammar_schema(schema).schema
    assert msgspec.json.encode(schema) == before
    assert msgspec.json.encode(to_grammar_schema(schema).schema) == msgspec.json.encode(rewritten)
    jsonschema.Draft202012Validator.check_schema(rewritten)
    for part in _walk(rewritten):
        assert not _REFUSED & part.keys()
        assert not isinstance(part.get("type"), list)
        if part.get("type") == "object":
            assert part["additionalProperties"] is False

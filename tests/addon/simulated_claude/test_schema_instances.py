"""What is made for a schema satisfies it, as a real validator says."""

# One rule, one row: a row that is wrapped at 120 columns hides what it says.
# ruff: noqa: E501

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.simulated_claude.schema_instances import make_instance

SCHEMAS: dict[str, Any] = {
    "string": {"type": "string"},
    "bounded string": {"type": "string", "minLength": 3, "maxLength": 5},
    "long string": {"type": "string", "minLength": 300},
    "pattern": {"type": "string", "pattern": "^[A-Z]{3}$"},
    "digits": {"type": "string", "pattern": "^\\d+$"},
    "email": {"type": "string", "format": "email"},
    "date": {"type": "string", "format": "date-time"},
    "integer": {"type": "integer", "minimum": 5, "maximum": 9, "multipleOf": 3},
    "number": {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.5},
    "negative": {"type": "integer", "maximum": -4},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "nullable": {"type": ["null", "integer"]},
    "enum": {"type": "string", "enum": ["x", "y"]},
    "const": {"const": 7},
    "array": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
    "empty array": {"type": "array", "items": {"type": "integer"}, "maxItems": 0},
    "tuple": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
    "any of": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}]},
    "one of": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    "all of": {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"required": ["b"]}]},
    "reference": {"$ref": "#/$defs/n", "$defs": {"n": {"type": "integer", "minimum": 3}}},
    "recursion": {
        "$ref": "#/$defs/tree",
        "$defs": {"tree": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "required": ["children"]}},
    },
    "required and closed": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "boolean"}}, "required": ["c"], "additionalProperties": False}}},
        "required": ["b"],
        "additionalProperties": False,
    },
    "required but not described": {"type": "object", "properties": {}, "required": ["x"]},
    "anything": {},
}  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_the_instance_satisfies_the_schema(schema):
    jsonschema.validate(make_instance(schema, "a hint"), schema)


@pytest.mark.parametrize(
    "pattern", [r"^\p{L}+$", r"^(?<year>\d{4})$", "a{99999999999}"], ids=["class", "group", "count"]
)
def test_a_pattern_that_python_cannot_read_is_passed_over(pattern):
    assert make_instance({"type": "string", "pattern": pattern}, "a hint") == "a hint"


BRANCHES = {name: {"$ref": "#"} for name in "abcdefghij"}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^(a+)+$"},
        {"type": "array", "minItems": 10**12},
        {"type": "array", "items": {"type": "array", "minItems": 10**5}, "minItems": 10**5},
        {"type": "string", "minLength": 10**12},
        {"type": "object", "properties": BRANCHES, "required": list(BRANCHES)},
    ],
    ids=["pattern", "items", "items of items", "length", "recursion"],
)
def test_a_schema_that_asks_for_too_much_costs_little(schema):
    assert len(str(make_instance(schema, "a" * 60 + "!"))) < 2_000_000


def test_the_same_schema_gives_the_same_instance():
    assert make_instance(SCHEMAS["required and closed"], "x") == make_instance(SCHEMAS["required and closed"], "x")


def test_required_properties_come_first():
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b"]}
    assert list(make_instance(schema)) == ["b", "a"]


leaves = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["string", "null"]},
        {"enum": [1, "a"]},
    ]
)
names = st.text("abcde", min_size=1, max_size=4)


def objects(children):
    return st.dictionaries(names, children, max_size=4).flatmap(
        lambda properties: (
            st.lists(st.sampled_from(sorted(properties)), unique=True).map(
                lambda required: {
                    "type": "object",
                    "properties": properties,
                    "required": required,
                    "additionalProperties": False,
                }
            )
            if properties
            else st.just({"type": "object", "properties": {}, "additionalProperties": False})
        )
    )


schemas = st.recursive(
    leaves,
    lambda children: (
        objects(children)
        | st.builds(lambda items: {"type": "array", "items": items}, children)
        | st.builds(lambda options: {"anyOf": options}, st.lists(children, min_size=1, max_size=3))
    ),
    max_leaves=12,
)


@given(schemas)
def test_instances_of_generated_schemas_satisfy_them(schema):
    jsonschema.validate(make_instance(schema), schema)

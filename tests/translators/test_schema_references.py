"""References within a JSON schema, whatever else is in it."""

import pytest

from translators.schema_references import find_definition, is_recursive, reference_to

NAME = {"type": "string"}


@pytest.mark.parametrize("keyword", ["$defs", "definitions"])
@pytest.mark.parametrize("name", ["Name", "a/b", "m~n", "~1", "%20", "", "$defs"])
def test_a_definition_is_found_by_the_reference_to_it(keyword, name):
    assert find_definition({keyword: {name: NAME, "Other": {}}}, reference_to(keyword, name)) == NAME


@pytest.mark.parametrize(
    "reference",
    [
        "#/$defs/Missing",
        "#/$defs/Name/type",
        "#/properties/name",
        "#",
        "https://example.com/schema",
        "",
        None,
        1,
        ["#"],
    ],
)
def test_what_is_no_definition_of_the_schema_is_not_found(reference):
    assert find_definition({"$defs": {"Name": NAME}, "properties": {"name": NAME}}, reference) is None


@pytest.mark.parametrize("definitions", [None, [], "no", {"Name": True}], ids=repr)
def test_definitions_that_are_none_hold_nothing(definitions):
    assert find_definition({"$defs": definitions}, "#/$defs/Name") is None


def refer(*names, keyword="$defs"):
    return {"anyOf": [{"$ref": reference_to(keyword, name)} for name in names]}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({}, False, id="no definitions"),
        pytest.param({"$defs": {"A": refer("A")}}, True, id="to itself"),
        pytest.param({"$defs": {"A": {"properties": {"b": refer("B")}}, "B": refer("A")}}, True, id="to each other"),
        pytest.param({"$defs": {"A": refer("B", "C"), "B": refer("C"), "C": {}}}, False, id="two ways to one"),
        pytest.param({"$defs": {"A": refer("B", "C"), "B": {}, "C": refer("A")}}, True, id="the second of two"),
        pytest.param(
            {"$defs": {"A": refer("B", keyword="definitions")}, "definitions": {"B": refer("A")}}, True, id="across"
        ),
        pytest.param({"$defs": {"A": refer("Missing")}}, False, id="to nothing"),
        pytest.param({"$defs": {str(n): refer(str(n + 1)) for n in range(4)}}, False, id="as deep as may be"),
        pytest.param({"$defs": {str(n): refer(str(n + 1)) for n in range(5)}}, True, id="too deep"),
    ],
)
def test_a_reference_that_leads_back_is_seen(schema, expected):
    assert is_recursive(schema, 4) is expected

import json

import msgspec
import pytest

from translators.claude_events import Delta, MalformedEventError
from translators.content_blocks import ContentBlockBuilder


def build(start, *deltas):
    builder = ContentBlockBuilder(msgspec.Raw(json.dumps(start).encode()))
    for delta in deltas:
        builder.add(msgspec.convert(delta, Delta))
    return builder.build()


def test_R9_the_fields_of_thinking_keep_their_order():
    block = build(
        {"type": "thinking", "thinking": ""},
        {"type": "thinking_delta", "thinking": "a"},
        {"type": "signature_delta", "signature": "s"},
    )
    assert list(block.items()) == [("type", "thinking"), ("thinking", "a"), ("signature", "s")]


@pytest.mark.parametrize(
    ("block", "kept"),
    [
        pytest.param({"type": "thinking", "thinking": "a", "signature": ""}, False, id="R2 R3 unsigned"),
        pytest.param({"type": "thinking", "thinking": "", "signature": "s"}, True, id="R7 signed and empty"),
        pytest.param({"type": "text", "text": ""}, False, id="M7 empty text"),
        pytest.param({"type": "text", "text": " \n"}, False, id="M8 white space"),
        pytest.param({"type": "text", "text": " a"}, True, id="text"),
        pytest.param({"type": "redacted_thinking", "data": "x"}, True, id="R4 redacted"),
        pytest.param({"type": "of_a_later_version", "x": {"b": 1, "a": [None]}}, True, id="unknown"),
    ],
)
def test_only_what_claude_refuses_is_left_out(block, kept):
    assert build(block) == (block if kept else None)


def test_the_keys_of_an_input_keep_their_order():
    block = build(
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "caller": {"type": "direct"}},
        {"type": "input_json_delta", "partial_json": '{"b": 1, '},
        {"type": "input_json_delta", "partial_json": '"a": {"z": 1, "y": 2}}'},
    )
    assert list(block) == ["type", "id", "name", "input", "caller"]
    assert json.dumps(block["input"]) == '{"b": 1, "a": {"z": 1, "y": 2}}'


@pytest.mark.parametrize(
    ("partial_json", "expected"),
    [
        pytest.param('{"city": "Os', {"_raw": '{"city": "Os'}, id="S24 cut off"),
        pytest.param("[1]", {"input": [1]}, id="M25 list"),
        pytest.param('"x"', {"input": "x"}, id="M25 string"),
        pytest.param("null", {}, id="M25 null"),
    ],
)
def test_S24_M25_an_input_that_is_no_object_is_kept_inside_one(partial_json, expected):
    block = build(
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        {"type": "input_json_delta", "partial_json": partial_json},
    )
    assert block["input"] == expected


def test_deltas_of_a_later_version_change_nothing():
    text = {"type": "text", "text": "a"}
    assert build(text, {"type": "of_a_later_version", "text": "b"}) == text


def test_building_does_not_use_the_block_up():
    builder = ContentBlockBuilder(msgspec.Raw(b'{"type":"text","text":"a"}'))
    builder.add(Delta(type="text_delta", text="b"))
    assert builder.build() == builder.build() == {"type": "text", "text": "ab"}


@pytest.mark.parametrize("raw", [b"5", b"[]", b"{", b'{"type":"text","text":"\xff"}'])
def test_a_block_that_cannot_be_read_is_a_named_error(raw):
    with pytest.raises(MalformedEventError):
        ContentBlockBuilder(msgspec.Raw(raw))


def test_a_citation_that_cannot_be_read_is_a_named_error():
    builder = ContentBlockBuilder(msgspec.Raw(b'{"type":"text","text":"a"}'))
    with pytest.raises(MalformedEventError):
        builder.add(Delta(type="citations_delta", citation=msgspec.Raw(b'{"x":"\xff"}')))

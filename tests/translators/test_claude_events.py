import json
import typing

import anthropic.types as claude
import msgspec
import pytest
from anthropic.types.shared import APIErrorObject

from translators import claude_events
from translators.claude_events import ErrorDetail, MalformedEventError, parse_content_block, parse_event

RAW_EVENTS = typing.get_args(typing.get_args(claude.RawMessageStreamEvent)[0])
DELTAS = typing.get_args(typing.get_args(claude.RawContentBlockDelta)[0])
BLOCKS = [
    claude.TextBlock,
    claude.ThinkingBlock,
    claude.RedactedThinkingBlock,
    claude.ToolUseBlock,
    claude.ServerToolUseBlock,
]


def fields_of(*models):
    return {name for model in models for name in model.model_fields}


@pytest.mark.parametrize(
    ("struct", "models"),
    [
        (claude_events.Usage, [claude.Usage]),
        (claude_events.CacheCreation, [claude.CacheCreation]),
        (claude_events.OutputTokensDetails, [claude.OutputTokensDetails]),
        (claude_events.ServerToolUse, [claude.ServerToolUsage]),
        (claude_events.Message, [claude.Message]),
        (claude_events.ContentBlock, BLOCKS),
        (claude_events.StopDetails, [claude.RefusalStopDetails]),
        (claude_events.Delta, [*DELTAS, claude.raw_message_delta_event.Delta]),
        (claude_events.Event, [*RAW_EVENTS, claude.raw_message_delta_event.RawMessageDeltaEvent]),
        (claude_events.ErrorDetail, [APIErrorObject]),
    ],
)
def test_every_field_is_one_of_the_sdk(struct, models):
    own = {field.encode_name for field in msgspec.structs.fields(struct)}
    if struct is claude_events.Event:
        own.discard("error")  # of the `error` event, which the SDK raises and has no model for
    assert own <= fields_of(*models)


def test_the_sdks_event_types_are_all_known():
    kinds = {typing.get_args(model.model_fields["type"].annotation)[0] for model in RAW_EVENTS}
    assert kinds | {"ping", "error"} == claude_events._KNOWN_TYPES


def test_the_sdks_delta_fields_are_all_read():
    own = {field.encode_name for field in msgspec.structs.fields(claude_events.Delta)}
    assert fields_of(*DELTAS) <= own


def test_an_event_is_read():
    event = parse_event(
        b'{"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"\\u00e9"},"of_a_later_version":1}'
    )
    assert event is not None
    assert (event.type, event.index) == ("content_block_delta", 3)
    assert event.delta is not None
    assert event.delta.text == "é"


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"null",
        b'"text"',
        b"5",
        b"true",
        b"{}",
        b'{"type":null}',
        b'{"type":["message_start"]}',
        b'{"type":{"a":1}}',
        b'{"type":"of_a_later_version","delta":"any shape"}',
        b'{"event":"message_stop"}',
    ],
)
def test_S13_json_that_is_no_known_event_is_passed_over(data):
    assert parse_event(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b'{"type":"message_stop"',
        b'{"type":"message_stop"} x',
        b"\xff\xfe",
        b'{"type":"content_block_delta","delta":{"type":"text_delta","text":"\xff"}}',
        b'{"type":5,"x":',
        b'{"type":"content_block_delta","delta":5}',
        b'{"type":"content_block_delta","index":"0"}',
        b'{"type":"message_start","message":"msg_1"}',
        '{"type":"ping"}'.encode("utf-16"),
    ],
)
def test_S13_what_is_not_json_or_misshapen_is_a_named_error(data):
    with pytest.raises(MalformedEventError):
        parse_event(data)


@pytest.mark.parametrize("error", [None, "text", 5, [], {"type": None, "message": 5}])
def test_S13_an_error_event_of_any_shape_stays_an_error(error):
    event = parse_event(json.dumps({"type": "error", "error": error}).encode())
    assert event is not None
    assert event.type == "error"
    assert event.error in (None, ErrorDetail())


def test_S22_a_message_that_is_null_is_read():
    event = parse_event(b'{"type":"message_start","message":null}')
    assert event is not None
    assert event.message is None


@pytest.mark.parametrize("raw", [b"5", b"[]", b'{"text":"no type"}', b'{"type":"text","text":5}'])
def test_a_misshapen_block_is_a_named_error(raw):
    with pytest.raises(MalformedEventError):
        parse_content_block(msgspec.Raw(raw))


def test_events_cannot_be_changed():
    event = parse_event(b'{"type":"ping"}')
    with pytest.raises(AttributeError):
        event.type = "x"

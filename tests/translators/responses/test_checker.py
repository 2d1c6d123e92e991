"""The checker is right: it passes what the real API sent, and nothing that was altered."""

import copy
import json

import pytest

from tests.translators.recordings import ABSENT, recorded
from tests.translators.responses.checker import check_stream
from translators.sse import SseParser

NOT_FROM_THE_API = {
    "github-copilot-id-rotation": "another host, whose ids change: refused below",
    "parallel-tool-call-wrapper": "not JSON",
    "openai-custom-tool.1": "written by hand, without `done`",
    "openai-shell-container.1": "shortened by hand",
    "openai-phase.1": "shortened by hand",
    "stream_backfills_missing_results": "its items have no end",
}
ROTATING = "github-copilot-id-rotation"


def streams_of(record):
    """Some recordings hold several streams, one after the other."""
    streams = []
    for payload in SseParser().feed(record["response"]["sse_text"].encode()):
        if payload == b"[DONE]":
            continue
        event = json.loads(payload)
        if event["type"] == "response.created" or not streams:
            streams.append([])
        streams[-1].append(event)
    return streams


RECORDS = [record for record in recorded("openai.responses") if "sse_text" in (record["response"] or {})]
STREAMS = [
    pytest.param(events, id=f"{record['id']}-{number}")
    for record in RECORDS
    if not any(name in record["id"] for name in NOT_FROM_THE_API)
    for number, events in enumerate(streams_of(record))
] or [ABSENT]


@pytest.mark.parametrize("events", STREAMS)
def test_every_recorded_stream_of_the_real_api_passes(events):
    check_stream(
        events,
        exact=False,
        numbered="sequence_number" in events[0],
        first_number=events[0].get("sequence_number", 0),
    )


@pytest.mark.skipif(not RECORDS, reason="no recordings (CLAUDE_PROXY_CORPUS)")
def test_the_recorded_stream_whose_ids_change_is_refused():
    (record,) = [record for record in RECORDS if ROTATING in record["id"]]
    with pytest.raises(AssertionError, match="changes id"):
        check_stream(streams_of(record)[0], exact=False)


BLOCKS = [
    {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
    {"type": "text", "text": "It is sunny in São Paulo."},
    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
]


@pytest.fixture
def events(cut, read):
    return read(cut(BLOCKS, "tool_use")).events


def test_no_event_can_be_missing(events):
    for index in range(len(events)):
        altered = [dict(event) for event in events[:index] + events[index + 1 :]]
        for number, event in enumerate(altered):
            event["sequence_number"] = number
        with pytest.raises((AssertionError, KeyError)):
            check_stream(altered)


def test_no_event_can_come_twice(events):
    for index in range(len(events)):
        altered = [dict(event) for event in [*events[: index + 1], *events[index:]]]
        for number, event in enumerate(altered):
            event["sequence_number"] = number
        with pytest.raises(AssertionError):
            check_stream(altered)


def test_no_two_events_of_different_types_can_change_places(events):
    for index in range(len(events) - 1):
        if events[index]["type"] == events[index + 1]["type"]:
            continue
        altered = [dict(event) for event in events]
        altered[index], altered[index + 1] = altered[index + 1], altered[index]
        for number, event in enumerate(altered):
            event["sequence_number"] = number
        with pytest.raises((AssertionError, KeyError)):
            check_stream(altered)


def test_the_numbers_have_no_gap(events):
    altered = copy.deepcopy(events)
    altered[5]["sequence_number"] += 1
    with pytest.raises(AssertionError, match="has number"):
        check_stream(altered)


@pytest.mark.parametrize("field", ["id", "call_id", "name", "arguments"])
def test_the_final_response_says_what_was_streamed(events, field):
    altered = copy.deepcopy(events)
    altered[-1]["response"]["output"][-1][field] = "other"
    with pytest.raises(AssertionError):
        check_stream(altered)


@pytest.mark.parametrize("field", ["id", "model", "created_at", "tools"])
def test_the_response_stays_the_same_from_event_to_event(events, field):
    altered = copy.deepcopy(events)
    altered[-1]["response"][field] = "other"
    with pytest.raises(AssertionError, match="changes"):
        check_stream(altered)

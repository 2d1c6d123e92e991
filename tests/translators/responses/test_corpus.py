"""Every recorded answer of Claude, streamed or whole, as a response that the checker and the `openai` package read."""

import json
import random

import pytest

from tests.translators.recordings import MESSAGES, RECORDS, SPLICED, STREAMS, events_of, gather
from tests.translators.responses.conftest import COMPLETED_AT, CREATED_AT, KEY, RESPONSE_ID, plan_for
from translators.claude_events import parse_event
from translators.responses.response_events import encode_event
from translators.responses.stream import IllegalEventOrderError, ResponsesStream
from translators.sse import SseParser

CUT = {"max_tokens", "model_context_window_exceeded", "pause_turn"}


def may_go_back(block):
    if block["type"] == "text":
        return bool(block["text"].strip())
    return block["type"] != "thinking" or bool(block.get("signature"))


def assert_says_the_same(answer, message):
    """Assert that the translation of a message says what the message says."""
    blocks = message["content"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    assert answer.text == text
    tools = [block for block in blocks if block["type"] == "tool_use"]
    calls = answer.of_type("function_call")
    assert [(call["call_id"], call["name"]) for call in calls] == [(tool["id"], tool["name"]) for tool in tools]
    assert answer.stream.tool_call_ids == [tool["id"] for tool in tools]
    for call, tool in zip(calls, tools, strict=True):
        if "arguments" in tool:
            assert call["arguments"] == (tool["arguments"] or "{}")
        else:
            assert json.loads(call["arguments"]) == tool["input"]
    if message["stop_reason"] in CUT:
        assert answer.whole["status"] == "incomplete"
        assert answer.whole["incomplete_details"] == {"reason": "max_output_tokens"}
    else:
        assert answer.whole["status"] == "completed"
        assert all(item.get("status", "completed") == "completed" for item in calls)
    assert bool(answer.refusals) == (message["stop_reason"] == "refusal")

    counts, usage = message["usage"], answer.whole["usage"]
    cached, written = counts.get("cache_read_input_tokens") or 0, counts.get("cache_creation_input_tokens") or 0
    assert usage["input_tokens"] == counts["input_tokens"] + cached + written
    assert usage["input_tokens_details"] == {"cache_write_tokens": written, "cached_tokens": cached}
    assert usage["output_tokens"] == counts["output_tokens"]

    carried = {"text", "tool_use"}
    for block in blocks:
        if (arguments := block.pop("arguments", None)) and block["type"] not in carried:
            block["input"] = json.loads(arguments)
    assert answer.sealed == [block for block in blocks if block["type"] not in carried and may_go_back(block)]
    thinking = [block["thinking"] for block in blocks if block["type"] == "thinking" and block["thinking"]]
    parts = [part["text"] for item in answer.of_type("reasoning") for part in item["summary"]]
    assert parts == thinking

    searches = [b for b in blocks if b["type"] == "server_tool_use" and b["name"] in ("web_search", "web_fetch")]
    assert len(answer.of_type("web_search_call")) == len(searches)
    queries = [item["action"].get("query") for item in answer.of_type("web_search_call")]
    assert queries == [search["input"].get("query") for search in searches]
    pages = [
        citation["url"]
        for block in blocks
        for citation in (block.get("citations") or [])
        if citation["type"] == "web_search_result_location"
    ]
    parts = [part for item in answer.of_type("message") for part in item["content"] if part["type"] == "output_text"]
    assert {note["url"] for part in parts for note in part["annotations"]} == set(pages)
    for part in parts:
        for note in part["annotations"]:
            assert 0 <= note["start_index"] < note["end_index"] <= len(part["text"])


@pytest.mark.parametrize("sse_text", STREAMS)
def test_every_recorded_stream_says_the_same_in_openais_words(read, sse_text):
    events = events_of(sse_text)
    assert_says_the_same(read(events, plan=plan_for(events, shows_summary=True)), gather(events))


@pytest.mark.parametrize("sse_text", STREAMS)
def test_every_recorded_stream_gives_the_same_bytes_however_it_is_cut(sse_text):
    content = sse_text.encode()
    plan = plan_for(events_of(sse_text), shows_summary=True)

    def translate(pieces):
        parser = SseParser()
        stream = ResponsesStream(plan, RESPONSE_ID, CREATED_AT, KEY)
        events = stream.start()
        for piece in pieces:
            for payload in parser.feed(piece):
                event = parse_event(payload)
                if event is not None:
                    events += stream.translate(event)
        return b"".join(map(encode_event, [*events, *stream.finish(COMPLETED_AT)]))

    draw = random.Random(len(content))
    borders = sorted(draw.randrange(len(content) + 1) for _ in range(200))
    pieces = [content[a:b] for a, b in zip([0, *borders], [*borders, len(content)], strict=True)]
    assert translate(pieces) == translate([content])


@pytest.mark.parametrize("message", MESSAGES)
def test_every_recorded_message_says_the_same_in_openais_words(cut, read, message):
    events = cut(
        message["content"],
        message["stop_reason"],
        usage=message["usage"],
        message_id=message["id"],
        size=11,
        stop_details=message.get("stop_details"),
    )
    whole = {**message, "content": [dict(block) for block in message["content"]]}
    assert_says_the_same(read(events, plan=plan_for(events, shows_summary=True)), whole)


@pytest.mark.skipif(not RECORDS, reason="no recordings (CLAUDE_PROXY_CORPUS)")
def test_S23_the_recorded_splice_of_two_generations_is_refused(read):
    (sse_text,) = (record["response"]["sse_text"] for record in RECORDS if SPLICED in record["id"])
    with pytest.raises(IllegalEventOrderError):
        read(events_of(sse_text))

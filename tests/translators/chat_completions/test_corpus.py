"""Every recorded answer of Claude, streamed or whole, translated and read back by the `openai` package.

What they say is gathered once more, in the plainest way (`recordings`), to judge the translation.
"""

import json
import random

import pytest
from openai.types.chat import ChatCompletion

from tests.translators.recordings import CORPUS, ERRORS, MESSAGES, RECORDS, SPLICED, STREAMS, events_of, gather
from translators.chat_completions.chunk import encode_chunk
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.stream import ChatCompletionStream, IllegalEventOrderError
from translators.claude_events import parse_event
from translators.errors import translate_claude_error
from translators.sse import SseParser

PLAN = ReplyPlan("gpt-5.5")

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
    "compaction": "stop",
    "pause_turn": "length",
}


def assert_says_the_same(answer, message):
    """Assert that the translation of a message says what the message says."""
    blocks = message["content"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    assert answer.said("content") == text
    assert answer.said("reasoning_content") == "".join(b["thinking"] for b in blocks if b["type"] == "thinking")
    tools = [block for block in blocks if block["type"] == "tool_use"]
    calls = answer.message.get("tool_calls", [])
    assert [(call["id"], call["function"]["name"]) for call in calls] == [(tool["id"], tool["name"]) for tool in tools]
    for call, tool in zip(calls, tools, strict=True):
        if "arguments" in tool:
            assert call["function"]["arguments"] == (tool["arguments"] or "{}")
        else:
            assert json.loads(call["function"]["arguments"]) == tool["input"]
    expected = "tool_calls" if message["stop_reason"] == "tool_use" else FINISH_REASONS[message["stop_reason"]]
    assert answer.finish_reason == (expected if expected != "tool_calls" or tools else "stop")
    counts = message["usage"]
    usage = answer.whole["usage"]
    cached, written = counts.get("cache_read_input_tokens") or 0, counts.get("cache_creation_input_tokens") or 0
    assert usage["prompt_tokens"] == counts["input_tokens"] + cached + written
    assert usage["prompt_tokens_details"]["cached_tokens"] == cached
    assert usage["completion_tokens"] == counts["output_tokens"]
    pages = [
        citation["url"]
        for block in blocks
        for citation in (block.get("citations") or [])
        if citation["type"] == "web_search_result_location"
    ]
    assert {one["url_citation"]["url"] for one in answer.message["annotations"]} == set(pages)
    for one in answer.message["annotations"]:
        assert 0 <= one["url_citation"]["start_index"] < one["url_citation"]["end_index"] <= len(text)
    ChatCompletion.model_validate(answer.whole, strict=True)


@pytest.mark.parametrize("sse_text", STREAMS)
def test_every_recorded_stream_says_the_same_in_openais_words(read, sse_text):
    events = events_of(sse_text)
    assert_says_the_same(read(events), gather(events))


@pytest.mark.parametrize("sse_text", STREAMS)
def test_every_recorded_stream_keeps_its_blocks_for_claude(read, sse_text):
    events = events_of(sse_text)
    answer = read(events)
    expected = gather(events)["content"]
    for block in expected:
        if arguments := block.pop("arguments", None):
            try:
                block["input"] = json.loads(arguments)
            except ValueError:
                block["input"] = {"_raw": arguments}
    kept = [
        block
        for block in expected
        if not (block["type"] == "text" and not block["text"].strip())
        and not (block["type"] == "thinking" and not block.get("signature"))
    ]
    found = [block for block in answer.stream.content if block["type"] != "compaction"]
    assert found == [block for block in kept if block["type"] != "compaction"]


@pytest.mark.parametrize("sse_text", STREAMS)
def test_every_recorded_stream_gives_the_same_bytes_however_it_is_cut(sse_text):
    content = sse_text.encode()

    def translate(pieces):
        parser = SseParser()
        stream = ChatCompletionStream(PLAN, "chatcmpl-1", 1)
        chunks = []
        for piece in pieces:
            for payload in parser.feed(piece):
                event = parse_event(payload)
                if event is not None:
                    chunks += stream.translate(event)
        return b"".join(map(encode_chunk, [*chunks, *stream.finish()]))

    draw = random.Random(len(content))
    borders = sorted(draw.randrange(len(content) + 1) for _ in range(200))
    pieces = [content[a:b] for a, b in zip([0, *borders], [*borders, len(content)], strict=True)]
    whole = translate([content])
    assert translate(pieces) == whole
    if len(content) < 20_000:
        assert translate(content[i : i + 1] for i in range(len(content))) == whole


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
    assert_says_the_same(read(events), message)


@pytest.mark.parametrize("response", ERRORS)
def test_every_recorded_error_keeps_its_status_and_hides_the_account(response):
    error = translate_claude_error(response["status"], json.dumps(response["body"]).encode(), response["headers"] or {})
    assert error.status == response["status"]
    assert "org:" not in error.message
    if response["status"] == 404:
        assert error.code == "model_not_found"
    if response["status"] == 429:
        assert error.code == "rate_limit_exceeded"
    if response["status"] == 400:
        assert error.message == response["body"]["error"]["message"]


@pytest.mark.skipif(not RECORDS, reason=f"no recordings in {CORPUS} (CLAUDE_PROXY_CORPUS)")
def test_S23_the_recorded_splice_of_two_generations_is_refused(read):
    (sse_text,) = (record["response"]["sse_text"] for record in RECORDS if SPLICED in record["id"])
    with pytest.raises(IllegalEventOrderError):
        read(events_of(sse_text))

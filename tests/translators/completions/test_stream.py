"""Claude's events as a Completions answer, streamed and whole."""

import json

import pytest

from tests.translators.claude_messages import cut_message
from translators.claude_events import parse_event
from translators.completions.request import CompletionPlan
from translators.completions.response import CompletionBuilder, IncompleteChoiceError
from translators.completions.stream import CompletionStream
from translators.errors import OpenAIError
from translators.phases import IllegalEventOrderError

TEXT = {"type": "text", "text": " upon a time, in Köln,\n"}


def test_a_text_comes_in_pieces_and_the_last_chunk_has_the_reason(read):
    _, chunks, whole = read(cut_message([TEXT]))
    assert len(chunks) > 3
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert whole["choices"] == [{"text": TEXT["text"], "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert whole["object"] == "text_completion"
    assert whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"] == 16
    assert {frozenset(chunk) for chunk in chunks} == {frozenset({"id", "object", "created", "choices", "model"})}


def test_usage_comes_in_a_chunk_of_its_own_and_is_null_before(read):
    _, chunks, whole = read(cut_message([TEXT]), CompletionPlan("davinci-002", include_usage=True))
    *pieces, last = chunks
    assert all(chunk["usage"] is None for chunk in pieces)
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("tool_use", "stop"),
        ("something_new", "stop"),
    ],
)
def test_the_reason_is_one_of_the_three_that_this_endpoint_has(read, stop_reason, finish_reason):
    _, _, whole = read(cut_message([TEXT], stop_reason))
    assert whole["choices"][0]["finish_reason"] == finish_reason


def test_an_echoed_prompt_comes_once_and_first(read):
    _, chunks, whole = read(cut_message([TEXT]), echo="Once")
    assert chunks[0]["choices"][0]["text"] == "Once"
    assert whole["choices"][0]["text"] == "Once" + TEXT["text"]


def test_thinking_is_no_text_and_an_answer_of_thinking_alone_is_empty(read):
    thinking = {"type": "thinking", "thinking": "Hm", "signature": "s"}
    _, _, whole = read(cut_message([thinking, TEXT]))
    assert whole["choices"][0]["text"] == TEXT["text"]
    _, _, whole = read(cut_message([thinking], "max_tokens"))
    assert whole["choices"][0] == {"text": "", "index": 0, "logprobs": None, "finish_reason": "length"}


@pytest.mark.parametrize("size", [1, 2, 100])
def test_the_text_is_cut_at_a_stop_string_that_claude_does_not_take(read, size):
    events = cut_message([{"type": "text", "text": "one\n\ntwo"}], size=size)
    stream, _, whole = read(events, CompletionPlan("davinci-002", stop=("\n\n",)))
    assert whole["choices"][0]["text"] == "one"
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert stream.stopped_early
    assert whole["usage"]["completion_tokens"] == 5


def test_a_text_that_only_begins_like_a_stop_string_is_whole(read):
    _, _, whole = read(cut_message([{"type": "text", "text": "one\n"}]), CompletionPlan("davinci-002", stop=("\n\n",)))
    assert whole["choices"][0]["text"] == "one\n"


def feed(*events):
    stream = CompletionStream(CompletionPlan("davinci-002"), "cmpl-1", 1)
    for event in events:
        stream.translate(parse_event(json.dumps(event).encode()))
    return stream


def test_a_cut_stream_is_an_error_and_never_looks_whole():
    stream = feed(*cut_message([TEXT])[:-1])
    assert not stream.completed
    with pytest.raises(OpenAIError) as caught:
        stream.finish()
    assert caught.value.status == 502


def test_an_error_event_is_raised_in_openai_s_words():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(OpenAIError) as caught:
        feed(*cut_message([TEXT])[:4], error)
    assert caught.value.status == 503


def test_a_turn_that_stays_paused_ends_with_length_and_one_that_goes_on_is_one_text(read):
    stream = feed(*cut_message([TEXT], "pause_turn"))
    assert stream.paused
    assert [chunk.choices[0].finish_reason for chunk in stream.finish()] == ["length"]
    stream = feed(*cut_message([TEXT], "pause_turn"))
    stream.resume()
    rest = cut_message([{"type": "text", "text": "there was"}], message_id="msg_2")
    parsed = [parse_event(json.dumps(event).encode()) for event in rest]
    chunks = [chunk for event in parsed for chunk in stream.translate(event)]
    assert "".join(chunk.choices[0].text for chunk in chunks) == "there was"
    assert stream.usage.completion_tokens == 10


MESSAGE = cut_message([TEXT])
STOP = next(event for event in MESSAGE if event["type"] == "content_block_stop")


@pytest.mark.parametrize(
    "events",
    [
        MESSAGE[2:],
        [*MESSAGE, *MESSAGE],
        [*MESSAGE[:3], MESSAGE[2]],
        [*MESSAGE[:2], STOP],
        [*MESSAGE[:2], MESSAGE[3]],
    ],
    ids=["no_start", "two_messages", "opened_twice", "not_open", "delta_without_block"],
)
def test_events_in_an_order_that_claude_does_not_have_are_no_answer(events):
    with pytest.raises(IllegalEventOrderError):
        feed(*events)


def test_a_choice_without_its_end_is_no_answer():
    builder = CompletionBuilder(CompletionPlan("davinci-002"), "cmpl-1", 1)
    with pytest.raises(IncompleteChoiceError):
        builder.build([])

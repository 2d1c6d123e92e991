"""Recorded requests translate, recorded answers have our form, and Claude's recorded streams become answers.

The recordings are not part of this repository: CLAUDE_PROXY_CORPUS names their folder, `../shared/corpus` is the
default.
"""

import json

import msgspec
import pytest
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from openai.types import Completion
from pydantic import TypeAdapter

from tests.translators.recordings import ABSENT, STREAMS, events_of, gather, recorded
from translators.errors import OpenAIError

RECORDED = [pytest.param(record, id=record["id"]) for record in recorded("openai.completions")] or [ABSENT]
ANSWERED = [case for case in RECORDED if case is not ABSENT and case.values[0]["response"]["status"] == 200] or [ABSENT]


def refused(body):
    """Return the param for which we refuse a recorded request."""
    prompt = body["prompt"]
    if body.get("max_tokens", 1) < 0:
        return "max_tokens"
    if isinstance(prompt, list) and not all(isinstance(text, str) for text in prompt):
        return "prompt"
    return "logprobs" if "logprobs" in body else None


@pytest.mark.parametrize("record", RECORDED)
def test_every_recorded_request_translates_or_is_refused_for_a_named_reason(translate, record):
    body = record["request"]["body"]
    if param := refused(body):
        with pytest.raises(OpenAIError) as caught:
            translate(**body)
        assert caught.value.param == param
        if record["response"]["status"] == 400:
            assert json.loads(caught.value.encode()) == record["response"]["body"]
        return
    for prompt in translate(**body).prompts:
        TypeAdapter(MessageCreateParamsStreaming).validate_python(json.loads(msgspec.json.encode(prompt.params)))


@pytest.mark.parametrize("record", ANSWERED)
def test_recorded_answers_have_no_field_that_ours_lack(read, record):
    _, chunks, whole = read([*EVENTS])
    response = record["response"]
    theirs = events_of(response["sse_text"].replace("data: [DONE]", "")) if "sse_text" in response else None
    for ours, recorded_one in [(chunks[0], theirs[0])] if theirs else [(whole, response["body"])]:
        Completion.model_validate(recorded_one | {"choices": []})
        assert set(recorded_one) - {"usage"} <= set(ours)
        assert set(recorded_one["choices"][0]) == set(ours["choices"][0])


EVENTS = [
    {"type": "message_start", "message": {"id": "m", "model": "c", "content": [], "usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]


@pytest.mark.parametrize("sse_text", STREAMS)
def test_every_recorded_stream_of_claude_becomes_its_text(read, sse_text):
    events = events_of(sse_text)
    if not any(event["type"] == "message_stop" for event in events):
        pytest.skip("a recording that was cut")
    message = gather(events)
    _, _, whole = read(events)
    text = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    assert whole["choices"][0]["text"] == text

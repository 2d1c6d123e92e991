import json

import pytest
from openai.types.chat import ChatCompletion

from translators.chat_completions.chunk import ChatCompletionChunk, Choice, ChoiceDelta
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.response import ChatCompletionBuilder, IncompleteChoiceError, encode_usage_chunk
from translators.usage import CompletionUsage

PLAN = ReplyPlan("gpt-5.5")
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
USAGE = CompletionUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3)


def chunk(index, delta, finish_reason=None):
    choice = Choice(index, delta, None, finish_reason)
    return ChatCompletionChunk("chatcmpl-1", "chat.completion.chunk", 1, "gpt-5.5", "default", "fp_1", (choice,))


def build(*chunks, usages=(USAGE,)):
    builder = ChatCompletionBuilder(PLAN, "chatcmpl-1", 1)
    for one in chunks:
        builder.add(one)
    return json.loads(builder.build(usages))


def test_the_whole_answer_has_the_recorded_form(cut, read):
    whole = read(cut([{"type": "text", "text": "Hi"}])).whole
    assert list(whole) == [
        "id",
        "object",
        "created",
        "model",
        "choices",
        "usage",
        "service_tier",
        "system_fingerprint",
    ]
    assert whole["object"] == "chat.completion"
    assert whole["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi", "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert whole["usage"] == {
        "prompt_tokens": 11,
        "completion_tokens": 5,
        "total_tokens": 16,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


@pytest.mark.parametrize(
    ("blocks", "content"),
    [([TOOL], None), ([{"type": "text", "text": "Hi"}, TOOL], "Hi"), ([], "")],
    ids=["call", "text and call", "S19 nothing"],
)
def test_content_is_null_with_a_call_unless_text_came_too(cut, read, blocks, content):
    message = read(cut(blocks, "tool_use")).message
    assert message["content"] == content
    assert ("tool_calls" in message) == (TOOL in blocks)


def test_a_call_has_the_recorded_form(cut, read):
    message = read(cut([TOOL], "tool_use")).message
    assert list(message) == ["role", "content", "tool_calls", "refusal", "annotations"]
    assert message["tool_calls"] == [
        {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    ]


@pytest.mark.parametrize("plan", [PLAN, ReplyPlan("m", legacy_function_call=True)])
def test_the_openai_package_reads_the_whole_answer_strictly(cut, read, plan):
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, {"type": "text", "text": "Hi"}, TOOL]
    whole = read(cut(blocks, "tool_use"), plan=plan).whole
    assert ChatCompletion.model_validate(whole, strict=True).to_dict() == whole


def test_P19_choices_are_gathered_by_index_whatever_their_order():
    whole = build(
        chunk(1, ChoiceDelta(role="assistant", content="")),
        chunk(0, ChoiceDelta(role="assistant", content="")),
        chunk(1, ChoiceDelta(content="B")),
        chunk(0, ChoiceDelta(content="A")),
        chunk(1, ChoiceDelta(), "length"),
        chunk(0, ChoiceDelta(), "stop"),
        usages=(USAGE, USAGE),
    )
    assert [(one["index"], one["message"]["content"], one["finish_reason"]) for one in whole["choices"]] == [
        (0, "A", "stop"),
        (1, "B", "length"),
    ]
    assert whole["usage"]["total_tokens"] == 6


def test_S8_an_answer_that_has_not_ended_cannot_be_built():
    with pytest.raises(IncompleteChoiceError):
        build()
    with pytest.raises(IncompleteChoiceError):
        build(chunk(0, ChoiceDelta(content="A"), "stop"), chunk(1, ChoiceDelta(content="B")))


def test_S14_the_usage_chunk_has_no_choices():
    event = encode_usage_chunk(PLAN, "chatcmpl-1", 1, [USAGE, USAGE])
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    decoded = json.loads(event.removeprefix(b"data: "))
    assert decoded["choices"] == []
    assert decoded["usage"]["total_tokens"] == 6

import json

import msgspec
import openai.types.chat.chat_completion_chunk as openai_chunk
import pytest
from openai.types import CompletionUsage
from openai.types.chat.chat_completion_message import Annotation, AnnotationURLCitation

from translators.chat_completions import chunk
from translators.chat_completions.chunk import ChatCompletionChunk, Choice, ChoiceDelta, encode_chunk

BEYOND_OPENAI = {
    "ChoiceDelta": {"reasoning_content", "annotations"},
    "ToolCallDelta": {"custom"},
}
"""Fields that clients read and `openai.types` does not name in chunks."""


@pytest.mark.parametrize(
    ("struct", "model"),
    [
        (chunk.ChatCompletionChunk, openai_chunk.ChatCompletionChunk),
        (chunk.Choice, openai_chunk.Choice),
        (chunk.ChoiceDelta, openai_chunk.ChoiceDelta),
        (chunk.ToolCallDelta, openai_chunk.ChoiceDeltaToolCall),
        (chunk.FunctionDelta, openai_chunk.ChoiceDeltaToolCallFunction),
        (chunk.Annotation, Annotation),
        (chunk.UrlCitation, AnnotationURLCitation),
    ],
)
def test_every_field_is_one_of_the_openai_package(struct, model):
    own = {field.encode_name for field in msgspec.structs.fields(struct)}
    assert own - BEYOND_OPENAI.get(struct.__name__, set()) <= set(model.model_fields)


def test_usage_has_every_count_that_recorded_answers_have():
    usage = json.loads(msgspec.json.encode(chunk.CompletionUsage()))
    assert set(usage) == set(CompletionUsage.model_fields)
    assert all(
        type(count) is int for details in usage.values() if isinstance(details, dict) for count in details.values()
    )


@pytest.mark.parametrize(
    ("delta", "encoded"),
    [
        (ChoiceDelta(), "{}"),
        (ChoiceDelta(role="assistant", content="", refusal=None), '{"role":"assistant","content":"","refusal":null}'),
        (ChoiceDelta(content="é\n“"), '{"content":"é\\n“"}'),
        (ChoiceDelta(content="a\u2028b\u2029c\u0085"), '{"content":"a\\u2028b\\u2029c\\u0085"}'),
    ],
)
def test_a_chunk_is_one_event_with_the_recorded_bytes(delta, encoded):
    one = ChatCompletionChunk(
        "chatcmpl-1", "chat.completion.chunk", 7, "gpt-5.5", "default", "fp_1", (Choice(0, delta),), None
    )
    assert encode_chunk(one).decode() == (
        'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"gpt-5.5",'
        '"service_tier":"default","system_fingerprint":"fp_1",'
        f'"choices":[{{"index":0,"delta":{encoded},"logprobs":null,"finish_reason":null}}],"usage":null}}\n\n'
    )


def test_a_chunk_is_one_line_for_clients_that_split_as_python_does():
    text = "".join(map(chr, range(0x3000)))
    one = ChatCompletionChunk(
        "c", "chat.completion.chunk", 7, "m", "default", "fp", (Choice(0, ChoiceDelta(content=text)),)
    )
    line, empty = encode_chunk(one).decode().splitlines()
    assert empty == ""
    assert json.loads(line.removeprefix("data: "))["choices"][0]["delta"]["content"] == text

"""A whole message, split into events, comes to what the same message comes to when it is streamed."""

import json

import pytest

from tests.translators.claude_messages import cut_message
from tests.translators.recordings import MESSAGES
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.response import ChatCompletionBuilder
from translators.chat_completions.stream import ChatCompletionStream
from translators.claude_events import MalformedEventError, parse_event
from translators.completions.request import CompletionPlan
from translators.completions.response import CompletionBuilder
from translators.completions.stream import CompletionStream
from translators.errors import OpenAIError
from translators.responses.reply_plan import ResponsesPlan, ToolIdentity
from translators.responses.response import encode_response
from translators.responses.stream import ResponsesStream
from translators.whole_message import read_usage, split_message, translate_message

CITED = {
    "type": "web_search_result_location",
    "url": "https://example.org/",
    "title": "T",
    "encrypted_index": "x",
    "cited_text": "y",
}
BLOCKS = {
    "text": [{"type": "text", "text": "Hello."}],
    "citations": [
        {"type": "text", "text": "So it says: ", "citations": None},
        {"type": "text", "text": "that.", "citations": [CITED, {**CITED, "url": "https://example.org/2"}]},
    ],
    "thinking": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "Yes."}],
    "redacted": [{"type": "redacted_thinking", "data": "d"}, {"type": "text", "text": "Yes."}],
    "tools": [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": [1, "é"]}},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ],
    "searched": [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": "Found."},
    ],
    "nothing": [],
}
WHOLE = [pytest.param(blocks, "end_turn", {}, id=name) for name, blocks in BLOCKS.items()] + [
    pytest.param([], "refusal", {"stop_details": {"type": "refusal", "category": "cyber"}}, id="refusal"),
    pytest.param([{"type": "text", "text": "Cut"}], "max_tokens", {}, id="cut"),
]


def message_of(blocks, stop_reason="end_turn", **fields):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": blocks,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 11, "output_tokens": 5},
        **fields,
    }


def with_parsed_arguments(answer):
    """Parse the arguments of tool calls: a stream passes Claude's JSON on, of a whole message it is written anew."""
    for choice in answer["choices"]:
        for call in choice["message"].get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return answer


def chat(events):
    stream = ChatCompletionStream(ReplyPlan("gpt"), "chatcmpl-1", 1)
    builder = ChatCompletionBuilder(stream.plan, "chatcmpl-1", 1)
    for event in events:
        for chunk in stream.translate(event):
            builder.add(chunk)
    for chunk in stream.finish():
        builder.add(chunk)
    return with_parsed_arguments(json.loads(builder.build([stream.usage]))), stream.content


def response(events):
    tools = {name: ToolIdentity("function", name) for name in ("f", "g")}
    stream = ResponsesStream(ResponsesPlan("gpt", tools=tools), "resp_" + "0" * 50, 1, b"k" * 32)
    for event in events:
        stream.translate(event)
    stream.finish(2)
    items = json.loads(encode_response(stream.response))["output"]
    for item in items:
        item.pop("encrypted_content", None)  # sealed anew each time
        if item["type"] == "function_call":
            item["arguments"] = json.loads(item["arguments"])
    return items


def completion(events):
    stream = CompletionStream(CompletionPlan("gpt"), "cmpl-1", 1)
    builder = CompletionBuilder(stream.plan, "cmpl-1", 1)
    for event in events:
        for chunk in stream.translate(event):
            builder.add(chunk)
    for chunk in stream.finish():
        builder.add(chunk)
    return json.loads(builder.build([stream.usage]))


def streamed(message):
    details = {"stop_details": message["stop_details"]} if message.get("stop_details") else {}
    cut = cut_message(
        message["content"], message["stop_reason"], usage=message["usage"], message_id=message["id"], **details
    )
    return [event for one in cut if (event := parse_event(json.dumps(one).encode())) is not None]


@pytest.mark.parametrize(("blocks", "stop_reason", "fields"), WHOLE)
def test_each_endpoint_answers_as_with_a_stream(blocks, stop_reason, fields):
    message = message_of(blocks, stop_reason, **fields)
    whole = json.dumps(message).encode()
    answer, kept = chat(split_message(whole))
    assert answer == chat(streamed(message))[0]
    assert [{k: v for k, v in block.items() if k != "citations" or v} for block in kept] == [
        {k: v for k, v in block.items() if k != "citations" or v} for block in chat(streamed(message))[1]
    ]
    assert completion(split_message(whole)) == completion(streamed(message))
    assert response(split_message(whole)) == response(streamed(message))


@pytest.mark.parametrize("message", MESSAGES)
def test_every_recorded_message_is_answered_as_with_a_stream(message):
    whole = json.dumps(message).encode()
    assert chat(split_message(whole))[0] == chat(streamed(message))[0]
    assert completion(split_message(whole)) == completion(streamed(message))


def test_citations_become_annotations_of_their_block():
    answer, _ = chat(split_message(json.dumps(message_of(BLOCKS["citations"])).encode()))
    places = [note["url_citation"] for note in answer["choices"][0]["message"]["annotations"]]
    assert [(place["url"], place["start_index"], place["end_index"]) for place in places] == [
        ("https://example.org/", 12, 17),
        ("https://example.org/2", 12, 17),
    ]


def test_text_that_a_stop_string_cuts_keeps_its_citations():
    stream = ChatCompletionStream(ReplyPlan("gpt", stop=("\n",)), "chatcmpl-1", 1)
    message = message_of([{"type": "text", "text": "So it is.\nAnd", "citations": [CITED]}])
    chunks = translate_message(stream, json.dumps(message).encode())
    (annotation,) = [one for chunk in chunks for one in chunk.choices[0].delta.annotations or ()]
    assert (annotation.url_citation.start_index, annotation.url_citation.end_index) == (0, 9)


def test_a_paused_turn_is_no_answer():
    stream = ChatCompletionStream(ReplyPlan("gpt"), "chatcmpl-1", 1)
    with pytest.raises(OpenAIError, match="paused") as refused:
        translate_message(stream, json.dumps(message_of(BLOCKS["text"], "pause_turn")).encode())
    assert refused.value.code == "incomplete_turn"


@pytest.mark.parametrize("data", [b"", b"[]", b'{"content": 1}', b'{"content": ["x"]}', b'{"id": "\xff"}'])
def test_what_is_no_message_is_said_to_be_none(data):
    with pytest.raises(MalformedEventError):
        split_message(data)
    with pytest.raises(OpenAIError, match="could not be read"):
        translate_message(ChatCompletionStream(ReplyPlan("gpt"), "chatcmpl-1", 1), data)


def test_usage_is_read_of_what_is_a_message_alone():
    assert read_usage(json.dumps(message_of([])).encode()).output_tokens == 5
    assert read_usage(b"nonsense").output_tokens is None

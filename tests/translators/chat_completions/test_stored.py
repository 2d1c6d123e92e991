"""What is kept of a request with its answer."""

import json

from openai.types.chat import ChatCompletion

from tests.translators.claude_messages import cut_message
from translators.chat_completions.stored import add_kept, list_messages

PARTS = [
    {"type": "text", "text": "Look"},
    {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA7"}},
]
CALL = {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def test_nothing_is_kept_unless_it_is_asked(translate):
    assert translate(messages=[{"role": "user", "content": "Hi"}]).kept is None
    assert translate(messages=[{"role": "user", "content": "Hi"}], store=False).kept is None


def test_a_stored_completion_is_the_answer_with_what_it_was_made_from(translate, read):
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "default": None}}}
    kept = translate(
        messages=[{"role": "user", "content": "Hi"}], store=True, metadata={"a": "b"}, tools=[tool], seed=3, user="me"
    ).kept
    whole = read(cut_message([{"type": "text", "text": "Hello"}])).whole
    stored = add_kept(json.dumps(whole).encode(), kept, "req_1")
    ChatCompletion.model_validate(stored, strict=True)
    assert {name: stored[name] for name in whole} == whole
    assert (stored["request_id"], stored["metadata"], stored["seed"]) == ("req_1", {"a": "b"}, 3)
    assert stored["input_user"] == "me"
    assert stored["tools"][0]["function"]["parameters"] == {"type": "object", "default": None}
    assert (stored["temperature"], stored["response_format"]) == (1.0, None)


def test_messages_are_listed_with_ids_and_their_parts_apart(translate):
    messages = [
        {"role": "system", "content": "Be good", "name": "boss"},
        {"role": "user", "content": PARTS},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
    ]
    listed = list_messages("chatcmpl-1", translate(messages=messages, store=True).kept)
    assert [message["id"] for message in listed] == [f"chatcmpl-1-{index}" for index in range(4)]
    assert [message["role"] for message in listed] == ["system", "user", "assistant", "tool"]
    assert [message["content"] for message in listed] == ["Be good", None, None, "seen"]
    assert [message["name"] for message in listed] == ["boss", None, None, None]
    assert [part["type"] for part in listed[1]["content_parts"]] == ["text", "image_url"]
    assert listed[2]["tool_calls"] == [CALL]
    assert listed[3]["tool_call_id"] == "a"

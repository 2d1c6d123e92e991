"""C4: the same history gives the same bytes, and a longer history begins with those of a shorter one."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translators.chat_completions.request import TranslatedRequest, TranslationContext, translate_request
from translators.chat_completions.request_body import parse_request
from translators.model_catalog import CAPABILITIES, ModelCatalog

TOOLS = [
    {
        "type": "function",
        "function": {"name": "fs.read", "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}},
    },
    {"type": "function", "function": {"name": "plain", "parameters": {"anyOf": [{"type": "string"}]}, "strict": True}},
    {"type": "custom", "custom": {"name": "patch"}},
]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA7"}}

_text = st.sampled_from(["", " ", "one", "two\n", "grüße"])
_content = st.one_of(
    _text, st.lists(st.one_of(_text.map(lambda text: {"type": "text", "text": text}), st.just(IMAGE)), max_size=3)
)
_system = st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["system", "developer"]), _text)
_user = st.builds(lambda content: {"role": "user", "content": content}, _content)
_arguments = st.sampled_from(["", "{}", '{"b": 1, "a": [2.0, null]}', "5", "{"])


@st.composite
def _rounds(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """A conversation, cut where the client asks: each piece is what it adds before it asks again."""
    pieces: list[list[dict[str, Any]]] = []
    answer: list[dict[str, Any]] = draw(st.lists(_system, max_size=2))
    number = 0
    for _ in range(draw(st.integers(1, 4))):
        asked = draw(st.lists(st.one_of(_user, _user, _system), min_size=1, max_size=3))
        pieces.append([*answer, *asked])
        calls = []
        for _call in range(draw(st.integers(0, 2))):
            number += 1
            name = draw(st.sampled_from(["fs.read", "plain", "patch"]))
            call: dict[str, Any] = {"id": f"call {number}"}
            if name == "patch":
                call |= {"type": "custom", "custom": {"name": name, "input": "x"}}
            else:
                call |= {"type": "function", "function": {"name": name, "arguments": draw(_arguments)}}
            calls.append(call)
        content = draw(_text) if calls else draw(st.sampled_from(["said", "more"]))
        answer = [{"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})}]
        answer += [{"role": "tool", "tool_call_id": call["id"], "content": draw(_text)} for call in calls]
    return pieces


def translated(messages: list[dict[str, Any]], model: str, **fields: Any) -> TranslatedRequest:
    body = msgspec.json.encode({"model": model, "messages": messages, "tools": TOOLS, **fields})
    return translate_request(parse_request(body), TranslationContext(ModelCatalog(model)))


def blocks(request: TranslatedRequest) -> list[tuple[str, bytes]]:
    """Each block's bytes with its role: messages of one side are one turn to Claude, however they are cut."""
    return [
        (message["role"], msgspec.json.encode(block))
        for message in request.params["messages"]
        for block in message["content"]
    ]


@given(
    _rounds(),
    st.sampled_from(sorted(CAPABILITIES)),
    st.sampled_from([{}, {"response_format": {"type": "json_object"}}]),
)
@settings(max_examples=150, deadline=None)
def test_C4_every_turn_extends_the_turn_before(pieces, model, fields):
    history: list[dict[str, Any]] = []
    before: TranslatedRequest | None = None
    for piece in pieces:
        history = [*history, *piece]
        now = translated(history, model, **fields)
        if before is not None:
            for name in ("model", "tools", "system", "tool_choice", "thinking", "output_config"):
                assert msgspec.json.encode(now.params.get(name)) == msgspec.json.encode(before.params.get(name))
            shorter = blocks(before)
            assert blocks(now)[: len(shorter)] == shorter
        before = now


@given(_rounds(), st.sampled_from(sorted(CAPABILITIES)))
@settings(max_examples=100, deadline=None)
def test_C4_the_same_history_gives_the_same_bytes(pieces, model):
    history = [message for piece in pieces for message in piece]
    first = translated(history, model)
    second = translated(copy.deepcopy(history), model)
    assert msgspec.json.encode(first.params) == msgspec.json.encode(second.params)
    assert first == second


@given(_rounds(), st.sampled_from(sorted(CAPABILITIES)))
@settings(max_examples=150, deadline=None)
def test_what_is_sent_is_in_claudes_order(pieces, model):
    messages = translated([message for piece in pieces for message in piece], model).params["messages"]
    assert messages[0]["role"] == "user"
    pending: set[str] = set()
    spoken = "assistant"
    for index, message in enumerate(messages):
        assert message["content"]
        if message["role"] == "system":
            assert messages[index - 1]["role"] == "user"
            assert index + 1 == len(messages) or messages[index + 1]["role"] == "assistant"
            continue
        assert message["role"] != spoken
        spoken = message["role"]
        results = [block["tool_use_id"] for block in message["content"] if block["type"] == "tool_result"]
        assert [block["type"] for block in message["content"][: len(results)]] == ["tool_result"] * len(results)
        if spoken == "user":
            assert (len(results), set(results)) == (len(pending), pending)
            pending = set()
        else:
            assert not pending
            pending = {block["id"] for block in message["content"] if block["type"] == "tool_use"}
        for block in message["content"]:
            assert block["type"] != "text" or block["text"].strip()
    assert not pending


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_the_clients_tools_is_kept(order):
    request = translate_request(
        parse_request(
            msgspec.json.encode(
                {"model": "x", "messages": [{"role": "user", "content": "Hi"}], "tools": TOOLS[::order]}
            )
        ),
        TranslationContext(ModelCatalog("claude-opus-5-5")),
    )
    assert [tool["name"].split("_")[0] for tool in request.params["tools"]] == ["fs", "plain", "patch"][::order]

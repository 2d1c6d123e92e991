"""What holds for every sequence of events that Claude's grammar allows, and for some that it does not."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from translators.chat_completions.chunk import encode_chunk
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.stream import ChatCompletionStream, IllegalEventOrderError
from translators.claude_events import Event, MalformedEventError, parse_event
from translators.errors import OpenAIError
from translators.sse import SseParser

TEXTS = st.text(max_size=30)
NAMES = st.sampled_from(["get_weather", "calc", "shell", "patch"])
VALUES = st.recursive(st.none() | st.booleans() | st.integers(-5, 5) | TEXTS, st.lists, max_leaves=4)

TEXT_BLOCKS = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
THINKING_BLOCKS = st.builds(lambda thinking: {"type": "thinking", "thinking": thinking, "signature": "c2ln"}, TEXTS)
TOOL_BLOCKS = st.builds(
    lambda name, arguments: {"type": "tool_use", "id": "", "name": name, "input": arguments},
    NAMES,
    st.dictionaries(st.text(max_size=8), VALUES, max_size=4),
)
HIDDEN_BLOCKS = st.sampled_from(
    [
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
    ]
)
CONTENTS = st.lists(TEXT_BLOCKS | THINKING_BLOCKS | TOOL_BLOCKS | HIDDEN_BLOCKS, max_size=6).map(
    lambda blocks: [
        {**block, "id": f"toolu_{number}"} if block["type"] == "tool_use" else block
        for number, block in enumerate(blocks)
    ]
)
STOP_REASONS = st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence", "of_a_later_version"])
PLANS = st.builds(
    ReplyPlan,
    model=st.just("gpt-5.5"),
    include_usage=st.booleans(),
    legacy_function_call=st.booleans(),
    structured=st.booleans(),
    shows_thinking=st.booleans(),
    wrapped_tools=st.sampled_from([frozenset(), frozenset({"calc"})]),
    tool_names=st.sampled_from([{}, {"shell": "run.shell"}]),
)
SIZES = st.integers(1, 9)


def opened_calls(answer):
    return [call for delta in answer.deltas for call in delta.get("tool_calls", []) if "id" in call]


@given(CONTENTS, STOP_REASONS, SIZES, PLANS)
def test_every_message_is_one_well_formed_answer(cut, read, blocks, stop_reason, size, plan):
    answer = read(cut(blocks, stop_reason, size=size), plan=plan)
    deltas = [delta for chunk in answer.chunks for choice in chunk["choices"] for delta in [choice["delta"]]]
    assert [index for index, delta in enumerate(deltas) if "role" in delta] == [0]
    assert len(answer.finish_reasons) == 1
    last = [chunk for chunk in answer.chunks if chunk["choices"]][-1]
    assert last["choices"][0]["finish_reason"] == answer.finish_reason
    assert last["choices"][0]["delta"] == {}

    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    assert answer.said("content") == text
    thinking = "".join(block["thinking"] for block in blocks if block["type"] == "thinking")
    assert answer.said("reasoning_content") == (thinking if plan.shows_thinking else "")

    tools = [block for block in blocks if block["type"] == "tool_use"]
    assert answer.stream.tool_call_ids == [block["id"] for block in tools]
    if plan.legacy_function_call:
        assert ("function_call" in answer.message) == bool(tools)
        return
    assert [call["index"] for call in opened_calls(answer)] == list(range(len(tools)))
    for call, block in zip(answer.message.get("tool_calls", []), tools, strict=True):
        assert call["id"] == block["id"]
        assert call["function"]["name"] == plan.tool_names.get(block["name"], block["name"])
        if block["name"] not in plan.wrapped_tools:
            assert json.loads(call["function"]["arguments"]) == block["input"]


@given(CONTENTS, SIZES)
def test_the_blocks_go_back_to_claude_as_they_came(cut, read, blocks, size):
    kept = [block for block in blocks if block["type"] != "text" or block["text"].strip()]
    assert read(cut(blocks, size=size)).stream.content == kept


@given(CONTENTS, SIZES, st.randoms(use_true_random=False))
def test_cutting_the_bytes_anywhere_gives_the_same_chunks(cut, blocks, size, draw):
    events = cut(blocks, "tool_use", size=size)
    sse = "".join(f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events)
    content = sse.encode()

    def chunks_of(pieces):
        parser = SseParser()
        stream = ChatCompletionStream(ReplyPlan("gpt-5.5"), "chatcmpl-1", 1)
        chunks = []
        for piece in pieces:
            for payload in parser.feed(piece):
                event = parse_event(payload)
                assert event is not None
                chunks += stream.translate(event)
        return [encode_chunk(chunk) for chunk in [*chunks, *stream.finish()]]

    borders = sorted(draw.randrange(len(content) + 1) for _ in range(10))
    pieces = [content[a:b] for a, b in zip([0, *borders], [*borders, len(content)], strict=True)]
    assert chunks_of(pieces) == chunks_of([content])


@given(CONTENTS, STOP_REASONS, SIZES, st.data())
def test_S8_an_answer_that_was_cut_never_looks_whole(cut, blocks, stop_reason, size, data):
    events = cut(blocks, stop_reason, size=size)
    length = data.draw(st.integers(0, len(events) - 1))
    stream = ChatCompletionStream(ReplyPlan("gpt-5.5"), "chatcmpl-1", 1)
    chunks = [chunk for event in events[:length] for chunk in stream.translate(parse_event(json.dumps(event).encode()))]
    assert all(choice.finish_reason is None for chunk in chunks for choice in chunk.choices)
    with pytest.raises(OpenAIError):
        stream.finish()


@given(CONTENTS, SIZES, st.data())
def test_nothing_follows_an_error(cut, blocks, size, data):
    events = cut(blocks, size=size)
    length = data.draw(st.integers(0, len(events) - 1))
    stream = ChatCompletionStream(ReplyPlan("gpt-5.5"), "chatcmpl-1", 1)
    for event in events[:length]:
        stream.translate(parse_event(json.dumps(event).encode()))
    with pytest.raises(OpenAIError):
        stream.translate(Event(type="error"))
    for event in events:
        if event["type"] == "ping":
            continue
        with pytest.raises(IllegalEventOrderError):
            stream.translate(parse_event(json.dumps(event).encode()))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(CONTENTS, STOP_REASONS, SIZES, st.randoms(use_true_random=False))
def test_events_in_any_order_give_an_answer_or_a_named_error(cut, blocks, stop_reason, size, draw):
    events = cut(blocks, stop_reason, size=size)
    for _ in range(3):
        one, other = draw.randrange(len(events)), draw.randrange(len(events))
        events[one], events[other] = events[other], events[one]
    stream = ChatCompletionStream(ReplyPlan("gpt-5.5"), "chatcmpl-1", 1)
    chunks = []
    try:
        for event in events:
            chunks += stream.translate(parse_event(json.dumps(event).encode()))
        chunks += stream.finish()
    except (IllegalEventOrderError, OpenAIError, MalformedEventError):
        return
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert len(reasons) == 1
    assert chunks[-1].choices[0].finish_reason == reasons[0]
    assert chunks[0].choices[0].delta.role == "assistant"


@given(st.lists(TEXTS, max_size=5), st.lists(st.text("ab\n ", min_size=1, max_size=3), min_size=1, max_size=3), SIZES)
def test_P7_stop_strings_cut_the_text_at_the_same_place_however_it_comes(cut, read, texts, stops, size):
    plan = ReplyPlan("gpt-5.5", stop=tuple(stops))
    blocks = [{"type": "text", "text": text} for text in texts]
    content = read(cut(blocks, size=size), plan=plan).message["content"]
    assert content == read(cut(blocks, size=1000), plan=plan).message["content"]
    assert "".join(texts).startswith(content)
    assert not any(stop in content for stop in stops)


@given(st.lists(CONTENTS, min_size=2, max_size=3), SIZES)
def test_S20_S21_segments_of_a_paused_turn_read_as_one_answer(cut, read, segments, size):
    events = [
        cut(
            [{**block, "id": f"{block['id']}_{number}"} if block["type"] == "tool_use" else block for block in blocks],
            "pause_turn" if number + 1 < len(segments) else "end_turn",
            message_id=f"msg_{number}",
            size=size,
        )
        for number, blocks in enumerate(segments)
    ]
    answer = read(*events)
    blocks = [block for segment in segments for block in segment]
    assert answer.said("content") == "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = opened_calls(answer)
    assert [call["index"] for call in calls] == list(range(sum(block["type"] == "tool_use" for block in blocks)))
    assert answer.stream.usage.completion_tokens == 5 * len(segments)

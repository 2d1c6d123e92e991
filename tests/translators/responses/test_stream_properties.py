"""What holds for every sequence of events that Claude's grammar allows, and for some that it does not."""

import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.translators.responses.checker import check_stream
from tests.translators.responses.conftest import (
    COMPLETED_AT,
    CREATED_AT,
    KEY,
    RESPONSE_ID,
    assert_openai_accepts,
    decode,
    translate,
)
from translators.claude_events import MalformedEventError, parse_event
from translators.errors import OpenAIError
from translators.responses.reply_plan import ResponsesPlan, ToolIdentity
from translators.responses.response_events import encode_event
from translators.responses.stream import IllegalEventOrderError, ResponsesStream
from translators.sse import SseParser

TEXTS = st.text(max_size=30)
KINDS = {
    "get_weather": "function",
    "calc": "function",
    "patch": "custom",
    "shell": "shell",
    "local_shell": "local_shell",
    "apply_patch": "apply_patch",
    "tool_search": "tool_search",
}
TOOLS = {name: ToolIdentity(kind, name, "ns" if name == "calc" else None) for name, kind in KINDS.items()}
VALUES = st.recursive(st.none() | st.booleans() | st.integers(-5, 5) | TEXTS, st.lists, max_leaves=4)
INPUTS = (
    st.dictionaries(st.text(max_size=8), VALUES, max_size=4)
    | st.fixed_dictionaries({"input": TEXTS})
    | st.fixed_dictionaries({"commands": st.lists(TEXTS, max_size=3)})
    | st.fixed_dictionaries({"type": st.sampled_from(["create_file", "delete_file"]), "path": TEXTS, "diff": TEXTS})
)

TEXT_BLOCKS = st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
THINKING_BLOCKS = st.builds(lambda thinking: {"type": "thinking", "thinking": thinking, "signature": "c2ln"}, TEXTS)
TOOL_BLOCKS = st.builds(
    lambda name, arguments: {"type": "tool_use", "name": name, "input": arguments},
    st.sampled_from([*KINDS, "of_the_history"]),
    INPUTS,
)
HIDDEN_BLOCKS = st.sampled_from(
    [
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "server_tool_use", "name": "web_search", "input": {"query": "x"}},
        {"type": "server_tool_use", "name": "code_execution", "input": {"code": "x"}},
        {"type": "web_search_tool_result", "content": [{"type": "web_search_result", "url": "https://a"}]},
        {"type": "web_search_tool_result", "content": {"type": "web_search_tool_result_error"}},
        {"type": "code_execution_tool_result", "content": {}},
    ]
)


def number_blocks(blocks):
    """Give each block an id; a result is of one of the searches before it, if there are any."""
    numbered, searches = [], []
    for number, block in enumerate(blocks):
        match block["type"]:
            case "tool_use":
                numbered.append({**block, "id": f"toolu_{number}"})
            case "server_tool_use":
                searches.append(f"srvtoolu_{number}")
                numbered.append({**block, "id": searches[-1]})
            case "web_search_tool_result" | "code_execution_tool_result":
                owner = searches[number % len(searches)] if searches else "srvtoolu_unknown"
                numbered.append({**block, "tool_use_id": owner})
            case _:
                numbered.append(block)
    return numbered


CONTENTS = st.lists(TEXT_BLOCKS | THINKING_BLOCKS | TOOL_BLOCKS | HIDDEN_BLOCKS, max_size=7).map(number_blocks)
STOP_REASONS = st.sampled_from(["end_turn", "max_tokens", "tool_use", "refusal", "stop_sequence", "of_a_later_version"])
PLANS = st.builds(
    ResponsesPlan,
    model=st.just("gpt-5.5"),
    tools=st.just(TOOLS),
    shows_summary=st.booleans(),
    refuses_in_text=st.booleans(),
    json_object=st.booleans(),
    seals_thinking=st.booleans(),
    forced_tool=st.sampled_from([None, None, "calc", "patch", "shell"]),
    allowed_tools=st.sampled_from([None, frozenset({"calc", "patch"})]),
    is_compaction=st.sampled_from([False, False, False, True]),
    include=st.frozensets(st.sampled_from(["web_search_call.action.sources", "code_interpreter_call.outputs"])),
)
PLAIN = ResponsesPlan("gpt-5.5", tools=TOOLS)
SIZES = st.integers(1, 9)


def new_stream(plan=PLAIN):
    return ResponsesStream(plan, RESPONSE_ID, CREATED_AT, KEY)


def finish(stream, events):
    """End the stream as the shell does, and return all events decoded."""
    try:
        events += stream.finish(COMPLETED_AT)
    except OpenAIError as error:
        events += stream.fail(error)
    return [decode(encode_event(event)) for event in events]


@given(CONTENTS, STOP_REASONS, SIZES, PLANS)
def test_every_message_is_one_well_formed_response(cut, blocks, stop_reason, size, plan):
    stream = new_stream(plan)
    events = stream.start()
    events += translate(stream, cut(blocks, stop_reason, size=size))
    decoded = finish(stream, events)
    check_stream(decoded)
    assert_openai_accepts(decoded)


@given(CONTENTS, STOP_REASONS, SIZES)
def test_every_message_says_the_same(cut, read, blocks, stop_reason, size):
    answer = read(cut(blocks, stop_reason, size=size), plan=PLAIN)
    assert answer.text == "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [block for block in blocks if block["type"] == "tool_use" and block["name"] in KINDS]
    assert answer.stream.tool_call_ids == [block["id"] for block in calls]
    items = [item for item in answer.output if "call_id" in item]
    assert [item["call_id"] for item in items] == [block["id"] for block in calls]
    for item, block in zip(items, calls, strict=True):
        match item["type"]:
            case "function_call":
                assert json.loads(item["arguments"]) == block["input"]
            case "tool_search_call":
                assert item["arguments"] == block["input"]
            case "custom_tool_call" if isinstance(block["input"].get("input"), str) and len(block["input"]) == 1:
                assert item["input"] == block["input"]["input"]
    for name, kind in (("web_search", "web_search_call"), ("code_execution", "code_interpreter_call")):
        assert len(answer.of_type(kind)) == sum(block.get("name") == name for block in blocks)


@given(CONTENTS, SIZES)
def test_all_that_no_item_shows_is_sealed_in_its_order(cut, read, blocks, size):
    assume(all(block.get("name") != "of_the_history" for block in blocks))
    answer = read(cut(blocks, size=size), plan=PLAIN)
    assert answer.sealed == [block for block in blocks if block["type"] not in ("text", "tool_use")]


@given(CONTENTS, SIZES)
def test_items_stand_in_the_order_of_their_blocks(cut, read, blocks, size):
    answer = read(cut(blocks, size=size), plan=PLAIN)
    shown = {"message": "text", "web_search_call": "search", "code_interpreter_call": "search"}
    order = [shown.get(kind, "call") for kind in answer.types if kind != "reasoning"]
    expected = []
    for block in blocks:
        match block["type"]:
            case "text" if block["text"]:
                if expected[-1:] != ["text"]:
                    expected.append("text")
            case "tool_use" if block["name"] in KINDS:
                expected.append("call")
            case "server_tool_use" if block["name"] in ("web_search", "code_execution"):
                expected.append("search")
            case "thinking" | "redacted_thinking" | "server_tool_use" | "web_search_tool_result":
                expected.append("hidden")
            case "code_execution_tool_result":
                expected.append("hidden")
    kept = [kind for kind in expected if kind != "hidden"]
    # Text on both sides of what is hidden is two messages; an answer that says nothing is an empty one.
    assert order == kept or (order == ["search"] * (len(order) - 1) + ["text"] and "text" not in kept)


@given(CONTENTS, SIZES, st.randoms(use_true_random=False))
def test_cutting_the_bytes_anywhere_gives_the_same_events(cut, blocks, size, draw):
    events = cut(blocks, "tool_use", size=size)
    sse = "".join(f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events)
    content = sse.encode()

    def events_of(pieces):
        parser = SseParser()
        stream = new_stream()
        translated = stream.start()
        for piece in pieces:
            for payload in parser.feed(piece):
                event = parse_event(payload)
                assert event is not None
                translated += stream.translate(event)
        return [encode_event(event) for event in [*translated, *stream.finish(COMPLETED_AT)]]

    borders = sorted(draw.randrange(len(content) + 1) for _ in range(10))
    pieces = [content[a:b] for a, b in zip([0, *borders], [*borders, len(content)], strict=True)]
    assert events_of(pieces) == events_of([content])


@given(CONTENTS, SIZES, SIZES, PLANS)
def test_the_final_response_is_the_same_however_the_blocks_come(cut, blocks, size, other_size, plan):
    finals = []
    for pieces in (size, other_size, 10_000):
        stream = new_stream(plan)
        finals.append(finish(stream, stream.start() + translate(stream, cut(blocks, size=pieces)))[-1]["response"])
    assert finals[0] == finals[1] == finals[2]


@given(CONTENTS, STOP_REASONS, SIZES, st.data())
def test_S8_an_answer_that_was_cut_never_looks_whole(cut, blocks, stop_reason, size, data):
    events = cut(blocks, stop_reason, size=size)
    length = data.draw(st.integers(0, len(events) - 1))
    stream = new_stream()
    translated = stream.start()
    translated += translate(stream, events[:length])
    with pytest.raises(OpenAIError) as caught:
        stream.finish(COMPLETED_AT)
    final = check_stream([decode(encode_event(event)) for event in [*translated, *stream.fail(caught.value)]])
    assert final["status"] == "failed"


@given(CONTENTS, SIZES, st.data())
def test_nothing_follows_an_error(cut, blocks, size, data):
    events = cut(blocks, size=size)
    length = data.draw(st.integers(0, len(events) - 1))
    stream = new_stream()
    translated = stream.start() + translate(stream, events[:length])
    with pytest.raises(OpenAIError) as caught:
        translate(stream, [{"type": "error", "error": {"type": "api_error", "message": "No."}}])
    check_stream([decode(encode_event(event)) for event in [*translated, *stream.fail(caught.value)]])
    for event in events:
        if event["type"] == "ping":
            continue
        with pytest.raises(IllegalEventOrderError):
            translate(stream, [event])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(CONTENTS, STOP_REASONS, SIZES, st.randoms(use_true_random=False))
def test_events_in_any_order_give_a_response_or_a_named_error(cut, blocks, stop_reason, size, draw):
    events = cut(blocks, stop_reason, size=size)
    for _ in range(3):
        one, other = draw.randrange(len(events)), draw.randrange(len(events))
        events[one], events[other] = events[other], events[one]
    stream = new_stream()
    translated = stream.start()
    try:
        for event in events:
            translated += translate(stream, [event])
        translated += stream.finish(COMPLETED_AT)
    except OpenAIError as error:
        translated += stream.fail(error)
    except (IllegalEventOrderError, MalformedEventError):
        translated += stream.fail(OpenAIError(502, "Cut off.", "server_error", "server_error"))
    check_stream([decode(encode_event(event)) for event in translated])


@given(CONTENTS, SIZES, st.randoms(use_true_random=False))
def test_S3_blocks_that_run_together_give_the_same_response(cut, blocks, size, draw):
    events = cut(blocks, "tool_use", size=size)
    *_, delta, stop = events
    queues = [[event for event in events[2:-2] if event["index"] == index] for index in range(len(blocks))]
    mixed, begun = events[:2], 0
    while any(queues):
        ready = [queue for queue in queues[:begun] if queue]
        if begun < len(queues) and (not ready or draw.random() < 0.5):
            mixed.append(queues[begun].pop(0))
            begun += 1
        else:
            mixed.append(draw.choice(ready).pop(0))
    finals = []
    for order in (events, [*mixed, delta, stop]):
        stream = new_stream()
        finals.append(finish(stream, stream.start() + translate(stream, order))[-1]["response"])
    assert finals[0] == finals[1]


@given(st.lists(CONTENTS, min_size=2, max_size=3), SIZES)
def test_S20_S21_segments_of_a_paused_turn_read_as_one_response(cut, read, segments, size):
    segments = [
        [{**block, "id": f"{block['id']}_{number}"} if "id" in block else block for block in blocks]
        for number, blocks in enumerate(segments)
    ]
    events = [
        cut(blocks, "pause_turn" if number + 1 < len(segments) else "end_turn", message_id=f"msg_{number}", size=size)
        for number, blocks in enumerate(segments)
    ]
    answer = read(*events, plan=PLAIN)
    blocks = [block for segment in segments for block in segment]
    assert answer.text == "".join(block["text"] for block in blocks if block["type"] == "text")
    assert answer.stream.usage.output_tokens == 5 * len(segments)

import json
from dataclasses import replace

import pytest

from tests.translators.responses.blocks import (
    PLAN,
    SILENT,
    TEXT,
    THINKING,
    found,
    search,
    tool,
)
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
from translators.claude_events import parse_event
from translators.errors import OpenAIError
from translators.responses.reply_plan import InputTransformation
from translators.responses.response import IncompleteResponseError, build_response
from translators.responses.response_events import encode_event, type_of
from translators.responses.stream import UNNAMED_TOOL, IllegalEventOrderError, Phase, ResponsesStream


def new_stream(**plan):
    return ResponsesStream(replace(PLAN, **plan), RESPONSE_ID, CREATED_AT, KEY)


def failing(stream, error):
    """The events of a response that fails, checked."""
    return [decode(encode_event(event)) for event in stream.fail(error)]


# The form of the events.


def test_the_first_events_have_the_recorded_form(cut, read):
    created, in_progress, *_ = read(cut([TEXT])).events
    assert list(created) == ["type", "response", "sequence_number"]
    assert (created["type"], in_progress["type"]) == ("response.created", "response.in_progress")
    assert list(created["response"]) == [
        "id",
        "object",
        "created_at",
        "status",
        "background",
        "completed_at",
        "error",
        "frequency_penalty",
        "incomplete_details",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "model",
        "moderation",
        "output",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tool_usage",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "usage",
        "user",
        "metadata",
    ]


def test_a_message_is_streamed_in_the_recorded_order(cut, read):
    answer = read(cut([{"type": "text", "text": "Hello you"}], size=5), plan=replace(PLAN, tools={}))
    (message,) = answer.output
    at = {"item_id": message["id"], "output_index": 0}
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello you"}
    assert message == {
        "id": message["id"],
        "type": "message",
        "status": "completed",
        "content": [part],
        "phase": "final_answer",
        "role": "assistant",
    }
    assert list(message) == ["id", "type", "status", "content", "phase", "role"]
    added = {**message, "status": "in_progress", "content": []}
    empty = {**part, "text": ""}
    piece = {"type": "response.output_text.delta", "content_index": 0, "logprobs": [], **at}
    assert answer.events[2:-1] == [
        {"type": "response.output_item.added", "item": added, "output_index": 0, "sequence_number": 2},
        {"type": "response.content_part.added", "content_index": 0, "part": empty, "sequence_number": 3, **at},
        {**piece, "delta": "Hello", "sequence_number": 4},
        {**piece, "delta": " you", "sequence_number": 5},
        {
            "type": "response.output_text.done",
            "content_index": 0,
            "logprobs": [],
            "text": "Hello you",
            "sequence_number": 6,
            **at,
        },
        {"type": "response.content_part.done", "content_index": 0, "part": part, "sequence_number": 7, **at},
        {"type": "response.output_item.done", "item": message, "output_index": 0, "sequence_number": 8},
    ]
    assert list(answer.events[4]) == [
        "type",
        "content_index",
        "delta",
        "item_id",
        "logprobs",
        "output_index",
        "sequence_number",
    ]


def test_a_function_call_is_streamed_in_the_recorded_order(cut, read):
    answer = read(cut([tool(1, city="Oslo")], "tool_use", size=9))
    (call,) = answer.output
    assert list(call) == ["id", "type", "status", "arguments", "call_id", "name"]
    assert (call["call_id"], call["name"], call["arguments"]) == ("toolu_1", "get_weather", '{"city": "Oslo"}')
    assert [event["type"].removeprefix("response.") for event in answer.events[2:-1]] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    done = answer.events[-3]
    assert list(done) == ["type", "arguments", "item_id", "output_index", "sequence_number"], "there is no name in it"


def test_the_response_repeats_what_the_plan_says_and_names_the_tier_at_the_end(cut, read):
    echo = {
        "instructions": "Be terse.",
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "store": False,
        "temperature": 0.2,
    }
    usage = {"input_tokens": 11, "output_tokens": 5, "service_tier": "priority"}
    answer = read(cut([TEXT], usage=usage), plan=replace(PLAN, echo=echo))
    first = answer.events[0]["response"]
    assert {name: first[name] for name in echo} == echo
    assert {name: answer.whole[name] for name in echo} == {**echo, "service_tier": "priority"}
    assert (answer.whole["created_at"], answer.whole["completed_at"]) == (CREATED_AT, COMPLETED_AT)


def test_removed_reasoning_is_named(cut, read):
    plan = replace(PLAN, input_transformations=(InputTransformation("rs_1", "prefix_mismatch"),))
    assert read(cut([TEXT]), plan=plan).whole["input_transformations"] == [
        {"id": "rs_1", "action": "removed", "reason": "prefix_mismatch", "type": "reasoning"}
    ]


def test_background_responses_are_queued_first():
    stream = new_stream(background=True, echo={"background": True})
    events = stream.start()
    assert [(type_of(event), event.response.status) for event in events] == [
        ("response.created", "queued"),
        ("response.queued", "queued"),
        ("response.in_progress", "in_progress"),
    ]


def test_ids_depend_on_nothing_but_the_response_and_the_place(cut, read):
    blocks = [THINKING, TEXT, tool(1, city="Oslo")]
    first, second = read(cut(blocks, "tool_use")), read(cut(blocks, "tool_use", size=2))
    assert [item["id"] for item in first.output] == [item["id"] for item in second.output]
    assert [item["id"].split("_")[0] for item in first.output] == ["rs", "msg", "fc"]
    assert all(len(item["id"].split("_")[1]) == 50 for item in first.output)


def test_a_client_may_start_late(cut):
    stream = new_stream()
    events = translate(stream, cut([TEXT])) + stream.finish(COMPLETED_AT)
    assert [type_of(event) for event in events[:2]] == ["response.created", "response.in_progress"]
    assert stream.start() == []
    check_stream([decode(encode_event(event)) for event in events])


def test_the_response_can_be_read_at_any_time(cut):
    stream = new_stream()
    stream.start()
    translate(stream, cut([TEXT, tool(1)])[:-2])
    assert stream.response.status == "in_progress"
    assert [item.type for item in stream.response.output] == ["message"]
    translate(stream, cut([], "tool_use")[-2:])
    stream.finish(COMPLETED_AT)
    assert stream.response.status == "completed"
    assert [item.type for item in stream.response.output] == ["message", "function_call"]


def test_an_answer_without_its_last_event_is_not_built(cut):
    stream = new_stream()
    with pytest.raises(IncompleteResponseError):
        build_response(stream.start() + translate(stream, cut([TEXT])))


# Streaming cases.


def test_S1_S2_parallel_calls_are_items_of_their_own(cut, read):
    answer = read(cut([THINKING, TEXT, tool(1, city="Oslo"), tool(2, city="Rome")], "tool_use"))
    assert answer.types == ["reasoning", "message", "function_call", "function_call"]
    assert [json.loads(call["arguments"]) for call in answer.of_type("function_call")] == [
        {"city": "Oslo"},
        {"city": "Rome"},
    ]
    assert answer.stream.tool_call_ids == ["toolu_1", "toolu_2"]


def test_S3_interleaved_blocks_become_one_item_after_the_other(cut, read):
    start, ping, *_ = cut([])

    def piece(index, text):
        delta = {"type": "input_json_delta", "partial_json": text}
        return {"type": "content_block_delta", "index": index, "delta": delta}

    answer = read(
        [
            start,
            ping,
            {"type": "content_block_start", "index": 0, "content_block": tool(1, "a")},
            {"type": "content_block_start", "index": 1, "content_block": tool(2, "b")},
            piece(0, '{"x"'),
            piece(1, '{"y"'),
            piece(0, ":1}"),
            {"type": "content_block_start", "index": 2, "content_block": tool(3, "a")},
            {"type": "content_block_stop", "index": 0},
            piece(1, ":2}"),
            {"type": "content_block_stop", "index": 1},
            piece(2, '{"z":3}'),
            {"type": "content_block_stop", "index": 2},
            *cut([], "tool_use")[-2:],
        ]
    )
    assert [(call["name"], call["arguments"]) for call in answer.output] == [
        ("a", '{"x":1}'),
        ("b", '{"y":2}'),
        ("a", '{"z":3}'),
    ]
    assert [block["input"] for block in answer.stream.content] == [{"x": 1}, {"y": 2}, {"z": 3}]


def test_S4_a_call_without_arguments_has_an_empty_object(cut, read):
    answer = read(cut([tool(1)], "tool_use"))
    assert answer.output[0]["arguments"] == "{}"
    assert answer.said("response.function_call_arguments.delta") == ["{}"]


def test_an_input_that_comes_whole_with_its_block_is_the_arguments(cut, read):
    start, ping, *_ = cut([])
    block = {"type": "content_block_start", "index": 0, "content_block": tool(1, city="Oslo")}
    stop = {"type": "content_block_stop", "index": 0}
    answer = read([start, ping, block, stop, *cut([], "tool_use")[-2:]])
    assert answer.output[0]["arguments"] == '{"city":"Oslo"}'


def test_S5_each_piece_is_forwarded_at_once(cut):
    # Arguments that came on `done` alone were a bug of LiteLLM (BerriAI/litellm#25321).
    stream = new_stream()
    stream.start()
    counts = [
        len(stream.translate(parse_event(json.dumps(event).encode())))
        for event in cut([tool(1, city="Oslo", unit="celsius")], size=5)
    ]
    # message_start, ping, the item, the empty piece, then one event for each piece
    assert counts[:4] == [0, 0, 1, 0]
    assert counts[4:-3] == [1] * len(counts[4:-3])
    assert len(counts[4:-3]) > 5


def test_S6_every_message_has_its_role_from_the_beginning(cut, read):
    added = [event["item"] for event in read(cut([TEXT])).events if event["type"] == "response.output_item.added"]
    assert [item["role"] for item in added] == ["assistant"]


def test_S7_nothing_follows_the_last_event(cut):
    stream = new_stream()
    events = stream.start() + translate(stream, cut([TEXT])) + stream.finish(COMPLETED_AT)
    assert encode_event(events[-1]).startswith(b"event: response.completed\ndata: {")
    assert stream.finish(COMPLETED_AT) == []
    assert stream.fail(OpenAIError(500, "No.")) == []


def test_S8_a_stream_without_message_stop_is_an_error(cut):
    stream = new_stream()
    stream.start()
    translate(stream, cut([TEXT])[:-1])
    assert not stream.completed
    with pytest.raises(OpenAIError, match="cut before the answer was complete") as caught:
        stream.finish(COMPLETED_AT)
    assert (caught.value.type, caught.value.status) == ("server_error", 502)


def test_S8_a_stream_without_any_event_is_an_error():
    with pytest.raises(OpenAIError):
        new_stream().finish(COMPLETED_AT)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("overloaded_error", "server_is_overloaded"),
        ("api_error", "server_error"),
        ("rate_limit_error", "rate_limit_exceeded"),
        ("invalid_request_error", "invalid_prompt"),
        ("of_a_later_version", "server_error"),
    ],
)
def test_S10_S11_an_error_event_ends_with_error_and_response_failed(cut, kind, code):
    stream = new_stream()
    events = stream.start() + translate(stream, cut([THINKING, TEXT])[:10])
    with pytest.raises(OpenAIError) as caught:
        translate(stream, [{"type": "error", "error": {"type": kind, "message": "No."}}])
    assert stream.phase is Phase.FAILED
    decoded = [decode(encode_event(event)) for event in [*events, *stream.fail(caught.value)]]
    error, failed = decoded[-2:]
    assert (error["type"], error["error"]["code"], error["error"]["param"]) == ("error", code, None)
    assert error["error"]["type"] == caught.value.type
    assert failed["type"] == "response.failed"
    assert failed["response"]["error"] == {"code": code, "message": caught.value.message}
    assert (failed["response"]["status"], failed["response"]["usage"]) == ("failed", None)
    check_stream(decoded)
    with pytest.raises(IllegalEventOrderError):
        translate(stream, [{"type": "message_stop"}])


def test_an_error_before_the_first_event_has_the_recorded_form():
    error = OpenAIError(429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota")
    events = failing(new_stream(), error)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "error",
        "response.failed",
    ]
    assert list(events[2]) == ["type", "sequence_number", "error"]
    assert list(events[2]["error"]) == ["type", "code", "message", "param"]
    assert events[3]["response"]["output"] == []
    check_stream(events)
    assert_openai_accepts_failure(events)


def assert_openai_accepts_failure(events):
    """`insufficient_quota` is on OpenAI's wire and not in the package's enumeration, so the types are not asked."""
    known = json.loads(json.dumps(events))
    known[-1]["response"]["error"]["code"] = "server_error"
    assert_openai_accepts(known)


def test_S14_usage_comes_with_the_last_event_alone(cut, read):
    usages = [event["response"]["usage"] for event in read(cut([TEXT])).events if "response" in event]
    assert usages[:-1] == [None, None]
    assert usages[-1]["total_tokens"] == 16


def test_S15_empty_pieces_make_no_events(cut):
    stream = new_stream(shows_summary=True)
    stream.start()
    events = cut([{**TEXT, "text": "a"}, {**THINKING, "thinking": "b"}])
    translate(stream, events[:3])
    empty = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}}
    assert translate(stream, [empty]) == []
    translate(stream, events[3:6])
    empty = {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": ""}}
    assert translate(stream, [empty]) == []


@pytest.mark.parametrize("blocks", [[], [{"type": "text", "text": ""}], [SILENT]], ids=["none", "empty", "thinking"])
def test_S19_an_answer_that_says_nothing_is_an_empty_message(cut, read, blocks):
    answer = read(cut(blocks))
    (message,) = answer.of_type("message")
    assert message["content"] == [{"type": "output_text", "annotations": [], "logprobs": [], "text": ""}]
    assert answer.whole["status"] == "completed"


def test_S20_S21_a_paused_turn_goes_on_in_one_response(cut, read):
    answer = read(
        cut([{"type": "text", "text": "One. "}, tool(1, n=1), search()], "pause_turn", message_id="msg_1"),
        cut([found(1, "https://a"), {"type": "text", "text": "Two."}, tool(2, n=2)], "tool_use", message_id="msg_2"),
        plan=replace(PLAN, include=frozenset({"web_search_call.action.sources"})),
    )
    assert answer.text == "One. Two."
    assert answer.types == ["message", "function_call", "web_search_call", "reasoning", "message", "function_call"]
    (searched,) = answer.of_type("web_search_call")
    assert searched["status"] == "completed"
    assert searched["action"]["sources"] == [{"type": "url", "url": "https://a"}]
    assert answer.stream.upstream_message_id == "msg_2"
    assert answer.stream.usage.input_tokens == 22
    assert answer.stream.usage.output_tokens == 10


def test_S20_text_goes_on_in_the_same_message_after_a_pause(cut, read):
    answer = read(
        cut([{"type": "text", "text": "One. "}], "pause_turn", message_id="msg_1"),
        cut([{"type": "text", "text": "Two."}], message_id="msg_2"),
    )
    assert [part["text"] for item in answer.output for part in item["content"]] == ["One. Two."]


def test_S21_a_turn_that_stays_paused_is_incomplete(cut, read):
    answer = read(cut([TEXT, search()], "pause_turn"))
    assert (answer.whole["status"], answer.whole["completed_at"]) == ("incomplete", None)
    assert [item.get("status") for item in answer.output[:2]] == ["completed", "incomplete"]


def test_resume_is_refused_where_nothing_is_paused(cut):
    stream = new_stream()
    with pytest.raises(IllegalEventOrderError):
        stream.resume()
    translate(stream, cut([TEXT]))
    with pytest.raises(IllegalEventOrderError):
        stream.resume()


def test_S22_a_message_start_without_a_message_opens_the_answer(cut, read):
    _, *rest = cut([TEXT])
    assert read([{"type": "message_start", "message": None}, *rest]).text == TEXT["text"]


def test_a_message_that_is_whole_from_its_start_is_a_whole_answer(cut, read):
    start, *_, stop = cut([])
    start["message"] |= {"content": [THINKING, tool(1, player="one"), TEXT], "stop_reason": "tool_use"}
    answer = read([start, stop], plan=replace(PLAN, shows_summary=True))
    assert answer.types == ["reasoning", "function_call", "message"]
    assert answer.output[0]["summary"] == [{"type": "summary_text", "text": "Let me see."}]
    assert answer.output[1]["arguments"] == '{"player":"one"}'


def test_S23_a_second_message_is_refused_and_the_same_twice_is_not(cut, read):
    start, *rest = cut([TEXT])
    assert read([start, start, *rest]).text == TEXT["text"]
    stream = new_stream()
    translate(stream, [start, *rest[:3]])
    with pytest.raises(IllegalEventOrderError, match="second message"):
        translate(stream, [cut([], message_id="msg_2")[0]])


def test_S24_a_call_that_max_tokens_cut_is_kept_and_incomplete(cut, read):
    start, ping, opening, empty, piece, *_, delta, stop = cut([tool(1, city="Oslo")], "max_tokens")
    answer = read([start, ping, opening, empty, piece, delta, stop])
    (call,) = answer.output
    assert (call["status"], call["arguments"]) == ("incomplete", '{"city"')
    assert answer.whole["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize("stop_reason", ["max_tokens", "model_context_window_exceeded"])
def test_E9_E10_what_came_last_before_the_cut_is_incomplete(cut, read, stop_reason):
    answer = read(cut([TEXT, tool(1), TEXT], stop_reason))
    assert [item["status"] for item in answer.output] == ["completed", "completed", "incomplete"]
    assert answer.whole["status"] == "incomplete"
    assert answer.events[-1]["type"] == "response.incomplete"


def test_R2_R3_a_cut_while_thinking_leaves_no_message_and_seals_no_unsigned_thinking(cut, read):
    answer = read(cut([{**THINKING, "signature": ""}], "max_tokens"))
    assert answer.types == ["reasoning"]
    assert answer.sealed == [], "thinking without its signature cannot go back"


def test_S25_one_id_time_and_model_in_all_events(cut, read):
    answer = read(cut([TEXT, tool(1)], "tool_use"))
    identities = {
        (event["response"]["id"], event["response"]["created_at"], event["response"]["model"])
        for event in answer.events
        if "response" in event
    }
    assert identities == {(RESPONSE_ID, CREATED_AT, "gpt-5.5")}


def test_S26_a_call_without_a_name_or_an_id_is_kept(cut, read):
    answer = read(cut([{**tool(1), "name": "", "id": ""}], "tool_use"))
    (call,) = answer.output
    assert call["name"] == UNNAMED_TOOL.name
    assert call["call_id"].startswith("call_")
    assert answer.stream.tool_call_ids == [call["call_id"]]


def test_S27_claudes_own_tools_are_no_calls_of_the_clients(cut, read):
    running = {"type": "server_tool_use", "id": "srvtoolu_9", "name": "tool_search_tool_bm25", "input": {"query": "1"}}
    ran = {"type": "tool_search_tool_result", "tool_use_id": "srvtoolu_9", "content": {"tool_references": []}}
    answer = read(cut([{"type": "text", "text": "a"}, running, ran, TEXT]))
    assert answer.types == ["message", "reasoning", "message"]
    assert answer.sealed == [running, ran]
    assert answer.stream.tool_call_ids == []


# Bugs of other bridges that have no case of their own.


def test_litellm_numbers_start_at_0_and_have_no_gap(cut, read):
    numbers = [event["sequence_number"] for event in read(cut([THINKING, TEXT, tool(1)], "tool_use")).events]
    assert numbers == list(range(len(numbers)))


def test_litellm_25321_arguments_do_not_come_on_done_alone(cut, read):
    answer = read(cut([tool(1, city="Oslo")], "tool_use", size=4))
    pieces = answer.said("response.function_call_arguments.delta")
    assert len(pieces) > 3
    assert "".join(pieces) == '{"city": "Oslo"}'


def test_litellm_17254_the_input_of_claudes_own_tools_is_no_argument(cut, read):
    answer = read(cut([tool(1, city="Oslo"), search(1, "weather"), found(1), tool(2, city="Rome")], "tool_use"))
    arguments = [json.loads(call["arguments"]) for call in answer.of_type("function_call")]
    assert arguments == [{"city": "Oslo"}, {"city": "Rome"}]


def test_github_copilot_ids_stay_the_same_from_added_to_the_final_response(cut, read):
    answer = read(cut([THINKING, TEXT, search(), found(1), tool(1), TEXT]))
    by_type = {
        kind: [event["item"]["id"] for event in answer.events if event["type"] == f"response.output_item.{kind}"]
        for kind in ("added", "done")
    }
    assert by_type["added"] == by_type["done"] == [item["id"] for item in answer.output]


def test_openai_openapi_545_function_call_arguments_done_names_no_function(cut, read):
    (done,) = [e for e in read(cut([tool(1)])).events if e["type"] == "response.function_call_arguments.done"]
    assert "name" not in done


def test_cliproxyapi_1078_a_signature_is_the_one_that_claude_gave_and_needs_no_cache(cut, read):
    answer = read(cut([THINKING, tool(1)], "tool_use"))
    assert answer.sealed == [THINKING]


DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
STOP = {"type": "content_block_stop", "index": 0}


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([DELTA], id="delta of a block that never opened"),
        pytest.param([BLOCK, {**DELTA, "index": 1}], id="delta of another block"),
        pytest.param([BLOCK, BLOCK], id="block opened twice"),
        pytest.param([BLOCK, {**BLOCK, "index": 1}, {**BLOCK, "index": 1}], id="later block opened twice"),
        pytest.param([BLOCK, STOP, DELTA], id="delta of a closed block"),
        pytest.param([{**STOP, "index": 3}], id="stop of a block that never opened"),
        pytest.param([{"type": "content_block_start", "index": 0}], id="no block"),
    ],
)
def test_blocks_out_of_order_are_refused(cut, events):
    stream = new_stream()
    translate(stream, cut([])[:1])
    with pytest.raises(IllegalEventOrderError):
        translate(stream, events)


# Text.


def test_json_without_its_fence(cut, read):
    plan = replace(PLAN, json_object=True)
    answer = read(cut([{"type": "text", "text": '```json\n{"a": 1}\n```'}], size=2), plan=plan)
    assert answer.text == '{"a": 1}'


def test_text_that_was_held_back_is_written_before_a_call(cut, read):
    plan = replace(PLAN, json_object=True)
    answer = read(cut([{"type": "text", "text": "``"}, tool(1)], "tool_use"), plan=plan)
    assert answer.types == ["message", "function_call"]
    assert answer.text == "``"


def test_phases_tell_comments_from_the_final_answer(cut, read):
    answer = read(cut([TEXT, tool(1)], "tool_use"))
    assert answer.output[0]["phase"] == "commentary"
    answer = read(cut([TEXT, search(), found(1), TEXT]), plan=PLAN)
    assert [item["phase"] for item in answer.of_type("message")] == ["commentary", "final_answer"]
    added = [e["item"] for e in answer.events if e["type"] == "response.output_item.added"]
    assert all("phase" not in item for item in added), "it cannot be known yet"


def test_E8_a_refusal_completes_with_a_refusal_part(cut, read):
    # `incomplete` with `content_filter` makes Codex ask six times.
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    answer = read(cut([TEXT], "refusal", stop_details=details))
    assert answer.whole["status"] == "completed"
    assert answer.text == TEXT["text"]
    assert answer.refusals == ["Claude declined to answer this request (category: cyber)."]
    assert len(answer.output) == 1


@pytest.mark.parametrize(
    ("blocks", "text"),
    [([], "Not this."), ([TEXT], f"{TEXT['text']}\n\nNot this.")],
    ids=["before all", "in the middle"],
)
def test_E8_a_refusal_is_text_for_clients_that_know_no_other_part(cut, read, blocks, text):
    details = {"type": "refusal", "category": None, "explanation": "Not this."}
    answer = read(cut(blocks, "refusal", stop_details=details), plan=replace(PLAN, refuses_in_text=True))
    assert answer.refusals == []
    assert answer.text == text
    assert [len(item["content"]) for item in answer.output] == [1]


def test_E8_a_call_that_a_refusal_broke_off_is_no_call_to_be_made(cut, read):
    answer = read(cut([tool(1, a=1), tool(2, b=2)], "refusal", size=3))
    assert [item.get("status") for item in answer.output] == ["completed", "incomplete", "completed"]
    assert answer.whole["status"] == "completed"
    assert answer.refusals


# Compaction.


def test_a_compaction_is_exactly_one_item(cut, read):
    blocks = [THINKING, {"type": "text", "text": "We spoke "}, search(), found(1), {"type": "text", "text": "of rain."}]
    answer = read(cut(blocks), plan=replace(PLAN, is_compaction=True))
    (item,) = answer.output
    assert list(item) == ["id", "type", "encrypted_content"]
    assert (item["type"], item["id"][:4]) == ("compaction", "cmp_")
    assert answer.compaction == "We spoke of rain."
    assert [event["type"] for event in answer.events[2:]] == [
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
    ]


def test_a_compaction_that_was_cut_is_incomplete(cut, read):
    answer = read(cut([TEXT], "max_tokens"), plan=replace(PLAN, is_compaction=True))
    assert answer.whole["status"] == "incomplete"
    assert answer.compaction == TEXT["text"]


@pytest.mark.parametrize(("blocks", "stop_reason"), [([], "end_turn"), ([TEXT], "refusal")], ids=["empty", "refusal"])
def test_a_compaction_without_a_summary_fails(cut, blocks, stop_reason):
    stream = new_stream(is_compaction=True)
    events = stream.start() + translate(stream, cut(blocks, stop_reason))
    with pytest.raises(OpenAIError) as caught:
        stream.finish(COMPLETED_AT)
    decoded = [decode(encode_event(event)) for event in [*events, *stream.fail(caught.value)]]
    assert check_stream(decoded)["error"]["code"] == "invalid_prompt"


# Usage.


def test_U1_U5_input_tokens_hold_the_cache_and_output_tokens_the_reasoning(cut, read):
    # Clients reckon with OpenAI's way of counting: vercel/ai#8794.
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 200,
        "cache_creation_input_tokens": 3000,
        "output_tokens": 40,
        "output_tokens_details": {"thinking_tokens": 30},
    }
    assert read(cut([TEXT], usage=usage)).whole["usage"] == {
        "input_tokens": 3210,
        "input_tokens_details": {"cache_write_tokens": 3000, "cached_tokens": 200},
        "output_tokens": 40,
        "output_tokens_details": {"reasoning_tokens": 30},
        "total_tokens": 3250,
    }


def test_U2_U3_the_last_report_replaces_the_first(cut, read):
    *events, delta, stop = cut([TEXT], usage={"input_tokens": 0, "cache_read_input_tokens": 7, "output_tokens": 1})
    delta["usage"] = {"input_tokens": 11, "cache_read_input_tokens": 7, "output_tokens": 9}
    usage = read([*events, delta, stop]).whole["usage"]
    assert (usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"]) == (18, 7, 9)


def test_U6_the_counts_of_a_cancelled_answer_can_be_read(cut):
    stream = new_stream()
    translate(stream, cut([TEXT])[:3])
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (11, 1)
    assert stream.claude_usage.input_tokens == 11


def test_U6_the_output_of_a_cancelled_answer_is_counted_by_what_came_of_it(cut):
    blocks = [
        {"type": "thinking", "thinking": "t" * 30, "signature": "s" * 300},
        {"type": "text", "text": "é" * 30},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "a" * 30}},
    ]
    *events, _message_delta, _message_stop = cut(blocks, "tool_use")
    stream = new_stream()
    translate(stream, events)
    arguments = len(json.dumps(blocks[2]["input"]))
    assert stream.claude_usage.output_tokens == (30 + 60 + arguments) // 3
    translate(stream, [_message_delta])
    assert stream.claude_usage.output_tokens == 5


def test_U6_each_segment_of_a_paused_answer_is_counted_once(cut):
    stream = new_stream()
    translate(stream, cut([{"type": "text", "text": "a" * 300}], "pause_turn"))
    stream.resume()
    translate(stream, cut([{"type": "text", "text": "b" * 60}])[:-2])
    assert stream.claude_usage.output_tokens == 5 + 20


def test_line_breaks_of_unicode_cannot_split_an_event(cut, read):
    text = "a\u2028b\u2029c\u0085d\r\n"
    stream = new_stream()
    events = stream.start() + translate(stream, cut([{"type": "text", "text": text}])) + stream.finish(COMPLETED_AT)
    assert all(len(encode_event(event).decode().splitlines()) == 3 for event in events)
    assert read(cut([{"type": "text", "text": text}])).text == text

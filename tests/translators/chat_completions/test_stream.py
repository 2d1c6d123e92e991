import json

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.stream import UNNAMED_TOOL, ChatCompletionStream, IllegalEventOrderError, Phase
from translators.claude_events import parse_event
from translators.errors import OpenAIError

PLAN = ReplyPlan("gpt-5.5")
THINKING = {"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmF0dXJl"}
TEXT = {"type": "text", "text": "It is sunny in São Paulo 🌞."}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}


def tool(number=1, name="get_weather", **arguments):
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}


def feed(stream, *events):
    return [chunk for event in events for chunk in stream.translate(parse_event(json.dumps(event).encode()))]


def new_stream(**plan):
    return ChatCompletionStream(replace(PLAN, **plan), "chatcmpl-1", 1)


def indexes(answer):
    return [call["index"] for delta in answer.deltas for call in delta.get("tool_calls", []) if "id" in call]


def test_the_first_chunk_has_the_recorded_form(cut, read):
    first = read(cut([TEXT])).chunks[0]
    assert list(first) == ["id", "object", "created", "model", "service_tier", "system_fingerprint", "choices"]
    assert first["choices"] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": "", "refusal": None},
            "logprobs": None,
            "finish_reason": None,
        }
    ]


def test_a_text_chunk_and_the_last_chunk_have_the_recorded_form(cut, read):
    chunks = read(cut([{"type": "text", "text": "Hi"}])).chunks
    assert chunks[1]["choices"] == [{"index": 0, "delta": {"content": "Hi"}, "logprobs": None, "finish_reason": None}]
    assert chunks[2]["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]


def test_S1_parallel_calls_have_distinct_indexes(cut, read):
    answer = read(cut([tool(1, city="Oslo"), tool(2, city="Rome")], "tool_use"))
    assert indexes(answer) == [0, 1]
    assert [json.loads(call["function"]["arguments"]) for call in answer.message["tool_calls"]] == [
        {"city": "Oslo"},
        {"city": "Rome"},
    ]


@pytest.mark.parametrize(
    ("blocks", "count"),
    [
        pytest.param([TEXT, tool(1)], 1, id="3h text, tool"),
        pytest.param([THINKING, TEXT, tool(1), tool(2)], 2, id="3h thinking, text, tool, tool"),
        pytest.param([tool(1), tool(2)], 2, id="3h tool, tool"),
        pytest.param([tool(1), TEXT, tool(2)], 2, id="3h tool, text, tool"),
        pytest.param(
            [{"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}, tool(1)],
            1,
            id="server tool, tool",
        ),
    ],
)
def test_S2_tool_index_counts_tools_not_blocks(cut, read, blocks, count):
    assert indexes(read(cut(blocks, "tool_use"))) == list(range(count))


def test_S3_interleaved_pieces_go_to_the_call_of_their_block(read, cut):
    start, ping, *_ = cut([])
    end = cut([], "tool_use")[-2:]

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
            piece(1, ":2}"),
            {"type": "content_block_stop", "index": 1},
            {"type": "content_block_stop", "index": 0},
            *end,
        ]
    )
    assert [call["function"] for call in answer.message["tool_calls"]] == [
        {"name": "a", "arguments": '{"x":1}'},
        {"name": "b", "arguments": '{"y":2}'},
    ]
    assert [block["input"] for block in answer.stream.content] == [{"x": 1}, {"y": 2}]


def test_S4_a_call_without_arguments_has_an_empty_object(cut, read):
    answer = read(cut([tool(1)], "tool_use"))
    assert answer.message["tool_calls"][0]["function"]["arguments"] == "{}"
    assert answer.stream.content == [tool(1)]


def test_an_input_that_comes_whole_with_its_block_is_the_arguments(cut, read):
    start, ping, *_ = cut([])
    end = cut([], "tool_use")[-2:]
    block = {"type": "content_block_start", "index": 0, "content_block": tool(1, city="Oslo")}
    answer = read([start, ping, block, {"type": "content_block_stop", "index": 0}, *end])
    assert answer.message["tool_calls"][0]["function"]["arguments"] == '{"city":"Oslo"}'
    assert answer.stream.content == [tool(1, city="Oslo")]


def test_S5_each_piece_of_the_arguments_is_forwarded_at_once(cut):
    stream = new_stream()
    counts = [len(feed(stream, event)) for event in cut([tool(1, city="Oslo", unit="celsius")], size=5)]
    # message_start, ping, opening, the empty piece, then one chunk for each piece
    assert counts[:4] == [1, 0, 1, 0]
    assert counts[4:-3] == [1] * len(counts[4:-3])
    assert len(counts[4:-3]) > 5


def test_S5_only_the_opening_delta_has_id_type_and_name(cut, read):
    answer = read(cut([tool(1, city="Oslo")], "tool_use", size=3))
    first, *rest = [call for delta in answer.deltas for call in delta.get("tool_calls", [])]
    assert first == {
        "index": 0,
        "id": "toolu_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ""},
    }
    assert all(call.keys() == {"index", "function"} and call["function"].keys() == {"arguments"} for call in rest)


def test_S6_the_role_comes_first_and_once(cut, read):
    answer = read(cut([THINKING, TEXT, tool(1)], "tool_use"))
    assert [("role" in delta) for delta in answer.deltas] == [True] + [False] * (len(answer.deltas) - 1)


def test_S8_a_stream_without_message_stop_is_an_error_and_has_no_finish_reason(cut):
    stream = new_stream()
    chunks = feed(stream, *cut([TEXT])[:-1])
    with pytest.raises(OpenAIError, match="cut before the answer was complete") as caught:
        stream.finish()
    assert (caught.value.type, caught.value.status) == ("server_error", 502)
    assert all(choice.finish_reason is None for chunk in chunks for choice in chunk.choices)
    assert not stream.completed


def test_S8_a_stream_without_any_event_is_an_error():
    with pytest.raises(OpenAIError):
        new_stream().finish()


@pytest.mark.parametrize(
    ("kind", "status", "type_", "code"),
    [
        ("overloaded_error", 503, "server_error", "server_is_overloaded"),
        ("api_error", 500, "server_error", "server_error"),
        ("rate_limit_error", 429, "tokens", "rate_limit_exceeded"),
        ("of_a_later_version", 500, "server_error", "server_error"),
    ],
)
def test_S10_S11_an_error_event_is_raised_and_nothing_follows_it(cut, kind, status, type_, code):
    stream = new_stream()
    feed(stream, *cut([TEXT])[:5])
    with pytest.raises(OpenAIError) as caught:
        feed(stream, {"type": "error", "error": {"type": kind, "message": "No."}})
    assert (caught.value.status, caught.value.type, caught.value.code) == (status, type_, code)
    assert stream.phase is Phase.FAILED
    with pytest.raises(IllegalEventOrderError):
        feed(stream, {"type": "message_stop"})
    with pytest.raises(OpenAIError):
        stream.finish()


@pytest.mark.parametrize("include_usage", [False, True])
def test_S14_usage_is_null_iff_it_was_asked_and_comes_last(cut, read, include_usage):
    answer = read(cut([TEXT]), plan=replace(PLAN, include_usage=include_usage))
    if not include_usage:
        assert all("usage" not in chunk for chunk in answer.chunks)
        return
    *chunks, last = answer.chunks
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"] == answer.whole["usage"]
    assert list(last["usage"]) == [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "completion_tokens_details",
    ]


def test_S15_empty_pieces_make_no_chunks(cut):
    stream = new_stream()
    events = cut([{**TEXT, "text": "a"}, {**THINKING, "thinking": "b"}])
    feed(stream, *events[:3])
    empty = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}}
    assert feed(stream, empty) == []
    feed(stream, *events[3:6])
    empty = {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": ""}}
    assert feed(stream, empty) == []


def test_S19_a_message_without_blocks_is_an_empty_answer(cut, read):
    answer = read(cut([]))
    assert [delta.get("role") for delta in answer.deltas] == ["assistant", None]
    assert answer.message["content"] == ""
    assert answer.finish_reason == "stop"


def test_S20_S21_a_paused_turn_goes_on_in_one_answer(cut, read):
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    answer = read(
        cut([{"type": "text", "text": "One. "}, tool(1, n=1), search], "pause_turn", message_id="msg_1"),
        cut([{"type": "text", "text": "Two."}, tool(2, n=2)], "tool_use", message_id="msg_2"),
    )
    assert answer.message["content"] == "One. Two."
    assert indexes(answer) == [0, 1]
    assert answer.finish_reason == "tool_calls"
    assert [("role" in delta) for delta in answer.deltas].count(True) == 1
    assert answer.stream.upstream_message_id == "msg_2"
    assert [block["type"] for block in answer.stream.content] == [
        "text",
        "tool_use",
        "server_tool_use",
        "text",
        "tool_use",
    ]
    assert answer.stream.usage.prompt_tokens == 22
    assert answer.stream.usage.completion_tokens == 10


def test_S21_a_pause_makes_no_finish_chunk_and_giving_up_ends_with_length(cut):
    stream = new_stream()
    chunks = feed(stream, *cut([TEXT], "pause_turn"))
    assert stream.paused
    assert not stream.completed
    assert all(choice.finish_reason is None for chunk in chunks for choice in chunk.choices)
    (last,) = stream.finish()
    assert last.choices[0].finish_reason == "length"
    assert stream.completed
    assert stream.finish() == []


def test_S20_a_resumed_turn_that_is_cut_is_an_error(cut):
    stream = new_stream()
    feed(stream, *cut([TEXT], "pause_turn"))
    stream.resume()
    with pytest.raises(OpenAIError):
        stream.finish()


def test_resume_is_refused_where_nothing_is_paused(cut):
    stream = new_stream()
    with pytest.raises(IllegalEventOrderError):
        stream.resume()
    feed(stream, *cut([TEXT]))
    with pytest.raises(IllegalEventOrderError):
        stream.resume()


def test_S22_a_message_start_without_a_message_opens_the_answer(cut, read):
    _, *rest = cut([TEXT])
    answer = read([{"type": "message_start", "message": None}, *rest])
    assert answer.message["content"] == TEXT["text"]


def test_a_message_that_is_whole_from_its_start_is_a_whole_answer(cut, read):
    # So Claude sends each call that its own code execution makes, one after the other.
    start, *_, stop = cut([])
    blocks = [{**tool(1, player="one"), "caller": {"type": "code_execution_20250825", "tool_id": "srvtoolu_1"}}, TEXT]
    start["message"] |= {"content": blocks, "stop_reason": "tool_use"}
    answer = read([start, stop])
    assert answer.finish_reason == "tool_calls"
    assert answer.message["content"] == TEXT["text"]
    assert answer.message["tool_calls"][0]["function"]["arguments"] == '{"player":"one"}'
    assert answer.stream.content == blocks


def test_P7_a_message_that_is_whole_from_its_start_is_cut_at_a_stop_string(cut, read):
    start, *_, stop = cut([])
    start["message"] |= {"content": [{"type": "text", "text": "a\nb"}, TEXT, tool(1)], "stop_reason": "tool_use"}
    answer = read([start, stop], plan=replace(PLAN, stop=("\n",)))
    assert (answer.message["content"], answer.finish_reason) == ("a", "stop")


def test_S23_a_second_message_is_refused(cut):
    stream = new_stream()
    feed(stream, *cut([TEXT])[:4])
    with pytest.raises(IllegalEventOrderError, match="second message"):
        feed(stream, cut([], message_id="msg_2")[0])


def test_S23_the_same_message_start_twice_is_tolerated(cut, read):
    start, *rest = cut([TEXT])
    answer = read([start, start, *rest])
    assert answer.message["content"] == TEXT["text"]
    assert answer.stream.usage.prompt_tokens == 11
    assert answer.deltas[0]["role"] == "assistant"


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([{"type": "content_block_stop", "index": 0}], id="stop before start"),
        pytest.param([{"type": "message_stop"}], id="message_stop before message_start"),
        pytest.param([{"type": "message_delta", "delta": {}}], id="message_delta before message_start"),
    ],
)
def test_nothing_comes_before_message_start(events):
    with pytest.raises(IllegalEventOrderError):
        feed(new_stream(), *events)


DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}}
BLOCK = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([DELTA], id="delta of a block that never opened"),
        pytest.param([BLOCK, {**DELTA, "index": 1}], id="delta of another block"),
        pytest.param([BLOCK, BLOCK], id="block opened twice"),
        pytest.param([BLOCK, {"type": "content_block_stop", "index": 0}, DELTA], id="delta of a closed block"),
        pytest.param([{"type": "content_block_stop", "index": 3}], id="stop of a block that never opened"),
        pytest.param([{"type": "content_block_start", "index": 0}], id="no block"),
    ],
)
def test_blocks_out_of_order_are_refused(cut, events):
    stream = new_stream()
    feed(stream, cut([])[0])
    with pytest.raises(IllegalEventOrderError):
        feed(stream, *events)


def test_no_block_comes_after_the_stop_reason(cut):
    stream = new_stream()
    feed(stream, *cut([TEXT])[:-1])
    with pytest.raises(IllegalEventOrderError):
        feed(stream, BLOCK)


@pytest.mark.parametrize("event", [BLOCK, {"type": "message_stop"}, {"type": "error", "error": {"type": "api_error"}}])
def test_nothing_but_pings_comes_after_message_stop(cut, event):
    stream = new_stream()
    feed(stream, *cut([TEXT]))
    assert feed(stream, {"type": "ping"}) == []
    with pytest.raises(IllegalEventOrderError):
        feed(stream, event)


def test_S24_a_call_that_max_tokens_cut_keeps_what_came(cut, read):
    events = cut([TEXT, tool(1, city="Oslo", unit="celsius")], "max_tokens", size=4)
    *events, _, delta, stop = events  # without the last piece and the block's stop
    events = [*events[:-1], delta, stop]
    answer = read(events)
    arguments = answer.message["tool_calls"][0]["function"]["arguments"]
    assert arguments
    assert json.dumps(tool(1, city="Oslo", unit="celsius")["input"]).startswith(arguments)
    assert answer.finish_reason == "length"
    assert answer.stream.content[1]["input"] == {"_raw": arguments}


def test_S25_id_created_model_and_fingerprint_never_change(cut, read):
    answer = read(cut([THINKING, TEXT, tool(1)], "tool_use"), plan=replace(PLAN, include_usage=True))
    keys = ("id", "object", "created", "model", "service_tier", "system_fingerprint")
    assert len({tuple(chunk[key] for key in keys) for chunk in answer.chunks}) == 1
    assert answer.chunks[0]["model"] == "gpt-5.5"
    assert answer.stream.upstream_model == "claude-opus-5-5"


@pytest.mark.parametrize("missing", ["id", "name"])
def test_S26_a_call_without_a_name_or_id_is_kept(cut, read, missing):
    call = read(cut([{**tool(1, a=1), missing: ""}], "tool_use")).message["tool_calls"][0]
    if missing == "name":
        assert call["function"]["name"] == UNNAMED_TOOL
    else:
        assert call["id"].startswith("call_")
    assert json.loads(call["function"]["arguments"]) == {"a": 1}


SERVER_BLOCKS = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "weather"}},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {
                "type": "web_search_result",
                "url": "https://a.example",
                "title": "A",
                "encrypted_content": "ZW5j",
                "n": None,
            }
        ],
    },
    {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "echo", "server_name": "s", "input": {"a": [1, 2.5]}},
    {"type": "redacted_thinking", "data": "b3BhcXVl"},
    {"type": "a_block_of_a_later_version", "payload": {"x": 1}},
]


def test_S27_R4_what_is_not_the_clients_is_hidden_and_kept_verbatim(cut, read):
    answer = read(cut([*SERVER_BLOCKS, TEXT]))
    assert answer.message["content"] == TEXT["text"]
    assert "tool_calls" not in answer.message
    assert answer.finish_reason == "stop"
    assert answer.stream.content == [*SERVER_BLOCKS, TEXT]
    assert answer.stream.has_thinking


def test_S27_a_tool_use_that_only_claude_answers_does_not_end_with_tool_calls(cut, read):
    assert read(cut(SERVER_BLOCKS[:1], "tool_use")).finish_reason == "stop"


def test_R1_R5_thinking_keeps_order_position_and_signature(cut, read):
    blocks = [
        THINKING,
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {**THINKING, "thinking": "Again.", "signature": "c2Vjb25k"},
        TEXT,
        tool(1, b=1, a=2),
    ]
    answer = read(cut(blocks, "tool_use", size=3))
    assert answer.stream.content == blocks
    assert [list(block) for block in answer.stream.content] == [list(block) for block in blocks]
    assert list(answer.stream.content[-1]["input"]) == ["b", "a"]
    assert answer.stream.tool_call_ids == ["toolu_1"]


def test_R7_thinking_with_a_signature_alone_is_kept_and_shows_nothing(cut, read):
    block = {**THINKING, "thinking": ""}
    answer = read(cut([block, TEXT]))
    assert answer.stream.content == [block, TEXT]
    assert "reasoning_content" not in answer.message


def test_R2_thinking_without_a_signature_is_not_sent_back(cut):
    stream = new_stream()
    feed(stream, *cut([THINKING])[:4])
    assert stream.content == []
    assert not stream.has_thinking


def test_thinking_is_shown_as_reasoning_content(cut, read):
    answer = read(cut([THINKING, TEXT], size=3))
    assert answer.said("reasoning_content") == "Let me see."
    assert answer.message["reasoning_content"] == "Let me see."


def test_thinking_is_not_shown_where_it_was_not_asked(cut, read):
    answer = read(cut([THINKING, TEXT]), plan=replace(PLAN, shows_thinking=False))
    assert "reasoning_content" not in answer.message
    assert answer.stream.has_thinking


def test_M15_M16_text_blocks_are_joined_in_order(cut, read):
    blocks = [
        {"type": "text", "text": "One, "},
        tool(1),
        {"type": "text", "text": "two, "},
        {"type": "text", "text": "three"},
    ]
    answer = read(cut(blocks, "tool_use"))
    assert answer.message["content"] == "One, two, three"
    assert answer.said("content") == "One, two, three"


def test_M8_text_of_white_space_alone_is_shown_but_not_sent_back(cut, read):
    answer = read(cut([{"type": "text", "text": "\n\n"}, TEXT]))
    assert answer.message["content"] == "\n\n" + TEXT["text"]
    assert answer.stream.content == [TEXT]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
@pytest.mark.parametrize(
    ("stop", "text", "expected"),
    [
        (("\n",), "One\nTwo", "One"),
        (("\n\n",), "a\nb\n\nc", "a\nb"),
        (("END", "\t"), "x EN END y", "x EN "),
        (("aab",), "aaab", "a"),
        (("abc", "b"), "xabc", "xa"),
        (("Z",), "Z", ""),
    ],
)
def test_P7_stop_strings_that_claude_does_not_take_are_emulated(cut, read, stop, text, expected, size):
    events = cut([{"type": "text", "text": text}], "max_tokens", size=size)
    answer = read(events, plan=replace(PLAN, stop=stop))
    assert answer.message["content"] == expected
    assert answer.finish_reason == "stop"
    assert answer.stream.stopped_early
    assert answer.stream.completed


def test_P7_the_usage_of_an_answer_that_is_stopped_here_counts_what_came_of_it(cut, read):
    *events, _message_delta, _message_stop = cut([{"type": "text", "text": "a" * 90 + "\n" + "b" * 90}], size=10)
    answer = read(events[:13], plan=replace(PLAN, stop=("\n",)))
    assert answer.stream.stopped_early
    assert answer.whole["usage"]["completion_tokens"] == 100 // 3


def test_P7_text_without_the_stop_string_comes_whole(cut, read):
    answer = read(cut([{"type": "text", "text": "a\nb\n"}], size=1), plan=replace(PLAN, stop=("\n\n",)))
    assert answer.message["content"] == "a\nb\n"
    assert not answer.stream.stopped_early


def test_P7_held_text_comes_before_the_tool_call_that_interrupts_it(cut, read):
    answer = read(cut([{"type": "text", "text": "a\n"}, tool(1)], "tool_use"), plan=replace(PLAN, stop=("\n\n",)))
    assert answer.message["content"] == "a\n"
    order = [next(iter(delta), None) for delta in answer.deltas]
    assert order == ["role", "content", "content", "tool_calls", "tool_calls", None]


def test_P7_usage_after_an_early_stop_is_still_counted(cut):
    stream = new_stream(stop=("\n",))
    chunks = feed(stream, *cut([{"type": "text", "text": "a\nb"}], usage={"input_tokens": 3, "output_tokens": 9}))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (3, 9)
    assert stream.finish() == []


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('```json\n{"a": "```"}\n```', '{"a": "```"}'),
        ('\n```\n{"a": 1}\n```\n', '{"a": 1}'),
        ('```json {"a": 1}```', '{"a": 1}'),
        ('```json\n{"a": 1}\n```\nThat is all.', '{"a": 1}'),
        ('{"a": "b"}', '{"a": "b"}'),
        (' {"a": 1}\n', ' {"a": 1}\n'),
        ('`x` {"a": 1}', '`x` {"a": 1}'),
        ('```json\n{"a": 1}', '{"a": 1}'),
    ],
)
def test_T16_a_code_fence_around_a_json_object_is_taken_off(cut, read, text, expected, size):
    answer = read(cut([{"type": "text", "text": text}], size=size), plan=replace(PLAN, json_object=True))
    assert answer.message["content"] == expected
    assert answer.finish_reason == "stop"


def test_T16_a_code_fence_stays_where_no_json_object_was_asked(cut, read):
    text = "```json\n{}\n```"
    assert read(cut([{"type": "text", "text": text}])).message["content"] == text


def test_T16_P7_fence_and_stop_string_work_together(cut, read):
    plan = replace(PLAN, json_object=True, stop=("\n\n",))
    answer = read(cut([{"type": "text", "text": "```json\n{}\n\n{}\n```"}], size=1), plan=plan)
    assert answer.message["content"] == "{}"
    assert answer.finish_reason == "stop"


def citation(**changes):
    return {
        "type": "web_search_result_location",
        "url": "https://a.example/1",
        "title": "A",
        "encrypted_index": "ZW5j",
        "cited_text": "It rains.",
        **changes,
    }


def test_citations_become_annotations_with_the_place_of_their_text(cut, read):
    blocks = [
        {"type": "text", "text": "Look: "},
        {
            "type": "text",
            "text": "it rains 🌧",
            "citations": [citation(), citation(url="https://b.example", title=None)],
        },
        {"type": "text", "text": ". And "},
        {"type": "text", "text": "it pours", "citations": [citation(title="C"), citation(title="C", cited_text="y")]},
    ]
    answer = read(cut(blocks, size=4))
    text = answer.message["content"]
    found = [annotation["url_citation"] for annotation in answer.message["annotations"]]
    assert [(text[one["start_index"] : one["end_index"]], one["title"], one["url"]) for one in found] == [
        ("it rains 🌧", "A", "https://a.example/1"),
        ("it rains 🌧", "https://b.example", "https://b.example"),
        ("it pours", "C", "https://a.example/1"),
    ]
    assert all(annotation["type"] == "url_citation" for annotation in answer.message["annotations"])
    assert answer.stream.content == blocks


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("plan", "blocks", "cited"),
    [
        pytest.param(
            ReplyPlan("gpt-5.5", json_object=True),
            [{"text": "```json\n"}, {"text": '{"a": 1}', "citations": [citation()]}, {"text": "\n```"}],
            ['{"a": 1}'],
            id="around-a-fence",
        ),
        pytest.param(
            ReplyPlan("gpt-5.5", json_object=True),
            [{"text": '```json\n{"a": 1}\n```', "citations": [citation()]}],
            ['{"a": 1}'],
            id="with-its-fence",
        ),
        pytest.param(
            ReplyPlan("gpt-5.5", stop=("\n\n",)),
            [{"text": "Look: "}, {"text": "it rains.\n\nAnd", "citations": [citation()]}, {"text": " on."}],
            ["it rains."],
            id="up-to-a-stop-string",
        ),
        pytest.param(
            ReplyPlan("gpt-5.5", stop=("\n\n",)),
            [{"text": "Look.\n"}, {"text": "\n", "citations": [citation()]}],
            [],
            id="the-stop-string-alone",
        ),
    ],
)
def test_citations_are_those_of_the_text_that_was_sent(cut, read, plan, blocks, cited, size):
    message = read(cut([{"type": "text", **block} for block in blocks], size=size), plan=plan).message
    found = [annotation["url_citation"] for annotation in message["annotations"]]
    assert [message["content"][one["start_index"] : one["end_index"]] for one in found] == cited
    assert all(one["end_index"] <= len(message["content"]) for one in found)


@pytest.mark.parametrize(
    "other",
    [
        {"type": "char_location", "cited_text": "x", "document_index": 0, "document_title": None},
        {"type": "of_a_later_version"},
        {"type": "web_search_result_location", "url": None},
        {"type": "web_search_result_location", "url": 5},
    ],
)
def test_citations_without_a_page_make_no_annotation_and_are_kept(cut, read, other):
    answer = read(cut([{**TEXT, "citations": [other]}]))
    assert answer.message["annotations"] == []
    assert answer.stream.content == [{**TEXT, "citations": [other]}]


@pytest.mark.parametrize(
    ("stop_reason", "blocks", "finish_reason"),
    [
        pytest.param("end_turn", [TEXT], "stop", id="end_turn"),
        pytest.param("stop_sequence", [TEXT], "stop", id="stop_sequence"),
        pytest.param("max_tokens", [TEXT], "length", id="E10 max_tokens"),
        pytest.param("model_context_window_exceeded", [TEXT], "length", id="E9 context window"),
        pytest.param("tool_use", [tool(1)], "tool_calls", id="tool_use"),
        pytest.param("refusal", [], "content_filter", id="E8 refusal"),
        pytest.param("of_a_later_version", [TEXT], "stop", id="unknown"),
    ],
)
def test_E8_E9_E10_stop_reasons(cut, read, stop_reason, blocks, finish_reason):
    assert read(cut(blocks, stop_reason)).finish_reason == finish_reason


DETAILS = {"type": "refusal", "category": "cyber", "explanation": "I cannot help with that."}


def test_E8_a_refusal_is_told_in_its_own_field(cut, read):
    answer = read(cut([], "refusal", stop_details=DETAILS))
    assert answer.message["refusal"] == "I cannot help with that."
    assert answer.message["content"] is None
    assert answer.finish_reason == "content_filter"


def test_E8_a_refusal_of_a_structured_answer_ends_with_stop(cut, read):
    answer = read(cut([], "refusal", stop_details=DETAILS), plan=replace(PLAN, structured=True))
    assert (answer.message["refusal"], answer.finish_reason) == ("I cannot help with that.", "stop")


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (None, "Claude declined to answer this request."),
        ({"type": "refusal", "category": "bio", "explanation": None}, "(category: bio)"),
        ({"type": "refusal", "category": None, "explanation": None}, "Claude declined to answer this request."),
    ],
)
def test_E8_a_refusal_without_an_explanation_has_a_text(cut, read, details, expected):
    assert expected in read(cut([TEXT], "refusal", stop_details=details)).message["refusal"]


@pytest.mark.parametrize(
    ("usage", "tier"),
    [
        ({"input_tokens": 1, "service_tier": "standard"}, "default"),
        ({"input_tokens": 1, "service_tier": "priority"}, "priority"),
        ({"input_tokens": 1, "speed": "fast"}, "priority"),
    ],
)
def test_the_service_tier_is_the_one_that_served(cut, read, usage, tier):
    answer = read(cut([TEXT], usage=usage), plan=replace(PLAN, include_usage=True))
    assert {chunk["service_tier"] for chunk in answer.chunks} == {tier}
    assert answer.whole["service_tier"] == tier


def test_P19_every_chunk_of_a_choice_has_its_index_and_its_own_ids(cut):
    events = cut([{"type": "text", "text": '{"a": 1}'}])
    streams = [ChatCompletionStream(replace(PLAN, forced_tool="f"), "chatcmpl-1", 1, index) for index in (0, 1)]
    for index, stream in enumerate(streams):
        assert {choice.index for chunk in feed(stream, *events) for choice in chunk.choices} == {index}
    assert streams[0].tool_call_ids != streams[1].tool_call_ids


def test_usage_of_a_message_is_the_last_count_whatever_came_in_between(cut):
    stream = new_stream()
    events = cut([TEXT], usage={"input_tokens": 10, "output_tokens": 9, "cache_read_input_tokens": 100})
    grown = {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 30, "output_tokens": 4}}
    feed(stream, *events[:-2], grown, *events[-2:])
    assert stream.usage.prompt_tokens == 130
    assert stream.usage.completion_tokens == 9
    assert stream.claude_usage.input_tokens == 30


def test_a_call_that_tool_choice_did_not_allow_is_left_out_of_the_answer(cut):
    stream = new_stream(allowed_tools=frozenset({"get_time"}), tool_names={"get_weather": "weather"})
    content = [THINKING, tool(1, city="Oslo"), tool(2, "get_time", zone="CET")]
    chunks = feed(stream, *cut(content, "tool_use"))
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    calls = [call for delta in deltas if delta.tool_calls is not UNSET for call in delta.tool_calls]
    assert [(call.index, call.id) for call in calls if call.id is not UNSET] == [(0, "toolu_2")]
    assert stream.tool_call_ids == ["toolu_2"]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_an_answer_whose_every_call_was_left_out_just_stops(cut):
    stream = new_stream(allowed_tools=frozenset())
    chunks = feed(stream, *cut([TEXT, tool(1, city="Oslo")], "tool_use"))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert stream.tool_call_ids == []


@pytest.mark.parametrize(
    ("plan", "content", "remembered"),
    [
        ({}, [THINKING, tool(1)], True),
        ({}, [tool(1)], False),
        ({}, [SEARCH, tool(1)], True),
        ({}, [THINKING, TEXT], False),
        ({"remembers_thinking": False}, [THINKING, tool(1)], False),
        ({"allowed_tools": frozenset({"get_time"})}, [THINKING, tool(1), tool(2, "get_time")], False),
        ({"forced_tool": "get_weather"}, [THINKING, {"type": "text", "text": "{}"}], False),
    ],
    ids=[
        "thought_and_called",
        "no_thinking",
        "searched",
        "no_call",
        "not_to_be_kept",
        "a_call_left_out",
        "emulated_call",
    ],
)
def test_only_what_the_client_will_bring_back_is_remembered(cut, plan, content, remembered):
    stream = new_stream(**plan)
    feed(stream, *cut(content, "tool_use"))
    assert (stream.content_to_remember is not None) is remembered
    if remembered:
        assert stream.content_to_remember == content

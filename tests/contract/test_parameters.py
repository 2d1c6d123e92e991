"""Parameters that change the answer: effort, several choices, stop strings, caps, refusals, web search, pauses."""

from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from addon.simulated_claude.answers import thinking_is_on
from addon.simulated_claude.model_table import find_model
from tests.contract.simulated_upstream import SimulatedUpstream, events_of, simulate

HELLO: Any = [{"role": "user", "content": "Hello there"}]
both_forms = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def said(client: OpenAI, stream: bool, text: str, **request: Any) -> tuple[str, str | None]:
    """Ask for one answer, and return its text and its finish reason."""
    messages: Any = [{"role": "user", "content": text}]
    answer: Any = client.chat.completions.create(model="gpt-4o", messages=messages, stream=stream, **request)
    if not stream:
        return answer.choices[0].message.content, answer.choices[0].finish_reason
    choices = [choice for chunk in answer for choice in chunk.choices]
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    assert len(reasons) == 1
    return "".join(choice.delta.content or "" for choice in choices), reasons[0]


@pytest.mark.parametrize(
    "model", ["gpt-4o", "claude-opus-4-8", "claude-opus-4-6", "claude-haiku-4-5", "claude-haiku-5-5"]
)
@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh", "max"])
def test_P14_P15_P16_P17_each_effort_is_taken_by_each_generation(
    client: OpenAI, claude: SimulatedUpstream, model: str, effort: Any
) -> None:
    completion = client.chat.completions.create(model=model, messages=HELLO, reasoning_effort=effort)
    assert completion.choices[0].message.content
    assert [entry.status for entry in claude.calls] == [200]
    answering = find_model(claude.last["model"])
    assert answering is not None
    assert thinking_is_on(claude.last, answering) == (effort != "none")


@both_forms
def test_P19_two_choices_come_from_two_calls(client: OpenAI, claude: SimulatedUpstream, stream: bool) -> None:
    text = simulate("Twice.", text="One and only", times=1, id=f"two choices {stream} {client.base_url}")
    messages: Any = [{"role": "user", "content": text}]
    options: Any = {"stream_options": {"include_usage": True}} if stream else {}
    answer: Any = client.chat.completions.create(model="gpt-4o", messages=messages, n=2, stream=stream, **options)
    texts = {0: "", 1: ""}
    reasons = {}
    if stream:
        *chunks, last = answer
        usage = last.usage
        assert len({chunk.id for chunk in [*chunks, last]}) == 1
        for chunk in chunks:
            [choice] = chunk.choices
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                reasons[choice.index] = choice.finish_reason
    else:
        usage = answer.usage
        texts = {choice.index: choice.message.content for choice in answer.choices}
        reasons = {choice.index: choice.finish_reason for choice in answer.choices}
    assert reasons == {0: "stop", 1: "stop"}
    assert len(claude.calls) == 2
    assert sorted(text == "One and only" for text in texts.values()) == [False, True]
    assert all(texts.values())
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_more_choices_than_eight_are_refused(client: OpenAI, claude: SimulatedUpstream) -> None:
    with pytest.raises(BadRequestError) as raised:
        client.chat.completions.create(model="gpt-4o", messages=HELLO, n=9)
    assert raised.value.param == "n"
    assert raised.value.code == "integer_above_max_value"
    assert claude.calls == []


@both_forms
@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("fourth", "One two three\n\nfive "),
        (["\n\n"], "One two three"),
        ("\n", "One two three"),
        (["nowhere", " "], "One"),
        (["zzz", "yyy", "xxx", "www", "th"], "One two "),
        (None, "One two three\n\nfive fourth\nend"),
    ],
    ids=["native", "blank_line", "line_end", "space", "more_than_four", "none"],
)
def test_P6_P7_the_answer_ends_before_a_stop_string(client: OpenAI, stream: bool, stop: Any, expected: str) -> None:
    text = simulate(text="One two three\n\nfive fourth\nend")
    assert said(client, stream, text, stop=stop) == (expected, "stop")


@both_forms
def test_P7_a_stop_string_split_over_two_deltas_is_found(client: OpenAI, stream: bool) -> None:
    pieces = ["One", "\n", "two\n", "\n", "three"]
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
    events = events_of(*deltas, block={"type": "text", "text": ""})
    text = simulate(events=events)
    assert said(client, stream, text, stop="\n\n") == ("One\ntwo", "stop")
    assert said(client, stream, text, stop="\n\n\n") == ("One\ntwo\n\nthree", "stop")
    assert said(client, stream, text, stop=["\n"]) == ("One", "stop")


@both_forms
@pytest.mark.parametrize("cap", ["max_tokens", "max_completion_tokens"])
def test_P10_E10_an_answer_that_the_cap_cuts_off_ends_with_length(
    client: OpenAI, claude: SimulatedUpstream, stream: bool, cap: str
) -> None:
    text, finish_reason = said(client, stream, simulate(text="word " * 100), **{cap: 20})
    assert finish_reason == "length"
    assert 0 < len(text) < 400
    assert claude.last["max_tokens"] == 20


def test_P8_P9_without_a_cap_the_model_may_say_all_it_can(client: OpenAI, claude: SimulatedUpstream) -> None:
    said(client, False, "Hello")
    assert claude.last["max_tokens"] == 128_000


def test_P11_a_cap_beyond_the_models_is_lowered_with_a_warning(client: OpenAI, claude: SimulatedUpstream) -> None:
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", messages=HELLO, max_tokens=10_000_000)
    assert claude.last["max_tokens"] == 128_000
    assert raw.headers["x-claude-proxy-warnings"] == "max_tokens=changed"


@both_forms
@pytest.mark.parametrize("before", ["", "Well, "], ids=["at_once", "after_text"])
def test_E8_a_refusal_ends_with_content_filter(client: OpenAI, stream: bool, before: str) -> None:
    content = [{"type": "text", "text": before}] if before else []
    details = {"type": "refusal", "category": "cyber", "explanation": "I must not."}
    messages: Any = [
        {"role": "user", "content": simulate(content=content, stop_reason="refusal", stop_details=details)}
    ]
    if stream:
        with client.chat.completions.stream(model="gpt-4o", messages=messages) as stream_helper:
            events = list(stream_helper)
        chunks = [event.chunk for event in events if event.type == "chunk"]
        refusal = "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        finish_reason = chunks[-1].choices[0].finish_reason
    else:
        choice = client.chat.completions.create(model="gpt-4o", messages=messages).choices[0]
        refusal, text, finish_reason = choice.message.refusal, choice.message.content or "", choice.finish_reason
    assert (refusal, text, finish_reason) == ("I must not.", before, "content_filter")


def test_E9_a_full_context_window_ends_with_length(client: OpenAI) -> None:
    text = simulate(content=[{"type": "text", "text": "So"}], stop_reason="model_context_window_exceeded")
    assert said(client, False, text) == ("So", "length")
    assert said(client, True, text) == ("So", "length")


def test_S27_web_search_comes_back_as_annotations(client: OpenAI, claude: SimulatedUpstream) -> None:
    request: Any = {
        "model": "gpt-4o-search-preview",
        "messages": [{"role": "user", "content": "Please search: web_search for examples."}],
        "web_search_options": {
            "search_context_size": "low",
            "user_location": {"type": "approximate", "approximate": {"country": "CH", "city": "Zug"}},
        },
    }
    choice = client.chat.completions.create(**request).choices[0]
    assert choice.finish_reason == "stop"
    assert choice.message.tool_calls is None
    [annotation] = choice.message.annotations or ()
    assert annotation.type == "url_citation"
    assert annotation.url_citation.url == "https://example.com/"
    content = choice.message.content or ""
    cited = content[annotation.url_citation.start_index : annotation.url_citation.end_index]
    assert cited == "example.com is a domain for examples"
    assert claude.last["tools"][0]["max_uses"] == 1
    assert claude.last["tools"][0]["user_location"] == {"type": "approximate", "country": "CH", "city": "Zug"}
    with client.chat.completions.stream(**request) as stream:
        final = stream.get_final_completion().choices[0].message
    assert final.content == content
    assert final.model_dump()["annotations"] == [annotation.model_dump()]


@both_forms
def test_S20_S21_a_paused_turn_is_continued_unseen(client: OpenAI, claude: SimulatedUpstream, stream: bool) -> None:
    content = [
        {"type": "text", "text": "First I search. "},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "examples"}},
    ]
    text = simulate("Go.", content=content, stop_reason="pause_turn", times=1, id=f"{stream} {client.base_url}")
    options = {"web_search_options": {}}
    answer, finish_reason = said(client, stream, text, **options)
    assert finish_reason == "stop"
    assert answer.startswith("First I search. ")
    assert len(answer) > len("First I search. ")
    first, second = claude.bodies
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert second["messages"][-1] == {"role": "assistant", "content": content}


def test_P1_P2_sampling_goes_only_where_it_is_taken(client: OpenAI, claude: SimulatedUpstream) -> None:
    request: Any = {"messages": HELLO, "temperature": 0.2, "top_p": 0.9}
    raw = client.chat.completions.with_raw_response.create(model="gpt-4o", **request)
    assert raw.headers["x-claude-proxy-warnings"] == "temperature=ignored, top_p=ignored"
    assert "temperature" not in claude.last
    raw = client.chat.completions.with_raw_response.create(model="claude-haiku-4-5", **request)
    assert raw.headers["x-claude-proxy-warnings"] == "top_p=ignored"
    assert claude.last["temperature"] == 0.2
    assert [entry.status for entry in claude.calls] == [200, 200]


def test_P21_the_user_reaches_claude_only_as_a_hash(client: OpenAI, claude: SimulatedUpstream) -> None:
    client.chat.completions.create(model="gpt-4o", messages=HELLO, user="ada@example.com")
    user_id = claude.last["metadata"]["user_id"]
    assert "ada" not in user_id
    assert len(user_id) == 64


def test_knobs_without_an_equivalent_are_ignored_and_named(client: OpenAI, claude: SimulatedUpstream) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="gpt-4o",
        messages=HELLO,
        frequency_penalty=0.5,
        presence_penalty=0,
        logit_bias={"50256": -100},
        seed=3,
        metadata={"a": "b"},
        extra_body={"top_k": 40, "made_up": True},
    )
    assert raw.headers["x-claude-proxy-warnings"].split(", ") == [
        "frequency_penalty=ignored",
        "logit_bias=ignored",
        "metadata=ignored",
        "seed=ignored",
        "top_k=ignored",
        "made_up=ignored",
    ]


def test_U1_cached_tokens_are_part_of_the_prompts_tokens(client: OpenAI) -> None:
    prompt = "A long and stable prefix. " * 400
    messages: Any = [{"role": "system", "content": prompt}, {"role": "user", "content": "Hello"}]
    client.chat.completions.create(model="gpt-4o", messages=messages)
    usage = client.chat.completions.create(model="gpt-4o", messages=messages).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert 0 < (usage.prompt_tokens_details.cached_tokens or 0) <= usage.prompt_tokens


def test_U5_thinking_counts_as_reasoning_tokens(client: OpenAI) -> None:
    usage = client.chat.completions.create(model="gpt-4o", messages=HELLO, reasoning_effort="high").usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert 0 < (usage.completion_tokens_details.reasoning_tokens or 0) < usage.completion_tokens

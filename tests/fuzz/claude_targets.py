"""What reaches the proxy from Claude, and what it does with that."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

from tests.fuzz import seeds
from tests.fuzz.hostile import changed, damaged, json_bytes, pieces, sse
from tests.fuzz.target import Target, size_of
from tests.translators.claude_messages import cut_message
from translators.batches.claude_requests import judge_results, parse_result
from translators.chat_completions.chunk import encode_chunk
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.stream import ChatCompletionStream
from translators.claude_events import MalformedEventError, parse_event
from translators.completions.chunk import encode_chunk as encode_completion_chunk
from translators.completions.request import CompletionPlan
from translators.completions.stream import CompletionStream
from translators.errors import OpenAIError, translate_claude_error
from translators.model_catalog import ModelCatalog
from translators.phases import IllegalEventOrderError
from translators.rate_limit_headers import translate_rate_limit_headers
from translators.responses.reply_plan import ResponsesPlan, ToolIdentity
from translators.responses.response import encode_response
from translators.responses.response_events import encode_event
from translators.responses.stream import ResponsesStream
from translators.sse import EventTooLargeError, SseParser
from translators.whole_message import read_usage, translate_message

__all__ = ["CLAUDE_TARGETS"]

NOW = datetime(2026, 11, 26, tzinfo=UTC)

_EVENTS = [
    cut_message(seeds.BLOCKS, "tool_use"),
    cut_message(seeds.BLOCKS[:1], "end_turn"),
    cut_message(seeds.BLOCKS[8:], "pause_turn"),
    [{"type": "message_start", "message": seeds.MESSAGE}, {"type": "message_stop"}],
    [
        *cut_message(seeds.BLOCKS[:3])[:9],
        {"type": "error", "error": {"type": "overloaded_error", "message": "x"}},
        {"type": "of_a_later_version", "index": 3},
    ],
]
_sse_pieces = pieces(
    damaged(
        st.builds(sse, changed(_EVENTS, 3).filter(lambda v: isinstance(v, list)), st.sampled_from(["\n", "\r\n", "\r"]))
    )
)
_TOOLS = {
    name: ToolIdentity(kind, name, None)
    for name, kind in (
        ("look", "function"),
        ("patch", "custom"),
        ("shell", "shell"),
        ("apply_patch", "apply_patch"),
        ("tool_search", "tool_search"),
    )
}
_STREAM_ERRORS = (OpenAIError, MalformedEventError, IllegalEventOrderError, EventTooLargeError)


def _feed(stream: Any, encode: Callable[[Any], bytes], came: list[bytes]) -> int:
    parser = SseParser(max_event_bytes=1_000_000)
    made = 0
    for piece in came:
        for payload in parser.feed(piece):
            event = parse_event(payload)
            if event is not None:
                made += sum(len(encode(part)) for part in stream.translate(event))
                if stream.paused:
                    msgspec.json.encode(stream.content)
                    stream.resume()
    return made


def _run_chat_stream(case: tuple[list[bytes], ReplyPlan]) -> int:
    came, plan = case
    stream = ChatCompletionStream(plan, "chatcmpl-1", 1)
    made = _feed(stream, encode_chunk, came)
    made += sum(len(encode_chunk(chunk)) for chunk in stream.finish())
    return made + len(msgspec.json.encode([stream.usage, stream.content]))


def _run_completion_stream(came: list[bytes]) -> int:
    stream = CompletionStream(CompletionPlan("x", include_usage=True, stop=("END",)), "cmpl-1", 1)
    made = _feed(stream, encode_completion_chunk, came)
    return made + sum(len(encode_completion_chunk(chunk)) for chunk in stream.finish())


def _run_responses_stream(case: tuple[list[bytes], ResponsesPlan]) -> int:
    came, plan = case
    stream = ResponsesStream(plan, "resp_1", 1, seeds.KEY)
    made = sum(len(encode_event(event)) for event in stream.start())
    try:
        made += _feed(stream, encode_event, came)
        made += sum(len(encode_event(event)) for event in stream.finish(2))
    except _STREAM_ERRORS as error:
        # As the shell ends it.
        failure = error if isinstance(error, OpenAIError) else OpenAIError(502, str(error), "server_error")
        made += sum(len(encode_event(event)) for event in stream.fail(failure))
        raise
    return made + len(encode_response(stream.response))


_chat_plans = st.builds(
    ReplyPlan,
    model=st.just("gpt-5.5"),
    include_usage=st.booleans(),
    legacy_function_call=st.booleans(),
    json_object=st.booleans(),
    shows_thinking=st.booleans(),
    custom_tools=st.sampled_from([frozenset(), frozenset({"patch"})]),
    wrapped_tools=st.sampled_from([frozenset(), frozenset({"look"})]),
    stop=st.sampled_from([(), ("l", "END")]),
)
_responses_plans = st.builds(
    ResponsesPlan,
    model=st.just("gpt-5.5"),
    tools=st.just(_TOOLS),
    shows_summary=st.booleans(),
    json_object=st.booleans(),
    seals_thinking=st.booleans(),
    refuses_in_text=st.booleans(),
    forced_tool=st.sampled_from([None, "look", "patch", "shell"]),
    is_compaction=st.sampled_from([False, False, True]),
)


def _run_whole_message(data: bytes) -> int:
    read_usage(data)
    stream = ResponsesStream(ResponsesPlan("gpt-5.5", tools=_TOOLS), "resp_1", 1, seeds.KEY)
    translate_message(stream, data)
    stream.finish(2)
    chunks = translate_message(ChatCompletionStream(ReplyPlan("gpt-5.5"), "chatcmpl-1", 1), data)
    return sum(map(len, map(encode_chunk, chunks))) + len(encode_response(stream.response))


def _run_result(line: bytes) -> int:
    _, result = parse_result(line)
    judged = judge_results([result], lambda error: error)
    return len(msgspec.json.encode(judged))


_header_values = st.sampled_from(
    ["", "1", "-1", "1e999", "nan", "²", "٣", "2026-11-26T00:00:00Z", "0001-01-01T00:00:00Z", "\0"]
)
_error_headers = st.dictionaries(
    st.sampled_from(
        [
            *("retry-after", "Retry-After-Ms", "anthropic-ratelimit-requests-limit"),
            *("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
            *("anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-reset"),
        ]
    ),
    _header_values | st.text(max_size=30),
)


def _run_error(case: tuple[int, bytes, Mapping[str, str]]) -> int:
    status, body, headers = case
    error = translate_claude_error(status, body, headers, NOW)
    told = translate_rate_limit_headers(headers, NOW)
    assert 400 <= error.status < 600
    return len(error.encode()) + size_of({**error.headers, **told})


def _run_models(body: bytes) -> int:
    try:
        models = msgspec.json.decode(body, type=list[dict[str, Any]])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    return len(ModelCatalog("claude-opus-5-5").updated(models).resolve("gpt-4o").id)


CLAUDE_TARGETS = (
    Target(
        "chat completions stream",
        st.tuples(_sse_pieces, _chat_plans),
        _run_chat_stream,
        _STREAM_ERRORS,
        from_claude=True,
    ),
    Target("completions stream", _sse_pieces, _run_completion_stream, _STREAM_ERRORS, from_claude=True),
    Target(
        "responses stream",
        st.tuples(_sse_pieces, _responses_plans),
        _run_responses_stream,
        _STREAM_ERRORS,
        from_claude=True,
    ),
    Target("whole message", json_bytes([seeds.MESSAGE]), _run_whole_message, from_claude=True),
    Target(
        "batch result", json_bytes(seeds.RESULTS), _run_result, (OpenAIError, MalformedEventError), from_claude=True
    ),
    Target(
        "claude error",
        st.tuples(
            st.sampled_from([200, 302, 400, 401, 402, 413, 429, 500, 529, 999]),
            json_bytes(seeds.ERRORS),
            _error_headers,
        ),
        _run_error,
        (),
    ),
    Target("model list", json_bytes([seeds.MODELS]), _run_models, ()),
)

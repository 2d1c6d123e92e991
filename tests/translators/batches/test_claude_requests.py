"""Requests to Claude's Message Batches, and what their results come to."""

import json
import re
from dataclasses import replace

import pytest
from msgspec import Raw

from translators.batches.claude_requests import (
    ClaudeResult,
    encode_request,
    is_of_batch,
    join_requests,
    judge_results,
    name_request,
    parse_result,
)
from translators.claude_events import MalformedEventError
from translators.errors import OpenAIError

SUCCEEDED = ClaudeResult("succeeded", message=Raw(b'{"id":"msg_1"}'))
EXPIRED, CANCELED = ClaudeResult("expired"), ClaudeResult("canceled")


def errored(kind, message):
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return ClaudeResult("errored", error=Raw(json.dumps(body).encode()))


def as_it_is(error):
    return error


def test_names_are_in_claudes_alphabet_and_no_two_alike():
    batches = [f"batch_{number:032x}" for number in (1, 2**128 - 1)]
    names = [name_request(id_, number, index) for id_ in batches for number in (1, 11, 50_000) for index in (0, 1, 127)]
    assert len(set(names)) == len(names)
    assert [is_of_batch(name, batches[0]) for name in names] == [True] * 9 + [False] * 9
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)


def test_a_request_has_its_parameters_without_stream():
    body = json.loads(join_requests([encode_request("a", {"model": "m", "stream": True}), encode_request("b", {})]))
    assert body == {
        "requests": [{"custom_id": "a", "params": {"model": "m"}}, {"custom_id": "b", "params": {}}],
    }


def test_a_message_keeps_its_bytes():
    name, result = parse_result(b'{"custom_id":"a","result":{"type":"succeeded","message":{"n": 1.0}}}')
    assert name == "a"
    assert [bytes(message) for message in judge_results([result], as_it_is)] == [b'{"n": 1.0}']


@pytest.mark.parametrize("line", [b"", b"[]", b'{"custom_id":"a"}', b'{"custom_id":"\xff"}'])
def test_what_is_no_result_is_said_to_be_none(line):
    with pytest.raises(MalformedEventError):
        parse_result(line)


@pytest.mark.parametrize(
    ("results", "outcome"),
    [
        ([SUCCEEDED], [SUCCEEDED.message]),
        ([EXPIRED], "batch_expired"),
        ([CANCELED], "batch_cancelled"),
        ([SUCCEEDED, CANCELED], "batch_cancelled"),
        ([CANCELED, EXPIRED], "batch_cancelled"),
    ],
    ids=["succeeded", "expired", "canceled", "one_of_two", "both"],
)
def test_a_line_comes_to_what_its_requests_come_to(results, outcome):
    assert judge_results(results, as_it_is) == outcome


@pytest.mark.parametrize(
    ("results", "status", "code"),
    [
        ([errored("invalid_request_error", "messages: no")], 400, None),
        (
            [errored("invalid_request_error", "prompt is too long: 5 tokens > 3 maximum")],
            400,
            "context_length_exceeded",
        ),
        ([errored("overloaded_error", "Overloaded")], 503, "server_is_overloaded"),
        ([errored("not_found_error", "model: claude-none")], 404, "model_not_found"),
        ([EXPIRED, errored("api_error", "no")], 500, "server_error"),
        ([None], 502, "server_error"),
        ([ClaudeResult("of tomorrow")], 502, "server_error"),
    ],
    ids=["invalid", "too_long", "overloaded", "model", "beside_an_expired_one", "lost", "unknown"],
)
def test_errors_are_those_that_a_live_call_would_raise(results, status, code):
    with pytest.raises(OpenAIError) as refused:
        judge_results(results, as_it_is)
    assert (refused.value.status, refused.value.code) == (status, code)


def test_a_refusal_of_claude_has_the_words_of_the_lines_endpoint():
    with pytest.raises(OpenAIError) as refused:
        judge_results([errored("not_found_error", "model: claude-none")], lambda error: replace(error, param="model"))
    assert refused.value.param == "model"

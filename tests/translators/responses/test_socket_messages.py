"""Messages of a WebSocket: what a client may send, and that what it is sent is what the SDK knows."""

import json
from typing import Any

import msgspec
import pytest
from openai.types.responses import ResponseCompletedEvent, ResponseSteerFailedEvent
from openai.types.responses.response_steer_error_code import ResponseSteerErrorCode

from translators.errors import OpenAIError
from translators.responses.reply_plan import ResponsesPlan
from translators.responses.response_events import ResponseCompleted
from translators.responses.socket_messages import (
    CreateMessage,
    SteerMessage,
    encode_socket_error,
    encode_socket_event,
    encode_steer_failure,
    parse_client_message,
)
from translators.responses.stream import ResponsesStream

STREAM_IDS = ["a", "agent_33", "x.y-z", "0" * 256]


def create(**fields: Any) -> CreateMessage:
    message = parse_client_message(json.dumps({"type": "response.create", "model": "gpt-5", **fields}).encode())
    assert isinstance(message, CreateMessage)
    return message


def prepared() -> ResponseCompleted:
    stream = ResponsesStream(ResponsesPlan("gpt-5"), "resp_1", 1, b"key")
    *_, last = stream.complete_unasked(2)
    assert isinstance(last, ResponseCompleted)
    return last


def test_the_body_is_that_of_a_post_that_streams() -> None:
    message = create(input="Hi", stream=False, stream_id="main", generate=True, unknown={"a": 1})
    assert json.loads(message.body) == {"model": "gpt-5", "input": "Hi", "stream": True, "unknown": {"a": 1}}
    assert (message.stream_id, message.generates) == ("main", True)


@pytest.mark.parametrize(("given", "generates"), [({}, True), ({"generate": None}, True), ({"generate": False}, False)])
def test_a_response_is_generated_unless_it_is_forbidden(given: dict[str, Any], generates: bool) -> None:
    assert create(**given).generates is generates


@pytest.mark.parametrize("stream_id", STREAM_IDS)
def test_an_event_names_its_stream_as_its_last_field(stream_id: str) -> None:
    event = prepared()
    plain = json.loads(encode_socket_event(event, None))
    named = json.loads(encode_socket_event(event, create(stream_id=stream_id).stream_id))
    assert list(named.items()) == [*plain.items(), ("stream_id", stream_id)]
    ResponseCompletedEvent.model_validate(named, strict=True)


@pytest.mark.parametrize("stream_id", ["", "a b", 'a"', "ä", "0" * 257, "a\n"])
def test_other_stream_ids_are_refused(stream_id: str) -> None:
    with pytest.raises(OpenAIError) as refused:
        create(stream_id=stream_id)
    assert (refused.value.code, refused.value.param) == ("invalid_stream_id", "stream_id")


@pytest.mark.parametrize(
    ("text", "code", "param"),
    [
        (b"", None, None),
        (b"null", "invalid_type", None),
        (b"[]", "invalid_type", None),
        (b"{}", "missing_required_parameter", "type"),
        (b'{"type": 3}', "invalid_type", "type"),
        (b'{"type": "session.update"}', "invalid_value", "type"),
        (b'{"type": "response.create", "stream_id": 3}', "invalid_type", "stream_id"),
        (b'{"type": "response.steer"}', "missing_required_parameter", "previous_response_id"),
        (b'{"type": "\xff"}', None, None),
    ],
)
def test_what_is_no_message_is_refused_by_name(text: bytes, code: str | None, param: str | None) -> None:
    with pytest.raises(OpenAIError) as refused:
        parse_client_message(text)
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, code, param)


def test_an_error_carries_what_http_has_beside_the_body() -> None:
    error = OpenAIError(429, "Slow down.", "rate_limit_error", "rate_limit_exceeded", None, {"retry-after": "7"})
    assert json.loads(encode_socket_error(error, "main", "req_1")) == {
        "type": "error",
        "status": 429,
        "error": {
            "type": "rate_limit_error",
            "code": "rate_limit_exceeded",
            "message": "Slow down.",
            "param": None,
        },
        "headers": {"retry-after": "7", "x-request-id": "req_1"},
        "stream_id": "main",
    }
    assert "headers" not in json.loads(encode_socket_error(OpenAIError(400, "No.")))


@pytest.mark.parametrize("given", ['"Shorter."', '[{"type": "message", "role": "user", "content": "Shorter."}]'])
def test_a_refused_steer_gives_the_input_back(given: str) -> None:
    steer = parse_client_message(
        f'{{"type": "response.steer", "previous_response_id": "resp_1", "input": {given}}}'.encode()
    )
    assert isinstance(steer, SteerMessage)
    failed = json.loads(encode_steer_failure(steer, "steering_not_supported", "No."))
    ResponseSteerFailedEvent.model_validate(failed, strict=True)
    assert failed["steer"]["input"] == json.loads(given)
    assert "steering_not_supported" in str(ResponseSteerErrorCode)


def test_a_response_that_nobody_was_asked_for_is_whole() -> None:
    response = json.loads(msgspec.json.encode(prepared().response))
    assert (response["status"], response["output"]) == ("completed", [])
    assert response["usage"]["total_tokens"] == 0

import json
import typing
from datetime import UTC, datetime

import pytest
from anthropic.types.shared import ErrorType

from translators.claude_events import ErrorDetail
from translators.errors import (
    STATUS_OF_ERROR_TYPE,
    OpenAIError,
    translate_claude_error,
    translate_error_event,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def body(kind="invalid_request_error", message="No.", error_code=None):
    details = {"error_code": error_code} if error_code else None
    error = {"type": kind, "message": message, "details": details}
    return json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()


def translate(status, content=b"", headers=None):
    return translate_claude_error(status, content, headers or {}, NOW)


def test_the_body_has_the_four_fields_of_openai():
    error = OpenAIError(400, "No.", code="x", param="messages")
    assert json.loads(error.encode()) == {
        "error": {"message": "No.", "type": "invalid_request_error", "param": "messages", "code": "x"}
    }


def test_every_error_type_of_the_sdk_has_a_status():
    assert set(STATUS_OF_ERROR_TYPE) == set(typing.get_args(ErrorType))


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        pytest.param(400, "invalid_request_error", (400, "invalid_request_error", None), id="invalid request"),
        pytest.param(401, "authentication_error", (401, "invalid_request_error", "invalid_api_key"), id="bad key"),
        pytest.param(402, "billing_error", (429, "insufficient_quota", "insufficient_quota"), id="billing"),
        pytest.param(403, "permission_error", (403, "invalid_request_error", "permission_denied"), id="permission"),
        pytest.param(404, "not_found_error", (404, "invalid_request_error", None), id="not found"),
        pytest.param(409, "conflict_error", (409, "invalid_request_error", None), id="conflict"),
        pytest.param(413, "request_too_large", (413, "invalid_request_error", "request_too_large"), id="too large"),
        pytest.param(422, "invalid_request_error", (422, "invalid_request_error", None), id="unprocessable"),
        pytest.param(429, "rate_limit_error", (429, "tokens", "rate_limit_exceeded"), id="rate limit"),
        pytest.param(500, "api_error", (500, "server_error", "server_error"), id="api error"),
        pytest.param(503, "api_error", (503, "server_error", "server_error"), id="unavailable"),
        pytest.param(504, "timeout_error", (504, "server_error", "timeout"), id="timeout"),
        pytest.param(529, "overloaded_error", (503, "server_error", "server_is_overloaded"), id="E1 overloaded"),
        pytest.param(200, "overloaded_error", (503, "server_error", "server_is_overloaded"), id="E1 with status 200"),
        pytest.param(200, "unknown", (502, "server_error", "server_error"), id="success that is none"),
        pytest.param(999, "unknown", (502, "server_error", "server_error"), id="no HTTP status"),
    ],
)
def test_E1_each_kind_of_error_has_its_status_type_and_code(status, kind, expected):
    error = translate(status, body(kind))
    assert (error.status, error.type, error.code) == expected


def test_a_refused_request_keeps_claudes_words_and_its_code():
    error = translate(400, body(message="messages.3.content.0: too big", error_code="image_dimensions_too_large"))
    assert error.message == "messages.3.content.0: too big"
    assert error.code == "image_dimensions_too_large"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "prompt is too long: 204308 tokens > 200000 maximum",
            (
                "This model's maximum context length is 200000 tokens. However, your messages resulted in 204308 "
                "tokens. Please reduce the length of the messages."
            ),
        ),
        (
            (
                "input length and `max_tokens` exceed context limit: 199000 + 8192 > 200000, decrease input length or "
                "`max_tokens` and try again"
            ),
            (
                "This model's maximum context length is 200000 tokens. However, you requested 207192 tokens (199000 "
                "in the messages, 8192 in the completion). Please reduce the length of the messages or completion."
            ),
        ),
        (
            "Input is too long for requested model.",
            "This model's maximum context length was exceeded. Please reduce the length of the messages.",
        ),
        (
            "Prompt is too long",
            "This model's maximum context length was exceeded. Please reduce the length of the messages.",
        ),
    ],
    ids=["first party", "with max_tokens", "Bedrock", "without numbers"],
)
def test_E2_a_prompt_that_is_too_long_has_openais_code_and_words(message, expected):
    error = translate(400, body(message=message))
    assert (error.status, error.type, error.code, error.param) == (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "messages",
    )
    assert error.message == expected


@pytest.mark.parametrize("code", [529, 400.5, None, True, [], {"a": 1}, ""])
def test_E3_a_code_is_a_string_or_null_whatever_came(code):
    error = translate(400, json.dumps({"error": {"message": "No.", "code": code}}).encode())
    assert error.code == ("529" if code == 529 else None)
    assert error.message == "No."


def test_E4_a_rate_limit_says_when_to_try_again():
    headers = {
        "Retry-After": "17",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-23T12:00:17Z",
        "anthropic-organization-id": "5576611f-a1ee-427c-9800-298d9579899c",
    }
    error = translate(429, body("rate_limit_error", "Number of requests per minute exceeded."), headers)
    assert error.type == "requests"
    assert error.message == "Number of requests per minute exceeded. Please try again in 17s."
    assert error.headers == {
        "retry-after": "17",
        "retry-after-ms": "17000",
        "x-ratelimit-limit-requests": "50",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "17s",
    }


@pytest.mark.parametrize(
    ("headers", "seconds", "milliseconds", "text"),
    [
        ({"retry-after": "0.5"}, "1", "500", "0.5s"),
        ({"retry-after-ms": "1500", "retry-after": "2"}, "2", "1500", "1.5s"),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, "30", "30000", "30s"),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, "0", "0", "0s"),
    ],
)
def test_E4_retry_after_in_each_form(headers, seconds, milliseconds, text):
    error = translate(429, body("rate_limit_error"), headers)
    assert error.headers == {"retry-after": seconds, "retry-after-ms": milliseconds}
    assert error.message.endswith(f"Please try again in {text}.")


@pytest.mark.parametrize("value", ["", "soon", "-1", "inf", "nan"])
def test_E4_a_retry_after_that_cannot_be_read_is_not_passed_on(value):
    error = translate(429, body("rate_limit_error"), {"retry-after": value})
    assert error.headers == {}
    assert error.message.endswith("Please try again later.")


def test_E1_an_overload_says_when_to_try_again_even_if_claude_does_not():
    assert translate(529, body("overloaded_error")).headers == {"retry-after": "5", "retry-after-ms": "5000"}
    assert translate(529, b"", {"retry-after": "20"}).headers["retry-after"] == "20"
    assert translate(500, b"", {"retry-after": "20"}).headers["retry-after"] == "20"
    assert translate(500, b"").headers == {}


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, body(message="Your credit balance is too low to access the Anthropic API.")),
        (400, body(message="You have reached your specified API usage limits. You will regain access on 2026-12-01.")),
        (402, body("billing_error", "x", "linked_organization_x")),
        (429, body("rate_limit_error", "x", "enforced_spend_limit_reached")),
        (429, body("rate_limit_error", "x", "contract_spend_limit_reached")),
    ],
)
def test_a_spend_limit_is_a_quota_that_nobody_should_retry(status, content):
    error = translate(status, content, {"retry-after": "5"})
    assert (error.status, error.type, error.code) == (429, "insufficient_quota", "insufficient_quota")
    assert error.headers == {"x-should-retry": "false"}


def test_an_acceleration_limit_is_a_rate_limit():
    assert translate(429, body("rate_limit_error", "x", "ramp_limit_exceeded")).code == "rate_limit_exceeded"


def test_an_unknown_model_has_openais_words():
    error = translate(404, body("not_found_error", "model: claude-sonet-4-5"))
    assert (error.code, error.message) == (
        "model_not_found",
        "The model `claude-sonet-4-5` does not exist or you do not have access to it.",
    )


HTML = b"<html><head><title>502 Bad Gateway</title></head><body>cloudflare secret</body></html>"


@pytest.mark.parametrize(
    "content",
    [HTML, b"", b"null", b"[]", b'"text"', b"5", b"\xff\xfe", b'{"error": null}', b'{"error": 5}', b'{"error": []}'],
)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 502, 504, 529])
def test_S13_bodies_of_others_do_not_show_and_the_status_decides(content, status):
    error = translate(status, content)
    assert error.status == (503 if status == 529 else status)
    assert error.message
    assert "cloudflare" not in error.message
    assert "<" not in error.message


@pytest.mark.parametrize("content", [b'{"error": "Not allowed here"}', b'{"message": "Not allowed here"}'])
def test_S13_messages_in_another_shape_are_found(content):
    assert translate(400, content).message == "Not allowed here"


def test_a_key_never_shows():
    for status in (400, 401, 403, 429):
        message = translate(status, body(message="invalid x-api-key: sk-ant-api03-AbCdEf_123456")).message
        assert "AbCdEf" not in message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            (
                "This request would exceed your organization's rate limit of 20,000,000 prompt bytes per hour "
                "(org: 5576611f-a1ee-427c-9800-298d9579899c, model: claude-x)."
            ),
            (
                "This request would exceed your organization's rate limit of 20,000,000 prompt bytes per hour "
                "(model: claude-x). Please try again later."
            ),
        ),
        (
            "Limit of (org: 5576611f-a1ee-427c-9800-298d9579899c) reached.",
            "Limit of reached. Please try again later.",
        ),
        ("Organization 5576611f-a1ee-427c-9800-298d9579899c.", "Organization [id]. Please try again later."),
    ],
)
def test_organization_ids_never_show(message, expected):
    assert translate(429, body("rate_limit_error", message)).message == expected


@pytest.mark.parametrize("kind", typing.get_args(ErrorType))
def test_an_error_event_is_told_like_the_same_error_of_a_whole_answer(kind):
    event = translate_error_event(ErrorDetail(type=kind, message="No."))
    assert event == translate_claude_error(STATUS_OF_ERROR_TYPE[kind], body(kind), {})


def test_E2_a_prompt_that_is_too_long_is_known_in_an_event_too():
    event = ErrorDetail("invalid_request_error", "prompt is too long: 5 tokens > 4 maximum")
    assert translate_error_event(event).code == "context_length_exceeded"

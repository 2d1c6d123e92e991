"""What Claude does wrong, by name, and what the client is told of it. All encodings are held to these tables."""

from tests.faults.faulty_claude import sending
from tests.integration.raw_upstream import EVENTS_HEAD, Script, begun_answer, event, message_start, text_delta

STATUSES = {
    "400": (400, "invalid_request_error", "messages: too few", "invalid_request_error", None),
    "401": (401, "authentication_error", "invalid x-api-key", "invalid_request_error", "invalid_api_key"),
    "403": (403, "permission_error", "not yours", "invalid_request_error", "permission_denied"),
    "404": (404, "not_found_error", "model: claude-x", "invalid_request_error", "model_not_found"),
    "408": (408, "invalid_request_error", "too slow", "invalid_request_error", None),
    "413": (413, "request_too_large", "too large", "invalid_request_error", "request_too_large"),
    "429": (429, "rate_limit_error", "Slow down", "tokens", "rate_limit_exceeded"),
    "500": (500, "api_error", "Internal", "server_error", "server_error"),
    "502": (502, "api_error", "Bad gateway", "server_error", "server_error"),
    "503": (503, "api_error", "Unavailable", "server_error", "server_error"),
    "504": (504, "timeout_error", "Timed out", "server_error", "timeout"),
}
"""Refusals: Claude's status, type and message; OpenAI's type and code."""


def status_in_responses(status: int, code: str | None) -> int:
    """Find the status that the Responses API has for a refusal of Claude: a 400 for a model that is not there."""
    return 400 if code == "model_not_found" else status


HALF_A_REFUSAL = b'HTTP/1.1 500 X\r\ncontent-length: 99\r\n\r\n{"type": "error", '

NO_ANSWERS: dict[str, tuple[Script, int, str, str]] = {
    "reset": (sending(cut=True), 502, "upstream_unreachable", "ServerDisconnectedError"),
    "reset_within_the_headers": (
        sending(b"HTTP/1.1 200 OK\r\ncontent-ty", cut=True),
        502,
        "upstream_unreachable",
        "ServerDisconnectedError",
    ),
    "no_http": (sending(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), 502, "upstream_unreachable", "BadStatusLine"),
    "silence": (sending(), 504, "timeout", "SocketTimeoutError"),
    "headers_that_never_end": (
        sending(b"HTTP/1.1 200 OK\r\n", b"content-type: text/event-stream\r\n"),
        504,
        "timeout",
        "SocketTimeoutError",
    ),
    "reset_within_a_refusal": (
        sending(HALF_A_REFUSAL, cut=True),
        502,
        "upstream_unreachable",
        "ContentLengthError",
    ),
    "silence_within_a_refusal": (sending(HALF_A_REFUSAL), 504, "timeout", "SocketTimeoutError"),
    "reset_after_the_headers": (sending(EVENTS_HEAD, cut=True), 502, "upstream_broken", "TransferEncodingError"),
    "silence_after_the_headers": (sending(EVENTS_HEAD), 502, "upstream_broken", "SocketTimeoutError"),
    "half_an_event": (
        sending(EVENTS_HEAD + message_start()[:40], cut=True),
        502,
        "upstream_broken",
        "TransferEncodingError",
    ),
    "an_empty_stream": (
        sending(EVENTS_HEAD + b"0\r\n\r\n"),
        502,
        "upstream_broken",
        "UpstreamBrokenError: Claude's answer was empty",
    ),
    "garbage": (sending(EVENTS_HEAD + b"9\r\ndata: {]\n\r\n1\r\n\n\r\n"), 502, "upstream_broken", "DecodeError"),
    "a_page": (
        sending(b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>"),
        502,
        "upstream_broken",
        "UpstreamBrokenError: Claude's answer was empty",
    ),
}
"""No first event: what happens instead, the status and the code of the error, and its cause in the log."""
READ_TO_THEIR_END = {"an_empty_stream", "a_page"}
"""Those of them after which the connection to Claude need not be closed."""

BEGUN = begun_answer("Once upon")
BROKEN = "server_error", "upstream_broken"
STOP_REASON = event({"type": "content_block_stop", "index": 0}) + event(
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def error_event(kind: str) -> bytes:
    return event({"type": "error", "error": {"type": kind, "message": "Enough."}})


HALF_A_CHARACTER = chunk('event: content_block_delta\ndata: {"text": "日'.encode()[:-1])

BROKEN_ANSWERS: dict[str, tuple[Script, int, tuple[str, str]]] = {
    "reset": (sending(BEGUN, cut=True), 502, BROKEN),
    "reset_within_a_chunk": (sending(BEGUN, text_delta(" a time")[:30], cut=True), 502, BROKEN),
    "half_a_character": (sending(BEGUN, HALF_A_CHARACTER, cut=True), 502, BROKEN),
    "silence": (sending(BEGUN), 502, BROKEN),
    "silence_within_an_event": (sending(BEGUN, text_delta(" a time")[:30]), 502, BROKEN),
    "no_message_stop": (sending(BEGUN, b"0\r\n\r\n"), 502, BROKEN),
    "no_message_stop_but_a_stop_reason": (sending(BEGUN, STOP_REASON + b"0\r\n\r\n"), 502, BROKEN),
    "no_json": (sending(BEGUN, chunk(b"data: {]\n\n")), 502, BROKEN),
    "no_text": (sending(BEGUN, chunk(b"data: \xff\xfe\n\n")), 502, BROKEN),
    "no_chunks": (sending(BEGUN, b"what is this\r\n"), 502, BROKEN),
    "a_block_that_never_began": (sending(BEGUN, event({"type": "content_block_stop", "index": 7})), 502, BROKEN),
    "another_message": (sending(BEGUN, message_start().replace(b"msg_raw", b"msg_two")), 502, BROKEN),
    "an_event_without_end": (sending(BEGUN, chunk(b"data: " + b"x" * 17 * 1024 * 1024)), 502, BROKEN),
    "overloaded": (sending(BEGUN, error_event("overloaded_error")), 503, ("server_error", "server_is_overloaded")),
    "api_error": (sending(BEGUN, error_event("api_error")), 500, ("server_error", "server_error")),
    "rate_limited": (sending(BEGUN, error_event("rate_limit_error")), 429, ("tokens", "rate_limit_exceeded")),
}
ENDS_BY_ITSELF = {"no_message_stop", "no_message_stop_but_a_stop_reason"}

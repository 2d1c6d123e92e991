"""Errors as OpenAI's clients expect them: status, type, code and param, whoever is to blame.

Sources: https://developers.openai.com/api/docs/guides/error-codes, `openai.types.shared.ErrorObject`, recorded answers;
for Claude's side https://platform.claude.com/docs/en/api/errors.

| Claude | OpenAI |
|---|---|
| 400 prompt too long, in each wording | 400 context_length_exceeded, param messages (the endpoint names its own) |
| 400 credit balance or usage limit, 402, 429 spend limits | 429 insufficient_quota, `x-should-retry: false` |
| 400 | 400, the message and the error code passed on |
| 401 | 401 invalid_api_key, without Claude's message |
| 403 | 403 permission_denied |
| 404 of a model | 404 model_not_found (Responses: 400) |
| 413 | 413 request_too_large |
| 429 | 429 rate_limit_exceeded, "Please try again in Ns.", retry-after, retry-after-ms, x-ratelimit-* |
| 500 and other 5xx | the same status, server_error |
| 504 | 504 server_error, code timeout |
| 529 | 503 server_is_overloaded, retry-after |
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, override

import msgspec

from translators.claude_events import ErrorDetail
from translators.rate_limit_headers import read_retry_after, translate_rate_limit_headers

if TYPE_CHECKING:
    from anthropic.types.shared import ErrorType

__all__ = ["STATUS_OF_ERROR_TYPE", "OpenAIError", "retry_headers", "translate_claude_error", "translate_error_event"]


@dataclass
class OpenAIError(Exception):
    """An answer to the client that is an error. Raised by whoever finds it, encoded once at the border.

    `message` is shown to the client: it never holds a key, nor anything of another client.
    `headers` are sent along (`retry-after`, `x-should-retry`, `x-ratelimit-*`).
    Not frozen, because context managers set the traceback of what they let through.
    """

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    __hash__ = Exception.__hash__  # equal by value for tests, hashed by identity as exceptions are

    @override
    def __str__(self) -> str:
        """Say what the client is told, for whoever reads a traceback."""
        return self.message

    def encode(self) -> bytes:
        """Encode as the JSON body that OpenAI sends.

        It is also the payload of an error in the middle of a stream.
        """
        error = {
            "message": _sendable(self.message),
            "type": self.type,
            "param": None if self.param is None else _sendable(self.param),
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})


def _sendable(text: str) -> str:
    # Paths and queries quote bytes that are no UTF-8 as lone surrogates, which no JSON text can hold.
    return text.encode("utf-8", "replace").decode()


STATUS_OF_ERROR_TYPE: "dict[ErrorType, int]" = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "memory_path_conflict_error": 409,
    "memory_precondition_failed_error": 412,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""An error in the middle of a stream has a type alone, because its status was 200."""

_STATUS_BY_NAME: dict[str, int] = {
    **dict(STATUS_OF_ERROR_TYPE.items()),
    "request_too_large": 413,
    # What ends a stream of Amazon Bedrock: the exceptions of `ResponseStream` in its service model.
    "internalServerException": 500,
    "modelStreamErrorException": 500,
    "modelTimeoutException": 504,
    "serviceUnavailableException": 529,
    "throttlingException": 429,
    "validationException": 400,
}

OVERLOADED_RETRY_AFTER_SECONDS = 5
"""Claude's 529 names no time. OpenAI's clients back off for 8 seconds at most by themselves."""

_NEVER_AGAIN = {"x-should-retry": "false"}

_PROMPT_TOO_LONG = re.compile(
    r"prompt is too long"
    r"|input length and `?max_tokens`? exceed context limit"
    r"|input is too long"  # Amazon Bedrock
    r"|exceeds? the (?:maximum )?context (?:window|length|limit)",
    re.IGNORECASE,
)
_TOKENS_AND_MAXIMUM = re.compile(r"(\d[\d,]*) tokens > (\d[\d,]*)")
_INPUT_OUTPUT_MAXIMUM = re.compile(r"(\d[\d,]*) \+ (\d[\d,]*) > (\d[\d,]*)")
_SPEND_LIMIT = re.compile(r"credit balance is too low|reached your specified .*usage limits", re.IGNORECASE)
_SPEND_LIMIT_CODES = frozenset({"enforced_spend_limit_reached", "contract_spend_limit_reached"})
_UNKNOWN_MODEL = re.compile(r"model: *(\S+)")
_REQUEST_LIMIT = re.compile(r"requests per|number of requests|concurrent", re.IGNORECASE)

_PRIVATE = (
    (re.compile(r"\s*\((?:org|organization)(?: id)?: *[0-9a-fA-F-]{8,}(?:, *)?([^)]*)\)"), r" (\1)"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "[id]"),
    # An id has digits; `user_location` is a field.
    (re.compile(r"\b(?:org|wrkspc|user)_(?=[A-Za-z]*[0-9])[A-Za-z0-9]{8,}"), "[id]"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{6,}"), "[key]"),
    (re.compile(r"\barn:aws[\w-]*:[^\s\"',)]+"), "[arn]"),
    (re.compile(r"\bprojects/[^/\s\"',)]+"), "projects/[id]"),
    (re.compile(r" \(\)"), ""),
)
"""What a message of Claude may say of the operator's account, and its clients have no business to know."""


def translate_claude_error(
    status: int, body: bytes, headers: Mapping[str, str], now: datetime | None = None
) -> OpenAIError:
    """Translate an answer of Claude, or of something on the way to it, that is not a success.

    `headers` are Claude's; names are compared without case. With `now` (aware) the rate limits are told in
    `x-ratelimit-*` too.
    """
    headers = {name.lower(): value for name, value in headers.items()}
    error = _parse_error(body)
    kind = _text_of(error, "type")
    details = error.get("details")
    code = _code_of(details.get("error_code") if isinstance(details, dict) else None) or _code_of(error.get("code"))
    if status < 400:
        status = _STATUS_BY_NAME.get(kind, 502)
    return _translate(status, _text_of(error, "message"), code, headers, now)


def translate_error_event(error: ErrorDetail) -> OpenAIError:
    """Translate the error of an `error` event, after which nothing more comes."""
    return _translate(_STATUS_BY_NAME.get(error.type, 500), error.message, None, {}, None)


def _parse_error(body: bytes) -> dict[str, Any]:
    """Read the `error` object of a body, or nothing: proxies and balancers answer in HTML, or in JSON of their own."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    error = value.get("error", value)
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _text_of(error: Mapping[str, Any], name: str) -> str:
    value = error.get(name)
    return value if isinstance(value, str) else ""


def _code_of(value: Any) -> str | None:
    """Return a code as OpenAI's `code` has to be, a string or null; numbers come from other gateways."""
    if isinstance(value, str) and value:
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _translate(
    status: int, message: str, code: str | None, headers: Mapping[str, str], now: datetime | None
) -> OpenAIError:
    message = _without_private_parts(message)
    if status == 402 or code in _SPEND_LIMIT_CODES or (status in (400, 403, 429) and _SPEND_LIMIT.search(message)):
        return _translate_spend_limit()
    match status:
        case 400 | 413 if _PROMPT_TOO_LONG.search(message):
            return _translate_prompt_too_long(message)
        case 401:
            return OpenAIError(
                401, "Incorrect API key: Claude refused the key that this proxy uses.", code="invalid_api_key"
            )
        case 403:
            return OpenAIError(403, message or "Claude refused permission.", code=code or "permission_denied")
        case 404:
            return _translate_not_found(message, code)
        case 413:
            return OpenAIError(413, message or "The request is too large for Claude.", code="request_too_large")
        case 429:
            return _translate_rate_limit(message, headers, now)
        case 529:
            seconds = read_retry_after(headers, now) or OVERLOADED_RETRY_AFTER_SECONDS
            return OpenAIError(
                503,
                "Claude is currently overloaded, please try again later.",
                type="server_error",
                code="server_is_overloaded",
                headers=retry_headers(seconds),
            )
        case 504:
            return OpenAIError(504, "Claude did not answer in time.", type="server_error", code="timeout")
    if status >= 500:
        retry_after = read_retry_after(headers, now)
        return OpenAIError(
            status if status < 600 else 502,
            "Claude had an error while processing the request.",
            type="server_error",
            code="server_error",
            headers={} if retry_after is None else retry_headers(retry_after),
        )
    return OpenAIError(status, message or f"Claude refused the request with status {status}.", code=code)


def _translate_spend_limit() -> OpenAIError:
    message = "You exceeded your current quota, please check your plan and billing details."
    return OpenAIError(429, message, type="insufficient_quota", code="insufficient_quota", headers=_NEVER_AGAIN)


def _translate_prompt_too_long(message: str) -> OpenAIError:
    """Word it as OpenAI does: clients look for the code, or for "maximum context length"."""
    text = "This model's maximum context length was exceeded. Please reduce the length of the messages."
    if sums := _INPUT_OUTPUT_MAXIMUM.search(message):
        input_tokens, output_tokens, maximum = (int(number.replace(",", "")) for number in sums.groups())
        text = (
            f"This model's maximum context length is {maximum} tokens. However, you requested "
            f"{input_tokens + output_tokens} tokens ({input_tokens} in the messages, {output_tokens} in the "
            "completion). Please reduce the length of the messages or completion."
        )
    elif counts := _TOKENS_AND_MAXIMUM.search(message):
        input_tokens, maximum = (int(number.replace(",", "")) for number in counts.groups())
        text = (
            f"This model's maximum context length is {maximum} tokens. However, your messages resulted in "
            f"{input_tokens} tokens. Please reduce the length of the messages."
        )
    return OpenAIError(400, text, code="context_length_exceeded", param="messages")


def _translate_not_found(message: str, code: str | None) -> OpenAIError:
    if model := _UNKNOWN_MODEL.search(message):
        text = f"The model `{model.group(1)}` does not exist or you do not have access to it."
        return OpenAIError(404, text, code="model_not_found")
    return OpenAIError(404, message or "Claude has no such resource.", code=code)


def _translate_rate_limit(message: str, headers: Mapping[str, str], now: datetime | None) -> OpenAIError:
    seconds = read_retry_after(headers, now)
    limits = translate_rate_limit_headers(headers, now) if now is not None else {}
    message = message or "Rate limit reached for Claude."
    if seconds is None:
        message += " Please try again later."
        retry = {}
    else:
        message += f" Please try again in {seconds:g}s."
        retry = retry_headers(seconds)
    kind = "requests" if _REQUEST_LIMIT.search(message) else "tokens"
    return OpenAIError(429, message, type=kind, code="rate_limit_exceeded", headers={**limits, **retry})


def retry_headers(seconds: float) -> dict[str, str]:
    """Both `retry-after`, in whole seconds rounded up, and `retry-after-ms`, which OpenAI's clients read first."""
    return {"retry-after": str(-int(-seconds // 1)), "retry-after-ms": str(round(seconds * 1000))}


def _without_private_parts(message: str) -> str:
    for pattern, replacement in _PRIVATE:
        message = pattern.sub(replacement, message)
    return message

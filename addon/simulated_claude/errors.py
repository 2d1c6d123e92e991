"""How Claude says no: status, error type and body (https://platform.claude.com/docs/en/api/errors)."""

from collections.abc import Mapping
from typing import Any

__all__ = ["ERROR_TYPES", "ClaudeError", "error_body", "invalid_request"]

ERROR_TYPES: dict[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class ClaudeError(Exception):
    """An answer that is an error. `message` is shown to the caller as it is."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        error_type: str | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error_type = error_type or ERROR_TYPES.get(
            status, "invalid_request_error" if status < 500 else "api_error"
        )
        self.details = details
        self.headers = dict(headers or {})


def invalid_request(message: str, details: Mapping[str, Any] | None = None) -> ClaudeError:
    """Make the error for nearly everything that is wrong with a body: 400 invalid_request_error."""
    return ClaudeError(400, message, details=details)


def error_body(error_type: str, message: str, details: Mapping[str, Any] | None, request_id: str) -> dict[str, Any]:
    """Make the envelope of every error, over HTTP and as the data of an `error` event."""
    return {
        "type": "error",
        "error": {"type": error_type, "message": message, "details": None if details is None else dict(details)},
        "request_id": request_id,
    }

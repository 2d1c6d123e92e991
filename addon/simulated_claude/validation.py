"""What is refused: a pure function of headers, body and model table, giving Claude's own error or nothing.

The order is Claude's: key, version, JSON, shape, model, then the rules of the model and of the conversation.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.model_table import SimulatedModel, find_model
from addon.simulated_claude.requests import CountTokensRequest, MessageRequest, check_shape

__all__ = ["API_VERSIONS", "check_headers", "check_request", "parse_body", "read_betas"]

API_VERSIONS = frozenset({"2023-06-01", "2026-10-21"})


def check_headers(headers: Mapping[str, str]) -> ClaudeError | None:
    """Key and version. `headers` has names in lower case."""
    key = headers.get("x-api-key")
    bearer = headers.get("authorization", "")
    if key is None and not bearer:
        return ClaudeError(401, "x-api-key header is required")
    if key is None:
        scheme, _, key = bearer.partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else ""
        if not key or key.startswith("sk-ant-invalid"):
            return ClaudeError(401, "Invalid bearer token")
    elif not key.strip() or key.startswith("sk-ant-invalid"):
        return ClaudeError(401, "invalid x-api-key")
    version = headers.get("anthropic-version")
    if version is None:
        return invalid_request("anthropic-version: header is required")
    if version not in API_VERSIONS:
        return invalid_request(f'anthropic-version: "{version}" is not a valid version')
    return None


def read_betas(headers: Mapping[str, str]) -> frozenset[str]:
    """The features that `anthropic-beta` names."""
    return frozenset(name.strip() for name in headers.get("anthropic-beta", "").split(",") if name.strip())


def parse_body(raw: bytes) -> dict[str, Any] | ClaudeError:
    """The body as a JSON object."""
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError as malformed:
        return invalid_request(f"The request body is not valid JSON: {malformed}")
    if not isinstance(body, dict):
        return invalid_request("Input should be a valid dictionary or object to extract fields from")
    return body


def check_request(
    headers: Mapping[str, str], body: dict[str, Any], *, counting: bool = False
) -> SimulatedModel | ClaudeError:
    """The model that is asked, or the error."""
    request = check_shape(
        CountTokensRequest if counting else MessageRequest, body, headers["anthropic-version"], read_betas(headers)
    )
    if isinstance(request, ClaudeError):
        return request
    model = find_model(request.model)
    if model is None:
        return ClaudeError(404, f"model: {request.model}")
    return model

"""What a request brings: headers and a JSON object within its limit."""

from typing import Any

from aiohttp import web

from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.simulation import ENTRY
from addon.simulated_claude.validation import check_headers, parse_body

__all__ = ["lower_headers", "read_body"]


def lower_headers(request: web.Request) -> dict[str, str]:
    """Give the headers with their names in lower case; lines of one name are one list."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        lowered = name.lower()
        headers[lowered] = f"{headers[lowered]},{value}" if lowered in headers else value
    return headers


async def read_body(request: web.Request, max_bytes: int) -> dict[str, Any]:
    """Read a JSON object. Raises ClaudeError for one that is too large, and for headers that are refused."""
    try:
        raw = await request.read()
    except web.RequestPayloadError as unreadable:
        raise invalid_request("The request body cannot be decoded") from unreadable
    if len(raw) > max_bytes:
        raise ClaudeError(413, "Request exceeds the maximum size")
    if error := check_headers(lower_headers(request)):
        raise error
    body = parse_body(raw)
    if isinstance(body, ClaudeError):
        raise body
    request[ENTRY].body, request[ENTRY].body_bytes = body, len(raw)
    return body

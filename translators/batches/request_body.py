"""The body of `POST /v1/batches`: bytes to typed values, or OpenAI's own error for what is wrong with it."""

from typing import Literal

import msgspec

from translators.file_expiry import FileExpiry, check_expiry
from translators.metadata import check_metadata
from translators.request_errors import (
    invalid_value,
    missing_parameter,
)
from translators.request_json import decode_request

__all__ = ["ENDPOINTS", "BatchRequest", "parse_request", "plain_endpoint"]

type Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/responses"]

ENDPOINTS: tuple[Endpoint, ...] = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
"""Whose requests Claude answers. OpenAI batches others too: embeddings, moderations, images, videos."""

_WINDOW = "24h"


class BatchRequest(msgspec.Struct, frozen=True):
    """The parameters (`openai.types.BatchCreateParams`)."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None
    output_expires_after: FileExpiry | None = None


_decoder = msgspec.json.Decoder(BatchRequest)
_VALUES = {"output_expires_after.anchor": ("created_at",)}


def parse_request(body: bytes) -> BatchRequest:
    """Parse and check the body of a request.

    Raises:
        OpenAIError: a status of 400 with OpenAI's words, code and param for what is wrong.
    """
    request = decode_request(_decoder, body, _VALUES)
    if not request.input_file_id:
        raise missing_parameter("input_file_id")
    if plain_endpoint(request.endpoint) is None:
        raise invalid_value("endpoint", f"'{request.endpoint[:64]}'", ENDPOINTS)
    if request.completion_window != _WINDOW:
        raise invalid_value("completion_window", f"'{request.completion_window[:64]}'", (_WINDOW,))
    if request.output_expires_after is not None:
        check_expiry("output_expires_after", request.output_expires_after.seconds)
    check_metadata(request.metadata or {})
    return request


def plain_endpoint(path: str) -> Endpoint | None:
    """Find the endpoint that a path names; Azure's paths lack the `/v1`. None for one that cannot be batched."""
    return next((endpoint for endpoint in ENDPOINTS if path in (endpoint, endpoint.removeprefix("/v1"))), None)

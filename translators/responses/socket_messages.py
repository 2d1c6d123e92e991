"""Messages of the Responses API over a WebSocket: what a client sends, and what it is sent besides a stream's events.

The events are those of the stream, as JSON texts; each names the client's `stream_id`, if it gave one.
https://developers.openai.com/api/docs/guides/websocket-mode, `openai.types.responses.ResponsesClientEvent` and
`ResponsesServerEvent`.
"""

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from translators.errors import OpenAIError
from translators.request_errors import invalid_value, missing_parameter
from translators.request_json import decode_request
from translators.responses.response_events import ResponseEvent, encode_payload

__all__ = [
    "ClientMessage",
    "CreateMessage",
    "SteerMessage",
    "encode_socket_error",
    "encode_socket_event",
    "encode_steer_failure",
    "parse_client_message",
]

_STREAM_ID = re.compile(r"[A-Za-z0-9_.-]{1,256}")
_OF_THE_SOCKET = ("type", "stream_id", "generate")


@dataclass(frozen=True, slots=True)
class CreateMessage:
    """`response.create`: a response is to be made."""

    body: bytes
    """As of POST /v1/responses, with `stream`."""
    stream_id: str | None
    generates: bool
    """Whether Claude is to be asked. If not, the response has no output: it keeps its input for those after it."""


@dataclass(frozen=True, slots=True)
class SteerMessage:
    """`response.steer`: input for a response that is being made."""

    previous_response_id: str
    input: Raw


type ClientMessage = CreateMessage | SteerMessage


class _Envelope(msgspec.Struct, frozen=True):
    type: str
    stream_id: str | None = None
    generate: bool | None = None
    previous_response_id: str | None = None


_envelope_decoder = msgspec.json.Decoder(_Envelope)
_fields_decoder = msgspec.json.Decoder(dict[str, Raw])


def parse_client_message(text: bytes) -> ClientMessage:
    """Parse one message of a client.

    Raises:
        OpenAIError: 400 for what is no such message. The body of a response is parsed later.
    """
    fields = decode_request(_fields_decoder, text)
    if "type" not in fields:
        raise missing_parameter("type")
    envelope = decode_request(_envelope_decoder, text)
    match envelope.type:
        case "response.create":
            _check_stream_id(envelope.stream_id)
            body = {name: value for name, value in fields.items() if name not in _OF_THE_SOCKET}
            body["stream"] = Raw(b"true")
            return CreateMessage(msgspec.json.encode(body), envelope.stream_id, envelope.generate is not False)
        case "response.steer":
            if not envelope.previous_response_id:
                raise missing_parameter("previous_response_id")
            return SteerMessage(envelope.previous_response_id, fields.get("input", Raw(b"null")))
        case other:
            raise invalid_value("type", f"'{other[:64]}'", ("response.create", "response.steer"))


def _check_stream_id(stream_id: str | None) -> None:
    if stream_id is not None and not _STREAM_ID.fullmatch(stream_id):
        raise OpenAIError(
            400,
            "The 'stream_id' field must be a non-empty string with at most 256 characters and may only contain "
            "letters, numbers, underscores, hyphens, and periods.",
            code="invalid_stream_id",
            param="stream_id",
        )


def encode_socket_event(event: ResponseEvent, stream_id: str | None) -> bytes:
    """Encode an event of a response as the text of a message."""
    payload = encode_payload(event)
    # Its alphabet needs no escapes.
    return payload if stream_id is None else b'%b,"stream_id":"%b"}' % (payload[:-1], stream_id.encode())


def encode_socket_error(error: OpenAIError, stream_id: str | None = None, request_id: str | None = None) -> bytes:
    """Encode an error that ends no response: its status and headers are in the message, where HTTP has its own."""
    message: dict[str, Any] = {
        "type": "error",
        "status": error.status,
        "error": {"type": error.type, "code": error.code, "message": error.message, "param": error.param},
    }
    headers = {**error.headers, **({"x-request-id": request_id} if request_id else {})}
    if headers:
        message["headers"] = headers
    if stream_id is not None:
        message["stream_id"] = stream_id
    return msgspec.json.encode(message)


def encode_steer_failure(steer: SteerMessage, code: str, text: str) -> bytes:
    """Encode the refusal of a `response.steer`, with its input, which the client may send with its next request.

    Args:
        steer: what is refused.
        code: one of `openai.types.responses.ResponseSteerErrorCode`.
        text: why, for people.
    """
    return msgspec.json.encode(
        {
            "type": "response.steer.failed",
            "sequence_number": 0,
            "error": {"type": "invalid_request_error", "code": code, "message": text},
            "steer": {"previous_response_id": steer.previous_response_id, "input": steer.input},
        }
    )

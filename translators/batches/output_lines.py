"""The lines of the output file and of the error file of a batch, and the ids in them.

An answer, and what an endpoint refuses with a status, is a `response`; `error` says why there was none at all. Ids are
made from those of the batch and the line, so that whoever writes a file writes the same.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import msgspec
from msgspec import Raw

from translators.errors import OpenAIError

__all__ = [
    "LineIds",
    "Unexecuted",
    "encode_answer",
    "encode_refusal",
    "encode_unexecuted",
    "file_id_of",
]

type Unexecuted = Literal["batch_expired", "batch_cancelled"]

_MESSAGES: dict[Unexecuted, str] = {
    "batch_expired": "This request could not be executed before the completion window expired.",
    "batch_cancelled": "This request was not executed because the batch was cancelled.",
}


@dataclass(frozen=True, slots=True)
class LineIds:
    """The ids that belong to one line of a batch."""

    batch_id: str
    number: int

    @property
    def line_id(self) -> str:
        """`id` of the line in the output file."""
        return f"batch_req_{self._hash('line', 32)}"

    @property
    def request_id(self) -> str:
        """What `x-request-id` would have been."""
        return f"req_{self._hash('request', 32)}"

    def answer_id(self, prefix: str, length: int) -> str:
        """`id` of the answer: a prefix, and so many hexadecimal digits."""
        return f"{prefix}{self._hash('answer', length)}"

    def _hash(self, kind: str, length: int) -> str:
        return sha256(f"{self.batch_id}/{self.number}/{kind}".encode()).hexdigest()[:length]


def file_id_of(batch_id: str, kind: Literal["output", "error"]) -> str:
    """Make the id of a batch's file."""
    return f"file-{sha256(f'{batch_id}/{kind}'.encode()).hexdigest()[:24]}"


def encode_answer(ids: LineIds, custom_id: str, body: bytes) -> bytes:
    """Encode a line of the output file. `body` is the JSON of the answer."""
    response = {"status_code": 200, "request_id": ids.request_id, "body": Raw(body)}
    return _encode(ids, custom_id, response, None)


def encode_refusal(ids: LineIds, custom_id: str, error: OpenAIError) -> bytes:
    """Encode a line of the error file, for a request that was answered with an error."""
    response = {"status_code": error.status, "request_id": ids.request_id, "body": Raw(error.encode())}
    return _encode(ids, custom_id, response, None)


def encode_unexecuted(ids: LineIds, custom_id: str, code: Unexecuted) -> bytes:
    """Encode a line of the error file, for a request that was not answered."""
    return _encode(ids, custom_id, None, {"code": code, "message": _MESSAGES[code]})


def _encode(ids: LineIds, custom_id: str, response: dict[str, Any] | None, error: dict[str, str] | None) -> bytes:
    line = {"id": ids.line_id, "custom_id": custom_id, "response": response, "error": error}
    return msgspec.json.encode(line) + b"\n"

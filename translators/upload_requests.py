"""The bodies of `POST /v1/uploads` and `POST /v1/uploads/{id}/complete`."""

import msgspec

from translators.file_expiry import FileExpiry, check_expiry
from translators.request_errors import check_range, invalid_value, missing_parameter
from translators.request_json import decode_request

__all__ = [
    "MOST_PART_BYTES",
    "PURPOSES",
    "UploadCompletionRequest",
    "UploadRequest",
    "parse_completion",
    "parse_upload",
]

PURPOSES = ("assistants", "batch", "vision", "user_data", "evals")
"""All of `openai.types.FilePurpose` but `fine-tune`, which is nothing that Claude does."""

MOST_PART_BYTES = 64 * 1024 * 1024
"""Of one part, as the `openai` package says of `uploads.parts.create`."""

_MOST_FILE_BYTES = 512 * 1024 * 1024
"""Of one file, as the `openai` package says of `files.create`: what parts make becomes one."""

_VALUES = {"expires_after.anchor": ("created_at",)}


class UploadRequest(msgspec.Struct, frozen=True):
    """The parameters of a new upload (`openai.types.UploadCreateParams`)."""

    bytes: int
    filename: str
    mime_type: str
    purpose: str
    expires_after: FileExpiry | None = None


class UploadCompletionRequest(msgspec.Struct, frozen=True):
    """The parameters of its end (`openai.types.UploadCompleteParams`)."""

    part_ids: list[str]
    md5: str | None = None


_upload_decoder = msgspec.json.Decoder(UploadRequest)
_completion_decoder = msgspec.json.Decoder(UploadCompletionRequest)


def parse_upload(body: bytes) -> UploadRequest:
    """Parse and check the body of a new upload.

    Raises:
        OpenAIError: a status of 400 with OpenAI's words, code and param for what is wrong.
    """
    request = decode_request(_upload_decoder, body, _VALUES)
    check_range("bytes", request.bytes, 1, _MOST_FILE_BYTES)
    if not request.filename:
        raise missing_parameter("filename")
    if request.purpose not in PURPOSES:
        raise invalid_value("purpose", f"'{request.purpose[:64]}'", PURPOSES)
    if request.expires_after is not None:
        check_expiry("expires_after", request.expires_after.seconds)
    return request


def parse_completion(body: bytes) -> UploadCompletionRequest:
    """Parse the body that ends an upload.

    Raises:
        OpenAIError: as for `parse_upload`.
    """
    return decode_request(_completion_decoder, body)

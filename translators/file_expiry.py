"""When an uploaded file expires: `expires_after` of files and uploads, `output_expires_after` of batches."""

from typing import Literal

import msgspec

from translators.request_errors import check_range

__all__ = ["FileExpiry", "check_expiry"]

_SHORTEST_SECONDS, _LONGEST_SECONDS = 3600, 30 * 24 * 3600
"""`openai.types.file_create_params.ExpiresAfter`."""


class FileExpiry(msgspec.Struct, frozen=True):
    """How long a file is kept, from the time that it was made."""

    anchor: Literal["created_at"]
    seconds: int


def check_expiry(param: str, seconds: int) -> None:
    """Check the time of a file.

    Raises:
        OpenAIError: 400 for a time that is too short or too long.
    """
    check_range(f"{param}.seconds", seconds, _SHORTEST_SECONDS, _LONGEST_SECONDS)

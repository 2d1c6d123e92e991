"""Errors as OpenAI's clients expect them: status, type, code and param, whoever is to blame.

Sources: https://developers.openai.com/api/docs/guides/error-codes, `openai.types.shared.ErrorObject`, recorded answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

__all__ = ["OpenAIError"]


@dataclass(frozen=True, slots=True)
class OpenAIError(Exception):
    """An answer to the client that is an error. Raised by whoever finds it, encoded once at the border.

    `message` is shown to the client: it never holds a key, nor anything of another client.
    `headers` are sent along (`retry-after`, `x-should-retry`, `x-ratelimit-*`).
    """

    status: int
    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Encode as the JSON body that OpenAI sends, which is also the payload of an error in the middle of a stream."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return msgspec.json.encode({"error": error})

"""What the SDK raises, and answers that cannot be read, as errors that clients know."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import anthropic
import httpx2
import msgspec

from addon.claude.body import BROKEN
from translators.errors import OpenAIError, translate_claude_error

__all__ = ["UNREADABLE", "translated_errors"]

UNREADABLE = (*BROKEN, httpx2.DecodingError, msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What is raised where the body of an answer breaks off, is packed wrongly, or is not the JSON that it should be."""


@contextlib.contextmanager
def translated_errors(on_upstream: Callable[[str], None]) -> Iterator[None]:
    """Translate the errors of one call to Claude.

    Args:
        on_upstream: told the status, or the word that takes its place.

    Raises:
        OpenAIError: Claude's refusal, its being out of reach, or an answer that cannot be read.
    """
    try:
        yield
    except anthropic.APIStatusError as error:
        on_upstream(str(error.status_code))
        response = error.response
        raise translate_claude_error(
            error.status_code, response.content, response.headers, datetime.now(UTC)
        ) from error
    except anthropic.APITimeoutError as error:
        on_upstream("timeout")
        raise OpenAIError(504, "Claude did not answer in time.", "server_error", "timeout") from error
    except anthropic.APIConnectionError as error:
        on_upstream("unreachable")
        raise OpenAIError(502, "Claude could not be reached.", "server_error", "upstream_unreachable") from error
    except UNREADABLE as error:
        on_upstream("broken")
        raise OpenAIError(502, "Claude's answer could not be read.", "server_error", "upstream_broken") from error

"""What the SDK raises, as errors that clients know."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import anthropic

from translators.errors import OpenAIError, translate_claude_error

__all__ = ["translated_errors"]


@contextlib.contextmanager
def translated_errors(on_upstream: Callable[[str], None]) -> Iterator[None]:
    """Translate the errors of one call to Claude.

    Args:
        on_upstream: told the status, or the word that takes its place.

    Raises:
        OpenAIError: Claude's refusal, or its being out of reach.
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

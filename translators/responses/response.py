"""The whole answer, `response`: the fold of the events that a stream would have sent, so the two cannot differ.

The last event holds the final response, with every item that was streamed; the checker of the tests holds the two
together.
"""

from collections.abc import Iterable

import msgspec

from translators.responses.response_events import (
    ResponseCompleted,
    ResponseEvent,
    ResponseFailed,
    ResponseIncomplete,
)
from translators.responses.response_types import Response

__all__ = ["IncompleteResponseError", "build_response", "encode_response"]


class IncompleteResponseError(ValueError):
    """An answer was asked for before its last event."""


def build_response(events: Iterable[ResponseEvent]) -> Response:
    """Fold the events of a response, in their order, into it.

    Raises:
        IncompleteResponseError: no last event came.
    """
    for event in events:
        if isinstance(event, ResponseCompleted | ResponseIncomplete | ResponseFailed):
            return event.response
    raise IncompleteResponseError("the response has no last event")


def encode_response(response: Response) -> bytes:
    """Encode as the JSON body of an answer."""
    return msgspec.json.encode(response)

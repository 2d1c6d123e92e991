"""A response from its first event to Claude's last, whoever takes the events: a stream, one answer, or nobody yet."""

from collections.abc import Awaitable, Callable

from addon.claude_call import Caller, ClaudeCall
from addon.response_request import PreparedResponse
from translators.responses.response_events import ResponseEvent

__all__ = ["make_response"]

type Sink = Callable[[list[ResponseEvent]], Awaitable[None]]


async def make_response(caller: Caller, prepared: PreparedResponse, sink: Sink) -> None:
    """Have Claude's answer translated, and its events sent to `sink` as they come; `prepared.stream` can finish then.

    Raises:
        OpenAIError: there is no whole answer.
    """
    await ClaudeCall(
        caller,
        prepared.request,
        prepared.stream,
        sink,
        on_retry=prepared.replace_request,
        shorten=prepared.shorten,
    ).run()

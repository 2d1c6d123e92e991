"""What a call to Claude failed with at its last try: whether another one may help, and when."""

from translators.errors import OpenAIError

__all__ = ["FailedTryError", "is_passing", "last_try_of"]


class FailedTryError(Exception):
    """One try failed: what an OpenAIError is raised from that says it to the client.

    It does not hold that error in turn: with all that they hold, both would wait for the garbage collector.

    Args:
        cause: what the SDK raised, or the answer's reader.
        retry_after: the seconds that were asked for, 0 for ours to choose, None for "not again".
        request_id: Claude's, if it answered.
    """

    def __init__(self, cause: Exception | None, retry_after: float | None, request_id: str | None = None) -> None:
        super().__init__("a try failed")
        self.__cause__ = cause
        self.retry_after = retry_after
        self.request_id = request_id
        self.retries = 0
        """How many tries there had been before the last one."""


def last_try_of(error: OpenAIError) -> FailedTryError | None:
    """Find the try that an error of `MessagesClient.stream` came of."""
    return error.__cause__ if isinstance(error.__cause__, FailedTryError) else None


def is_passing(error: OpenAIError) -> bool:
    """Say whether Claude itself failed in a way that passes: overload, a rate limit, silence, out of reach.

    No mistake of the request is, nor a spent budget, nor what the proxy itself refuses (E16).
    """
    cause = error.__cause__
    return isinstance(cause, FailedTryError) and cause.retry_after is not None

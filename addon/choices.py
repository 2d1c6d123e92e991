"""Several calls to Claude for one request: all at once, and the first failure ends them all."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from translators.errors import OpenAIError

__all__ = ["ask_at_once"]


async def ask_at_once[Choice](calls: Sequence[Coroutine[Any, Any, Choice]]) -> list[Choice]:
    """Await the calls, in parallel where there are several; their results come in the order of the calls.

    Raises:
        OpenAIError: the first of Claude's refusals.
        ConnectionError: the client has left.
    """
    if len(calls) == 1:
        return [await calls[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except* (OpenAIError, ConnectionError) as failures:
        raise _first(failures) from failures
    return [task.result() for task in tasks]


def _first(failures: BaseExceptionGroup[Any]) -> BaseException:
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure

"""Several calls to Claude for one request: all at once, and the first failure ends them all."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from addon.claude.error_frames import let_frames_go

__all__ = ["ask_at_once"]


async def ask_at_once[Choice](calls: Sequence[Coroutine[Any, Any, Choice]]) -> list[Choice]:
    """Await the calls, in parallel where there are several; their results come in the order of the calls.

    What fails first is raised as it is: with what it was raised from, by which it is judged and logged.

    Raises:
        OpenAIError: the first of Claude's refusals.
        ConnectionError: the client has left.
    """
    if len(calls) == 1:
        return [await calls[0]]
    failed = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except ExceptionGroup as failures:
        failed, *others = failures.exceptions
        for untold in (failures, *others):
            let_frames_go(untold)
    if failed is not None:  # raised above it would have the group as its context, and the group has it
        raise failed
    return [task.result() for task in tasks]

"""What the Python programs share: each feature is a function, each result one line on standard output.

It runs in the environments of the clients, so it knows the standard library alone.
"""

import asyncio
import base64
import inspect
import itertools
import json
import os
import sys
import traceback
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

MARK = "FEATURE "

ASK = "Use get_weather for Paris, please."
"""The simulated Claude calls the tools that a text names."""

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6364f8cf500f00038601805a34"
    "7d6b0000000049454e44ae426082"
)
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
"""One pixel."""

PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
)
PDF_URL = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
"""One empty page."""

_features: list[tuple[str, Callable[[], Any]]] = []
_run = uuid.uuid4().hex
_scripts = itertools.count()


def feature[F: Callable[[], Any]](name: str) -> Callable[[F], F]:
    """Register a function, blocking or async, that raises where the feature does not work."""

    def register(function: F) -> F:
        _features.append((name, function))
        return function

    return register


def simulate(user_text: str, **script: Any) -> str:
    """Make a user's text that tells the simulated Claude what to do; each script counts its uses for itself."""
    return f"{user_text} [[simulate: {json.dumps({'id': f'{_run}-{next(_scripts)}', **script})}]]"


def simulate_in_order(user_text: str, *scripts: dict[str, Any]) -> str:
    """Make a user's text that tells the simulated Claude what to do in each of the calls that follow from it."""
    first, *others = scripts
    return f"{user_text} [[simulate: {json.dumps([{'id': f'{_run}-{next(_scripts)}', **first}, *others])}]]"


def rate_limited_once() -> str:
    """Make a user's text that is refused with a 429 the first time that it comes."""
    return simulate("Hello.", times=1, status=429, headers={"retry-after": "1"}, error={"message": "Too many requests"})


def stalled() -> str:
    """Make a user's text whose answer begins, and then stays away: whoever wants to go on has to leave.

    The test that runs the program asserts that each such call to Claude was ended.
    """
    return simulate("Hello.", text="and so on " * 100, stall_after_events=60)  # thinking comes before the text


def raised[E: Exception](kind: type[E], call: Callable[[], Any]) -> E:
    """Call, and return the error of that class that it raises."""
    try:
        returned = call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised, but returned: {returned}")


async def raised_by[E: Exception](kind: type[E], awaitable: Awaitable[Any]) -> E:
    """Await, and return the error of that class that it raises."""
    try:
        returned = await awaitable
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was not raised, but returned: {returned}")


def report(name: str, error: str | None = None) -> None:
    """Say how a feature did."""
    print(MARK + json.dumps({"feature": name, "error": error}), flush=True)


def run_features(*more: Callable[[], None]) -> None:
    """Run all, or those whose name holds the first argument, and end the process, which returns 0 whatever they found.

    It waits neither for the tasks and threads that a client left behind, as the end of a loop does for five minutes,
    nor for the interpreter: a thread of DSPy's, whose stream was left, may wait for ever for a loop that is closed.

    Args:
        more: is run after all features, and reports for itself.
    """
    runner = asyncio.Runner()  # clients keep their connections, which belong to one loop
    for name, function in _features:
        if len(sys.argv) > 1 and sys.argv[1] not in name:
            continue
        try:
            if inspect.iscoroutinefunction(function):
                runner.run(function())
            else:
                function()
        except Exception:  # noqa: BLE001 - the next feature is tried whatever this one raised
            report(name, traceback.format_exc())
        else:
            report(name)
    if len(sys.argv) == 1:
        for run in more:
            run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

"""Requests made from docs/openapi.json, to a proxy that listens: no 500, no hang, every error in OpenAI's shape."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

DESCRIPTION = Path(__file__).parents[2] / "docs" / "openapi.json"
SECONDS = 20
"""Longest wait for an answer. The simulated Claude answers at once."""


def ask_all(origin: str, examples: int) -> Counter[int]:
    """Send each operation so many requests that keep to the description, and as many that do not; count the statuses.

    Raises:
        AssertionError: an answer that no client should get.
    """
    schema = schemathesis.openapi.from_dict(json.loads(DESCRIPTION.read_text()))
    statuses: Counter[int] = Counter()
    with requests.Session() as session:
        session.trust_env = False
        for found in schema.get_all_operations():
            operation = found.ok()
            cases = [
                operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, *_wrong(operation))
            ]

            @settings(
                max_examples=examples,
                database=None,
                deadline=None,  # what hangs is found by SECONDS: a fifth of a second is a busy machine's
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(st.one_of(cases))
            def ask(case: Any) -> None:
                response = case.call(base_url=origin, session=session, timeout=SECONDS)
                statuses[response.status_code] += 1
                check(response)

            ask()
    return statuses


def _wrong(operation: Any) -> tuple[GenerationMode, ...]:
    # Where nothing can be wrong there is nothing to draw.
    return (GenerationMode.NEGATIVE,) if operation.body else ()


def check(response: Any) -> None:
    """Check one answer."""
    status, text = response.status_code, response.text
    assert status < 500, (status, text[:500])
    if status >= 400 and response.request.method != "HEAD":
        error = json.loads(text)["error"]
        assert error.keys() == {"message", "type", "param", "code"}, text
        assert error["message"], text
        assert response.headers["x-request-id"] or [""], response.headers

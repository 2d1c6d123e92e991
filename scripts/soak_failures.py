"""Load of scripts/soak.py: what the proxy refuses, and what Claude fails at."""

import itertools
import random
from typing import Any

import httpx2
from soak_load import LIMITED_KEY, Load, chat, expect

REFUSED: tuple[tuple[str, str, bytes, int], ...] = (
    ("POST", "/v1/chat/completions", b"{", 400),
    ("POST", "/v1/chat/completions", b'{"model": "gpt-4o", "messages": []}', 400),
    ("POST", "/v1/chat/completions", b'{"messages": [{"role": "user", "content": "no model"}]}', 400),
    ("POST", "/v1/responses", b'{"model": "gpt-4o", "input": "x", "previous_response_id": "resp_0"}', 400),
    ("GET", "/v1/responses/resp_unknown", b"", 404),
    ("DELETE", "/v1/chat/completions", b"", 405),
    ("POST", "/v1/no/such/path", b"{}", 404),
)
"""Method, path, body, status."""

AT_ONCE = {"retry-after": "0"}
FAULTS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"status": 529, "headers": AT_ONCE, "times": 1}, 200),
    ({"status": 529, "headers": AT_ONCE}, 503),
    ({"status": 429, "headers": AT_ONCE}, 429),
    ({"cut_after_events": 0, "times": 1}, 200),
    ({"cut_after_events": 0}, 502),
    ({"raw": "<html></html>", "times": 1}, 200),
    ({"events": ["event: message_start\ndata: {]"]}, 502),
    ({"delay": 3600}, 504),
)
"""What Claude does before its first event, and the status that the client sees."""

BREAKS: tuple[dict[str, Any], ...] = (
    {"cut_after_events": 4},
    {"error_after_events": 4},
    {"stall_after_events": 4},
)
"""What Claude does in the middle of an answer."""


_MOST_ALLOWED = 20
"""More requests than a limit of one a minute can let through, in all workers and after any reload."""

_next_fault = itertools.cycle(FAULTS).__next__
_next_break = itertools.cycle(BREAKS).__next__


async def send_what_is_refused(load: Load) -> None:
    """Send each request that is refused, on one connection."""
    for method, path, body, status in REFUSED:
        answer = await load.http.request(method, path, content=body, headers={"content-type": "application/json"})
        expect(answer.status_code == status and "error" in answer.json(), f"{method} {path}: {answer.text}")


async def exceed_a_limit(load: Load) -> None:
    """Ask more often than the key may, and be told when to come again."""
    body = chat(load.prompt(), is_stream=False)
    headers = {"authorization": f"Bearer {LIMITED_KEY}"}
    for _ in range(_MOST_ALLOWED):
        answer = await load.http.post("/v1/chat/completions", json=body, headers=headers)
        if answer.status_code == 429:
            load.tally.limited += 1
            code = answer.json()["error"]["code"]
            expect(code == "rate_limit_exceeded" and "retry-after" in answer.headers, answer.text)
            return
        expect(answer.status_code == 200, answer.text)
    expect(holds=False, what="never refused")


# Claude's faults.


async def meet_a_fault(load: Load) -> None:
    """Ask while Claude fails before its first event."""
    script, status = _next_fault()
    answer = await _post(load, load.prompt(**script), is_stream=random.random() < 0.5)
    expect(answer.status_code == status, f"{script}: {answer.status_code} {answer.text[:200]}")


async def meet_a_break(load: Load) -> None:
    """Ask for a stream that Claude breaks off: it ends with an error, and without its end mark."""
    script = _next_break()
    answer = await _post(load, load.prompt(**script), is_stream=True)
    is_told = answer.status_code == 200 and '"error"' in answer.text and "[DONE]" not in answer.text
    expect(is_told, f"{script}: {answer.status_code} {answer.text[-200:]}")


async def _post(load: Load, prompt: str, *, is_stream: bool) -> httpx2.Response:
    return await load.http.post("/v1/chat/completions", json=chat(prompt, is_stream=is_stream))

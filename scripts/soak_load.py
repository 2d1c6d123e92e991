"""The clients of scripts/soak.py: each kind of load is a function, which checks what it is answered.

What Claude does is said in the prompts, as scripts of the simulated Claude.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx2
import openai
from soak_checks import Tally
from websockets.asyncio.client import ClientConnection, connect

from addon.simulated_claude.journal import Journal, ReceivedRequest

MODEL = "gpt-4o"
KEY = "sk-soak"
PATIENCE = 60.0
"""Seconds that one piece of load may take."""
SOON = 2.0
"""Seconds after which Claude must not be read from any more, once the client has left."""
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
FOREVER = {"stall_after_events": 4, "ping_interval": 0.2}
"""Claude begins an answer, and then says nothing but that it is alive."""

REFUSED: tuple[tuple[str, str, bytes, int], ...] = (
    ("POST", "/v1/chat/completions", b"{", 400),
    ("POST", "/v1/chat/completions", b'{"model": "gpt-4o", "messages": []}', 400),
    ("POST", "/v1/chat/completions", b'{"messages": [{"role": "user", "content": "no model"}]}', 400),
    ("POST", "/v1/responses", b'{"model": "gpt-4o", "input": "x", "previous_response_id": "resp_0"}', 400),
    ("GET", "/v1/responses/resp_unknown", b"", 404),
    ("DELETE", "/v1/chat/completions", b"", 404),
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


_next_number = itertools.count(1).__next__
_next_fault = itertools.cycle(FAULTS).__next__
_next_break = itertools.cycle(BREAKS).__next__


class WrongAnswerError(Exception):
    """An answer is not what it should be."""


def expect(holds: object, what: str) -> None:
    """Raise an error unless something holds."""
    if not holds:
        raise WrongAnswerError(what)


@dataclasses.dataclass
class Load:
    """The clients of one process."""

    port: int
    journal: Journal
    tally: Tally
    http: httpx2.AsyncClient
    openai: openai.AsyncOpenAI

    def prompt(self, **script: Any) -> str:
        """Make a prompt that no other request has."""
        mark = f"soak-{_next_number()}-"
        if not script:
            return f"Say something about {mark}."
        return f"Say something about {mark}. [[simulate: {json.dumps({'id': mark, **script})}]]"

    def call(self, prompt: str) -> ReceivedRequest | None:
        """Find the call to Claude that a prompt has made just now."""
        mark = prompt.split()[3]
        latest = itertools.islice(reversed(self.journal), 200)
        return next((call for call in latest if mark in str(call.body)), None)

    async def called(self, prompt: str) -> None:
        """Wait until Claude has been asked."""
        while self.call(prompt) is None:  # noqa: ASYNC110 - Claude does not tell
            await asyncio.sleep(0.01)

    async def see_it_end(self, prompt: str) -> None:
        """Note when the call of a client that has left just now is ended at Claude."""
        left = time.monotonic()
        call = self.call(prompt)
        while time.monotonic() < left + SOON:
            if call is not None and call.left_after is not None:
                self.tally.ended_at_claude.append(time.monotonic() - left)
                return
            await asyncio.sleep(0.005)
        self.tally.not_ended.append(prompt)

    async def run(self, workers: int, seconds: float, rest: float) -> None:
        """Have so many clients at once do all kinds of load, with a rest of up to `rest` seconds in between."""
        deadline = time.monotonic() + seconds
        deck = _dealt()

        async def work(number: int) -> None:
            await asyncio.sleep(number * rest / workers)
            while time.monotonic() < deadline:
                kind = next(deck)
                name = kind.__name__
                self.tally.kinds[name] += 1
                try:
                    async with asyncio.timeout(PATIENCE):
                        await kind(self)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
                    self.tally.mistakes.append(f"{name}: {error!r}"[:400])
                await asyncio.sleep(random.uniform(0, rest))  # noqa: S311 - no secret

        await asyncio.gather(*map(work, range(workers)))


@contextlib.asynccontextmanager
async def clients(port: int, journal: Journal, tally: Tally) -> AsyncIterator[Load]:
    """Make clients that count their requests; close all of their connections at the end."""

    async def count(_request: httpx2.Request) -> None:
        tally.requests += 1

    async def note(response: httpx2.Response) -> None:
        # Claude's own API answers with Claude's headers.
        if not response.request.url.path.endswith("/messages"):
            tally.request_ids.append(response.headers["x-request-id"])

    hooks: Any = {"request": [count], "response": [note]}
    base_url = f"http://127.0.0.1:{port}"
    async with (
        httpx2.AsyncClient(base_url=base_url, trust_env=False, timeout=PATIENCE, event_hooks=hooks) as http,
        openai.DefaultAsyncHttpx2Client(trust_env=False, event_hooks=hooks) as of_openai,
        openai.AsyncOpenAI(
            base_url=f"{base_url}/v1", api_key=KEY, max_retries=0, timeout=PATIENCE, http_client=of_openai
        ) as client,
    ):
        http.headers["authorization"] = f"Bearer {KEY}"
        yield Load(port, journal, tally, http, client)


# The stock client.


async def ask(load: Load) -> None:
    """Ask for a whole answer, one in two of them for the first time."""
    content = load.prompt() if random.random() < 0.5 else f"Say {random.randrange(10)}."  # noqa: S311 - no secret
    answer = await load.openai.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    expect(answer.choices[0].message.content and answer.choices[0].finish_reason == "stop", repr(answer))


async def stream(load: Load) -> None:
    """Ask for a stream."""
    messages: Any = [{"role": "user", "content": load.prompt()}]
    chunks = [
        chunk async for chunk in await load.openai.chat.completions.create(model=MODEL, messages=messages, stream=True)
    ]
    expect(len(chunks) > 2 and chunks[-1].choices[0].finish_reason == "stop", repr(chunks[-1]))


async def call_a_tool(load: Load) -> None:
    """Let the model call a tool, and give it the result."""
    messages: Any = [{"role": "user", "content": f"{load.prompt()} Use get_weather."}]
    first = await load.openai.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    expect(first.choices[0].finish_reason == "tool_calls", repr(first))
    messages.append(first.choices[0].message.to_dict())
    for call in first.choices[0].message.tool_calls or []:
        messages.append({"role": "tool", "tool_call_id": call.id, "content": "21 degrees"})
    last = await load.openai.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    expect(last.choices[0].finish_reason == "stop", repr(last))


async def list_models(load: Load) -> None:
    """Ask which models there are."""
    expect((await load.openai.models.list()).data, "no models")


async def store_responses(load: Load) -> None:
    """Make a response, go on from it, read it and delete it."""
    first = await load.openai.responses.create(model=MODEL, input=load.prompt())
    second = await load.openai.responses.create(model=MODEL, input="And?", previous_response_id=first.id)
    expect((await load.openai.responses.retrieve(second.id)).output_text == second.output_text, repr(second))
    await load.openai.responses.delete(first.id)


async def stream_a_response(load: Load) -> None:
    """Ask for the events of a response."""
    events = [
        event async for event in await load.openai.responses.create(model=MODEL, input=load.prompt(), stream=True)
    ]
    expect(events[-1].type == "response.completed", repr(events[-1]))


async def respond_in_the_background(load: Load) -> None:
    """Have a response made while nobody waits, and poll it."""
    load.tally.background += 1
    response = await load.openai.responses.create(model=MODEL, input=load.prompt(), background=True)
    while response.status in ("queued", "in_progress"):
        await asyncio.sleep(0.1)
        response = await load.openai.responses.retrieve(response.id)
    expect(response.status == "completed", repr(response))


async def cancel_in_the_background(load: Load) -> None:
    """Have a response made that never ends, and cancel it."""
    load.tally.background += 1
    prompt = load.prompt(**FOREVER)
    response = await load.openai.responses.create(model=MODEL, input=prompt, background=True)
    await load.called(prompt)
    cancelled = await load.openai.responses.cancel(response.id)
    expect(cancelled.status == "cancelled", repr(cancelled))
    await load.see_it_end(prompt)


# Other clients.


async def speak_as_claude(load: Load) -> None:
    """Ask for a stream of Claude's own API."""
    body = {"model": "claude-sonnet-5-5", "max_tokens": 99, "stream": True}
    messages = [{"role": "user", "content": load.prompt()}]
    headers = {"anthropic-version": "2023-06-01"}
    answer = await load.http.post("/v1/messages", json={**body, "messages": messages}, headers=headers)
    expect(answer.status_code == 200 and "message_stop" in answer.text, answer.text[-300:])


async def use_a_websocket(load: Load) -> None:
    """Have two responses over a WebSocket."""
    async with _socket(load) as socket:
        for _ in range(2):
            await _create_response(load, socket, load.prompt())
            async for message in socket:
                kind = json.loads(message)["type"]
                expect(kind not in ("error", "response.failed"), str(message))
                if kind == "response.completed":
                    break


async def leave_a_websocket(load: Load) -> None:
    """Hang up in the middle of a response."""
    async with _socket(load) as socket:
        prompt = load.prompt(**FOREVER)
        await _create_response(load, socket, prompt)
        await load.called(prompt)
        socket.transport.abort()
        await load.see_it_end(prompt)


@contextlib.asynccontextmanager
async def _socket(load: Load) -> AsyncIterator[ClientConnection]:
    load.tally.requests += 1
    address = f"ws://127.0.0.1:{load.port}/v1/responses"
    headers = {"authorization": f"Bearer {KEY}"}
    async with connect(address, additional_headers=headers, proxy=None) as socket:
        expect(socket.response is not None, "no answer to the upgrade")
        if socket.response is not None:
            load.tally.request_ids.append(socket.response.headers["x-request-id"])
        yield socket


async def _create_response(load: Load, socket: ClientConnection, prompt: str) -> None:
    load.tally.requests += 1
    message = {"type": "response.create", "model": MODEL, "input": prompt, "store": False}
    await socket.send(json.dumps(message))


async def send_what_is_refused(load: Load) -> None:
    """Send each request that is refused, on one connection."""
    for method, path, body, status in REFUSED:
        answer = await load.http.request(method, path, content=body, headers={"content-type": "application/json"})
        expect(answer.status_code == status and "error" in answer.json(), f"{method} {path}: {answer.text}")


# Raw sockets: clients that leave.


async def leave_in_the_request(load: Load) -> None:
    """Hang up before the body is whole."""
    async with _sent(load, load.prompt(), is_stream=True, missing=10):
        await asyncio.sleep(0.02)


async def leave_before_the_answer(load: Load) -> None:
    """Hang up before Claude has said anything."""
    prompt = load.prompt(delay=3600)
    async with _sent(load, prompt, is_stream=random.random() < 0.5):  # noqa: S311 - no secret
        await load.called(prompt)
    await load.see_it_end(prompt)


async def leave_in_the_stream(load: Load) -> None:
    """Hang up in the middle of a stream."""
    prompt = load.prompt(**FOREVER)
    async with _sent(load, prompt, is_stream=True) as reader:
        head = await reader.readuntil(b"\r\n\r\n")
        expect(head.startswith(b"HTTP/1.1 200"), repr(head))
        await reader.readuntil(b"data: ")
    await load.see_it_end(prompt)


async def leave_while_it_is_gathered(load: Load) -> None:
    """Hang up on a whole answer of which Claude has sent a part."""
    prompt = load.prompt(**FOREVER)
    async with _sent(load, prompt, is_stream=False):
        await load.called(prompt)
        await asyncio.sleep(0.1)
    await load.see_it_end(prompt)


@contextlib.asynccontextmanager
async def _sent(load: Load, prompt: str, *, is_stream: bool, missing: int = 0) -> AsyncIterator[asyncio.StreamReader]:
    """Send a request, but for the last bytes, and hang up in the end."""
    load.tally.requests += 1
    messages = [{"role": "user", "content": prompt}]
    body = json.dumps({"model": MODEL, "stream": is_stream, "messages": messages}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    try:
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[: len(body) - missing])
        yield reader
    finally:
        writer.transport.abort()


# Claude's faults.


async def meet_a_fault(load: Load) -> None:
    """Ask while Claude fails before its first event."""
    script, status = _next_fault()
    answer = await _post(load, load.prompt(**script), is_stream=random.random() < 0.5)  # noqa: S311 - no secret
    expect(answer.status_code == status, f"{script}: {answer.status_code} {answer.text[:200]}")


async def meet_a_break(load: Load) -> None:
    """Ask for a stream that Claude breaks off: it ends with an error, and without its end mark."""
    script = _next_break()
    answer = await _post(load, load.prompt(**script), is_stream=True)
    is_told = answer.status_code == 200 and '"error"' in answer.text and "[DONE]" not in answer.text
    expect(is_told, f"{script}: {answer.status_code} {answer.text[-200:]}")


async def _post(load: Load, prompt: str, *, is_stream: bool) -> httpx2.Response:
    body = {"model": MODEL, "stream": is_stream, "messages": [{"role": "user", "content": prompt}]}
    return await load.http.post("/v1/chat/completions", json=body)


KINDS: dict[Callable[[Load], Awaitable[None]], int] = {
    ask: 16,
    stream: 12,
    call_a_tool: 4,
    list_models: 2,
    store_responses: 4,
    stream_a_response: 4,
    respond_in_the_background: 2,
    cancel_in_the_background: 1,
    speak_as_claude: 4,
    use_a_websocket: 2,
    leave_a_websocket: 1,
    send_what_is_refused: 1,
    leave_in_the_request: 2,
    leave_before_the_answer: 2,
    leave_in_the_stream: 2,
    leave_while_it_is_gathered: 2,
    meet_a_fault: 4,
    meet_a_break: 2,
}
"""How often each kind comes in one round."""


def _dealt() -> Iterator[Callable[[Load], Awaitable[None]]]:
    """Deal one round after the other, each shuffled."""
    cards = [kind for kind, number in KINDS.items() for _ in range(number)]
    return itertools.chain.from_iterable(random.sample(cards, len(cards)) for _ in itertools.count())

"""The clients of scripts/soak.py: what they share, how they take turns, and how they know what Claude was asked.

What Claude does is said in the prompts, as scripts of the simulated Claude.
"""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import openai
from soak_checks import Tally

from addon.simulated_claude.journal import Journal, ReceivedRequest

MODEL = "gpt-4o"
KEY = "sk-soak"
LIMITED_KEY = "sk-soak-limited"
"""The key of a client that may send one request a minute."""
RELOADED_MODEL = "soak-model"
"""An alias whose meaning is changed while the proxy runs."""
PATIENCE = 60.0
"""Seconds that one piece of load may take."""
SOON = 5.0
"""Seconds after which Claude must not be read from any more, once the client has left."""
FOREVER = {"stall_after_events": 4, "ping_interval": 0.2}
"""Claude begins an answer, and then says nothing but that it is alive."""

type Kind = Callable[["Load"], Awaitable[None]]
"""A piece of load, which checks what it is answered."""

_next_number = itertools.count(1).__next__


class WrongAnswerError(Exception):
    """An answer is not what it should be."""


def expect(holds: object, what: str) -> None:
    """Raise an error unless something holds."""
    if not holds:
        raise WrongAnswerError(what)


def chat(prompt: str, *, is_stream: bool) -> dict[str, Any]:
    """Make the body of a chat completion."""
    return {"model": MODEL, "stream": is_stream, "messages": [{"role": "user", "content": prompt}]}


@dataclasses.dataclass(frozen=True)
class Target:
    """The proxy, as its clients know it."""

    port: int
    """Of the standalone endpoint."""
    proxy_port: int
    """Of the proxy mode."""
    ca: Path
    reload: Callable[[str], None]
    """Lets RELOADED_MODEL mean another model of Claude from now on."""


@dataclasses.dataclass
class Load:
    """The clients of one proxy."""

    target: Target
    journal: Journal
    tally: Tally
    http: httpx2.AsyncClient
    openai: openai.AsyncOpenAI
    hooks: Mapping[str, Any]
    reloading: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)

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
        while self.call(prompt) is None:
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

    def over_http2(self) -> httpx2.AsyncClient:
        """Make a client that comes through the proxy mode, over TLS and HTTP/2."""
        return httpx2.AsyncClient(
            base_url="https://api.openai.com",
            headers={"authorization": f"Bearer {KEY}"},
            proxy=f"http://127.0.0.1:{self.target.proxy_port}",
            verify=ssl.create_default_context(cafile=str(self.target.ca)),
            http2=True,
            trust_env=False,
            timeout=PATIENCE,
            event_hooks=dict(self.hooks),
        )

    async def run(self, kinds: Mapping[Kind, int], clients: int, seconds: float, rest: float) -> None:
        """Have so many clients at once do load, with a rest of up to `rest` seconds in between.

        However slow the machine is, every kind has come when this ends.

        Args:
            kinds: how often each comes in one round.
            clients: how many.
            seconds: how long.
            rest: how long a client waits at most before it goes on.
        """
        deadline = time.monotonic() + seconds
        deck = _dealt(kinds)
        names = {kind.__name__ for kind in kinds}

        async def work(number: int) -> None:
            await asyncio.sleep(number * rest / clients)
            while time.monotonic() < deadline or self.tally.kinds.keys() < names:
                kind = next(deck)
                name = kind.__name__
                self.tally.kinds[name] += 1
                try:
                    async with asyncio.timeout(PATIENCE):
                        await kind(self)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
                    self.tally.mistakes.append(f"{name}: {error!r}"[:400])
                await asyncio.sleep(random.uniform(0, rest))

        await asyncio.gather(*map(work, range(clients)))


@contextlib.asynccontextmanager
async def clients_of(target: Target, journal: Journal, tally: Tally) -> AsyncIterator[Load]:
    """Make clients that count their requests; close all of their connections at the end."""

    async def count(_request: httpx2.Request) -> None:
        tally.requests += 1

    async def note(response: httpx2.Response) -> None:
        # Claude's own API answers with Claude's headers.
        if not response.request.url.path.endswith("/messages"):
            tally.request_ids.append(response.headers["x-request-id"])
        tally.given_again += response.headers.get("x-claude-proxy-cache") in ("hit", "shared")

    hooks: Any = {"request": [count], "response": [note]}
    base_url = f"http://127.0.0.1:{target.port}"
    async with (
        httpx2.AsyncClient(base_url=base_url, trust_env=False, timeout=PATIENCE, event_hooks=hooks) as http,
        openai.DefaultAsyncHttpx2Client(trust_env=False, event_hooks=hooks) as of_openai,
        openai.AsyncOpenAI(
            base_url=f"{base_url}/v1", api_key=KEY, max_retries=0, timeout=PATIENCE, http_client=of_openai
        ) as client,
    ):
        http.headers["authorization"] = f"Bearer {KEY}"
        yield Load(target, journal, tally, http, client, hooks)


def _dealt(kinds: Mapping[Kind, int]) -> Iterator[Kind]:
    """Deal one round after the other, each shuffled."""
    cards = [kind for kind, number in kinds.items() for _ in range(number)]
    return itertools.chain.from_iterable(random.sample(cards, len(cards)) for _ in itertools.count())

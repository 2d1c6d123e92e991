"""The clients behind scripts/dashboard_picture: several models are asked in waves, with some of all that goes wrong.

What Claude does is said in the prompts, as scripts of the simulated Claude: how long it waits, how fast it writes, when
it fails.
"""

import asyncio
import contextlib
import itertools
import json
import math
import random
import string
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import openai

KEY, MODEST_KEY = "sk-picture", "sk-picture-modest"
"""The second may ask for a few requests a minute only."""
MOST_BYTES = 200_000
"""What a request may have at most."""
RETRIES = 1
MODELS = {"gpt-4o": 5, "gpt-4o-mini": 4, "o3": 1}
FALLBACK_MODEL = "claude-haiku-5-5"
REQUESTS_PER_SECOND = 5.0
WAVE_SECONDS = 240.0
TROUBLE = (0.55, 0.7)
"""From which share of the time to which Claude has many failures."""
TEXT = "the proxy reads what an app asks and tells it what Claude has said about that in the words of another form"
WORDS = TEXT.split()
RULES = f"You help the customers of a shop. {' '.join(WORDS * 60)}"
"""Long enough to be kept in Claude's cache of prompts."""

_random = random.Random()
_next_number = itertools.count(1).__next__


def words(least: int, most: int) -> str:
    """Make a text of so many words."""
    return " ".join(_random.choices(WORDS, k=_random.randint(least, most)))


def prompt(**script: Any) -> str:
    """Make a question that no other request has, for a Claude that takes its time."""
    pace = {"delay": round(_random.lognormvariate(-0.9, 0.5), 3), "event_interval": _random.uniform(0.01, 0.04)}
    script = {"id": str(_next_number()), "text": words(20, 160), **pace, **script}
    return f"{words(10, 80)} [[simulate: {json.dumps(script)}]]"


class Clients:
    """Clients of one endpoint.

    Args:
        base_url: the endpoint's origin.
        seconds: how long they ask.
    """

    def __init__(self, base_url: str, seconds: float) -> None:
        self._base_url = base_url
        self._seconds = seconds
        self._http = httpx2.AsyncClient(base_url=base_url, trust_env=False, timeout=60)
        self._http.headers["authorization"] = f"Bearer {KEY}"
        self._openai = openai.AsyncOpenAI(
            base_url=f"{base_url}/v1",
            api_key=KEY,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpx2Client(trust_env=False),
        )

    async def ask(self) -> None:
        """Ask until the time is over, more and less often in waves. What fails is meant to."""
        kinds: dict[Callable[[], Awaitable[object]], float] = {
            self._chat: 30,
            self._stream: 20,
            self._converse: 8,
            self._respond: 12,
            self._complete: 4,
            self._speak_as_claude: 6,
            self._ask_again: 14,
            self._list_models: 2,
            self._leave: 4,
            self._send_what_is_refused: 4,
        }
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            while (passed := time.monotonic() - began) < self._seconds:
                is_troubled = TROUBLE[0] < passed / self._seconds < TROUBLE[1]
                chosen = {**kinds, self._meet_a_fault: 25 if is_troubled else 2}
                [kind] = _random.choices(list(chosen), list(chosen.values()))
                tasks.create_task(self._quietly(kind))
                wave = 1 + 0.6 * math.sin(2 * math.pi * passed / WAVE_SECONDS)
                await asyncio.sleep(_random.expovariate(REQUESTS_PER_SECOND * wave))
        await self._http.aclose()
        await self._openai.close()

    async def _quietly(self, kind: Callable[[], Awaitable[object]]) -> None:
        with contextlib.suppress(openai.OpenAIError, httpx2.HTTPError):
            await kind()

    def _question(self, **script: Any) -> dict[str, Any]:
        [model] = _random.choices(list(MODELS), list(MODELS.values()))
        messages = [{"role": "system", "content": RULES}, {"role": "user", "content": prompt(**script)}]
        odd = _random.choices([{}, {"seed": 1}, {"presence_penalty": 0.5}, {"logit_bias": {"1": 1}}], [20, 3, 2, 1])[0]
        return {"model": model, "messages": messages, **odd}

    async def _chat(self) -> None:
        await self._openai.chat.completions.create(**self._question())

    async def _stream(self) -> None:
        async for _ in await self._openai.chat.completions.create(**self._question(), stream=True):
            pass

    async def _converse(self) -> None:
        """Stream some turns of one conversation: what was said before is in Claude's cache."""
        question = self._question()
        for _ in range(_random.randint(2, 5)):
            said = ""
            async for chunk in await self._openai.chat.completions.create(**question, stream=True):
                said += (chunk.choices and chunk.choices[0].delta.content) or ""
            turn = [{"role": "assistant", "content": said}, {"role": "user", "content": prompt()}]
            question["messages"] += turn

    async def _respond(self) -> None:
        async for _ in await self._openai.responses.create(model="gpt-4o", input=prompt(), stream=True):
            pass

    async def _complete(self) -> None:
        await self._openai.completions.create(model="gpt-4o-mini", prompt=prompt(), max_tokens=500)

    async def _speak_as_claude(self) -> None:
        body = {"model": "claude-sonnet-5-5", "max_tokens": 500, "messages": [{"role": "user", "content": prompt()}]}
        await self._http.post("/v1/messages", json=body, headers={"anthropic-version": "2023-06-01"})

    async def _ask_again(self) -> None:
        """Ask one of some questions that everybody asks: the answer may be there already."""
        letter = _random.choice(string.ascii_lowercase)
        messages: Any = [{"role": "user", "content": f"What is {letter} about?"}]
        await self._openai.chat.completions.create(model="gpt-4o-mini", messages=messages)

    async def _list_models(self) -> None:
        await self._openai.models.list()

    async def _meet_a_fault(self) -> None:
        status = _random.choice([429, 529, 529])
        times = _random.choice([1, 1, 1 + RETRIES, None])
        """Tried again, tried again in vain so that another model answers, or nobody answers."""
        script = {"status": status, "headers": {"retry-after": "0"}, "times": times}
        await self._openai.chat.completions.create(**self._question(**script))

    async def _leave(self) -> None:
        """Hang up in the request, before the answer or in it."""
        body = json.dumps({**self._question(delay=1.0), "stream": True}).encode()
        missing, seconds = _random.choice([(10, 0.1), (0, 0.4), (0, 1.6)])
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self._base_url.rpartition(":")[2]))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[: len(body) - missing])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await reader.read(65536):
                    pass
        writer.transport.abort()

    async def _send_what_is_refused(self) -> None:
        """Send a wrong key, an unknown path, too much, more than one may, or a request that has a mistake."""
        modest = {"authorization": f"Bearer {MODEST_KEY}"}
        path, body, headers = _random.choice(
            [
                ("/v1/chat/completions", b"{}", {"authorization": "Bearer sk-wrong"}),
                ("/v1/no/such/path", b"{}", {}),
                ("/v1/chat/completions", b" " * (MOST_BYTES + 1), {}),
                ("/v1/chat/completions", json.dumps(self._question()).encode(), modest),
                ("/v1/chat/completions", json.dumps(self._question()).encode(), modest),
                ("/v1/chat/completions", b'{"model": "gpt-4o", "messages": []}', {}),
            ]
        )
        await self._http.post(path, content=body, headers=headers)

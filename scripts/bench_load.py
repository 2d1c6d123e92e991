"""The load generator of scripts/bench.py: a process of its own, with a job a line coming in and a result going out.

Raw sockets on asyncio, because an HTTP client would cost more than what is measured. Every answer is checked whole.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop

WORDS = "simulated words "
"""What the simulated Claude says in its fast mode, once for each of the `chunks` that it is asked for."""

PROSE = 'Text as people write it: "quotes", a path C:\\temp\\file.txt,\nline breaks, Größe, naïveté, 東京, and so on. '

KEY = "sk-bench-key-of-nobody-0000"
"""What clients show: a client key of the proxy, LiteLLM's master key, any key to the others."""

TIMEOUT_SECONDS = 30.0
OPENING_SECONDS = 200.0
"""For all the streams that are to be held open: a busy machine takes its time for a thousand."""


@dataclass(frozen=True)
class Job:
    """One cell on one endpoint."""

    api: str
    """`openai` or `anthropic`: the format in which the endpoint is asked."""
    port: int
    stream: bool
    chunks: int
    clients: int
    """Connections, each of which sends its next request when the last one is answered."""
    seconds: float = 1.0
    """How long new requests are sent; those under way are waited for."""
    interval: float = 0.0
    burst: int = 1
    """Events that the upstream writes at once."""
    history: int = 0
    """Earlier messages of 5,000 characters each."""
    once: bool = False
    """One request a client."""
    most: int | None = None
    """As many requests in all, if `seconds` are long enough."""
    hold: bool = False
    """Leave the streams open: print the result when each has its first text, cut them when the next line comes."""
    pause: float = 0.0
    """Seconds between a client's requests."""
    headers: tuple[str, ...] = ()
    """More lines of the request's head."""

    @property
    def request(self) -> bytes:
        """The request's bytes."""
        steering = f"chunks={self.chunks} interval={self.interval} burst={self.burst}"
        path = "/v1/chat/completions" if self.api == "openai" else "/v1/messages"
        earlier = [
            {"role": ("user", "assistant")[number % 2], "content": (PROSE * 50)[number : number + 5000]}
            for number in range(self.history)
        ]
        body = json.dumps(
            {
                "model": "claude-opus-5-5",
                "max_tokens": 4096,
                "stream": self.stream,
                "messages": [*earlier, {"role": "user", "content": f"Say something short, please. {steering}"}],
            },
            ensure_ascii=False,
        ).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-type: application/json\r\n"
            f"x-api-key: {KEY}\r\nauthorization: Bearer {KEY}\r\nanthropic-version: 2023-06-01\r\n"
            f"content-length: {len(body)}\r\n{''.join(f'{line}\r\n' for line in self.headers)}\r\n"
        )
        return head.encode() + body


@dataclass
class Result:
    """What came of a job. Times in seconds."""

    requests: int = 0
    chunks: int = 0
    whole: list[float] = field(default_factory=list)
    """From a request to the end of an answer that is no stream."""
    first_text: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    """Between two texts of a stream, where the upstream paces them. Other events have equals in one API alone."""
    errors: list[str] = field(default_factory=list)


class WrongAnswerError(Exception):
    """An answer is not what the simulated Claude said."""


async def answer_jobs() -> None:
    """Take jobs from standard input until it ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        job = Job(**json.loads(line))
        result = Result()
        if job.hold:
            await _hold(job, result, lines)
        else:
            deadline = time.perf_counter() + job.seconds
            await asyncio.gather(*(_client(job, result, deadline, number) for number in range(job.clients)))
            _print(result)


def _print(result: Result) -> None:
    print(json.dumps(asdict(result)), flush=True)


async def _client(job: Job, result: Result, deadline: float, number: int) -> None:
    """Send requests one after the other on one connection."""
    await asyncio.sleep(number * 0.002)  # not all in one instant: backlogs are short
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", job.port)
        try:
            while time.perf_counter() < deadline and (job.most is None or result.requests < job.most):
                async with asyncio.timeout(job.seconds + TIMEOUT_SECONDS):
                    await _exchange(job, result, reader, writer)
                if job.once:
                    break
                await asyncio.sleep(job.pause)
        finally:
            writer.close()
    except (OSError, EOFError, TimeoutError, ValueError, LookupError, WrongAnswerError) as error:
        result.errors.append(repr(error)[:300])


async def _exchange(job: Job, result: Result, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    started = time.perf_counter()
    writer.write(job.request)
    length = await _read_head(reader)
    if length is not None:
        body = await reader.readexactly(length)
        result.whole.append(time.perf_counter() - started)
    else:
        pieces = bytearray()
        read_at: float | None = None
        while not pieces.endswith(b"\r\n0\r\n\r\n"):
            piece = await reader.read(65536)
            if not piece:
                raise WrongAnswerError("the answer was cut")
            pieces += piece
            if b"simulated" in piece:
                now = time.perf_counter()
                if read_at is None:
                    result.first_text.append(now - started)
                elif job.interval:
                    result.gaps.append(now - read_at)
                read_at = now
        body = _unchunk(bytes(pieces))
    text, chunks = (_read_stream if job.stream else _read_whole)(job.api, body)
    if text != WORDS * job.chunks:
        raise WrongAnswerError(f"{len(text)} characters of {len(WORDS) * job.chunks}: {body[:200]!r}")
    result.requests += 1
    result.chunks += chunks


async def _read_head(reader: asyncio.StreamReader) -> int | None:
    """Read status and headers; return the content length, None for a chunked body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if " 200 " not in head.partition("\r\n")[0]:
        raise WrongAnswerError(head.partition("\r\n")[0])
    if "transfer-encoding: chunked" in head:
        return None
    return int(head.partition("content-length:")[2].partition("\r\n")[0])


def _unchunk(data: bytes) -> bytes:
    pieces = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        pieces.append(data[:length])
        data = data[length + 2 :]
    return b"".join(pieces)


def _read_whole(api: str, body: bytes) -> tuple[str, int]:
    answer: Any = json.loads(body)
    return (answer["choices"][0]["message"]["content"] if api == "openai" else answer["content"][0]["text"]), 0


def _read_stream(api: str, body: bytes) -> tuple[str, int]:
    """Return the text and the number of its pieces."""
    payloads = [line[5:].strip() for line in body.split(b"\n") if line.startswith(b"data:")]
    if api == "openai":
        if payloads.pop() != b"[DONE]":
            raise WrongAnswerError("no end mark")
        choices = [json.loads(payload)["choices"][0] for payload in payloads]
        if choices[-1]["finish_reason"] != "stop":
            raise WrongAnswerError("no finish reason")
        pieces = [piece for choice in choices if (piece := choice["delta"].get("content"))]
    else:
        events = [json.loads(payload) for payload in payloads]
        if events[-1]["type"] != "message_stop":
            raise WrongAnswerError("no message_stop")
        pieces = [event["delta"]["text"] for event in events if event["type"] == "content_block_delta"]
    return "".join(pieces), len(pieces)


async def _hold(job: Job, result: Result, lines: asyncio.StreamReader) -> None:
    """Open all streams, report when each has its first text, and cut them when the next line comes."""
    ready = asyncio.Event()
    opening = set(range(job.clients))

    def settle(number: int) -> None:
        opening.discard(number)
        if not opening:
            ready.set()

    async def stay(number: int) -> None:
        await asyncio.sleep(number * 0.004)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", job.port)
            try:
                writer.write(job.request)
                await _read_head(reader)
                await reader.readuntil(b"simulated")
                result.requests += 1
                settle(number)
                while await reader.read(65536):
                    pass
                raise WrongAnswerError("a stream ended that was to be held open")
            finally:
                writer.close()
        except (OSError, EOFError, ValueError, WrongAnswerError) as error:
            result.errors.append(repr(error)[:300])
            settle(number)

    streams = [asyncio.create_task(stay(number)) for number in range(job.clients)]
    try:
        async with asyncio.timeout(OPENING_SECONDS):
            await ready.wait()
    except TimeoutError:
        result.errors.append(f"{result.requests} of {job.clients} streams are open")
    _print(result)
    await lines.readline()
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)
    _print(result)


if __name__ == "__main__":
    uvloop.run(answer_jobs())

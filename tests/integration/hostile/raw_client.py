"""A client made of bytes, for requests that no HTTP library would send."""

import asyncio
import contextlib
import json
from typing import Any

from tests.lived_time import within

STANDALONE = "reverse:http://standalone.claude-proxy.invalid@127.0.0.1:0"
REGULAR = "regular@127.0.0.1:0"


def chat(text: str = "Hello there", **more: Any) -> bytes:
    return json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}).encode()


def post(target: str = "/v1/chat/completions", body: bytes | None = None, head: bytes = b"", host: str = "x") -> bytes:
    """Write a request with a right framing; `head` holds more header lines, each with its end."""
    body = chat() if body is None else body
    start = b"POST %b HTTP/1.1\r\nhost: %b\r\n" % (target.encode("utf-8", "surrogateescape"), host.encode())
    return start + head + b"content-length: %d\r\n\r\n%b" % (len(body), body)


async def send(port: int, data: bytes, *, quiet: float = 0.4) -> bytes:
    """Send bytes; return all that comes until the proxy closes, or says nothing more for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(100):
            while True:
                # The first byte of an answer takes as long as it takes.
                waits = quiet if received or b"\r\n\r\n" not in data else 10
                try:
                    piece = await within(waits, reader.read(1 << 16))
                except TimeoutError:
                    break
                if not piece:
                    break
                received += piece
    writer.close()
    return received


def statuses(received: bytes) -> list[int]:
    """The status of each answer, in their order."""
    lines = received.split(b"\r\n")
    return [int(line.split()[1]) for line in lines if line.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))]

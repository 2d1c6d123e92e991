"""A client of one HTTP/2 connection: what came on each stream, whether it came whole, and whether it can ask again."""

import asyncio
import contextlib
import json
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events

from tests.faults.http1_client import Received

OPENAI = "api.openai.com"


@dataclass
class _Answer:
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    is_over: bool = False
    is_whole: bool = False


class Http2Client:
    """One connection, with one stream for each request. Answers are received in the order of their requests."""

    breaks_with_its_connection = False

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str) -> None:
        self.reader, self.writer = reader, writer
        self._authority = authority
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._answers: dict[int, _Answer] = {}
        self._asked: deque[int] = deque()
        self._h2.initiate_connection()
        self._flush()

    @classmethod
    async def connect_through(cls, port: int, ca: Path) -> "Http2Client":
        """Connect to OpenAI's host through a proxy, as `HTTPS_PROXY` makes apps do it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"CONNECT {OPENAI}:443 HTTP/1.1\r\nhost: {OPENAI}:443\r\n\r\n".encode())
        established = await reader.readuntil(b"\r\n\r\n")
        assert established.startswith(b"HTTP/1.1 200"), established
        await writer.start_tls(_trusting(ca), server_hostname=OPENAI)
        return cls(reader, writer, OPENAI)

    @classmethod
    async def connect_to(cls, port: int, ca: Path) -> "Http2Client":
        """Connect to a standalone endpoint that has TLS."""
        trusting = _trusting(ca)
        trusting.check_hostname = False
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=trusting), "localhost")

    async def ask(self, path: str, body: Mapping[str, Any], scheme: str = "https") -> Received:
        self.send(path, body, scheme)
        return await self.receive()

    def send(self, path: str, body: Mapping[str, Any], scheme: str = "https") -> None:
        self.writer.write(self._request(path, body, scheme))

    def send_part(self, path: str, body: Mapping[str, Any], cut: int) -> None:
        """Send a request up to a byte, counted as slices are."""
        self.writer.write(self._request(path, body)[:cut])

    async def receive(self) -> Received:
        answer = self._answers[self._asked.popleft()]
        async with asyncio.timeout(60):
            while not answer.is_over:
                await self._read()
        return Received(answer.status, answer.headers, bytes(answer.body), answer.is_whole)

    async def receive_until(self, text: bytes) -> None:
        """Receive each answer up to a text, and leave it there."""
        async with asyncio.timeout(60):
            while not all(text in self._answers[stream_id].body for stream_id in self._asked):
                assert await self._read(), "the connection has ended"

    def reset(self) -> None:
        """Give up the request that was sent last."""
        stream_id = self._asked.pop()
        self._h2.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
        self._flush()

    async def is_closed(self) -> bool:
        """Wait for the other side to close."""
        async with asyncio.timeout(60):
            while await self._read():
                pass
        return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    def _request(self, path: str, body: Mapping[str, Any], scheme: str = "https") -> bytes:
        stream_id = self._h2.get_next_available_stream_id()
        self._answers[stream_id] = _Answer()
        self._asked.append(stream_id)
        headers = [(":method", "POST"), (":scheme", scheme), (":authority", self._authority), (":path", path)]
        self._h2.send_headers(stream_id, [*headers, ("content-type", "application/json")])
        self._h2.send_data(stream_id, json.dumps(body).encode(), end_stream=True)
        return self._h2.data_to_send()

    async def _read(self) -> bool:
        """Take what comes next; return whether the connection goes on."""
        try:
            data = await self.reader.read(65_536)
        except ConnectionResetError:
            data = b""
        if not data:
            for answer in self._answers.values():
                answer.is_over = True
            return False
        for event in self._h2.receive_data(data):
            match event:
                case h2.events.ResponseReceived(stream_id=int(stream_id), headers=headers):
                    fields = {str(name): str(value) for name, value in headers or ()}
                    self._answers[stream_id].status = int(fields.pop(":status"))
                    self._answers[stream_id].headers = fields
                case h2.events.DataReceived(stream_id=int(stream_id), data=bytes(body), flow_controlled_length=size):
                    self._answers[stream_id].body += body
                    self._h2.acknowledge_received_data(size or 0, stream_id)
                case h2.events.StreamEnded(stream_id=int(stream_id)):
                    self._answers[stream_id].is_over = self._answers[stream_id].is_whole = True
                case h2.events.StreamReset(stream_id=int(stream_id)):
                    self._answers[stream_id].is_over = True
                case _:
                    pass
        self._flush()
        return True

    def _flush(self) -> None:
        self.writer.write(self._h2.data_to_send())


def _trusting(ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["h2"])
    return context

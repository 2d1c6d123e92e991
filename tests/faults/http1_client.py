"""A client of one connection that sees the bytes: what came, whether it came whole, and whether it can ask again."""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Received:
    """One answer. `is_whole`: its end was said, by its length or its last chunk."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool

    def json(self) -> Any:
        return json.loads(self.body)

    def payloads(self) -> Iterator[Any]:
        """Iterate over what the events of a stream hold; comments and the end mark hold nothing."""
        for block in self.body.split(b"\n\n"):
            for line in block.split(b"\n"):
                if line.startswith(b"data: ") and line != b"data: [DONE]":
                    yield json.loads(line[6:])


class Http1Client:
    """One connection."""

    breaks_with_its_connection = True
    """An answer that breaks off ends it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> "Http1Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, path: str, body: Mapping[str, Any]) -> Received:
        self.send(path, body)
        return await self.receive()

    def send(self, path: str, body: Mapping[str, Any]) -> None:
        self.writer.write(request_bytes(path, body))

    def send_part(self, path: str, body: Mapping[str, Any], cut: int) -> None:
        """Send a request up to a byte, counted as slices are."""
        self.writer.write(request_bytes(path, body)[:cut])

    async def receive_until(self, text: bytes) -> None:
        """Receive the next answer up to a text, and leave it there."""
        async with asyncio.timeout(60):
            await self.reader.readuntil(text)

    async def receive(self) -> Received:
        async with asyncio.timeout(60):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode().strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            if headers.get("transfer-encoding") == "chunked":
                body, is_whole = await self._read_chunks()
            else:
                body, is_whole = await self.reader.readexactly(int(headers["content-length"])), True
        return Received(int(first.split()[1]), headers, body, is_whole)

    async def _read_chunks(self) -> tuple[bytes, bool]:
        body = b""
        try:
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return body, False
        return body, True

    async def is_closed(self) -> bool:
        """Wait for the other side to close."""
        async with asyncio.timeout(60):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


def request_bytes(path: str, body: Mapping[str, Any]) -> bytes:
    encoded = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n"
    )
    return head.encode() + encoded

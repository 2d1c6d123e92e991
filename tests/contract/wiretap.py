"""A wire that somebody listens to: every byte that goes to a server, as it went, keys and all."""

import asyncio
import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.contract.simulated_upstream import background_loop


@dataclass
class Wiretap:
    base_url: str
    heard: bytearray = field(default_factory=bytearray)


@contextmanager
def wiretap(target: str) -> Iterator[Wiretap]:
    """Listen, and relay each connection to `target`, an http URL."""
    host, port = urlsplit(target).hostname, urlsplit(target).port
    tap = Wiretap("")

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                heard += data
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(copy(reader, far_writer, tap.heard), copy(far_reader, writer, bytearray()))

    async def listen() -> asyncio.Server:
        return await asyncio.start_server(relay, "127.0.0.1", 0)

    async def stop(server: asyncio.Server) -> None:
        server.close()
        server.close_clients()
        await server.wait_closed()

    with background_loop() as run:
        server = run(listen())
        tap.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield tap
        finally:
            run(stop(server))

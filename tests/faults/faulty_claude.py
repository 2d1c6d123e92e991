"""Claude made of sockets: each test says what it does with the next calls."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.faults.encodings import GOOD_ANSWER
from tests.integration.raw_upstream import Call, RawUpstream, Script, raw_upstream
from tests.lived_time import within


def sending(*pieces: bytes, cut: bool = False) -> Script:
    """Make a script that sends pieces, with a pause between them, and then cuts the connection or is silent."""

    async def script(call: Call) -> None:
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(0.02)
            await call.send(piece)
        if cut:
            await asyncio.sleep(0.02)
            call.writer.transport.abort()

    return script


def refusal(status: int, body: bytes, **headers: str) -> bytes:
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{fields}\r\n".encode() + body


def error_body(kind: str, message: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()


@dataclass
class FaultyClaude:
    """Runs a script for each call: those that were set, and a good answer for every further one."""

    upstream: RawUpstream
    scripts: list[Script] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return self.upstream.base_url

    @property
    def calls(self) -> list[Call]:
        return self.upstream.calls

    def begin(self, *scripts: Script) -> None:
        """Forget the calls so far; the next ones run these scripts."""
        self.calls.clear()
        self.scripts[:] = scripts

    async def hung_up(self, number: int = 0) -> None:
        """Wait until the connection of a call is closed."""
        call = await self.upstream.call(number)
        await within(5, call.hung_up.wait())


@contextlib.asynccontextmanager
async def faulty_claude() -> AsyncIterator[FaultyClaude]:
    scripts: list[Script] = []

    async def run(call: Call) -> None:
        await (scripts.pop(0) if scripts else sending(GOOD_ANSWER))(call)

    async with raw_upstream(run) as upstream:
        yield FaultyClaude(upstream, scripts)

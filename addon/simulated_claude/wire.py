"""How an answer leaves: pacing, small writes, stalls, errors in mid-stream, and cut connections."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from addon.simulated_claude.errors import error_body
from addon.simulated_claude.events import encode_event
from addon.simulated_claude.journal import ReceivedRequest
from addon.simulated_claude.scripts import Script, ScriptedError
from addon.simulated_claude.settings import SimulationSettings

__all__ = ["Wire", "base_headers", "json_response"]

ORGANIZATION_ID = "00000000-0000-4000-8000-51a01a7edc1a"

EVENT_STREAM = "text/event-stream; charset=utf-8"
SECONDS_TO_LEAVE = 0.01


def base_headers(request_id: str) -> dict[str, str]:
    """Make the headers that every answer has."""
    return {"request-id": request_id, "anthropic-organization-id": ORGANIZATION_ID}


def json_response(value: Any, status: int, headers: Mapping[str, str]) -> web.Response:
    """Make an answer of one piece."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json", headers=headers
    )


@dataclass(frozen=True, slots=True)
class Wire:
    """The way back to one caller."""

    request: web.Request
    entry: ReceivedRequest
    request_id: str
    script: Script
    settings: SimulationSettings

    async def send(
        self, pieces: Iterable[bytes], headers: Mapping[str, str], content_type: str = EVENT_STREAM, status: int = 200
    ) -> web.StreamResponse:
        """Send a body piece by piece. Raises ConnectionResetError after a cut that the script asks for."""
        response = web.StreamResponse(
            status=status, headers={"content-type": content_type, "cache-control": "no-cache", **headers}
        )
        self.entry.status = status
        await response.prepare(self.request)
        size = self.script.chunk_bytes
        async for piece in self._with_faults(pieces):
            if size:
                for start in range(0, len(piece), size):
                    await response.write(piece[start : start + size])
                    await asyncio.sleep(0)
            else:
                await response.write(piece)
            self.entry.events_sent += 1
        await response.write_eof()
        return response

    async def _with_faults(self, pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
        script = self.script
        interval = self.settings.event_interval if script.event_interval is None else script.event_interval
        index = -1
        for index, piece in enumerate(pieces):
            if script.cut_after_events == index:
                await self._reset()
            if script.stall_after_events == index:
                async for ping in self._stall():
                    yield ping
            if script.error_after_events == index:
                yield self._error_event()
                return
            if index and interval > 0:
                await asyncio.sleep(interval)
            yield piece
        if script.cut_after_events is not None and script.cut_after_events > index:
            await self._reset()

    def _error_event(self) -> bytes:
        error = self.script.error or ScriptedError()
        return encode_event(error_body(error.type or "overloaded_error", error.message, error.details, self.request_id))

    async def _stall(self) -> AsyncIterator[bytes]:
        interval = self.script.ping_interval
        interval = self.settings.ping_interval if interval is None else interval
        left = self.script.stall_seconds
        while 0 < interval < left:
            await asyncio.sleep(interval)
            left -= interval
            yield encode_event({"type": "ping"})
        await asyncio.sleep(left)

    async def _reset(self) -> None:
        """Break the connection as a crash does: with a reset, after what was written has had time to leave."""
        await asyncio.sleep(SECONDS_TO_LEAVE)
        self.entry.finished = True
        transport = self.request.transport
        if transport is not None:
            sock: socket.socket | None = transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        raise ConnectionResetError("cut by a script")

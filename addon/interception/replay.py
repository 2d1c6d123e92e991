"""Flows replayed from mitmweb or the console, which have no connection of their own, answered in one piece."""

from mitmproxy import http

from addon.exchanges.run import ExchangeRun

__all__ = ["answer_replayed"]


class _WholeResponse:
    """Takes a response, streamed or not, and sets it on the flow when it is complete."""

    def __init__(self, flow: http.HTTPFlow) -> None:
        self._flow = flow
        self._status = 200
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self.gone = False

    async def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._flow.response = http.Response.make(status, body, http.Headers(headers))

    async def start(self, status: int, headers: list[tuple[bytes, bytes]], data: bytes, *, http_version: str) -> None:
        _ = http_version
        self._status, self._headers = status, headers
        self._body += data

    async def write(self, data: bytes) -> None:
        self._body += data

    async def abort(self, message: str) -> None:
        self._flow.response = http.Response.make(502, message)

    async def sent(self) -> None:
        """Wait for nothing: the response is set at once."""

    def hold(self, is_held: bool) -> None:
        """Hold nothing: the request is complete."""

    async def end(self) -> None:
        await self.respond(self._status, self._headers, bytes(self._body))


async def answer_replayed(run: ExchangeRun) -> None:
    """Answer a replayed flow whose request is complete."""
    flow = run.exchange.flow
    run.receive_headers(_WholeResponse(flow))
    run.receive_data(flow.request.raw_content or b"")
    run.receive_end()
    await run.finished()

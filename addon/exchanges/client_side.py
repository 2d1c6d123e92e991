"""The way back to the client, as an exchange sees it."""

from typing import Protocol, runtime_checkable

__all__ = ["ClientSide", "UpgradableSide", "Upgraded"]


class ClientSide(Protocol):
    """The way back to the client: `addon.wire.client_stream.ClientStream`, or what stands for it.

    That is another for a replayed flow, and for a response on a WebSocket.
    """

    @property
    def gone(self) -> bool:
        """Whether the client has left."""

    async def respond(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole response."""

    async def start(self, status: int, headers: list[tuple[bytes, bytes]], data: bytes, *, http_version: str) -> None:
        """Send the headers of a streamed response together with its first bytes."""

    async def write(self, data: bytes) -> None:
        """Send the next bytes."""

    async def end(self) -> None:
        """End a streamed response."""

    async def abort(self, message: str) -> None:
        """Break a response off, so that the client sees that it is not whole."""

    async def sent(self) -> None:
        """Wait until all that was sent is on its way, the end too."""

    def hold(self, is_held: bool) -> None:
        """Read no more of the request for now, or go on."""


@runtime_checkable
class UpgradableSide(ClientSide, Protocol):
    """The way back over HTTP/1, which can become a WebSocket."""

    @property
    def can_upgrade(self) -> bool:
        """Whether it can."""

    async def upgrade(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Answer 101."""

    def start_websocket(self, max_bytes: int, *, shows_messages: bool) -> None:
        """Bound the messages that are gathered."""

    async def close_websocket(self, frames: bytes) -> None:
        """Send the last frames, a close among them."""


class Upgraded(Protocol):
    """What takes the client's bytes after the protocol has changed. The methods must not block."""

    def receive_data(self, data: bytes) -> None:
        """Take what the client sent."""

    def receive_abort(self) -> None:
        """End: nothing arrives any more, in either direction."""

"""The server's end of a WebSocket: bytes of frames to messages, and messages to bytes. No sockets, no tasks."""

from dataclasses import dataclass

from wsproto import ConnectionType
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import generate_accept_token

from addon.wire.client_stream import ClientGoneError

__all__ = ["Closed", "Message", "Pinged", "WebSocketEnd", "accept_headers"]


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message."""

    data: bytes
    is_text: bool


@dataclass(frozen=True, slots=True)
class Pinged:
    """The client wants a pong with this payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The client has closed, or broke the protocol."""


class WebSocketEnd:
    """Our end of one WebSocket.

    No extension is agreed on: compression would be undone and done again between mitmproxy's ends and ours, and would
    let a small message become a large one.
    """

    def __init__(self) -> None:
        self._connection = Connection(ConnectionType.SERVER)
        self._pieces: list[bytes] = []

    def receive(self, data: bytes) -> list[Message | Pinged | Closed]:
        """Take bytes of the client; return what they complete."""
        received: list[Message | Pinged | Closed] = []
        if self._connection.state is not ConnectionState.OPEN:
            return received
        self._connection.receive_data(data)
        for event in self._connection.events():
            match event:
                case TextMessage() | BytesMessage():
                    piece = event.data
                    self._pieces.append(piece.encode() if isinstance(piece, str) else bytes(piece))
                    if event.message_finished:
                        received.append(Message(b"".join(self._pieces), isinstance(event, TextMessage)))
                        self._pieces.clear()
                case Ping(payload=payload):
                    received.append(Pinged(bytes(payload)))
                case CloseConnection():
                    received.append(Closed())
                case _:
                    pass
        return received

    def encode_text(self, text: bytes) -> bytes:
        """Encode a message of text in UTF-8.

        Raises:
            ClientGoneError: the socket is closed.
        """
        self._require_open()
        return self._connection.send(TextMessage(text.decode()))

    def encode_ping(self) -> bytes:
        """Encode a ping.

        Raises:
            ClientGoneError: the socket is closed.
        """
        self._require_open()
        return self._connection.send(Ping())

    def encode_pong(self, ping: Pinged) -> bytes:
        """Encode the answer to a ping.

        Raises:
            ClientGoneError: the socket is closed.
        """
        self._require_open()
        return self._connection.send(Ping(ping.payload).response())

    def encode_close(self, code: int, reason: str) -> bytes:
        """Encode the end. Nothing more can be encoded then.

        Raises:
            ClientGoneError: the socket is closed.
        """
        self._require_open()
        return self._connection.send(CloseConnection(code, reason))

    def _require_open(self) -> None:
        if self._connection.state is not ConnectionState.OPEN:
            raise ClientGoneError


def accept_headers(key: str) -> dict[str, str]:
    """Return the headers of the 101 for a client's `sec-websocket-key`."""
    return {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": generate_accept_token(key.encode("ascii", "replace")).decode(),
    }

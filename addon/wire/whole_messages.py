"""mitmproxy's end of a client's WebSocket, with messages that are whole and bounded."""

from collections.abc import Iterator
from typing import override

from mitmproxy.proxy.layers.websocket import WebsocketConnection
from wsproto import ConnectionType
from wsproto.events import BytesMessage, Event, Message, TextMessage

__all__ = ["WholeMessages"]


class WholeMessages(WebsocketConnection):
    """mitmproxy's end of a client's WebSocket, which gives a message away when it is whole.

    Of one that is larger than `max_bytes` its beginning is given, one character or byte longer than that, and the rest
    is read and thrown away: whoever gets it sees that it is too large. mitmproxy's own way copies a message once per
    read.
    """

    def __init__(self, replaced: WebsocketConnection, max_bytes: int) -> None:
        super().__init__(ConnectionType.SERVER, conn=replaced.conn)
        self._most = max_bytes + 1
        self._pieces: list[str | bytes] = []
        self._size = 0

    @override
    def events(self) -> Iterator[Event]:
        for event in super().events():
            if not isinstance(event, Message):
                yield event
                continue
            piece = event.data[: self._most - self._size]
            if piece:
                self._pieces.append(piece if isinstance(piece, str) else bytes(piece))
                self._size += len(piece)
            if event.message_finished:
                pieces, self._pieces, self._size = self._pieces, [], 0
                if isinstance(event, TextMessage):
                    yield TextMessage("".join(map(str, pieces)))
                else:
                    yield BytesMessage(b"".join(piece for piece in pieces if isinstance(piece, bytes)))

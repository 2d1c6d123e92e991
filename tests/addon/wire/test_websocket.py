"""Our end of a WebSocket against wsproto's client end: frames however they are cut, and nothing after the close."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType
from wsproto.connection import Connection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from addon.wire.client_stream import ClientGoneError
from addon.wire.websocket import Closed, Message, Pinged, WebSocketEnd, accept_headers


def test_the_key_is_accepted_as_in_the_rfc() -> None:
    assert accept_headers("dGhlIHNhbXBsZSBub25jZQ==")["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.lists(st.text(max_size=300) | st.binary(max_size=300), max_size=5), st.integers(1, 70))
def test_messages_arrive_however_they_are_cut(messages: list[str | bytes], size: int) -> None:
    client, end = Connection(ConnectionType.CLIENT), WebSocketEnd()
    sent = bytearray()
    for message in messages:
        half = len(message) // 2
        for piece, is_last in ((message[:half], False), (message[half:], True)):
            event = TextMessage if isinstance(piece, str) else BytesMessage
            sent += client.send(event(piece, message_finished=is_last))
        sent += client.send(Ping(b"?"))
    received = [each for start in range(0, len(sent), size) for each in end.receive(bytes(sent[start : start + size]))]
    expected: list[Message | Pinged] = []
    for message in messages:
        is_text = isinstance(message, str)
        expected += [Message(message.encode() if isinstance(message, str) else message, is_text), Pinged(b"?")]
    assert received == expected


def test_what_is_encoded_is_what_a_client_reads() -> None:
    client, end = Connection(ConnectionType.CLIENT), WebSocketEnd()
    client.receive_data(end.encode_text("grüß".encode()) + end.encode_ping() + end.encode_pong(Pinged(b"!")))
    client.receive_data(end.encode_close(1001, "shutting down"))
    assert list(client.events()) == [
        TextMessage("grüß"),
        Ping(),
        Pong(b"!"),
        CloseConnection(1001, "shutting down"),
    ]


def test_nothing_is_encoded_or_read_after_the_close() -> None:
    client, end = Connection(ConnectionType.CLIENT), WebSocketEnd()
    closing = client.send(TextMessage("last")) + client.send(CloseConnection(1000, ""))
    assert end.receive(closing) == [Message(b"last", is_text=True), Closed()]
    assert end.receive(b"more") == []
    for encode in (lambda: end.encode_text(b"x"), end.encode_ping, lambda: end.encode_close(1000, "")):
        with pytest.raises(ClientGoneError):
            encode()


def test_frames_that_are_none_are_the_end() -> None:
    end = WebSocketEnd()
    assert end.receive(b"\xc1\x82" + bytes(4) + b"hi") == [Closed()]
    assert end.receive(b"\x81\x82" + bytes(4) + b"hi") == []

"""Hostile frames for GET /v1/responses, to a proxy that listens: with mitmproxy's WebSocket layer in between."""

import atexit
import contextlib
import json
import socket
from functools import cache

from tests.fuzz.frames import read_frames, verdict
from tests.fuzz.simulated_proxy import SimulatedProxy, simulated_proxy

__all__ = ["send_frames"]

SECONDS = 20
"""Longest silence. The simulated Claude answers at once."""
MOST_MEMORY = 300 * 1024 * 1024
"""What a proxy may hold, in bytes; it starts with half of that."""
_HANDSHAKE = (
    b"GET /v1/responses HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@cache
def _proxy(*, shows_messages: bool) -> SimulatedProxy:
    running = contextlib.ExitStack()
    atexit.register(running.close)
    return running.enter_context(simulated_proxy(*(["--full"] if shows_messages else [])))


def send_frames(data: bytes, *, shows_messages: bool) -> int:
    """Send bytes on a connection of their own, then no more; return how many came back.

    Raises:
        AssertionError: the connection was closed otherwise than RFC 6455 says, or not at all; an answer that no client
            should get; an error in the log; too much memory.
    """
    proxy = _proxy(shows_messages=shows_messages)
    received, was_reset = _exchange(proxy.port, data)
    texts, code = read_frames(received)
    expected = verdict(data)
    # A connection that is closed with something unread is reset, and what was sent last may be lost.
    assert code == expected or (was_reset and code is None), f"closed with {code}, not {expected}"
    for event in map(json.loads, texts):
        assert event["type"] != "error" or event["status"] < 500, event
    assert (said := proxy.complaints()) == "", said
    assert proxy.memory < MOST_MEMORY, f"{proxy.memory} bytes of memory"
    return len(received)


def _exchange(port: int, data: bytes) -> tuple[bytes, bool]:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(_HANDSHAKE)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65_536)
        head, _, frames = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                frames += piece
        except ConnectionError:
            return frames, True
        except TimeoutError:
            raise AssertionError(f"silence for {SECONDS} seconds after {frames[-200:]!r}") from None
        return frames, False

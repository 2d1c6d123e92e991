"""What a client's connection does not do by itself: end when mitmproxy fails in it, and close its socket."""

import logging
from collections.abc import Callable
from typing import Any

from mitmproxy.proxy import events, layer
from mitmproxy.proxy.server import ConnectionHandler

__all__ = ["close_client", "end_with_its_layers"]


def end_with_its_layers(handler: ConnectionHandler, on_failure: Callable[[], None]) -> None:
    """Have a client's connection end when mitmproxy fails in it. Call it before its first event.

    One of its layers raises something, or mitmproxy itself while it carries out what they want. mitmproxy logs either
    ("mitmproxy has crashed!") and gives the layers the next event, in whatever state they are: what was about to be
    done is lost, and clients wait for it until they give up, as long as others are answered.

    Args:
        handler: the connection's.
        on_failure: is called before the connection is closed.
    """
    give_to_layers, write_log = handler.layer.handle_event, handler.log
    has_failed = False

    def close() -> None:
        client = handler.transports.get(handler.client)
        if client is not None and client.handler is not None:
            client.handler.cancel("its layers have failed")  # as mitmproxy ends one that is idle

    def handle_event(event: events.Event) -> layer.CommandGenerator[None]:
        if has_failed:
            close()  # the first event comes before there is something to close
            return
        yield from give_to_layers(event)

    def log(message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        nonlocal has_failed
        write_log(message, level, exc_info)
        # The one place that both kinds of failure come to, and nothing else that has it look for the exception.
        if exc_info is True and not has_failed:
            has_failed = True
            on_failure()
            close()

    handler.layer.handle_event = handle_event  # type: ignore[method-assign] # mitmproxy makes its handlers by itself
    handler.log = log  # type: ignore[method-assign] # see above


def close_client(handler: ConnectionHandler) -> None:
    """Close the socket of a client that has disconnected, where mitmproxy has not.

    Its task for the connection skips that if it is cancelled while it waits for the handler's lock. It comes to that
    where a client closes its WebSocket and its half of the connection in one breath: its socket would stay open.
    """
    client = handler.transports.get(handler.client)
    if client is not None and client.writer is not None:
        client.writer.close()

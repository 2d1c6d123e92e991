"""Ports for processes that are yet to listen: found free, and kept so until they do."""

import contextlib
import socket
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def reserved_ports(count: int = 1) -> Iterator[list[int]]:
    """Reserve free ports of 127.0.0.1, at which connections are refused until somebody listens there.

    Other processes look for free ports at the same time. What is bound Linux gives to none of them, but to one that
    names it and allows, as servers do, that it is used again. Elsewhere the ports are found, and not kept.
    """
    with contextlib.ExitStack() as opened:
        bound = [opened.enter_context(socket.socket()) for _ in range(count)]
        for each in bound:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in bound]
        if sys.platform != "linux":
            opened.close()
        yield ports


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """Reserve one."""
    with reserved_ports() as [port]:
        yield port

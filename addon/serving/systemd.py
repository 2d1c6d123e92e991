"""How systemd learns that a service of it is ready."""

import contextlib
import os
import socket

__all__ = ["tell_systemd"]


def tell_systemd(state: str) -> None:
    """Send systemd one assignment such as `READY=1`, if it started this process and waits for it (`Type=notify`).

    sd_notify(3): a datagram to the socket that NOTIFY_SOCKET names; @ stands for the zero byte of an abstract one.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
        notifying.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)

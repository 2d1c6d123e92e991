"""The sockets that the proxy listens on, opened before mitmproxy: for several workers, and with ports that are known.

Each worker has a socket of its own on the same port (SO_REUSEPORT), and the kernel deals the connections out. Measured
against one socket that all inherit, with four workers and 400 connections in one burst: 86 to 109 connections each
instead of 6 to 172, because a worker that is awake takes all that wait; and as streams are long, it keeps them.

The process that started the workers holds every socket too, so that what waits in a worker's queue outlives it.
"""

import errno
import ipaddress
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mitmproxy.proxy import mode_specs

from addon.configuration.start_error import StartError

__all__ = ["BACKLOG", "SHARES_PORTS", "STANDALONE", "Listener", "Listening", "open_sockets"]

STANDALONE_HOST = "standalone.claude-proxy.invalid"
STANDALONE = f"reverse:http://{STANDALONE_HOST}"
"""A reverse proxy to a name that never resolves (RFC 6761): nothing can leak to a real host."""

BACKLOG = 4096
"""Connections that may wait to be accepted. mitmproxy's 100 overflow when many clients connect within one second."""

SHARES_PORTS = sys.platform == "linux"
"""Whether the kernel deals the connections to one port out to several sockets. Elsewhere SO_REUSEPORT is missing, or
gives them all to the last one."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that the proxy listens on; `mode` as it was given. Local mode has none: no host, and port 0."""

    mode: str
    host: str
    port: int
    client_configuration: str = ""
    """What a client needs besides the address: WireGuard's file, with the client's key."""

    @property
    def is_standalone(self) -> bool:
        """Whether clients use it as a base URL, not as a proxy."""
        return self.mode.startswith("reverse:")

    @property
    def is_public(self) -> bool:
        """Whether other machines can reach it."""
        return bool(self.host) and not ipaddress.ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        """The address for people and for clients on the same machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listening:
    """A mode of mitmproxy's, with its real port, and the sockets that are open for it: none where it opens its own."""

    mode: str
    sockets: tuple[socket.socket, ...] = ()

    def close(self) -> None:
        """Close the sockets."""
        for each in self.sockets:
            each.close()


def open_sockets(modes: Sequence[str], host: str, *, shared: bool = False) -> list[Listening]:
    """Open what the modes listen on.

    Args:
        modes: mitmproxy's specifications, such as `regular@8080`; port 0 takes a free one.
        host: where modes listen that name no address of their own.
        shared: several processes shall listen there: may be called again with the modes that come back.

    Raises:
        StartError: a mode that is none, or an address that cannot be taken.
    """
    opened: list[Listening] = []
    problems = []
    for spec in modes:
        try:
            mode = mode_specs.ProxyMode.parse(spec)
        except ValueError as error:
            problems.append(f"--mode {spec}: {error}.")
            continue
        if mode.transport_protocol != "udp" and not isinstance(mode, mode_specs.LocalMode | mode_specs.TunMode):
            address = mode.listen_host(host), mode.listen_port() or 0
            try:
                sockets = _listen(*address, shared=shared)
            except OSError as error:
                problems.append(f"Cannot listen on {address[0]}:{address[1]}: {_reason(error)}.")
            else:
                opened.append(Listening(_with_port(spec, mode, sockets[0].getsockname()[1]), tuple(sockets)))
        elif shared:
            problems.append(f"--mode {spec}: several workers can listen on TCP only.")
        else:
            opened.append(Listening(spec))
    if problems:
        for listening in opened:
            listening.close()
        raise StartError(problems)
    return opened


def _reason(error: OSError) -> str:
    # Those of addresses have numbers of their own.
    text = str(error.strerror) if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
    return f"{text[:1].lower()}{text[1:]}"


def _with_port(spec: str, mode: mode_specs.ProxyMode, port: int) -> str:
    if mode.custom_listen_port != 0:
        return spec
    # The 0 is the last character, after the @ and perhaps an address.
    return f"{spec[:-1]}{port}"


def _listen(host: str, port: int, *, shared: bool) -> list[socket.socket]:
    """Listen on every address of a host, all with the same port. What asyncio does, and SO_REUSEPORT."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    for family, _type, _protocol, _name, address in dict.fromkeys(found):
        each = socket.socket(family, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                each.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            each.bind((address[0], port, *address[2:]))
            each.listen(BACKLOG)
        except OSError as error:
            each.close()
            if error.errno == errno.EADDRNOTAVAIL:  # a family that this machine does not have, if there is another
                missing = error
                continue
            for opened in sockets:
                opened.close()
            raise
        sockets.append(each)
        port = port or each.getsockname()[1]
    if not sockets and missing is not None:
        raise missing
    return sockets

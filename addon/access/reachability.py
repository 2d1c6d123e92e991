"""Which addresses mitmproxy's modes listen on, and whether other machines can reach them."""

import ipaddress
from collections.abc import Sequence

from mitmproxy.proxy.mode_specs import LocalMode, ProxyMode, ReverseMode, TunMode, WireGuardMode

__all__ = ["is_loopback", "listens_beyond_loopback", "proxies_beyond_loopback"]

_NOT_FOR_ANYBODY = (LocalMode, TunMode, WireGuardMode)
"""Modes that take the traffic of this machine, or of those that have a key of theirs."""


def is_loopback(host: str) -> bool:
    """Whether an address is one of this machine alone. A name other than localhost counts as none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def listens_beyond_loopback(modes: Sequence[str], listen_host: str) -> bool:
    """Whether a standalone endpoint among the modes can be reached from other machines.

    Args:
        modes: mitmproxy's mode specifications.
        listen_host: where those listen that name no host; empty means everywhere.
    """
    parsed = map(ProxyMode.parse, modes)
    return any(isinstance(mode, ReverseMode) and not is_loopback(mode.listen_host(listen_host)) for mode in parsed)


def proxies_beyond_loopback(modes: Sequence[str], listen_host: str) -> bool:
    """Whether a proxy among the modes can be reached from other machines. Arguments as above."""
    proxies = [mode for mode in map(ProxyMode.parse, modes) if not isinstance(mode, (ReverseMode, *_NOT_FOR_ANYBODY))]
    return any(not is_loopback(mode.listen_host(listen_host)) for mode in proxies)

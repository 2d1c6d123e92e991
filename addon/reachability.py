"""Which addresses mitmproxy's modes listen on, and whether other machines can reach them."""

import ipaddress
from collections.abc import Sequence

from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode

__all__ = ["is_loopback", "listens_beyond_loopback"]


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

"""Where the proxy modes may connect to. The proxy must not be a way into the network that it stands in.

An address counts, not a name: names are resolved here, the addresses are checked, and the connection goes to one that
was (a name that resolves to something else a moment later gains nothing). The calls to Claude do not come this way.
"""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Collection, Sequence
from fnmatch import fnmatchcase

from cachetools import TTLCache
from mitmproxy.net.check import is_valid_host

from translators.errors import OpenAIError

__all__ = ["Egress", "EgressRefusedError"]

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""RFC 6052: an IPv4 address in its last four bytes, to which a translator in the network connects."""
_VERDICTS, _VERDICT_SECONDS = 1024, 10.0


class EgressRefusedError(OpenAIError):
    """The proxy does not connect there. A status of 403."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        message = f"Claude Proxy does not connect to {host[:255]}:{port}: {reason}."
        super().__init__(403, message, code="host_not_allowed")


class Egress:
    """Decides by the operator's rules.

    Args:
        allowed: `public`, `private`, networks (`10.0.0.0/8`), names or patterns of names (`*.example.com`).
        own_ports: gives the ports on this machine that are the proxy's own, which are never allowed.
    """

    def __init__(self, allowed: Sequence[str], own_ports: Callable[[], Collection[int]]) -> None:
        self._public = "public" in allowed
        self._private = "private" in allowed
        self._networks = [network for rule in allowed if (network := parse_network(rule))]
        self._names = [rule for rule in allowed if rule not in {"public", "private"} and parse_network(rule) is None]
        self._own_ports = own_ports
        self._verdicts: TTLCache[tuple[str, int], EgressRefusedError | None] = TTLCache(_VERDICTS, _VERDICT_SECONDS)

    async def resolve(self, host: str, port: int) -> str:
        """Find the address to connect to: the first that is allowed, in the order of the system's resolver.

        Raises:
            EgressRefusedError: none is, or the name is none.
            OSError: the name cannot be resolved.
        """
        # A resolver written in C would read "127.0.0.1\0.example.com" to its NUL, and the rules to its end.
        if not (host.isprintable() and is_valid_host(host)):
            raise EgressRefusedError(host, port, "that is no name of a host")
        loop = asyncio.get_running_loop()
        # As RFC 8305 has it for hosts without IPv6: their resolver leaves those addresses out.
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        addresses = dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)
        for address in addresses:
            if self._allows(host, port, ipaddress.ip_address(address)):
                return address
        raise EgressRefusedError(host, port, self._reason(port, [*map(ipaddress.ip_address, addresses)]))

    async def refusal(self, host: str, port: int, *, resolves: bool = True) -> EgressRefusedError | None:
        """Say early why there will be no connection; None if there may be one. `resolve` has the last word.

        Args:
            host: a name or an address.
            port: the port.
            resolves: False where another proxy resolves names: then only addresses can be judged.
        """
        if not resolves and parse_network(host) is None:
            return None
        name = host, port
        with contextlib.suppress(KeyError):
            return self._verdicts[name]
        verdict = None
        try:
            await self.resolve(host, port)
        except EgressRefusedError as error:
            verdict = error
        except OSError:
            return None
        self._verdicts[name] = verdict
        return verdict

    def _allows(self, host: str, port: int, address: Address) -> bool:
        address = _embedded(address)
        if port in self._own_ports() and _is_here(address):
            return False
        name = host.lower().rstrip(".")
        return (
            (self._public if _is_public(address) else self._private)
            or any(address in network for network in self._networks)
            or any(fnmatchcase(name, pattern) for pattern in self._names)
        )

    def _reason(self, port: int, addresses: Sequence[Address]) -> str:
        if port in self._own_ports() and any(_is_here(_embedded(address)) for address in addresses):
            return "that is the proxy itself"
        kind = "an address of no public network" if not any(map(_is_public, addresses)) else "not one of those allowed"
        return f"{kind} (setting egress.allow)"


def parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Parse a network or an address, None if it is neither."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_network(text.strip("[]").partition("%")[0], strict=False)
    return None


def _embedded(address: Address) -> Address:
    """Find the IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(address.packed[-4:])
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_public(address: Address) -> bool:
    address = _embedded(address)
    return address.is_global and not address.is_multicast


def _is_here(address: Address) -> bool:
    """Whether this machine has the address: then a socket can be bound to it."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True

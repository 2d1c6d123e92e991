"""Headers as a dictionary, made in one go: libraries decode every field at each look at one of them. And an origin."""

from collections.abc import Iterable

__all__ = ["folded", "folded_fields", "is_same_host"]


def folded(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Make a dictionary of headers, names in lower case; the values of one name become a list (RFC 9110, 5.3)."""
    by_name: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        by_name[key] = f"{by_name[key]}, {value}" if key in by_name else value
    return by_name


def folded_fields(fields: Iterable[tuple[bytes, bytes]], encoding: str = "utf-8") -> dict[str, str]:
    """Make the same of headers as they came. Bytes that are no text become lone surrogates, as mitmproxy has them."""
    escape = "surrogateescape"
    return folded([(name.decode(encoding, escape), value.decode(encoding, escape)) for name, value in fields])


def is_same_host(origin: str, host: str) -> bool:
    """Whether the value of `Origin`, whatever a client wrote there, names the host and port of a `Host`."""
    return origin.partition("://")[2].lower() == host.lower() != ""

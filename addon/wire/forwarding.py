"""Which headers of a request go on to another server as they came, and which of its answer come back."""

from collections.abc import Iterable
from urllib.parse import quote

from mitmproxy import http

__all__ = ["forwarded_headers", "forwarded_target", "returned_headers"]

_CREDENTIALS = b"authorization x-api-key api-key openai-organization openai-project cookie".split()
_PROXY = b"proxy-authenticate proxy-authorization proxy-connection".split()
_CONNECTION = b"connection keep-alive te trailer transfer-encoding upgrade expect host content-length".split()
"""What belongs to one connection (RFC 9110, 7.6.1) or is made anew."""
_ON_THE_WAY = b"forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto".split()
_NOT_FORWARDED = frozenset([*_CREDENTIALS, *_PROXY, *_CONNECTION, *_ON_THE_WAY])
_NOT_RETURNED = frozenset(b"connection keep-alive transfer-encoding content-length trailer upgrade set-cookie".split())

_ASCII = bytes(range(0x21, 0x7F))


def forwarded_target(target: str) -> str:
    """Write a path and query as they are spelled, but for what is no ASCII: its bytes are encoded (RFC 3986, 2.1)."""
    return target if target.isascii() else quote(target, safe=_ASCII, errors="surrogateescape")


def forwarded_headers(request: http.Request) -> list[tuple[str, str]]:
    """Return the headers that go on: not the client's credentials and cookies, and none of its own connection."""
    dropped = _NOT_FORWARDED | _named_by_connection(request.headers.fields)
    return [
        (name.decode("latin-1"), _text(value)) for name, value in request.headers.fields if name.lower() not in dropped
    ]


def returned_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers that go back to the client: not those of the other connection, and no cookies."""
    headers = list(headers)
    dropped = _NOT_RETURNED | _named_by_connection(headers)
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def _text(value: bytes) -> str:
    try:
        return value.decode()  # HTTP libraries write it the same way
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    return frozenset(
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    )

"""Shorter ways to what mitmproxy does for each request many times, for a process that does nothing else.

Not for `mitmdump`, `mitmproxy` and `mitmweb`, in which our addon is a guest.
"""

import copy
import dataclasses
import random
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from mitmproxy import connection, flow, hooks, http, optmanager
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.net.http.http1 import read
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context

__all__ = ["take_shortcuts"]

_UUID_MASK = ~(0xF000 << 64 | 0xC000 << 48)
_UUID_VERSION = 0x4000 << 64 | 0x8000 << 48
"""Which bits of an id are not random (RFC 9562, 5.4)."""

_IMMUTABLE = frozenset({type(None), bool, int, str})


def take_shortcuts() -> None:
    """Take them, for the whole process."""
    for owner, name, shortcut in _SHORTCUTS:
        setattr(owner, name, shortcut)


def _make(kind: type, *_arguments: object, **_named: object) -> Any:
    return object.__new__(kind)


_fields: dict[type, tuple[str, ...]] = {}


def _arguments(hook: Any) -> list[Any]:
    """List what an addon is called with: the hook's fields, whose names are looked up once."""
    kind = type(hook)
    names = _fields.get(kind)
    if names is None:
        names = _fields[kind] = tuple(field.name for field in dataclasses.fields(kind))
    return [getattr(hook, name) for name in names]


def _fork(context: Context) -> Context:
    """Fork a context without the server that `Context.__init__` makes, with an id and twenty fields, to be replaced."""
    fork = object.__new__(type(context))
    vars(fork).update(vars(context))
    fork.layers = context.layers.copy()
    return fork


_CRL_PATH = TlsConfig.crl_path
_MAKE_HEADERS = http.Headers.__init__


def _make_headers(headers: http.Headers, fields: Iterable[tuple[bytes, bytes]] = (), **more: Any) -> None:
    """Make headers without a generator for the fields, and an update with none."""
    headers.fields = tuple(map(tuple, fields))  # type: ignore[arg-type] # they are pairs, or fail in the next line
    for name, value in headers.fields:
        if type(name) is not bytes or type(value) is not bytes:
            raise TypeError("Header fields must be bytes.")
    if more:
        _MAKE_HEADERS(headers, headers.fields, **more)


def _head_of(headers: http.Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in headers.fields])


def _get_all(headers: http.Headers, name: str | bytes) -> list[str]:
    """Look a header up in one go: each look compares all names, which are bytes (`Headers.__init__` sees to it)."""
    wanted = (name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name).lower()
    return [value.decode("utf-8", "surrogateescape") for key, value in headers.fields if key.lower() == wanted]


def _get(headers: http.Headers, name: str | bytes, default: Any = None) -> Any:
    """Look a header up without the exception of one that is not there: most of them are not."""
    values = headers.get_all(name)
    return ", ".join(values) if values else default


def _contains(headers: http.Headers, name: str | bytes) -> bool:
    return bool(headers.get_all(name))


def _current(option: Any) -> Any:
    """Give the value of an option, copied only where it could be changed."""
    value = option._default if option.value is optmanager.unset else option.value  # noqa: SLF001 - as above
    return value if type(value) in _IMMUTABLE else copy.deepcopy(value)


def _crl_path(config: TlsConfig) -> str:
    """Give the path of the list of revoked certificates, with which each request's is compared: it holds a serial."""
    authority = config.certstore.default_ca
    known = vars(config).get("_crl_path_of")
    if known is None or known[0] is not authority:
        known = vars(config)["_crl_path_of"] = authority, _CRL_PATH(config)
    path: str = known[1]
    return path


class _RandomIds:
    """Takes the place of the module `uuid`, of which the text of a random id is wanted."""

    @staticmethod
    def uuid4() -> str:
        """Make the text without the object, which costs four times as much. It is no secret."""
        digits = f"{random.getrandbits(128) & _UUID_MASK | _UUID_VERSION:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_HTTP_VERSIONS = frozenset({b"HTTP/1.1", b"HTTP/1.0"})
_REQUIRE_HTTP_VERSION = read.raise_if_http_version_unknown


def _require_http_version(http_version: bytes) -> None:
    """Look the usual ones up, without a search for the pattern of all."""
    if http_version not in _HTTP_VERSIONS:
        _REQUIRE_HTTP_VERSION(http_version)


_SHORTCUTS: tuple[tuple[type | ModuleType, str, Any], ...] = (
    # The types of every field of every message: they are there to find mistakes of addons, `python -O` leaves them out
    # as well, and they are a twentieth of what a small request costs.
    (http.MessageData, "__post_init__", lambda _message: None),
    # Whether a hook, and what answers one, is a dataclass: asked for each that is made.
    (hooks.Hook, "__new__", _make),
    (events.CommandCompleted, "__new__", _make),
    (hooks.Hook, "args", _arguments),
    (Context, "fork", _fork),
    (http.Headers, "__init__", _make_headers),
    (http.Headers, "__bytes__", _head_of),
    (http.Headers, "get_all", _get_all),
    (http.Headers, "get", _get),
    (http.Headers, "__contains__", _contains),
    (TlsConfig, "crl_path", _crl_path),
    (flow, "uuid", _RandomIds),
    (connection, "uuid", _RandomIds),
    (read, "raise_if_http_version_unknown", _require_http_version),
    (optmanager._Option, "current", _current),  # noqa: SLF001 - nothing public decides it
)
"""Whose, what, and what takes its place."""

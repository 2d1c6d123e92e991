"""What a flow shows of secrets, wherever mitmproxy shows or saves it: nothing."""

from collections.abc import Iterable
from itertools import chain

from mitmproxy import http

from addon.observation.redaction import redact_text

__all__ = ["mask_password", "mask_secrets", "secret_fields"]

_SECRETS_OF_PROXIES = frozenset({b"proxy-authorization"})
_SECRET_HEADERS = _SECRETS_OF_PROXIES | {
    b"authorization",
    b"api-key",
    b"x-api-key",
    b"cookie",
    b"openai-organization",
    b"openai-project",
}
_REDACTED = b"[redacted]"
_WEBSOCKET_KEY = b"openai-insecure-api-key."
"""Browsers cannot set headers, and send their key as one of the WebSocket's protocols
(https://platform.openai.com/docs/guides/realtime-websocket)."""


def secret_fields(fields: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that say who the client is."""
    return tuple([field for field in fields if field[0].lower() in _SECRET_HEADERS])


def mask_password(flow: http.HTTPFlow) -> None:
    """Mask the password that `proxyauth` notes, beside the name, in each flow that it lets in."""
    if noted := flow.metadata.get("proxyauth"):
        flow.metadata["proxyauth"] = (noted[0], _REDACTED.decode())


def mask_secrets(request: http.Request, *, is_ours: bool) -> None:
    """Mask the credentials of a request, and what looks like a key in its headers and its path.

    Of one that is not ours, the credentials for proxies alone: the rest is its server's.
    """
    names = _SECRET_HEADERS if is_ours else _SECRETS_OF_PROXIES
    fields = [(name, _REDACTED if name.lower() in names else value) for name, value in request.headers.fields]
    if is_ours and _may_hold_keys(b"\n".join(chain.from_iterable(fields))):
        fields = [(_mask_keys(name), _mask_keys(value)) for name, value in fields]
    request.headers.fields = tuple(fields)
    if is_ours and (path := redact_text(request.path)) != request.path:
        request.path = path


def _may_hold_keys(text: bytes) -> bool:
    return b"sk-" in text or _WEBSOCKET_KEY in text


def _mask_keys(value: bytes) -> bytes:
    """Mask what looks like a key in the name or the value of a header."""
    if _WEBSOCKET_KEY in value:
        return _REDACTED
    return redact_text(value.decode("latin-1")).encode("latin-1") if b"sk-" in value else value

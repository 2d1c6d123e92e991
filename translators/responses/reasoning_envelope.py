"""The `encrypted_content` of reasoning and compaction items: self-contained, so that it needs no storage.

Clients treat it as opaque, keep it, and send it back. It holds what Claude needs again and no other item can carry:
blocks of thinking, redacted thinking and server tools, or the summary of a compaction. It is compressed JSON behind an
HMAC-SHA256 and a version; the same content and key give the same text. It is authenticated, so that no client can put
blocks into a conversation that Claude never sent, and it is not secret: Claude encrypts itself what is (`signature`,
`data`, the results of a web search).
"""

import base64
import binascii
import hmac
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

__all__ = ["Compaction", "Envelope", "open_compaction", "open_envelope", "seal", "seal_compaction"]

_VERSION = "cpe1_"
"""First characters of every envelope. OpenAI's own begin with `gAAAA`."""
_MAC_BYTES = 32

type _Kind = Literal["reasoning", "compaction"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a reasoning item carries."""

    blocks: tuple[dict[str, Any], ...]
    """Content blocks exactly as Claude sent them, in its order."""
    model: str
    """Claude's id of the model that made them."""
    prefix: str = ""
    """Tag of all that Claude had got before the answer that they belong to."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction item carries."""

    summary: str
    model: str
    kept: tuple[dict[str, Any], ...] | None = None
    """Items that come after the summary, where it stands for all before it. None where it stands beside that."""


def seal(blocks: Sequence[Mapping[str, Any]], model: str, key: bytes, prefix: str = "") -> str:
    """Seal the blocks of a reasoning item.

    Args:
        blocks: one run of consecutive blocks that no other item carries: `thinking` with its signature,
            `redacted_thinking`, `server_tool_use` and its result; as Claude sent them. Empty where nothing may return.
        model: `ResponsesPlan.claude_model`.
        key: secret of this proxy, the same after a restart and in every process.
        prefix: `ResponsesPlan.prefix`.
    """
    return _seal("reasoning", {"blocks": list(blocks), "model": model, "prefix": prefix}, key)


def open_envelope(text: str, key: bytes) -> Envelope | None:
    """Open the `encrypted_content` of a reasoning item; None for what is not ours, or was changed."""
    content = _open("reasoning", text, key)
    if content is None:
        return None
    return Envelope(tuple(content["blocks"]), content["model"], content["prefix"])


def seal_compaction(summary: str, model: str, key: bytes, kept: Sequence[Mapping[str, Any]] | None = None) -> str:
    """Seal the summary that takes the place of a conversation, and the items that are kept of it."""
    content = {"summary": summary, "model": model}
    return _seal("compaction", content if kept is None else {**content, "kept": list(kept)}, key)


def open_compaction(text: str, key: bytes) -> Compaction | None:
    """Open the `encrypted_content` of a compaction item; None for what is not ours, or was changed."""
    content = _open("compaction", text, key)
    if content is None:
        return None
    kept = content.get("kept")
    return Compaction(content["summary"], content["model"], None if kept is None else tuple(kept))


def _seal(kind: _Kind, content: Mapping[str, Any], key: bytes) -> str:
    payload = zlib.compress(msgspec.json.encode(content), 6)
    sealed = _authenticate(kind, payload, key) + payload
    return _VERSION + base64.urlsafe_b64encode(sealed).decode("ascii")


def _open(kind: _Kind, text: str, key: bytes) -> dict[str, Any] | None:
    if not text.startswith(_VERSION):
        return None
    try:
        sealed = base64.b64decode(text[len(_VERSION) :], altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, payload = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _authenticate(kind, payload, key)):
        return None
    # Only what this key sealed comes here, so that neither size nor shape has to be doubted.
    content: dict[str, Any] = msgspec.json.decode(zlib.decompress(payload))
    return content


def _authenticate(kind: _Kind, payload: bytes, key: bytes) -> bytes:
    """Compute the HMAC. The kind is part of it: neither can stand for the other."""
    return hmac.digest(key, f"{_VERSION}{kind}:".encode() + payload, "sha256")

"""Whether a thinking block that comes back is the one that went out, unmodified and in its own conversation.

Claude signs thinking. A signature here names the model and the conversation before the block, and is sealed with a
key of this process over both and the text. Rules:
https://platform.claude.com/docs/en/build-with-claude/extended-thinking and the page on preserved thinking (blocks of
the newest models are bound to everything before them).
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from addon.simulated_claude.conversation import prefix_digests, turns_of
from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.model_table import SimulatedModel

__all__ = ["check_signatures", "read_issued", "sign_answer"]

_KEY = b"simulated claude: signatures hold across restarts, so that a recorded conversation can go on"
_SEAL_SIZE = 16

UNMODIFIED = (
    "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. "
    "These blocks must remain as they were in the original response."
)
BOUND = (
    "Invalid `signature` in `thinking` block. The block is bound to a different conversation. Remove the block, or set "
    '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block".'
)


class _Sealed(msgspec.Struct, array_like=True):
    model: str
    prefix: str


def _seal(payload: bytes, text: str) -> bytes:
    return hmac.new(_KEY, payload + b"\0" + text.encode(), hashlib.sha256).digest()[:_SEAL_SIZE]


def _sign(model_id: str, prefix: str, text: str) -> str:
    payload = msgspec.json.encode(_Sealed(model_id, prefix))
    return base64.b64encode(_seal(payload, text) + payload).decode()


def _open(signature: str) -> tuple[bytes, bytes, _Sealed] | None:
    try:
        raw = base64.b64decode(signature, validate=True)
        payload = raw[_SEAL_SIZE:]
        return raw[:_SEAL_SIZE], payload, msgspec.json.decode(payload, type=_Sealed)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None


def sign_answer(
    body: Mapping[str, Any], model: SimulatedModel, content: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Give each thinking block that has none its signature, and redacted ones their sealed data."""
    signed: list[dict[str, Any]] = []
    for block in content:
        if block["type"] == "thinking" and not block.get("signature"):
            signed.append({**block, "signature": _sign(model.id, _prefix_of_next(body, signed), block["thinking"])})
        elif block["type"] == "redacted_thinking" and not block.get("data"):
            signed.append({**block, "data": _sign(model.id, _prefix_of_next(body, signed), "")})
        else:
            signed.append(block)
    return signed


def _prefix_of_next(body: Mapping[str, Any], before: list[dict[str, Any]]) -> str:
    extended = {**body, "messages": [*body["messages"], {"role": "assistant", "content": before}]} if before else body
    return list(prefix_digests(extended))[-1][1]


def read_issued(pieces: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Read from scripted blocks or events the signatures (and redacted data) they carry, with the text they stand for.

    What a script made this Claude say is Claude's own word: `check_signatures` takes it back.
    """
    issued: dict[str, str] = {}
    text = ""
    for piece in pieces:
        block = piece.get("content_block", piece)
        delta = piece.get("delta") or {}
        if block.get("type") == "thinking":
            text = block.get("thinking") or ""
            if block.get("signature"):
                issued[block["signature"]] = text
        elif block.get("type") == "redacted_thinking" and block.get("data"):
            issued[block["data"]] = ""
        elif delta.get("type") == "thinking_delta":
            text += delta["thinking"]
        elif delta.get("type") == "signature_delta":
            issued[delta["signature"]] = text
    return issued


def check_signatures(
    body: Mapping[str, Any], model: SimulatedModel, *, check_prefix: bool, issued: Mapping[str, str]
) -> tuple[ClaudeError | None, list[dict[str, Any]]]:
    """Refuse thinking that was changed, forged or moved; or list the blocks that were dropped instead of refused.

    The list has the shape of `input_transformations`. A block of another model is dropped without an error.
    """
    binding = (body.get("thinking") or {}).get("block_binding") or {}
    drop = binding.get("prefix_mismatch_behavior") == "drop_block"
    prefix_matters = model.binds_thinking and (check_prefix or bool(binding))
    turns = turns_of(body["messages"])
    latest = next((turn for turn in reversed(turns) if turn.role == "assistant"), None)
    digests = dict(prefix_digests(body))
    dropped: list[dict[str, Any]] = []
    for turn in turns:
        for place, block in zip(turn.places, turn.blocks, strict=True):
            if block["type"] not in {"thinking", "redacted_thinking"}:
                continue
            path = f"messages.{place[0]}.content.{place[1]}"
            is_thinking = block["type"] == "thinking"
            mark, text = (block["signature"], block["thinking"]) if is_thinking else (block["data"], "")
            if mark in issued:
                if issued[mark] != text:
                    return invalid_request(f"{path}: {UNMODIFIED}"), []
                continue
            opened = _open(mark)
            if opened is None:
                return invalid_request(
                    f"{path}: Invalid `{'signature' if is_thinking else 'data'}` in `{block['type']}` block"
                ), []
            seal, payload, sealed = opened
            if not hmac.compare_digest(seal, _seal(payload, text)):
                reason = UNMODIFIED if turn is latest else f"Invalid `signature` in `{block['type']}` block"
                return invalid_request(f"{path}: {reason}"), []
            if sealed.model != model.id:
                dropped.append({"type": "thinking_dropped", "path": path, "reason": "model_binding_mismatch"})
            elif prefix_matters and sealed.prefix != digests[place]:
                if not drop:
                    return invalid_request(f"{path}: {BOUND}"), []
                dropped.append({"type": "thinking_dropped", "path": path, "reason": "prefix_binding_mismatch"})
    return None, dropped if binding else []

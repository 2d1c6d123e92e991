"""Whether thinking still stands behind what it was made after.

Claude binds thinking to all that it had got before: tools, system, messages. Where any of that has changed since, it
refuses to take the thinking back (https://platform.claude.com/docs/en/build-with-claude/preserved-thinking). So every
answer's envelopes carry a tag of what came before the answer, and thinking whose tag has changed is left out: with
OpenAI's own word for it, `prefix_mismatch`, and without an attempt that Claude would refuse.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from translators.content import Block
from translators.preserved_thinking import is_thinking, thinking_key
from translators.responses.items import SealedThinking
from translators.responses.reply_plan import InputTransformation

__all__ = ["BoundMessages", "bind_thinking"]

_TAG_BYTES = 12


@dataclass(frozen=True, slots=True)
class BoundMessages:
    """Messages whose thinking Claude takes back, and the tag of them all."""

    messages: tuple[dict[str, Any], ...]
    prefix: str
    transformations: tuple[InputTransformation, ...] = ()


def bind_thinking(
    system: Sequence[Block],
    tools: Sequence[Mapping[str, Any]],
    messages: Sequence[dict[str, Any]],
    sealed: Mapping[str, SealedThinking],
) -> BoundMessages:
    """Leave out thinking that was made after something else than what comes before it now.

    Args:
        system: Claude's `system`.
        tools: Claude's `tools`.
        messages: Claude's `messages`.
        sealed: what the envelopes say, by the signature or the data of a thinking block.
    """
    digest = hashlib.blake2b(_encode([system, tools]), digest_size=_TAG_BYTES)
    kept: list[dict[str, Any]] = []
    removed: dict[InputTransformation, None] = {}
    for message in messages:
        bound = message
        if message["role"] == "assistant":
            tag = digest.copy().hexdigest()
            mismatched = {
                key: origin for key in _thinking_in(message) if (origin := sealed.get(key)) and origin.prefix != tag
            }
            removed.update({InputTransformation(it.item_id, "prefix_mismatch"): None for it in mismatched.values()})
            content = [block for block in message["content"] if _key_of(block) not in mismatched]
            bound = {**message, "content": content}
        kept.append(bound)
        digest.update(_encode(bound))
    return BoundMessages(tuple(kept), digest.hexdigest(), tuple(removed))


def _thinking_in(message: Mapping[str, Any]) -> list[str]:
    return [thinking_key(block) for block in message["content"] if is_thinking(block)]


def _key_of(block: Mapping[str, Any]) -> str | None:
    return thinking_key(block) if is_thinking(block) else None


def _encode(value: Any) -> bytes:
    """Encode without the marks of the cache, which move from request to request."""
    return msgspec.json.encode(_without_marks(value))


def _without_marks(value: Any) -> Any:
    match value:
        case {"role": role, "content": content}:
            return [role, _without_marks(content)]
        case {"cache_control": _}:
            return {name: member for name, member in value.items() if name != "cache_control"}
        case list() | tuple():
            return [_without_marks(member) for member in value]
        case _:
            return value

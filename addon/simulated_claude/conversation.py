"""One way to read a conversation: strings as text blocks, neighbours of one role as one turn.

Answers, token counts and signatures share it, so that two spellings of the same conversation are the same
conversation.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = [
    "Turn",
    "canonical",
    "content_blocks",
    "prefix_digests",
    "system_blocks",
    "text_of",
    "turns_of",
    "user_texts",
]

type Block = Mapping[str, Any]

_NOT_CONTENT = frozenset({"cache_control", "caller", "citations"})


@dataclass(frozen=True, slots=True)
class Turn:
    """What one role says before another one speaks."""

    role: str
    blocks: tuple[Block, ...]
    places: tuple[tuple[int, int], ...]
    """For each block: the index of its message, and its index in that message's content."""


def content_blocks(content: Any) -> tuple[Block, ...]:
    """Read the blocks of a message's content, a string being one text block."""
    if content is None:
        return ()
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    return tuple(content)


def system_blocks(body: Mapping[str, Any]) -> tuple[Block, ...]:
    """Read the blocks of the system prompt."""
    return content_blocks(body.get("system"))


def turns_of(messages: Iterable[Mapping[str, Any]]) -> list[Turn]:
    """Join consecutive messages of the same role, as Claude joins them."""
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        blocks = content_blocks(message["content"])
        places = tuple((index, position) for position in range(len(blocks)))
        if turns and turns[-1].role == message["role"]:
            last = turns[-1]
            turns[-1] = Turn(last.role, last.blocks + blocks, last.places + places)
        else:
            turns.append(Turn(message["role"], blocks, places))
    return turns


def text_of(blocks: Iterable[Block]) -> str:
    """Read the text of text blocks, joined by line ends."""
    return "\n".join(block["text"] for block in blocks if block.get("type") == "text")


def user_texts(messages: Iterable[Mapping[str, Any]]) -> list[str]:
    """Read the text of each user turn; empty where it holds none."""
    return [text_of(turn.blocks) for turn in turns_of(messages) if turn.role == "user"]


def canonical(value: Any) -> Any:
    """Strip what may differ between two renderings of one content: cache markers, nulls, string or block."""
    if isinstance(value, Mapping):
        kept = {key: canonical(item) for key, item in value.items() if key not in _NOT_CONTENT and item is not None}
        if value.get("type") == "tool_result" and isinstance(value.get("content"), str):
            kept["content"] = [{"type": "text", "text": value["content"]}]
        return kept if "type" not in kept else {"type": kept.pop("type"), **_ordered(kept)}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    return value


def _ordered(block: dict[str, Any]) -> dict[str, Any]:
    # The order of a block's own fields means nothing; that inside a tool's input or schema is what the model reads.
    return {key: block[key] for key in sorted(block)}


def prefix_digests(body: Mapping[str, Any]) -> Iterator[tuple[tuple[int, int], str]]:
    """For each block of the messages: its place, and a digest of everything before it (tools, system, earlier blocks).

    The last item, at place (-1, -1), is the digest of the whole conversation: what the answer stands on.
    """
    digest = hashlib.blake2b(digest_size=12)

    def add(kind: str, value: Any) -> None:
        digest.update(kind.encode() + b"\0" + msgspec.json.encode(canonical(value)) + b"\n")

    for tool in body.get("tools") or ():
        add("tool", tool)
    for block in system_blocks(body):
        add("system", block)
    for turn in turns_of(body["messages"]):
        for place, block in zip(turn.places, turn.blocks, strict=True):
            yield place, digest.hexdigest()
            add(turn.role, block)
    yield (-1, -1), digest.hexdigest()

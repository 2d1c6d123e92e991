"""How many tokens a request has, and how many of them a cache spares.

The counts are plausible, not exact: text by its bytes, images by their pixels, tools with the overhead of their
hidden prompt. They are deterministic, and `count_tokens` and `usage` agree. Caching follows
https://platform.claude.com/docs/en/build-with-claude/prompt-caching: tools, system and messages form one prefix; a
breakpoint reads the longest prefix known within 20 blocks, and writes the rest.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from addon.simulated_claude.conversation import canonical, system_blocks, turns_of
from addon.simulated_claude.images import image_size
from addon.simulated_claude.model_table import SimulatedModel

__all__ = ["InputUsage", "PromptCache", "count_input_tokens", "count_text_tokens"]

BYTES_PER_TOKEN = 3.6
DENSE_FACTOR = 1.3
TOOL_PROMPT_TOKENS = 500
"""The hidden prompt that comes with tools at all."""
BUILT_IN_TOOL_TOKENS = 900
"""The hidden description of one of Claude's own tools."""
FORMAT_PROMPT_TOKENS = 180
"""The hidden prompt of structured output."""
PDF_PAGE_TOKENS = 1900
UNKNOWN_IMAGE_TOKENS = 1500
LOOKBACK_BLOCKS = 20
TTL_SECONDS = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True, slots=True)
class InputUsage:
    """The input of one request, in tokens. The three parts add up to all of it."""

    input_tokens: int
    cache_read: int = 0
    written_5m: int = 0
    written_1h: int = 0


@dataclass(frozen=True, slots=True)
class _Segment:
    digest: str
    """Of the whole prefix up to here."""
    tokens: int
    """Of the whole prefix up to here."""
    ttl: str | None
    """The breakpoint's time to live, where there is one."""


def count_text_tokens(text: str, model: SimulatedModel) -> int:
    """Tokens of a text that Claude reads or writes."""
    tokens = len(text.encode()) / BYTES_PER_TOKEN
    return max(1, math.ceil(tokens * (DENSE_FACTOR if model.dense_tokenizer else 1.0))) if text else 0


def _count_block(block: Mapping[str, Any], model: SimulatedModel) -> int:
    match block.get("type"):
        case "text":
            return count_text_tokens(block["text"], model) + 1
        case "image":
            return _count_image(block, model)
        case "document":
            return _count_document(block, model)
        case "tool_result":
            content = block.get("content") or ()
            if isinstance(content, str):
                return count_text_tokens(content, model) + 12
            return 12 + sum(_count_block(part, model) for part in content)
        case "thinking" | "redacted_thinking":
            return count_text_tokens(str(block.get("thinking", "")), model) + 60
        case _:
            return count_text_tokens(msgspec.json.encode(canonical(block)).decode(), model)


def _count_image(block: Mapping[str, Any], model: SimulatedModel) -> int:
    most = 4784 if model.dense_tokenizer else 1568
    size = image_size(block["source"].get("data", ""))
    return min(most, max(1, math.ceil(size[0] * size[1] / 750))) if size else min(most, UNKNOWN_IMAGE_TOKENS)


def _count_document(block: Mapping[str, Any], model: SimulatedModel) -> int:
    source = block["source"]
    match source["type"]:
        case "text":
            return count_text_tokens(source["data"], model)
        case "content":
            content = source["content"]
            return (
                count_text_tokens(content, model)
                if isinstance(content, str)
                else sum(_count_block(part, model) for part in content)
            )
        case _:
            return PDF_PAGE_TOKENS


def _segments(body: Mapping[str, Any], model: SimulatedModel) -> Iterator[_Segment]:
    digest = hashlib.blake2b(model.id.encode(), digest_size=16)
    total = 0

    def add(kind: str, value: Any, tokens: int, marker: Any) -> _Segment:
        nonlocal total
        total += tokens
        digest.update(kind.encode() + b"\0" + msgspec.json.encode(canonical(value)))
        return _Segment(digest.hexdigest(), total, marker.get("ttl") or "5m" if isinstance(marker, Mapping) else None)

    output_format = (body.get("output_config") or {}).get("format")
    if output_format:
        tokens = FORMAT_PROMPT_TOKENS + count_text_tokens(msgspec.json.encode(output_format).decode(), model)
        add("format", output_format, tokens, None)
    for index, tool in enumerate(body.get("tools") or ()):
        tokens = count_text_tokens(msgspec.json.encode(canonical(tool)).decode(), model)
        tokens += (0 if index else TOOL_PROMPT_TOKENS) + (0 if "input_schema" in tool else BUILT_IN_TOOL_TOKENS)
        yield add("tool", tool, tokens, tool.get("cache_control"))
    for block in system_blocks(body):
        yield add("system", block, _count_block(block, model), block.get("cache_control"))
    # A change of these leaves tools and system in the cache, and nothing after them.
    add("settings", [body.get("tool_choice"), body.get("thinking")], 4, None)
    turns = turns_of(body["messages"])
    for turn in turns:
        total += 4
        for block in turn.blocks:
            yield add(turn.role, block, _count_block(block, model), block.get("cache_control"))


def count_input_tokens(body: Mapping[str, Any], model: SimulatedModel) -> int:
    """All input tokens of a request."""
    return list(_segments(body, model))[-1].tokens


@dataclass(slots=True)
class PromptCache:
    """The prefixes that were written, and when they end. One per simulated Claude."""

    ends: dict[str, float] = field(default_factory=dict)

    def measure(self, body: Mapping[str, Any], model: SimulatedModel, now: float) -> InputUsage:
        """Split the input into read, written and plain tokens, and remember what was written. `now` in seconds."""
        segments = list(_segments(body, model))
        if top := body.get("cache_control"):
            last = segments[-1]
            segments[-1] = _Segment(last.digest, last.tokens, last.ttl or top.get("ttl") or "5m")
        total = segments[-1].tokens
        marked = [
            index for index, segment in enumerate(segments) if segment.ttl and segment.tokens >= model.min_cacheable
        ]
        read = self._longest_known(segments, marked, now)
        covered, written = read, {"5m": 0, "1h": 0}
        for index in marked:
            segment = segments[index]
            ttl = segment.ttl or "5m"
            if segment.tokens > covered:
                written[ttl] += segment.tokens - covered
                covered = segment.tokens
            self.ends[segment.digest] = now + TTL_SECONDS[ttl]
        return InputUsage(total - covered, read, written["5m"], written["1h"])

    def _longest_known(self, segments: list[_Segment], marked: list[int], now: float) -> int:
        for digest in [digest for digest, end in self.ends.items() if end <= now]:
            del self.ends[digest]
        for index in reversed(marked):
            for back in range(index, max(-1, index - LOOKBACK_BLOCKS), -1):
                if segments[back].digest in self.ends:
                    return segments[back].tokens
        return 0

"""Where cache breakpoints may stand (https://platform.claude.com/docs/en/build-with-claude/prompt-caching)."""

from collections.abc import Iterator, Mapping
from typing import Any

from addon.simulated_claude.conversation import content_blocks, system_blocks
from addon.simulated_claude.errors import ClaudeError, invalid_request

__all__ = ["check_breakpoints"]

MAX_BREAKPOINTS = 4


def check_breakpoints(body: Mapping[str, Any]) -> Iterator[ClaudeError]:
    """Find everything that is wrong with the breakpoints of a request."""
    marked = list(_breakpoints(body))
    count = len(marked) + (1 if body.get("cache_control") else 0)
    if count > MAX_BREAKPOINTS:
        yield invalid_request(
            f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {count}."
        )
    short_seen = False
    for path, marker in marked:
        if marker.get("ttl") == "1h" and short_seen:
            yield invalid_request(
                f"{path}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: `tools`, `system`, "
                "`messages`."
            )
        short_seen = short_seen or marker.get("ttl") != "1h"


def _breakpoints(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("cache_control"):
            yield f"tools.{index}", tool["cache_control"]
    for index, block in enumerate(system_blocks(body)):
        if block.get("cache_control"):
            yield f"system.{index}", block["cache_control"]
    for index, message in enumerate(body["messages"]):
        for position, block in enumerate(content_blocks(message["content"])):
            path = f"messages.{index}.content.{position}"
            nested = block.get("content") if block["type"] == "tool_result" else None
            for inner, part in enumerate(nested if isinstance(nested, list) else ()):
                if part.get("cache_control"):
                    yield f"{path}.content.{inner}", part["cache_control"]
            if block.get("cache_control"):
                yield path, block["cache_control"]

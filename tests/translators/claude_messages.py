"""Whole messages of Claude, cut into the events that stream them."""

import itertools
import json
from collections.abc import Iterable
from typing import Any

type Events = list[dict[str, Any]]


def _pieces(text: str, size: int) -> list[str]:
    return ["".join(piece) for piece in itertools.batched(text, size, strict=False)]


def _cut_block(index: int, block: dict[str, Any], size: int) -> Events:
    """Cut a whole block into the events that stream it."""
    start = dict(block)
    deltas: list[dict[str, Any]] = []
    match block["type"]:
        case "text":
            start = {"type": "text", "text": ""}
            if block.get("citations"):
                start["citations"] = []
                deltas += [{"type": "citations_delta", "citation": citation} for citation in block["citations"]]
            deltas += [{"type": "text_delta", "text": piece} for piece in _pieces(block["text"], size)]
        case "thinking":
            start = {"type": "thinking", "thinking": "", "signature": ""}
            deltas += [{"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"], size)]
            deltas += [{"type": "signature_delta", "signature": block["signature"]}]
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            start["input"] = {}
            arguments = json.dumps(block["input"], ensure_ascii=False) if block["input"] else ""
            deltas += [{"type": "input_json_delta", "partial_json": ""}]  # Claude's first piece is often empty
            deltas += [{"type": "input_json_delta", "partial_json": piece} for piece in _pieces(arguments, size)]
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def cut_message(
    blocks: Iterable[dict[str, Any]],
    stop_reason: str = "end_turn",
    *,
    usage: dict[str, Any] | None = None,
    message_id: str = "msg_1",
    size: int = 7,
    **delta: Any,
) -> Events:
    usage = usage or {"input_tokens": 11, "output_tokens": 5}
    message = {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": min(1, usage.get("output_tokens", 0))},
    }
    return [
        {"type": "message_start", "message": message},
        {"type": "ping"},
        *(event for index, block in enumerate(blocks) for event in _cut_block(index, block, size)),
        {
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason, "stop_sequence": None, **delta},
            "usage": {"output_tokens": usage.get("output_tokens", 0)},
        },
        {"type": "message_stop"},
    ]

"""An answer as Claude sends it: as a stream of events, or as one message.

Order and fields: https://platform.claude.com/docs/en/build-with-claude/streaming. Pure: ids come in as arguments.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from addon.simulated_claude.answers import Answer
from addon.simulated_claude.tokens import InputUsage

__all__ = ["encode_event", "make_events", "make_message"]

PIECE = re.compile(r"\s*\S+(?:\s+\S+)?\s*|\s+")
JSON_PIECE = re.compile(r".{1,24}", re.DOTALL)


def encode_event(event: Mapping[str, Any]) -> bytes:
    """One event as a server-sent event."""
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))


def _usage(input_usage: InputUsage, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "input_tokens": input_usage.input_tokens,
        "cache_creation_input_tokens": input_usage.written_5m + input_usage.written_1h,
        "cache_read_input_tokens": input_usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": input_usage.written_5m,
            "ephemeral_1h_input_tokens": input_usage.written_1h,
        },
        "service_tier": "standard",
        "inference_geo": body.get("inference_geo") or "global",
        **({"speed": body["speed"]} if body.get("speed") else {}),
    }


def _output_usage(answer: Answer) -> dict[str, Any]:
    usage: dict[str, Any] = {"output_tokens": answer.output_tokens}
    if answer.thinking_tokens:
        usage["output_tokens_details"] = {"thinking_tokens": answer.thinking_tokens}
    if answer.web_searches:
        usage["server_tool_use"] = {"web_search_requests": answer.web_searches, "web_fetch_requests": 0}
    return usage


def make_message(
    answer: Answer, message_id: str, model_id: str, input_usage: InputUsage, body: Mapping[str, Any]
) -> dict[str, Any]:
    """Make the whole message, as answered without `stream`."""
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model_id,
        "content": [_whole(block) for block in answer.content],
        "stop_reason": answer.stop_reason,
        "stop_sequence": answer.stop_sequence,
        "stop_details": answer.stop_details,
        "container": _container(answer),
        **({"input_transformations": list(answer.input_transformations)} if answer.input_transformations else {}),
        "usage": {
            **_usage(input_usage, body),
            "output_tokens_details": None,
            "server_tool_use": None,
            **_output_usage(answer),
        },
    }


def _container(answer: Answer) -> dict[str, Any] | None:
    # Events are a pure function of the answer, so the time is a fixed one.
    return None if answer.container is None else {"id": answer.container, "expires_at": "2026-12-31T00:00:00Z"}


def _whole(block: Mapping[str, Any]) -> dict[str, Any]:
    """Add what Claude's published schema requires of a block even where it has nothing to say."""
    shown = {key: value for key, value in block.items() if key != "partial_json"}
    match block["type"]:
        case "text":
            return {"citations": None, **shown}
        case "tool_use":
            return {"caller": {"type": "direct"}, **shown}
        case _:
            return shown


def make_events(
    answer: Answer, message_id: str, model_id: str, input_usage: InputUsage, body: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Make the same message as events, in order."""
    yield {
        "type": "message_start",
        "message": {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model_id,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "container": None,
            **({"input_transformations": list(answer.input_transformations)} if answer.input_transformations else {}),
            "usage": {**_usage(input_usage, body), "output_tokens": min(1, answer.output_tokens)},
        },
    }
    yield {"type": "ping"}
    for index, block in enumerate(answer.content):
        yield {"type": "content_block_start", "index": index, "content_block": _opening(block)}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    usage = _usage(input_usage, body)
    yield {
        "type": "message_delta",
        "delta": {
            "stop_reason": answer.stop_reason,
            "stop_sequence": answer.stop_sequence,
            "stop_details": answer.stop_details,
            "container": _container(answer),
        },
        "usage": {
            "input_tokens": usage["input_tokens"],
            "cache_creation_input_tokens": usage["cache_creation_input_tokens"],
            "cache_read_input_tokens": usage["cache_read_input_tokens"],
            **_output_usage(answer),
        },
    }
    yield {"type": "message_stop"}


def _opening(block: Mapping[str, Any]) -> dict[str, Any]:
    match block["type"]:
        case "text":
            return {"type": "text", "text": "", **({"citations": []} if block.get("citations") else {})}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return _whole(block) | {"input": {}}
        case _:
            return dict(block)


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "text":
            for citation in block.get("citations") or ():
                yield {"type": "citations_delta", "citation": citation}
            for piece in PIECE.findall(block["text"]):
                yield {"type": "text_delta", "text": piece}
        case "thinking":
            for piece in PIECE.findall(block["thinking"]):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            yield {"type": "input_json_delta", "partial_json": ""}
            text = block.get("partial_json")
            if text is None:
                text = msgspec.json.encode(block["input"]).decode() if block["input"] else ""
            for piece in JSON_PIECE.findall(text):
                yield {"type": "input_json_delta", "partial_json": piece}
        case _:
            return

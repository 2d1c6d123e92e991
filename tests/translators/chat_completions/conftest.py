"""Claude's events as its API sends them, and the answer that a client reads out of their translation."""

import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk as OpenAIChunk

from translators.chat_completions.chunk import encode_chunk
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.response import ChatCompletionBuilder, encode_usage_chunk
from translators.chat_completions.stream import ChatCompletionStream
from translators.claude_events import parse_event

type Events = list[dict[str, Any]]

COMPLETION_ID = "chatcmpl-0123456789abcdefghijklmnopqrs"
CREATED = 1_795_000_000


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


@dataclass
class Answer:
    """What came of a sequence of events: as a stream of chunks, and whole."""

    stream: ChatCompletionStream
    chunks: list[dict[str, Any]]
    whole: dict[str, Any]

    @property
    def deltas(self) -> list[dict[str, Any]]:
        return [choice["delta"] for chunk in self.chunks for choice in chunk["choices"]]

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = self.whole["choices"][0]["message"]
        return message

    @property
    def finish_reasons(self) -> list[str]:
        return [
            choice["finish_reason"]
            for chunk in self.chunks
            for choice in chunk["choices"]
            if choice["finish_reason"] is not None
        ]

    @property
    def finish_reason(self) -> str:
        assert len(self.finish_reasons) == 1
        return self.finish_reasons[0]

    def said(self, name: str) -> str:
        """All pieces of one text field of the deltas."""
        return "".join(delta.get(name) or "" for delta in self.deltas)


def _gather(chunks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gather chunks as the `openai` package's stream helper does."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks:
        state.handle_chunk(OpenAIChunk.construct(**OpenAIChunk.model_validate(chunk, strict=True).to_dict()))
    gathered: dict[str, Any] = state.current_completion_snapshot.to_dict()
    return gathered


def assert_streamed_equals_whole(chunks: Sequence[dict[str, Any]], whole: dict[str, Any]) -> None:
    gathered = _gather(chunks)
    assert len(gathered["choices"]) == len(whole["choices"])
    for streamed, choice in zip(gathered["choices"], whole["choices"], strict=True):
        ours, theirs = choice["message"], streamed["message"]
        assert (theirs.get("content") or "") == (ours["content"] or "")
        assert theirs.get("refusal") == ours["refusal"]
        assert theirs.get("reasoning_content") == ours.get("reasoning_content")
        assert (theirs.get("annotations") or []) == ours["annotations"]
        calls = [
            {"id": call["id"], "type": call["type"], "function": call["function"]}
            for call in theirs.get("tool_calls") or []
        ]
        for call in calls:
            call["function"] = {name: call["function"][name] for name in ("name", "arguments")}
        assert calls == ours.get("tool_calls", [])
        assert theirs.get("function_call") == ours.get("function_call")
        assert streamed["finish_reason"] == choice["finish_reason"]


def read_answer(segments: Sequence[Events], plan: ReplyPlan | None = None, *, gathered: bool = True) -> Answer:
    """Translate the events of one answer; several segments are a paused turn with its continuations."""
    plan = plan or ReplyPlan("gpt-5.5")
    stream = ChatCompletionStream(plan, COMPLETION_ID, CREATED)
    builder = ChatCompletionBuilder(plan, COMPLETION_ID, CREATED)
    chunks = []
    for number, events in enumerate(segments):
        if number:
            stream.resume()
        for event in events:
            parsed = parse_event(json.dumps(event).encode())
            if parsed is not None:
                chunks += stream.translate(parsed)
    chunks += stream.finish()
    for chunk in chunks:
        builder.add(chunk)
    decoded = [json.loads(encode_chunk(chunk).removeprefix(b"data: ")) for chunk in chunks]
    whole = json.loads(builder.build([stream.usage]))
    if gathered:
        assert_streamed_equals_whole(decoded, whole)
    if plan.include_usage:
        usage_chunk = encode_usage_chunk(plan, COMPLETION_ID, CREATED, [stream.usage], stream.service_tier)
        decoded.append(json.loads(usage_chunk.removeprefix(b"data: ")))
    return Answer(stream, decoded, whole)


@pytest.fixture(scope="session")
def cut() -> Callable[..., Events]:
    """Cuts whole content blocks into the events of a stream."""
    return cut_message


@pytest.fixture(scope="session")
def read() -> Callable[..., Answer]:
    """Translates one message, or the segments of a paused one, and checks that streamed equals whole."""

    def read(*segments: Events, plan: ReplyPlan | None = None, gathered: bool = True) -> Answer:
        return read_answer(segments, plan, gathered=gathered)

    return read

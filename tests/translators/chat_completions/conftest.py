"""The answer that a client reads out of the translation of Claude's events."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import UNSET
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk as OpenAIChunk

from tests.translators.claude_messages import Events
from translators.chat_completions.chunk import ChatCompletionChunk, encode_chunk
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.response import ChatCompletionBuilder, encode_usage_chunk
from translators.chat_completions.stream import ChatCompletionStream
from translators.claude_events import parse_event

COMPLETION_ID = "chatcmpl-0123456789abcdefghijklmnopqrs"
CREATED = 1_795_000_000


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


def translate_segments(segments: Sequence[Events], stream: ChatCompletionStream) -> list[ChatCompletionChunk]:
    chunks = []
    for number, events in enumerate(segments):
        if number:
            stream.resume()
        for event in events:
            parsed = parse_event(json.dumps(event).encode())
            if parsed is not None:
                chunks += stream.translate(parsed)
    return chunks + stream.finish()


def build_whole(chunks: Sequence[ChatCompletionChunk], stream: ChatCompletionStream) -> Any:
    builder = ChatCompletionBuilder(stream.plan, COMPLETION_ID, CREATED)
    for chunk in chunks:
        builder.add(chunk)
    return json.loads(builder.build([stream.usage]))


def read_answer(segments: Sequence[Events], plan: ReplyPlan | None = None, *, gathered: bool = True) -> Answer:
    """Translate the events of one answer; several segments are a paused turn with its continuations."""
    plan = plan or ReplyPlan("gpt-5.5")
    stream = ChatCompletionStream(plan, COMPLETION_ID, CREATED)
    chunks = translate_segments(segments, stream)
    decoded = [json.loads(encode_chunk(chunk).removeprefix(b"data: ")) for chunk in chunks]
    whole = build_whole(chunks, stream)
    unseen = ChatCompletionStream(plan, COMPLETION_ID, CREATED, joins_text=True)
    joined = translate_segments(segments, unseen)
    assert build_whole(joined, unseen) == whole
    assert sum(choice.delta.content not in (UNSET, "") for chunk in joined for choice in chunk.choices) <= 1
    if gathered:
        assert_streamed_equals_whole(decoded, whole)
    if plan.include_usage:
        usage_chunk = encode_usage_chunk(plan, COMPLETION_ID, CREATED, [stream.usage], stream.service_tier)
        decoded.append(json.loads(usage_chunk.removeprefix(b"data: ")))
    return Answer(stream, decoded, whole)


@pytest.fixture(scope="session")
def read() -> Callable[..., Answer]:
    """Translates one message, or the segments of a paused one, and checks that streamed equals whole."""

    def read(*segments: Events, plan: ReplyPlan | None = None, gathered: bool = True) -> Answer:
        return read_answer(segments, plan, gathered=gathered)

    return read

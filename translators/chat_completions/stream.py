"""Claude's events as the chunks of one choice: all the state of a streamed answer, and every rule about its order.

| Claude's event | chunks |
|---|---|
| message_start | one with the role (sent at once: the client sees that the answer began) |
| text_delta | content; where a forced tool is emulated, a piece of that tool's arguments |
| thinking_delta | reasoning_content, if it is shown and not empty |
| content_block_start of tool_use | a tool call's opening; its index counts tool calls, not blocks |
| input_json_delta | a piece of that block's tool call |
| content_block_stop | what was held back of a tool call |
| message_delta | nothing: stop reason and usage are noted |
| message_stop | annotations for web citations, the finish reason; nothing if the turn is only paused |
| Claude's own tools, redacted thinking, ping | nothing |
| error | raised as OpenAIError |

https://platform.claude.com/docs/en/build-with-claude/streaming has the grammar of the events.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, override

import msgspec
from msgspec import UNSET

from translators.chat_completions.annotations import annotate
from translators.chat_completions.chunk import (
    SYSTEM_FINGERPRINT,
    Annotation,
    ChatCompletionChunk,
    Choice,
    ChoiceDelta,
    FinishReason,
)
from translators.chat_completions.reply_plan import ReplyPlan
from translators.chat_completions.tool_calls import ToolCallWriter, open_tool_call
from translators.citations import CitedPage, read_citation
from translators.claude_events import Event
from translators.code_fence import CodeFenceStripper
from translators.content_blocks import ContentBlockBuilder
from translators.phases import IllegalEventOrderError, Phase
from translators.stop_reasons import describe_refusal, map_stop_reason
from translators.stop_strings import StopStringCutter
from translators.turn import ClaudeTurn
from translators.usage import CompletionUsage, ServiceTier, map_service_tier, translate_usage

__all__ = ["ChatCompletionStream", "IllegalEventOrderError", "Phase"]

UNNAMED_TOOL = "unnamed_tool"
"""Stands for a tool name that did not come: the call is kept, and the client answers that it has no such tool."""
_SHOWN = frozenset({"text", "tool_use"})
"""Blocks that the client brings back itself."""


@dataclass(slots=True)
class _OpenBlock:
    """A block between its start and its stop."""

    builder: ContentBlockBuilder
    whole_input: Any = None
    call: ToolCallWriter | None = None
    text_start: int = 0
    cited_pages: list[CitedPage] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _CitedText:
    """A part of Claude's text, and the pages that it rests on."""

    pages: list[CitedPage]
    start: int
    end: int


@dataclass
class ChatCompletionStream(ClaudeTurn):
    """One choice of one answer.

    Feed it every event of Claude's stream, in order; call `finish` when nothing more will come. It raises OpenAIError
    where Claude reports an error or the stream was cut, IllegalEventOrderError where events make no sense.
    """

    plan: ReplyPlan
    completion_id: str
    created: int
    choice_index: int = 0
    joins_text: bool = False
    """For an answer that nobody sees before its end: its text and its thinking are one chunk each, before the last."""

    tool_call_ids: list[str] = field(default_factory=list, init=False)
    """In the order of their indexes. With legacy functions too, though the client never sees them."""
    service_tier: ServiceTier = field(default="default", init=False)
    """The tier that every chunk names, the usage chunk included."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self._role_sent = False
        self._open_blocks: dict[int, _OpenBlock] = {}
        self._no_usage = None if self.plan.include_usage else UNSET
        self._text_length = 0
        """Characters of Claude's text."""
        self._sent_length = 0
        """Characters of it that the client was sent: not those of a fence, nor what follows a stop string."""
        self._cited: list[_CitedText] = []
        self._fence = CodeFenceStripper() if self.plan.json_object else None
        self._cutter = StopStringCutter(self.plan.stop) if self.plan.stop else None
        self._filters_text = self._fence is not None or self._cutter is not None
        self._forced_call: ToolCallWriter | None = None
        self._omits_calls = False
        self._held_text: list[str] = []
        self._held_thinking: list[str] = []

    # What the caller reads.

    @property
    def completed(self) -> bool:
        """Whether the finish chunk was emitted."""
        return self.phase in (Phase.COMPLETED, Phase.STOPPED_EARLY)

    @property
    def content_to_remember(self) -> list[dict[str, Any]] | None:
        """The blocks that have to be put back when the client brings the results of its tool calls.

        None where the client is shown them all, or was given something else than Claude's own blocks.
        """
        kept = (
            self.plan.remembers_thinking and self.tool_call_ids and not self._omits_calls and self._forced_call is None
        )
        content = self.content
        return content if kept and any(block["type"] not in _SHOWN for block in content) else None

    @property
    def usage(self) -> CompletionUsage:
        """`claude_usage` as OpenAI's usage."""
        return translate_usage(self.claude_usage)

    # What the caller does.

    def translate(self, event: Event) -> list[ChatCompletionChunk]:
        """Translate one event.

        Raises:
            OpenAIError: an `error` event.
            IllegalEventOrderError: the event may not come here.
            MalformedEventError: a content block of an unknown shape.
        """
        kind = event.type
        if kind == "content_block_delta" and self.phase is Phase.IN_MESSAGE:  # nine events of ten
            return self._translate_block_delta(event)
        if self.phase is Phase.STOPPED_EARLY:
            return self._translate_after_early_stop(event)
        self._refuse_illegal(kind)
        match kind:
            case "message_start":
                return self._translate_message_start(event)
            case "content_block_start":
                return self._translate_block_start(event)
            case "content_block_stop":
                block = self._open_blocks.pop(event.index, None)
                if block is None:
                    raise IllegalEventOrderError(f"content_block_stop for block {event.index}, which is not open")
                return self._close_block(block)
            case "message_delta":
                self._note_message_delta(event)
            case "message_stop":
                return self._translate_message_stop()
            case "error":
                raise self._end_with_error(event)
        return []

    def finish(self) -> list[ChatCompletionChunk]:
        """End the answer, when Claude's stream has ended and nothing will follow it.

        A turn that stays paused (the caller has its limit) is incomplete, which its finish reason `length` says.

        Raises:
            OpenAIError: before `message_stop`: the answer is cut, and must not look whole.
        """
        if self.completed:
            return []
        if self.phase is Phase.PAUSED:
            self.phase = Phase.COMPLETED
            return self._finish_chunks()
        raise self._cut_off()

    # The message.

    def _translate_message_start(self, event: Event) -> list[ChatCompletionChunk]:
        message = self._begin_message(event)
        chunks: list[ChatCompletionChunk] = []
        if not self._role_sent:
            self._role_sent = True
            self.service_tier = map_service_tier(self._message_usage)
            chunks.append(self._chunk(ChoiceDelta(role="assistant", content="", refusal=None)))
        if message is not None:
            for raw in message.content or ():
                if self.stopped_early:
                    break
                chunks += self._translate_whole_block(raw)
            self._note_stop_reason(message.stop_reason, message.stop_details)
        return chunks

    def _translate_message_stop(self) -> list[ChatCompletionChunk]:
        chunks: list[ChatCompletionChunk] = []
        for index in list(self._open_blocks):  # a block that `max_tokens` cut may have no stop of its own
            chunks += self._close_block(self._open_blocks.pop(index))
        if self.stop_reason == "pause_turn":
            self.phase = Phase.PAUSED
            return chunks
        self.phase = Phase.COMPLETED
        return chunks + self._finish_chunks()

    def _finish_chunks(self) -> list[ChatCompletionChunk]:
        chunks = self._flush_text()
        if self.phase is Phase.STOPPED_EARLY:  # what was held back for a fence completed a stop string
            return chunks
        if self._forced_call is not None:
            chunks += self._chunks(self._forced_call.close(None))
        if self.stop_reason == "refusal":
            chunks.append(self._chunk(ChoiceDelta(refusal=describe_refusal(self.stop_details))))
        return [*chunks, *self._end_choice(self._finish_reason())]

    def _end_choice(self, finish_reason: FinishReason) -> list[ChatCompletionChunk]:
        """Emit what was held for the end, the annotations, all in one delta, and the finish reason.

        A second delta with annotations, which have no index, makes openai-python's stream helper raise
        (lib/streaming/_deltas.py).
        """
        chunks: list[ChatCompletionChunk] = []
        if self._held_thinking:
            chunks.append(self._chunk(ChoiceDelta(reasoning_content="".join(self._held_thinking))))
        if self._held_text:
            chunks.append(self._chunk(ChoiceDelta(content="".join(self._held_text))))
        if annotations := self._annotate():
            chunks.append(self._chunk(ChoiceDelta(annotations=annotations)))
        return [*chunks, self._chunk(ChoiceDelta(), finish_reason)]

    def _annotate(self) -> tuple[Annotation, ...]:
        for block in self._open_blocks.values():  # the one that a stop string ended
            self._note_citations(block)
        begin = self._fence.opening_length if self._fence is not None else 0
        return tuple(
            annotation
            for cited in self._cited
            for annotation in annotate(
                cited.pages, max(cited.start - begin, 0), min(cited.end - begin, self._sent_length)
            )
        )

    def _finish_reason(self) -> FinishReason:
        finish_reason = map_stop_reason(self.stop_reason)
        if finish_reason == "content_filter" and self.plan.structured:
            return "stop"
        if finish_reason == "stop" and self._forced_call is not None:
            # As from models that can be forced: clients that loop over tool calls look at the finish reason.
            finish_reason = "tool_calls"
        if finish_reason != "tool_calls":
            return finish_reason
        if not self.tool_call_ids:  # only Claude's own tools were used: there is nothing for the client to call
            return "stop"
        return "function_call" if self.plan.legacy_function_call else "tool_calls"

    def _translate_after_early_stop(self, event: Event) -> list[ChatCompletionChunk]:
        if event.type == "message_delta":
            self._note_usage(event)
        return []

    # Blocks.

    def _translate_block_start(self, event: Event) -> list[ChatCompletionChunk]:
        if event.index in self._open_blocks:
            raise IllegalEventOrderError(f"content_block_start for block {event.index}, which is open")
        if event.content_block is UNSET:
            raise IllegalEventOrderError("content_block_start without a block")
        block, chunks = self._open_block(event.content_block)
        self._open_blocks[event.index] = block
        return chunks

    def _translate_whole_block(self, raw: msgspec.Raw) -> list[ChatCompletionChunk]:
        block, chunks = self._open_block(raw)
        return chunks if self.stopped_early else chunks + self._close_block(block)

    def _open_block(self, raw: msgspec.Raw) -> tuple[_OpenBlock, list[ChatCompletionChunk]]:
        start, builder = self._begin_block(raw)
        block = _OpenBlock(builder, whole_input=start.input, text_start=self._text_length)
        match start.type:
            case "text":
                return block, self._translate_text(start.text)
            case "thinking":
                return block, self._translate_thinking(start.thinking)
            case "tool_use":
                return block, self._open_tool_call(block, start.id, start.name)
        return block, []

    def _translate_block_delta(self, event: Event) -> list[ChatCompletionChunk]:
        block = self._open_blocks.get(event.index)
        if block is None:
            raise IllegalEventOrderError(f"content_block_delta for block {event.index}, which is not open")
        delta = event.delta
        if delta is None:
            return []
        block.builder.add(delta)
        match delta.type:
            case "text_delta" if block.builder.type == "text":
                return self._translate_text(delta.text)
            case "input_json_delta" if block.call is not None:
                return self._chunks(block.call.add(delta.partial_json))
            case "thinking_delta":
                return self._translate_thinking(delta.thinking)
            case "citations_delta" if delta.citation is not UNSET:
                if (page := read_citation(delta.citation)) is not None:
                    block.cited_pages.append(page)
        return []

    def _close_block(self, block: _OpenBlock) -> list[ChatCompletionChunk]:
        if block.call is not None:
            return self._chunks(block.call.close(block.whole_input))
        self._note_citations(block)
        return []

    def _note_citations(self, block: _OpenBlock) -> None:
        if block.cited_pages:
            self._cited.append(_CitedText(block.cited_pages, block.text_start, self._text_length))

    def _open_tool_call(self, block: _OpenBlock, call_id: str, name: str) -> list[ChatCompletionChunk]:
        name = self.plan.tool_names.get(name, name) or UNNAMED_TOOL
        if self.plan.allowed_tools is not None and name not in self.plan.allowed_tools:
            self._omits_calls = True
            return []
        index = len(self.tool_call_ids)
        call_id = call_id or self._mint_call_id(index)
        self.tool_call_ids.append(call_id)
        if self.plan.legacy_function_call and index > 0:
            return []  # `function_call` holds one call; parallel ones are switched off in the request
        chunks = self._flush_text()
        if self.phase is Phase.STOPPED_EARLY:
            return chunks
        block.call = open_tool_call(self.plan, index, call_id, name)
        return [*chunks, self._chunk(block.call.open())]

    def _mint_call_id(self, index: int) -> str:
        seed = f"{self.completion_id}/{self.choice_index}/{index}"
        return f"call_{sha256(seed.encode()).hexdigest()[:24]}"

    # Text.

    def _translate_text(self, text: str) -> list[ChatCompletionChunk]:
        if not text:
            return []
        if self.plan.forced_tool is not None:
            return self._translate_forced_call(text)
        self._text_length += len(text)
        if not self._filters_text:
            return self._send_text(text)
        if self._fence is not None:
            text = self._fence.feed(text)
        return self._cut_text(text)

    def _send_text(self, text: str) -> list[ChatCompletionChunk]:
        self._sent_length += len(text)
        if self.joins_text:
            self._held_text.append(text)
            return []
        return [self._chunk(ChoiceDelta(content=text))] if text else []

    def _cut_text(self, text: str) -> list[ChatCompletionChunk]:
        if self._cutter is None:
            return self._send_text(text)
        chunks = self._send_text(self._cutter.feed(text))
        if self._cutter.found:
            self.phase = Phase.STOPPED_EARLY
            chunks += self._end_choice("stop")
        return chunks

    def _flush_text(self) -> list[ChatCompletionChunk]:
        """Emit the text that was held back, because it ends here or is interrupted by a tool call."""
        if not self._filters_text:
            return []
        chunks = self._cut_text(self._fence.flush()) if self._fence is not None else []
        if self._cutter is not None:
            chunks += self._send_text(self._cutter.flush())
        return chunks

    def _translate_forced_call(self, text: str) -> list[ChatCompletionChunk]:
        """Write Claude's text, JSON of the tool's schema, as the arguments of the tool that the client forced."""
        chunks: list[ChatCompletionChunk] = []
        if self._forced_call is None:
            index = len(self.tool_call_ids)
            call_id = self._mint_call_id(index)
            self.tool_call_ids.append(call_id)
            self._forced_call = open_tool_call(self.plan, index, call_id, self.plan.forced_tool or UNNAMED_TOOL)
            chunks.append(self._chunk(self._forced_call.open()))
        return chunks + self._chunks(self._forced_call.add(text))

    def _translate_thinking(self, thinking: str) -> list[ChatCompletionChunk]:
        if not thinking or not self.plan.shows_thinking:
            return []
        if self.joins_text:
            self._held_thinking.append(thinking)
            return []
        return [self._chunk(ChoiceDelta(reasoning_content=thinking))]

    # Chunks.

    def _chunk(self, delta: ChoiceDelta, finish_reason: FinishReason | None = None) -> ChatCompletionChunk:
        return ChatCompletionChunk(
            self.completion_id,
            "chat.completion.chunk",
            self.created,
            self.plan.model,
            self.service_tier,
            SYSTEM_FINGERPRINT,
            (Choice(self.choice_index, delta, None, finish_reason),),
            self._no_usage,
        )

    def _chunks(self, delta: ChoiceDelta | None) -> list[ChatCompletionChunk]:
        return [] if delta is None else [self._chunk(delta)]

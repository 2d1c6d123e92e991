"""Claude's events as the chunks of one choice of a Completions answer.

| Claude's event | chunks |
|---|---|
| message_start | the prompt, if it is echoed |
| text_delta | text |
| message_delta | nothing: stop reason and usage are noted |
| message_stop | the finish reason; nothing if the turn is only paused |
| thinking, ping, whatever else | nothing |
| error | raised as OpenAIError |
"""

from dataclasses import dataclass
from typing import override

from msgspec import UNSET, Raw

from translators.claude_events import Event
from translators.completions.chunk import CompletionChunk, TextChoice
from translators.completions.request import CompletionPlan
from translators.content_blocks import ContentBlockBuilder
from translators.phases import IllegalEventOrderError, Phase
from translators.stop_reasons import PlainFinishReason, map_stop_reason
from translators.stop_strings import StopStringCutter
from translators.turn import ClaudeTurn
from translators.usage import CompletionUsage, translate_usage

__all__ = ["CompletionStream"]


@dataclass
class CompletionStream(ClaudeTurn):
    """One choice of one answer.

    Feed it every event of Claude's stream, in order; call `finish` when nothing more will come. It raises OpenAIError
    where Claude reports an error or the stream was cut, IllegalEventOrderError where events make no sense.
    """

    plan: CompletionPlan
    completion_id: str
    created: int
    choice_index: int = 0
    echo: str = ""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self._open_blocks: dict[int, ContentBlockBuilder] = {}
        self._echoed = False
        self._no_usage = None if self.plan.include_usage else UNSET
        self._cutter = StopStringCutter(self.plan.stop)

    @property
    def completed(self) -> bool:
        """Whether the finish reason was emitted."""
        return self.phase in (Phase.COMPLETED, Phase.STOPPED_EARLY)

    @property
    def usage(self) -> CompletionUsage:
        """`claude_usage` as OpenAI's usage."""
        return translate_usage(self.claude_usage)

    def translate(self, event: Event) -> list[CompletionChunk]:
        """Translate one event.

        Raises:
            OpenAIError: an `error` event.
            IllegalEventOrderError: the event may not come here.
            MalformedEventError: a content block of an unknown shape.
        """
        if self.phase is Phase.STOPPED_EARLY:
            if event.type == "message_delta":
                self._note_usage(event)
            return []
        self._refuse_illegal(event.type)
        match event.type:
            case "message_start":
                return self._translate_message_start(event)
            case "content_block_start":
                if event.index in self._open_blocks:
                    raise IllegalEventOrderError(f"content_block_start for block {event.index}, which is open")
                if event.content_block is UNSET:
                    raise IllegalEventOrderError("content_block_start without a block")
                text, self._open_blocks[event.index] = self._open_block(event.content_block)
                return self._translate_text(text)
            case "content_block_delta":
                return self._translate_block_delta(event)
            case "content_block_stop":
                if self._open_blocks.pop(event.index, None) is None:
                    raise IllegalEventOrderError(f"content_block_stop for block {event.index}, which is not open")
            case "message_delta":
                self._note_message_delta(event)
            case "message_stop":
                self._open_blocks.clear()
                if self.stop_reason == "pause_turn":
                    self.phase = Phase.PAUSED
                    return []
                self.phase = Phase.COMPLETED
                return self._end(map_stop_reason(self.stop_reason))
            case "error":
                raise self._end_with_error(event)
        return []

    def finish(self) -> list[CompletionChunk]:
        """End the answer, when Claude's stream has ended and nothing will follow it.

        A turn that stays paused (the caller has its limit) is incomplete, which its finish reason `length` says.

        Raises:
            OpenAIError: before `message_stop`: the answer is cut, and must not look whole.
        """
        if self.completed:
            return []
        if self.phase is Phase.PAUSED:
            self.phase = Phase.COMPLETED
            return self._end("length")
        raise self._cut_off()

    def _translate_message_start(self, event: Event) -> list[CompletionChunk]:
        message = self._begin_message(event)
        chunks = []
        if self.echo and not self._echoed:
            self._echoed = True
            chunks.append(self._chunk(self.echo))
        if message is not None:
            for raw in message.content or ():
                text, _ = self._open_block(raw)
                chunks += self._translate_text(text)
                if self.stopped_early:
                    break
            self._note_stop_reason(message.stop_reason, message.stop_details)
        return chunks

    def _open_block(self, raw: Raw) -> tuple[str, ContentBlockBuilder]:
        start, builder = self._begin_block(raw)
        return start.text if start.type == "text" else "", builder

    def _translate_block_delta(self, event: Event) -> list[CompletionChunk]:
        builder = self._open_blocks.get(event.index)
        if builder is None:
            raise IllegalEventOrderError(f"content_block_delta for block {event.index}, which is not open")
        if event.delta is None:
            return []
        builder.add(event.delta)
        return self._translate_text(event.delta.text) if event.delta.type == "text_delta" else []

    def _translate_text(self, text: str) -> list[CompletionChunk]:
        text = self._cutter.feed(text)
        chunks = [self._chunk(text)] if text else []
        if self._cutter.found:
            self.phase = Phase.STOPPED_EARLY
            chunks.append(self._chunk("", "stop"))
        return chunks

    def _end(self, finish_reason: PlainFinishReason) -> list[CompletionChunk]:
        # The last text and the reason come in one chunk, as in recorded answers.
        return [self._chunk(self._cutter.flush(), "stop" if finish_reason == "tool_calls" else finish_reason)]

    def _chunk(self, text: str, finish_reason: PlainFinishReason | None = None) -> CompletionChunk:
        return CompletionChunk(
            self.completion_id,
            "text_completion",
            self.created,
            (TextChoice(text, self.choice_index, None, finish_reason),),
            self.plan.model,
            self._no_usage,
        )

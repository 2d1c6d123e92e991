"""Claude's events as the events of a response: all the state of a streamed answer, and every rule about its order.

| Claude's event | events |
|---|---|
| message_start | response.created, response.in_progress, unless `start` gave them |
| thinking, redacted_thinking blocks | a reasoning item per run of them, with summary parts if they were asked for |
| text blocks | a message per run of them; where a forced tool is emulated, the call of that tool |
| citations_delta | response.output_text.annotation.added, at the end of its block |
| tool_use block | an item of the type that the client declared the tool as |
| server_tool_use of web_search and web_fetch, with its result | a web_search_call item |
| server_tool_use of code execution, with its result | a code_interpreter_call item |
| mcp_tool_listing; mcp_tool_use, with its result | an mcp_list_tools item; an mcp_call item |
| the blocks of Claude's other own tools | nothing: sealed into the next reasoning item, as those of searches are |
| message_delta | nothing: stop reason and usage are noted |
| message_stop | the end of the item that is open; nothing if the turn is only paused |
| ping | nothing |
| error | raised as OpenAIError; `fail` writes it |

Items follow each other, one is open at a time, and an item ends when the next begins or the message ends, because only
then is known whether it is whole. `finish` writes the last event, with the final response.
https://platform.claude.com/docs/en/build-with-claude/streaming has the grammar of Claude's events.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, override

import msgspec
from msgspec import UNSET

from translators.citations import CitedPage, read_citation
from translators.claude_events import Delta, Event, Message, Usage
from translators.code_fence import CodeFenceStripper
from translators.content_blocks import ContentBlockBuilder
from translators.errors import OpenAIError
from translators.phases import IllegalEventOrderError, Phase
from translators.responses.message_writer import MessageWriter
from translators.responses.output import Output
from translators.responses.reasoning_envelope import seal, seal_compaction
from translators.responses.reasoning_writer import ReasoningWriter
from translators.responses.reply_plan import ResponsesPlan, ToolIdentity
from translators.responses.response_events import (
    ErrorBody,
    ErrorEvent,
    OutputItemAdded,
    OutputItemDone,
    ResponseCompleted,
    ResponseCreated,
    ResponseEvent,
    ResponseFailed,
    ResponseIncomplete,
    ResponseInProgress,
    ResponseQueued,
)
from translators.responses.response_types import (
    NO_TOOL_USAGE,
    CompactionItem,
    IncompleteDetails,
    RemovedReasoning,
    Response,
    ResponseError,
    ResponseStatus,
    ResponseUsage,
    translate_response_usage,
)
from translators.responses.tool_call_writers import CALL_PREFIXES, ToolCallWriter, write_tool_call
from translators.stop_reasons import describe_refusal, map_stop_reason
from translators.turn import ClaudeTurn
from translators.usage import ServiceTier, add_usage, map_service_tier

__all__ = ["IllegalEventOrderError", "Phase", "ResponsesStream"]

UNNAMED_TOOL = ToolIdentity("function", "unnamed_tool")
"""Stands for a tool name that did not come: the call is kept, and the client answers that it has no such tool."""


@dataclass(slots=True)
class _OpenBlock:
    """The block between its start and its stop."""

    index: int
    builder: ContentBlockBuilder
    block_id: str = ""
    whole_input: Any = None
    call: ToolCallWriter | None = None
    text_start: int = 0
    cited_pages: list[CitedPage] = field(default_factory=list)


@dataclass
class ResponsesStream(ClaudeTurn):
    """One response.

    Call `start`, feed it every event of Claude's stream, in order, and call `finish` when nothing more will come. It
    raises OpenAIError where Claude reports an error or the stream was cut, IllegalEventOrderError where events make no
    sense: `fail` tells the client.
    """

    plan: ResponsesPlan
    response_id: str
    """`resp_` and 50 hexadecimal digits. The items' ids are made from it, so the same events give the same ids."""
    created_at: int
    """Seconds since 1970."""
    key: bytes
    """Secret that seals `encrypted_content` (`reasoning_envelope`)."""

    tool_call_ids: list[str] = field(default_factory=list, init=False)
    """The `call_id`s of the answer, in their order."""
    compaction_usage: Usage = field(default_factory=Usage, init=False)
    """Claude's counts of the compaction that was made before the response is answered, in a turn of its own."""
    service_tier: ServiceTier = field(default="default", init=False)
    """The tier that served the request, named by the last event."""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self._has_started = False
        self._last: Response | None = None
        has_tools = self.plan.tools or self.plan.echo.get("tools")
        self._output = Output(
            self.response_id,
            self._seal,
            phase=None if has_tools else "final_answer",
            include=self.plan.include,
            container_id=self.plan.container_id,
            waiting_calls=self.plan.waiting_calls,
        )
        self._output.keeps_blocks = self.plan.seals_thinking and self.plan.forced_tool is None
        self._open_block: _OpenBlock | None = None
        self._later_blocks: dict[int, list[Event]] = {}
        """Events of blocks that began before the open one ended, by index, until their turn comes."""
        self._fence = CodeFenceStripper() if self.plan.json_object else None
        self._forced_call: ToolCallWriter | None = None
        self._summary: list[str] = []
        """The text of a compaction."""

    # What the caller reads.

    @property
    def started(self) -> bool:
        """Whether the first event was written."""
        return self._has_started

    @property
    def completed(self) -> bool:
        """Whether Claude's answer is whole; `finish` writes the rest."""
        return self.phase is Phase.COMPLETED

    @property
    def usage(self) -> ResponseUsage:
        """`claude_usage` as OpenAI's usage, with that of the compaction."""
        return translate_response_usage(add_usage(self.compaction_usage, self.claude_usage))

    @property
    def response(self) -> Response:
        """The response as of now: the final one after `finish` or `fail`, before that one in progress."""
        return self._last or self._snapshot("in_progress")

    @property
    def container_id(self) -> str:
        """The id of the container that code ran in, as the client knows it. Claude's is `claude_container_id`."""
        return self._output.container_id

    # What the caller does.

    def start(self) -> list[ResponseEvent]:
        """Begin the response. Nothing if it has begun."""
        if self._has_started:
            return []
        self._has_started = True
        first: ResponseStatus = "queued" if self.plan.background else "in_progress"
        events: list[ResponseEvent] = [ResponseCreated(self._snapshot(first), next(self._output.numbers))]
        if self.plan.background:
            events.append(ResponseQueued(self._snapshot(first), next(self._output.numbers)))
        return [*events, ResponseInProgress(self._snapshot("in_progress"), next(self._output.numbers))]

    def add_compaction(self, sealed: str) -> list[ResponseEvent]:
        """Begin the response with a compaction that was made before it is answered: its `encrypted_content`."""
        return [*self.start(), *self._write_compaction_item(sealed)]

    def translate(self, event: Event) -> list[ResponseEvent]:
        """Translate one event.

        Raises:
            OpenAIError: an `error` event.
            IllegalEventOrderError: the event may not come here.
            MalformedEventError: a content block of an unknown shape.
        """
        kind = event.type
        if kind == "content_block_delta" and self.phase is Phase.IN_MESSAGE:  # nine events of ten
            block = self._open_block
            if block is None or block.index != event.index:
                return self._put_off(event)
            return self._translate_delta(block, event.delta) if event.delta is not None else []
        self._refuse_illegal(kind)
        match kind:
            case "message_start":
                return self._translate_message_start(event)
            case "content_block_start":
                return self._translate_block_start(event)
            case "content_block_stop":
                return self._translate_block_stop(event)
            case "message_delta":
                self._note_message_delta(event)
            case "message_stop":
                return self._translate_message_stop()
            case "error":
                raise self._end_with_error(event)
        return []

    def finish(self, completed_at: int) -> list[ResponseEvent]:
        """End the response, when Claude's stream has ended and nothing will follow it.

        A turn that stays paused (the caller has its limit) is incomplete. `completed_at` is in seconds since 1970.

        Raises:
            OpenAIError: before `message_stop`: the answer is cut, and must not look whole. Or the answer was to be a
                compaction, and there is none.
        """
        if self._last is not None:
            return []
        if self.phase not in (Phase.COMPLETED, Phase.PAUSED):
            raise self._cut_off()
        events = self._end_output() if self.phase is Phase.PAUSED else []
        self.phase = Phase.COMPLETED
        if self._is_cut:
            details = IncompleteDetails("max_output_tokens")
            self._last = self._snapshot("incomplete", incomplete_details=details)
            return [*events, ResponseIncomplete(self._last, next(self._output.numbers))]
        if self.plan.is_compaction and not self._output.items:
            self.phase = Phase.FAILED
            raise OpenAIError(400, f"No compaction: {describe_refusal(self.stop_details)}", code="invalid_prompt")
        self._last = self._snapshot("completed", completed_at=completed_at)
        return [*events, ResponseCompleted(self._last, next(self._output.numbers))]

    def complete_unasked(self, completed_at: int) -> list[ResponseEvent]:
        """Write a whole response that has no output, because Claude was not to be asked."""
        events = self.start()
        self.phase = Phase.COMPLETED
        self._last = self._snapshot("completed", completed_at=completed_at)
        return [*events, ResponseCompleted(self._last, next(self._output.numbers))]

    def fail(self, error: OpenAIError) -> list[ResponseEvent]:
        """End the response with an error. Nothing if it has ended.

        Codex passes over the `error` event and asks again where `response.failed` is missing; others know only the
        first. So both come, as with OpenAI.
        """
        if self._last is not None:
            return []
        self.phase = Phase.FAILED
        # Without a code: Codex shows what `invalid_prompt` says and does not ask again; a `server_error` it asks again.
        code = error.code or ("server_error" if error.status >= 500 else "invalid_prompt")
        events = self.start()
        body = ErrorBody(error.type, code, error.message, error.param)
        events.append(ErrorEvent(sequence_number=next(self._output.numbers), error=body))
        self._last = self._snapshot("failed", error=ResponseError(code, error.message))
        return [*events, ResponseFailed(self._last, next(self._output.numbers))]

    # The message.

    def _translate_message_start(self, event: Event) -> list[ResponseEvent]:
        message = self._begin_message(event)
        self.service_tier = map_service_tier(self._message_usage)
        events = self.start()
        return events if message is None else events + self._translate_whole_message(message)

    def _translate_whole_message(self, message: Message) -> list[ResponseEvent]:
        """Translate what a message has from its start: rarely anything."""
        events: list[ResponseEvent] = []
        for raw in message.content or ():
            events += self._open(0, raw)
            events += self._close_block()
        self._note_stop_reason(message.stop_reason, message.stop_details)
        return events

    def _translate_message_stop(self) -> list[ResponseEvent]:
        events: list[ResponseEvent] = []
        while self._open_block is not None:  # a block that `max_tokens` cut may have no stop of its own
            events += self._close_block() + self._take_up_later_blocks()
        if self.stop_reason == "pause_turn":
            self.phase = Phase.PAUSED
            return events
        self.phase = Phase.COMPLETED
        return events + self._end_output()

    @property
    def _is_cut(self) -> bool:
        return map_stop_reason(self.stop_reason) == "length"

    def _end_output(self) -> list[ResponseEvent]:
        if self.plan.is_compaction:
            return self._write_compaction()
        events = self._flush_text()
        if self.stop_reason == "refusal":
            events += self._write_refusal()
        elif not (self._is_cut or self.tool_call_ids or self._output.has_message):
            events += self._write_message_text("")
        return events + self._output.end("incomplete" if self._is_cut else "completed", ends_turn=True)

    def _write_refusal(self) -> list[ResponseEvent]:
        refusal = describe_refusal(self.stop_details)
        # The refusal came while the call was written: nobody is to make it.
        events = self._output.end("incomplete") if isinstance(self._output.writer, ToolCallWriter) else []
        if self.plan.refuses_in_text:
            writer = self._output.writer
            is_apart = isinstance(writer, MessageWriter) and writer.text_length > 0
            return events + self._write_message_text(f"\n\n{refusal}" if is_apart else refusal)
        events += self._output.begin_message()
        if isinstance(self._output.writer, MessageWriter):
            events += self._output.writer.add_refusal(refusal)
        return events

    def _write_compaction(self) -> list[ResponseEvent]:
        summary = "".join(self._summary)
        if not summary.strip() or self.stop_reason == "refusal":
            return []
        return self._write_compaction_item(
            seal_compaction(summary, self.plan.claude_model, self.key, self.plan.kept_items)
        )

    def _write_compaction_item(self, sealed: str) -> list[ResponseEvent]:
        place = self._output.place("cmp")
        item = CompactionItem(id=place.item_id, encrypted_content=sealed)
        self._output.items.append(item)
        return [
            OutputItemAdded(item, place.output_index, next(place.numbers)),
            OutputItemDone(item, place.output_index, next(place.numbers)),
        ]

    # Blocks.

    def _translate_block_start(self, event: Event) -> list[ResponseEvent]:
        if event.content_block is UNSET:
            raise IllegalEventOrderError("content_block_start without a block")
        if self._open_block is None:
            return self._open(event.index, event.content_block)
        if event.index == self._open_block.index or event.index in self._later_blocks:
            raise IllegalEventOrderError(f"content_block_start for block {event.index}, which is open")
        self._later_blocks[event.index] = [event]
        return []

    def _translate_block_stop(self, event: Event) -> list[ResponseEvent]:
        if self._open_block is None or self._open_block.index != event.index:
            return self._put_off(event)
        return self._close_block() + self._take_up_later_blocks()

    def _put_off(self, event: Event) -> list[ResponseEvent]:
        """Keep an event of a block that is not the open one. Claude sends none so far; its grammar allows it."""
        if event.index not in self._later_blocks:
            raise IllegalEventOrderError(f"{event.type} for block {event.index}, which is not open")
        self._later_blocks[event.index].append(event)
        return []

    def _take_up_later_blocks(self) -> list[ResponseEvent]:
        events: list[ResponseEvent] = []
        while self._later_blocks and self._open_block is None:
            for event in self._later_blocks.pop(next(iter(self._later_blocks))):
                events += self._take_up(event)
        return events

    def _take_up(self, event: Event) -> list[ResponseEvent]:
        if event.content_block is not UNSET:
            return self._open(event.index, event.content_block)
        if self._open_block is not None and event.delta is not None:
            return self._translate_delta(self._open_block, event.delta)
        return self._close_block() if event.type == "content_block_stop" else []

    def _open(self, index: int, raw: msgspec.Raw) -> list[ResponseEvent]:
        start, builder = self._begin_block(raw)
        block = self._open_block = _OpenBlock(index, builder, start.id, start.input)
        if self.plan.is_compaction:
            return self._write_text(start.text)
        match start.type:
            case "text":
                writer = self._output.writer
                block.text_start = writer.text_length if isinstance(writer, MessageWriter) else 0
                return self._write_text(start.text)
            case "tool_use":
                return self._open_tool_call(block, start.name)
            case "thinking" | "redacted_thinking":
                return self._flush_text() + self._output.add_thinking(builder) + self._write_thinking(start.thinking)
        return self._flush_text() + self._output.add_hidden(builder, start.id, start.name)

    def _translate_delta(self, block: _OpenBlock, delta: Delta) -> list[ResponseEvent]:
        block.builder.add(delta)
        match delta.type:
            case "text_delta" if block.builder.type == "text":
                return self._write_text(delta.text)
            case "input_json_delta" if block.call is not None:
                return block.call.add(delta.partial_json)
            case "thinking_delta":
                return self._write_thinking(delta.thinking)
            case "citations_delta" if delta.citation is not UNSET:
                if (page := read_citation(delta.citation)) is not None:
                    block.cited_pages.append(page)
        return []

    def _close_block(self) -> list[ResponseEvent]:
        block, self._open_block = self._open_block, None
        if block is None:
            return []
        if block.call is not None:
            return block.call.end_input(block.whole_input)
        writer = self._output.writer
        match block.builder.type:
            case "text" if isinstance(writer, MessageWriter):
                return writer.annotate(block.cited_pages, block.text_start)
            case "thinking" if isinstance(writer, ReasoningWriter):
                return writer.end_part()
            case "server_tool_use" | "mcp_tool_use":
                return self._output.end_hidden(block.builder, block.block_id)
        return []

    @property
    def content_to_remember(self) -> list[dict[str, Any]] | None:
        """The blocks to put back for a client that brings the results of its calls without the reasoning beside them.

        None where there is no thinking to keep, or where the client was given something else than Claude's own blocks.
        """
        kept = self.tool_call_ids and self._output.keeps_blocks
        return self.content if kept and self.has_thinking else None

    def _open_tool_call(self, block: _OpenBlock, name: str) -> list[ResponseEvent]:
        tool = self.plan.tools.get(name) if name else UNNAMED_TOOL
        if tool is None or (self.plan.allowed_tools is not None and name not in self.plan.allowed_tools):
            # What is thought after a call that the client does not know of cannot be put back.
            self._output.keeps_blocks = False
            return []
        events = self._flush_text()
        block.call, beginning = self._begin_call(block.block_id, tool)
        return events + beginning

    def _begin_call(self, call_id: str, tool: ToolIdentity) -> tuple[ToolCallWriter, list[ResponseEvent]]:
        number = len(self.tool_call_ids)
        call_id = call_id or f"call_{sha256(f'{self.response_id}/call/{number}'.encode()).hexdigest()[:24]}"
        self.tool_call_ids.append(call_id)
        return self._output.begin(lambda: write_tool_call(self._output.place(CALL_PREFIXES[tool.kind]), call_id, tool))

    # Text.

    def _write_text(self, text: str) -> list[ResponseEvent]:
        if not text:
            return []
        if self.plan.is_compaction:
            self._summary.append(text)
            return []
        if self.plan.forced_tool is not None:
            return self._write_forced_call(text, self.plan.forced_tool)
        if self._fence is not None:
            text = self._fence.feed(text)
            if not text:
                return []
        return self._write_message_text(text)

    def _write_message_text(self, text: str) -> list[ResponseEvent]:
        writer = self._output.writer
        if isinstance(writer, MessageWriter):
            return writer.add_text(text)
        return self._output.begin_message() + self._write_message_text(text)

    def _flush_text(self) -> list[ResponseEvent]:
        """Write the text that was held back, because it ends here or is interrupted."""
        text = self._fence.flush() if self._fence is not None else ""
        return self._write_message_text(text) if text else []

    def _write_forced_call(self, text: str, name: str) -> list[ResponseEvent]:
        """Write Claude's text, JSON of the tool's schema, as the input of the tool that the client forced."""
        events: list[ResponseEvent] = []
        if self._forced_call is None or self._output.writer is not self._forced_call:
            self._forced_call, events = self._begin_call("", self.plan.tools.get(name, UNNAMED_TOOL))
        return events + self._forced_call.add(text)

    def _write_thinking(self, text: str) -> list[ResponseEvent]:
        writer = self._output.writer
        if not text or not self.plan.shows_summary or not isinstance(writer, ReasoningWriter):
            return []
        return writer.add_text(text)

    # The response.

    def _seal(self, blocks: Sequence[dict[str, Any]]) -> str:
        return seal(blocks, self.plan.claude_model, self.key, self.plan.prefix)

    def _snapshot(self, status: ResponseStatus, **fields: Any) -> Response:
        echo = dict(self.plan.echo)
        if status not in ("queued", "in_progress"):
            echo["service_tier"] = self.service_tier
        if status in ("completed", "incomplete"):
            fields["usage"] = self.usage
            tools = self.claude_usage.server_tool_use
            fields["tool_usage"] = {
                **NO_TOOL_USAGE,
                "web_search": {"num_requests": tools.web_search_requests if tools else 0},
            }
        if self.plan.input_transformations:
            fields["input_transformations"] = tuple(
                RemovedReasoning(id=one.id, reason=one.reason) for one in self.plan.input_transformations
            )
        return Response(
            **echo,
            **fields,
            id=self.response_id,
            created_at=self.created_at,
            status=status,
            model=self.plan.model,
            output=tuple(self._output.items),
        )

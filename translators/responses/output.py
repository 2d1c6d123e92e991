"""The items of a response in their order: which one is open, and when it ends.

One item is open at a time. It ends when the next begins, or when the answer ends. What Claude's own tools were asked
and answered has no item of its own that could carry it: it waits for the next reasoning item, or gets one before the
answer goes on.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from itertools import count
from typing import Any

from translators.content_blocks import ContentBlockBuilder
from translators.responses.code_interpreter import CODE_TOOLS, CodeInterpreterWriter
from translators.responses.item_writer import EndStatus, ItemWriter, Place
from translators.responses.mcp import McpCallWriter, McpListToolsWriter
from translators.responses.message_writer import MessageWriter
from translators.responses.reasoning_writer import ReasoningWriter
from translators.responses.response_events import ResponseEvent
from translators.responses.response_types import MessageItem, MessagePhase, OutputItem
from translators.responses.server_calls import ServerCall, ServerCalls, ServerCallWriter
from translators.responses.web_searches import SEARCH_TOOLS, WebSearchWriter

__all__ = ["Output"]

_SHOWN = SEARCH_TOOLS | CODE_TOOLS
"""Names of Claude's tools whose calls have an item."""


class Output:
    """Writes the items. Its methods return the events to send."""

    def __init__(  # noqa: PLR0913 - what the items say that Claude's events do not
        self,
        response_id: str,
        seal: Callable[[Sequence[dict[str, Any]]], str],
        *,
        phase: MessagePhase | None,
        include: frozenset[str],
        container_id: str | None,
        waiting_calls: Sequence[Mapping[str, Any]],
    ) -> None:
        """Start without items.

        Args:
            response_id: the ids of the items are made from it.
            seal: blocks to the `encrypted_content` of a reasoning item.
            phase: of every message, if it is known before the message ends.
            include: what the client asked to be told besides: the sources of searches, the outputs of code.
            container_id: of the container that code runs in; None for a new one.
            waiting_calls: blocks of calls that Claude began in an earlier answer.
        """
        self.numbers = count()
        """The sequence numbers of the stream."""
        self.items: list[OutputItem] = []
        """Those that have ended."""
        self.writer: ItemWriter | None = None
        """Of the open item, unless that is a call of Claude's own tools."""
        self.keeps_blocks = True
        """Whether blocks that are sealed from now on can be put back."""
        self.container_id = container_id or f"cntr_{_digits(f'{response_id}/container')}"
        """Of the container that code runs in, as the client knows it."""
        self._response_id = response_id
        self._seal = seal
        self._phase = phase
        self._items_begun = 0
        self._include = include
        self._calls = ServerCalls(self._make_call_writer)
        self._carried: list[ContentBlockBuilder] = []
        self._waiting_calls = {call["id"]: call for call in waiting_calls}

    @property
    def has_message(self) -> bool:
        """Whether there is a message, ended or open."""
        return isinstance(self.writer, MessageWriter) or any(isinstance(item, MessageItem) for item in self.items)

    def place(self, prefix: str) -> Place:
        """Give the next item its place, with an id that begins with `prefix`."""
        index = self._items_begun
        self._items_begun += 1
        return Place(f"{prefix}_{_digits(f'{self._response_id}/{index}')}", index, self.numbers)

    def begin[W: ItemWriter](self, make: Callable[[], W]) -> tuple[W, list[ResponseEvent]]:
        """Begin an item, after the end of the one that is open. `make` asks for its place."""
        events = self.end()
        self.writer = writer = make()
        return writer, events + writer.open()

    def begin_message(self) -> list[ResponseEvent]:
        """Begin a message, unless one is open."""
        if isinstance(self.writer, MessageWriter):
            return []
        _, events = self.begin(lambda: MessageWriter(self.place("msg"), self._phase))
        return events

    def add_thinking(self, block: ContentBlockBuilder) -> list[ResponseEvent]:
        """Take a block of thinking into the open reasoning item, or begin one."""
        if isinstance(self.writer, ReasoningWriter):
            self.writer.add_block(block)
            return []
        events = self._end_open("completed")
        self.writer = self._make_reasoning(block)
        return events + self.writer.open()

    def add_hidden(self, block: ContentBlockBuilder, block_id: str, name: str) -> list[ResponseEvent]:
        """Take a block of Claude's own tools, of which the client sees searches, runs of code and calls of servers."""
        if block.type == "mcp_tool_use" or (block.type == "server_tool_use" and name in _SHOWN):
            events = [] if self._calls.are_open else self._end_open("completed")
            self._carried.append(block)
            return events + self._calls.begin(block_id, block.build() or {})
        if block.type == "mcp_tool_listing":
            events = self._end_open("completed")
            self._carried.append(block)
            self.writer = McpListToolsWriter(self.place("mcpl"), block.build() or {})
            return events + self.writer.open()
        if isinstance(self.writer, ReasoningWriter):
            self.writer.add_block(block)
            return []
        events = [] if self.writer is None else self._end_open("completed")
        self._carried.append(block)
        if block.type.endswith("_tool_result"):
            result = block.build() or {}
            events += self._begin_waiting(str(result.get("tool_use_id", "")))
            came, ended = self._calls.note_result(result)
            self.items += ended
            events += came
        return events

    def _begin_waiting(self, call_id: str) -> list[ResponseEvent]:
        """Begin the item of a call that waited for its result since an earlier answer."""
        call = self._waiting_calls.pop(call_id, None)
        if call is None:
            return []
        return [*self._calls.begin(call_id, call), *self._calls.note_input(call_id, call["input"])]

    def end_hidden(self, block: ContentBlockBuilder, block_id: str) -> list[ResponseEvent]:
        """Note that a block of Claude's own tools is whole."""
        asked = (block.build() or {}).get("input")
        return self._calls.note_input(block_id, asked if isinstance(asked, dict) else {})

    def end(self, status: EndStatus = "completed", *, ends_turn: bool = False) -> list[ResponseEvent]:
        """End the item that is open, and give what is still carried an item."""
        events = self._end_open(status, ends_turn=ends_turn)
        if self._carried and self.keeps_blocks:
            self.writer = self._make_reasoning()
            events += self.writer.open() + self._end_open("completed")
        self._carried = []
        return events

    def _end_open(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        events, ended = self._calls.end_all()
        self.items += ended
        writer, self.writer = self.writer, None
        if writer is not None:
            events += writer.close(status, ends_turn=ends_turn)
            self.items.append(writer.item)
        return events

    def _make_call_writer(self, call: ServerCall) -> ServerCallWriter:
        if call.start.get("type") == "mcp_tool_use":
            return McpCallWriter(self.place("mcp"), call)
        if call.name in CODE_TOOLS:
            return CodeInterpreterWriter(
                self.place("ci"),
                call,
                container_id=self.container_id,
                shows_outputs="code_interpreter_call.outputs" in self._include,
            )
        shows_sources = "web_search_call.action.sources" in self._include
        return WebSearchWriter(self.place("ws"), call, shows_sources=shows_sources)

    def _make_reasoning(self, *blocks: ContentBlockBuilder) -> ReasoningWriter:
        carried, self._carried = self._carried, []
        return ReasoningWriter(self.place("rs"), self._seal_if_kept, [*carried, *blocks])

    def _seal_if_kept(self, blocks: Sequence[dict[str, Any]]) -> str:
        return self._seal(blocks if self.keeps_blocks else ())


def _digits(seed: str) -> str:
    return sha256(seed.encode()).hexdigest()[:50]

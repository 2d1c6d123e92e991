"""The items of a response in their order: which one is open, and when it ends.

One item is open at a time. It ends when the next begins, or when the answer ends. What Claude's own tools were asked
and answered has no item of its own that could carry it: it waits for the next reasoning item, or gets one before the
answer goes on.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import count
from typing import Any

from translators.content_blocks import ContentBlockBuilder
from translators.responses.item_writer import EndStatus, ItemWriter, Place
from translators.responses.message_writer import MessageWriter
from translators.responses.reasoning_writer import ReasoningWriter
from translators.responses.response_events import ResponseEvent
from translators.responses.response_types import MessageItem, MessagePhase, OutputItem
from translators.responses.web_searches import SEARCH_RESULTS, SEARCH_TOOLS, WebSearches

__all__ = ["Output"]


class Output:
    """Writes the items. Its methods return the events to send."""

    def __init__(
        self,
        response_id: str,
        seal: Callable[[Sequence[dict[str, Any]]], str],
        *,
        phase: MessagePhase | None,
        shows_sources: bool,
    ) -> None:
        """Start without items.

        Args:
            response_id: the ids of the items are made from it.
            seal: blocks to the `encrypted_content` of a reasoning item.
            phase: of every message, if it is known before the message ends.
            shows_sources: whether searches name what they found.
        """
        self.numbers = count()
        """The sequence numbers of the stream."""
        self.items: list[OutputItem] = []
        """Those that have ended."""
        self.writer: ItemWriter | None = None
        """Of the open item, unless that is a search."""
        self.keeps_blocks = True
        """Whether blocks that are sealed from now on can be put back."""
        self._response_id = response_id
        self._seal = seal
        self._phase = phase
        self._items_begun = 0
        self._searches = WebSearches(self.place, shows_sources=shows_sources)
        self._carried: list[ContentBlockBuilder] = []

    @property
    def has_message(self) -> bool:
        """Whether there is a message, ended or open."""
        return isinstance(self.writer, MessageWriter) or any(isinstance(item, MessageItem) for item in self.items)

    def place(self, prefix: str) -> Place:
        """Give the next item its place, with an id that begins with `prefix`."""
        index = self._items_begun
        self._items_begun += 1
        digits = sha256(f"{self._response_id}/{index}".encode()).hexdigest()[:50]
        return Place(f"{prefix}_{digits}", index, self.numbers)

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
        """Take a block of Claude's own tools, of which the client sees the searches."""
        if block.type == "server_tool_use" and name in SEARCH_TOOLS:
            events = [] if self._searches.are_open else self._end_open("completed")
            self._carried.append(block)
            return events + self._searches.begin(block_id, name)
        if isinstance(self.writer, ReasoningWriter):
            self.writer.add_block(block)
            return []
        events = [] if self.writer is None else self._end_open("completed")
        self._carried.append(block)
        if block.type in SEARCH_RESULTS:
            result = block.build() or {}
            found, ended = self._searches.note_result(str(result.get("tool_use_id", "")), result.get("content"))
            self.items += ended
            events += found
        return events

    def end_hidden(self, block: ContentBlockBuilder, block_id: str) -> list[ResponseEvent]:
        """Note that a block of Claude's own tools is whole."""
        if block.type != "server_tool_use":
            return []
        asked = (block.build() or {}).get("input")
        return self._searches.note_input(block_id, asked if isinstance(asked, dict) else {})

    def end(self, status: EndStatus = "completed", *, ends_turn: bool = False) -> list[ResponseEvent]:
        """End the item that is open, and give what is still carried an item."""
        events = self._end_open(status, ends_turn=ends_turn)
        if self._carried and self.keeps_blocks:
            self.writer = self._make_reasoning()
            events += self.writer.open() + self._end_open("completed")
        self._carried = []
        return events

    def _end_open(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        events, ended = self._searches.end_all()
        self.items += ended
        writer, self.writer = self.writer, None
        if writer is not None:
            events += writer.close(status, ends_turn=ends_turn)
            self.items.append(writer.item)
        return events

    def _make_reasoning(self, *blocks: ContentBlockBuilder) -> ReasoningWriter:
        carried, self._carried = self._carried, []
        return ReasoningWriter(self.place("rs"), self._seal_if_kept, [*carried, *blocks])

    def _seal_if_kept(self, blocks: Sequence[dict[str, Any]]) -> str:
        return self._seal(blocks if self.keeps_blocks else ())

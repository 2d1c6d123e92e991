"""Claude's thinking as an item of type `reasoning`.

One item holds one run of blocks that no other item carries: thinking, redacted thinking, and what Claude's own tools
were asked and answered. `encrypted_content` seals them as they came; each thinking with a text is a part of the summary
if the client asked for summaries.
"""

from collections.abc import Callable, Sequence
from typing import Any, override

from translators.content_blocks import ContentBlockBuilder
from translators.responses.item_writer import EndStatus, ItemWriter, Place
from translators.responses.response_events import (
    ResponseEvent,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryTextDelta,
    SummaryTextDone,
)
from translators.responses.response_types import ReasoningItem, SummaryText

__all__ = ["ReasoningWriter", "Seal"]

type Seal = Callable[[Sequence[dict[str, Any]]], str]
"""Blocks to `encrypted_content`."""


class ReasoningWriter(ItemWriter):
    """Writes one reasoning item. `blocks` begins the run."""

    def __init__(self, place: Place, seal: Seal, blocks: list[ContentBlockBuilder]) -> None:
        super().__init__(place)
        self._seal = seal
        self._blocks = blocks
        self._summary: list[SummaryText] = []
        self._pieces: list[str] = []

    @override
    def open(self) -> list[ResponseEvent]:
        # OpenAI's own `added` has a provisional content too.
        return [self._added(ReasoningItem(id=self._item_id, encrypted_content=self._seal(())))]

    def add_block(self, block: ContentBlockBuilder) -> None:
        """Add the next block of the run."""
        self._blocks.append(block)

    def add_text(self, text: str) -> list[ResponseEvent]:
        """Write a piece of the open summary part; the first piece opens it."""
        index = len(self._summary)
        events: list[ResponseEvent] = []
        if not self._pieces:
            events = [SummaryPartAdded(self._item_id, self._output_index, SummaryText(), next(self._numbers), index)]
        self._pieces.append(text)
        return [*events, SummaryTextDelta(text, self._item_id, self._output_index, next(self._numbers), index)]

    def end_part(self) -> list[ResponseEvent]:
        """End the summary part, if one is open: the thinking block has ended."""
        if not self._pieces:
            return []
        index, text = len(self._summary), "".join(self._pieces)
        part = SummaryText(text=text)
        self._summary.append(part)
        self._pieces = []
        return [
            SummaryTextDone(self._item_id, self._output_index, next(self._numbers), index, text),
            SummaryPartDone(self._item_id, self._output_index, part, next(self._numbers), index),
        ]

    @override
    def close(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        events = self.end_part()
        blocks = [block for builder in self._blocks if (block := builder.build()) is not None]
        item = ReasoningItem(id=self._item_id, encrypted_content=self._seal(blocks), summary=tuple(self._summary))
        return [*events, self._done(item)]

"""Claude's text, and its refusals, as an item of type `message`.

A run of text is one message with one part, though Claude may have cut it into several blocks (it does so around
citations): that is how OpenAI's own answers look, and many clients read the first part alone.
"""

from typing import override

from msgspec import UNSET

from translators.citations import CitedPage
from translators.responses.item_writer import EndStatus, ItemWriter, Place
from translators.responses.response_events import (
    AnnotationAdded,
    ContentPartAdded,
    ContentPartDone,
    OutputTextDelta,
    OutputTextDone,
    RefusalDelta,
    RefusalDone,
    ResponseEvent,
)
from translators.responses.response_types import MessageItem, MessagePhase, OutputText, Refusal, UrlCitation

__all__ = ["MessageWriter"]


class MessageWriter(ItemWriter):
    """Writes one message.

    `phase` is given where it is known from the start: with tools, whether a text is the final answer or a comment shows
    only in what follows it, so that the `done` event says it and the `added` event cannot.
    """

    def __init__(self, place: Place, phase: MessagePhase | None) -> None:
        super().__init__(place)
        self._phase = phase
        self._parts: list[OutputText | Refusal] = []
        self._pieces: list[str] = []
        self._annotations: list[UrlCitation] = []
        self._has_open_part = False
        self.text_length = 0
        """Characters of the open text part."""

    @override
    def open(self) -> list[ResponseEvent]:
        return [self._added(MessageItem(id=self._item_id, status="in_progress", phase=self._phase or UNSET))]

    def add_text(self, text: str) -> list[ResponseEvent]:
        """Write a piece of text, which may be empty only to begin the part."""
        if self._has_open_part:
            self._pieces.append(text)
            self.text_length += len(text)
            return [self._text_delta(text)]
        self._has_open_part = True
        added: list[ResponseEvent] = [self._part_added(OutputText())]
        return added + self.add_text(text) if text else added

    def annotate(self, pages: list[CitedPage], start: int) -> list[ResponseEvent]:
        """Cite the pages, each once, for the characters from `start` on."""
        if not self._has_open_part or start >= self.text_length:
            return []
        events: list[ResponseEvent] = []
        for title, url in dict.fromkeys(pages):
            citation = UrlCitation(end_index=self.text_length, start_index=start, title=title, url=url)
            number = len(self._annotations)
            self._annotations.append(citation)
            events.append(
                AnnotationAdded(
                    citation, number, len(self._parts), self._item_id, self._output_index, next(self._numbers)
                )
            )
        return events

    def add_refusal(self, refusal: str) -> list[ResponseEvent]:
        """Write a refusal as the next part."""
        events = self._end_text()
        index, part = len(self._parts), Refusal(refusal=refusal)
        self._parts.append(part)
        return [
            *events,
            ContentPartAdded(index, self._item_id, self._output_index, Refusal(), next(self._numbers)),
            RefusalDelta(index, refusal, self._item_id, self._output_index, next(self._numbers)),
            RefusalDone(index, self._item_id, self._output_index, refusal, next(self._numbers)),
            ContentPartDone(index, self._item_id, self._output_index, part, next(self._numbers)),
        ]

    @override
    def close(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        events = self._end_text()
        phase = self._phase or ("final_answer" if ends_turn else "commentary")
        item = MessageItem(id=self._item_id, status=status, content=tuple(self._parts), phase=phase)
        return [*events, self._done(item)]

    def _end_text(self) -> list[ResponseEvent]:
        if not self._has_open_part:
            return []
        self._has_open_part = False
        text = "".join(self._pieces)
        part = OutputText(annotations=tuple(self._annotations), text=text)
        index = len(self._parts)
        self._parts.append(part)
        self._pieces, self._annotations, self.text_length = [], [], 0
        return [
            OutputTextDone(index, self._item_id, (), self._output_index, next(self._numbers), text),
            ContentPartDone(index, self._item_id, self._output_index, part, next(self._numbers)),
        ]

    def _part_added(self, part: OutputText) -> ContentPartAdded:
        return ContentPartAdded(len(self._parts), self._item_id, self._output_index, part, next(self._numbers))

    def _text_delta(self, text: str) -> OutputTextDelta:
        return OutputTextDelta(len(self._parts), text, self._item_id, (), self._output_index, next(self._numbers))

"""What the writers of output items have in common: each owns one item from its `added` event to its `done` event."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from translators.responses.response_events import OutputItemAdded, OutputItemDone, ResponseEvent
from translators.responses.response_types import OutputItem

__all__ = ["EndStatus", "ItemWriter", "Place"]

type EndStatus = Literal["completed", "incomplete"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands in its response."""

    item_id: str
    output_index: int
    numbers: Iterator[int]
    """The sequence numbers of the stream: every event takes the next."""


class ItemWriter(ABC):
    """Writes one item. Only one is open at a time, so its events follow each other."""

    item: OutputItem
    """The item as it is in the final response. Set by `close`."""

    def __init__(self, place: Place) -> None:
        self._item_id = place.item_id
        self._output_index = place.output_index
        self._numbers = place.numbers

    @abstractmethod
    def open(self) -> list[ResponseEvent]:
        """Write the beginning."""

    @abstractmethod
    def close(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        """Write the end. `ends_turn`: nothing follows this item."""

    def _added(self, item: OutputItem) -> OutputItemAdded:
        return OutputItemAdded(item, self._output_index, next(self._numbers))

    def _done(self, item: OutputItem) -> OutputItemDone:
        self.item = item
        return OutputItemDone(item, self._output_index, next(self._numbers))

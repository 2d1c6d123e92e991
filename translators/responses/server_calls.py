"""Calls of tools that Claude runs itself, as items: which one is open, and which wait for their turn.

Claude may begin several calls before the first result comes. Only one item is open at a time, so the others wait.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from translators.responses.item_writer import ItemWriter, Place
from translators.responses.response_events import ResponseEvent
from translators.responses.response_types import OutputItem

__all__ = ["ServerCall", "ServerCallWriter", "ServerCalls"]


@dataclass(slots=True)
class ServerCall:
    """One call, as far as it has come."""

    start: Mapping[str, Any]
    """The block that began it (`server_tool_use`, `mcp_tool_use`)."""
    input: dict[str, Any] | None = None
    """None while Claude is writing it."""
    result: Mapping[str, Any] | None = None
    """The block that ended it (`web_search_tool_result`, `mcp_tool_result`, ...). None before it came."""

    @property
    def name(self) -> str:
        """Claude's name of the tool."""
        return str(self.start.get("name", ""))

    @property
    def content(self) -> Any:
        """What the result holds: a list, or an object that may be an error."""
        return None if self.result is None else self.result.get("content")

    @property
    def failed(self) -> bool:
        """Whether the result is an error."""
        if self.result is None:
            return False
        content = self.content
        is_error = isinstance(content, dict) and str(content.get("type", "")).endswith("_error")
        return is_error or self.result.get("is_error") is True


class ServerCallWriter(ItemWriter):
    """Writes one call."""

    def __init__(self, place: Place, call: ServerCall) -> None:
        super().__init__(place)
        self._call = call

    @abstractmethod
    def go_on(self) -> list[ResponseEvent]:
        """Write what Claude asks for, as soon as it is known and once."""


class ServerCalls:
    """The calls that have begun and have not ended, in their order. The item of the first is open.

    Its methods return the events to send and the items that became whole with them.
    """

    def __init__(self, make_writer: Callable[[ServerCall], ServerCallWriter]) -> None:
        self._make_writer = make_writer
        self._waiting: dict[str, ServerCall] = {}
        self._writer: ServerCallWriter | None = None

    @property
    def are_open(self) -> bool:
        """Whether one is open."""
        return self._writer is not None

    def begin(self, call_id: str, start: Mapping[str, Any]) -> list[ResponseEvent]:
        """Begin a call."""
        self._waiting[call_id] = ServerCall(start)
        return self._open_next()

    def note_input(self, call_id: str, asked: dict[str, Any]) -> list[ResponseEvent]:
        """Note what a call is for."""
        call = self._waiting.get(call_id)
        if call is None:
            return []
        call.input = asked
        return self._writer.go_on() if self._writer is not None else []

    def note_result(self, result: Mapping[str, Any]) -> tuple[list[ResponseEvent], list[OutputItem]]:
        """Note the block that ends a call, and end those whose turn it is."""
        if (call := self._waiting.get(str(result.get("tool_use_id", "")))) is not None:
            call.result = result
        return self._end_while(lambda call: call.result is not None)

    def end_all(self) -> tuple[list[ResponseEvent], list[OutputItem]]:
        """End them all, because the answer goes on or ends without their results."""
        return self._end_while(lambda _call: True)

    def _end_while(self, has_ended: Callable[[ServerCall], bool]) -> tuple[list[ResponseEvent], list[OutputItem]]:
        events: list[ResponseEvent] = []
        items: list[OutputItem] = []
        while self._writer is not None and has_ended(next(iter(self._waiting.values()))):
            events += self._writer.close("completed")
            items.append(self._writer.item)
            self._writer = None
            del self._waiting[next(iter(self._waiting))]
            events += self._open_next()
        return events, items

    def _open_next(self) -> list[ResponseEvent]:
        if self._writer is not None or not self._waiting:
            return []
        self._writer = self._make_writer(next(iter(self._waiting.values())))
        return self._writer.open()

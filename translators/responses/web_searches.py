"""Claude's own web searches as items of type `web_search_call`.

Claude may ask for several searches before the first result comes. Only one item is open at a time, so the others wait
for their turn. A web fetch is the action `open_page`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, override

from msgspec import UNSET

from translators.responses.item_writer import EndStatus, ItemWriter, Place
from translators.responses.response_events import (
    ResponseEvent,
    WebSearchCompleted,
    WebSearchInProgress,
    WebSearchSearching,
)
from translators.responses.response_types import OpenPageAction, OutputItem, SearchAction, Source, WebSearchCallItem

__all__ = ["SEARCH_RESULTS", "SEARCH_TOOLS", "WebSearches"]

SEARCH_TOOLS = frozenset({"web_search", "web_fetch"})
"""Names of Claude's tools that a `web_search_call` can show. Its others have no item."""
SEARCH_RESULTS = frozenset({"web_search_tool_result", "web_fetch_tool_result"})


@dataclass(slots=True)
class _Search:
    name: str
    input: dict[str, Any] | None = None
    """None while Claude is writing it."""
    result: Any = None
    """Pages, or an object (a page, an error); None before it came."""

    @property
    def failed(self) -> bool:
        return isinstance(self.result, dict) and str(self.result.get("type", "")).endswith("_error")


class _WebSearchWriter(ItemWriter):
    """Writes one search."""

    def __init__(self, place: Place, search: _Search, *, shows_sources: bool) -> None:
        super().__init__(place)
        self._search = search
        self._shows_sources = shows_sources
        self._is_searching = False

    @override
    def open(self) -> list[ResponseEvent]:
        added = self._added(WebSearchCallItem(id=self._item_id, status="in_progress", action=self._action({})))
        return [added, WebSearchInProgress(self._item_id, self._output_index, next(self._numbers)), *self.go_on()]

    def go_on(self) -> list[ResponseEvent]:
        """Write that the search is being made, as soon as it is known what for."""
        if self._is_searching or self._search.input is None:
            return []
        self._is_searching = True
        return [WebSearchSearching(self._item_id, self._output_index, next(self._numbers))]

    @override
    def close(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        search = self._search
        events: list[ResponseEvent] = []
        if search.result is not None and not search.failed:
            events.append(WebSearchCompleted(self._item_id, self._output_index, next(self._numbers)))
        item = WebSearchCallItem(
            id=self._item_id,
            # A search whose result never came was cut, however the answer ended.
            status="incomplete" if search.result is None else "failed" if search.failed else "completed",
            action=self._action(search.input or {}),
        )
        return [*events, self._done(item)]

    def _action(self, asked: dict[str, Any]) -> SearchAction | OpenPageAction:
        if self._search.name == "web_fetch":
            return OpenPageAction(url=asked["url"] if isinstance(asked.get("url"), str) else UNSET)
        query = asked.get("query")
        return SearchAction(
            queries=(query,) if isinstance(query, str) else UNSET,
            query=query if isinstance(query, str) else UNSET,
            sources=self._sources() if self._shows_sources and asked else UNSET,
        )

    def _sources(self) -> tuple[Source, ...]:
        pages = self._search.result if isinstance(self._search.result, list) else []
        return tuple(
            Source(url=page["url"]) for page in pages if isinstance(page, dict) and isinstance(page.get("url"), str)
        )


class WebSearches:
    """The searches that have begun and have not ended, in their order. The item of the first is open.

    Its methods return the events to send and the items that became whole with them.
    """

    def __init__(self, make_place: Callable[[str], Place], *, shows_sources: bool) -> None:
        self._make_place = make_place
        self._shows_sources = shows_sources
        self._waiting: dict[str, _Search] = {}
        self._writer: _WebSearchWriter | None = None

    @property
    def are_open(self) -> bool:
        """Whether one is open."""
        return self._writer is not None

    def begin(self, call_id: str, name: str) -> list[ResponseEvent]:
        """Begin a search."""
        self._waiting[call_id] = _Search(name)
        return self._open_next()

    def note_input(self, call_id: str, asked: dict[str, Any]) -> list[ResponseEvent]:
        """Note what a search is for."""
        search = self._waiting.get(call_id)
        if search is None:
            return []
        search.input = asked
        return self._writer.go_on() if self._writer is not None else []

    def note_result(self, call_id: str, result: Any) -> tuple[list[ResponseEvent], list[OutputItem]]:
        """Note what a search found, and end those whose turn it is."""
        if (search := self._waiting.get(call_id)) is not None:
            search.result = [] if result is None else result
        return self._end_while(lambda search: search.result is not None)

    def end_all(self) -> tuple[list[ResponseEvent], list[OutputItem]]:
        """End them all, because the answer goes on or ends without their results."""
        return self._end_while(lambda _search: True)

    def _end_while(self, has_ended: Callable[[_Search], bool]) -> tuple[list[ResponseEvent], list[OutputItem]]:
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
        search = next(iter(self._waiting.values()))
        self._writer = _WebSearchWriter(self._make_place("ws"), search, shows_sources=self._shows_sources)
        return self._writer.open()

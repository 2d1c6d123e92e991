"""Claude's own web searches as items of type `web_search_call`. A web fetch is the action `open_page`."""

from typing import Any, override

from msgspec import UNSET

from translators.responses.item_writer import EndStatus, Place
from translators.responses.response_events import (
    ResponseEvent,
    WebSearchCompleted,
    WebSearchInProgress,
    WebSearchSearching,
)
from translators.responses.response_types import OpenPageAction, SearchAction, Source, WebSearchCallItem
from translators.responses.server_calls import ServerCall, ServerCallWriter

__all__ = ["SEARCH_TOOLS", "WebSearchWriter"]

SEARCH_TOOLS = frozenset({"web_search", "web_fetch"})
"""Names of Claude's tools that a `web_search_call` shows."""


class WebSearchWriter(ServerCallWriter):
    """Writes one search."""

    def __init__(self, place: Place, call: ServerCall, *, shows_sources: bool) -> None:
        super().__init__(place, call)
        self._shows_sources = shows_sources
        self._is_searching = False

    @override
    def open(self) -> list[ResponseEvent]:
        added = self._added(WebSearchCallItem(id=self._item_id, status="in_progress", action=self._action({})))
        return [added, WebSearchInProgress(self._item_id, self._output_index, next(self._numbers)), *self.go_on()]

    @override
    def go_on(self) -> list[ResponseEvent]:
        if self._is_searching or self._call.input is None:
            return []
        self._is_searching = True
        return [WebSearchSearching(self._item_id, self._output_index, next(self._numbers))]

    @override
    def close(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        search = self._call
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
        if self._call.name == "web_fetch":
            return OpenPageAction(url=asked["url"] if isinstance(asked.get("url"), str) else UNSET)
        query = asked.get("query")
        return SearchAction(
            queries=(query,) if isinstance(query, str) else UNSET,
            query=query if isinstance(query, str) else UNSET,
            sources=self._sources() if self._shows_sources and asked else UNSET,
        )

    def _sources(self) -> tuple[Source, ...]:
        pages = self._call.content if isinstance(self._call.content, list) else []
        return tuple(
            Source(url=page["url"]) for page in pages if isinstance(page, dict) and isinstance(page.get("url"), str)
        )

"""Remote MCP servers, which Claude's API calls itself: the servers of a request, and their calls as items.

Source: https://platform.claude.com/docs/en/agents-and-tools/mcp-connector.
"""

from collections.abc import Mapping
from typing import Any, override

import msgspec

from translators.responses.item_writer import EndStatus, ItemWriter, Place
from translators.responses.response_events import (
    McpCallArgumentsDelta,
    McpCallArgumentsDone,
    McpCallCompleted,
    McpCallFailed,
    McpCallInProgress,
    McpListToolsCompleted,
    McpListToolsInProgress,
    ResponseEvent,
)
from translators.responses.response_types import McpCallItem, McpExecutionError, McpListToolsItem, McpTool
from translators.responses.server_calls import ServerCall, ServerCallWriter

__all__ = ["McpCallWriter", "McpListToolsWriter"]


class McpListToolsWriter(ItemWriter):
    """Writes the tools of a server, which Claude's `mcp_tool_listing` block has."""

    def __init__(self, place: Place, listing: Mapping[str, Any]) -> None:
        super().__init__(place)
        self._label = str(listing.get("mcp_server_name", ""))
        tools = listing.get("tools")
        self._tools = tuple(
            McpTool(
                description=tool.get("description"), input_schema=tool.get("input_schema"), name=str(tool.get("name"))
            )
            for tool in (tools if isinstance(tools, list) else ())
            if isinstance(tool, dict)
        )

    @override
    def open(self) -> list[ResponseEvent]:
        added = self._added(McpListToolsItem(id=self._item_id, server_label=self._label))
        return [added, McpListToolsInProgress(self._item_id, self._output_index, next(self._numbers))]

    @override
    def close(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        completed = McpListToolsCompleted(self._item_id, self._output_index, next(self._numbers))
        return [
            completed,
            self._done(McpListToolsItem(id=self._item_id, server_label=self._label, tools=self._tools)),
        ]


class McpCallWriter(ServerCallWriter):
    """Writes one call of a server's tool."""

    def __init__(self, place: Place, call: ServerCall) -> None:
        super().__init__(place, call)
        self._label = str(call.start.get("server_name", ""))
        self._arguments: str | None = None

    @override
    def open(self) -> list[ResponseEvent]:
        item = McpCallItem(id=self._item_id, status="in_progress", name=self._call.name, server_label=self._label)
        added = self._added(item)
        in_progress = McpCallInProgress(self._item_id, self._output_index, next(self._numbers))
        return [added, in_progress, *self.go_on()]

    @override
    def go_on(self) -> list[ResponseEvent]:
        if self._arguments is not None or self._call.input is None:
            return []
        arguments = self._arguments = msgspec.json.encode(self._call.input).decode()
        item_id, index, numbers = self._item_id, self._output_index, self._numbers
        return [
            McpCallArgumentsDelta(arguments, item_id, index, next(numbers)),
            McpCallArgumentsDone(arguments, item_id, index, next(numbers)),
        ]

    @override
    def close(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        call = self._call
        events: list[ResponseEvent] = []
        if call.result is not None:
            ended = McpCallFailed if call.failed else McpCallCompleted
            events.append(ended(self._item_id, self._output_index, next(self._numbers)))
        item = McpCallItem(
            id=self._item_id,
            # A call whose result never came was cut, however the answer ended.
            status="incomplete" if call.result is None else "failed" if call.failed else "completed",
            arguments=self._arguments or "",
            error=McpExecutionError(content=call.content) if call.failed else None,
            name=call.name,
            output=None if call.result is None or call.failed else _read_text(call.content),
            server_label=self._label,
        )
        return [*events, self._done(item)]


def _read_text(content: Any) -> str:
    """Join the texts of a result."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)

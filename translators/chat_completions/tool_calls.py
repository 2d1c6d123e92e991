"""One tool call of Claude, written as deltas of a choice.

| the client declared | deltas |
|---|---|
| a function | `tool_calls[].function.arguments` |
| a custom tool | `tool_calls[].custom.input` |
| `functions` (legacy) | `function_call.arguments` |
"""

from abc import ABC, abstractmethod
from typing import Any, override

from translators.chat_completions.chunk import ChoiceDelta, CustomDelta, FunctionDelta, ToolCallDelta
from translators.chat_completions.reply_plan import ReplyPlan
from translators.tool_input import ArgumentsReader, RawInputReader, ToolInputReader, WrappedArgumentsReader

__all__ = ["CustomToolCallWriter", "FunctionCallWriter", "LegacyFunctionCallWriter", "ToolCallWriter", "open_tool_call"]


class ToolCallWriter(ABC):
    """Writes a call; its subclasses know the form of the deltas."""

    def __init__(self, index: int, call_id: str, name: str, reader: ToolInputReader) -> None:
        self._index = index
        self._id = call_id
        self._name = name
        self._reader = reader

    @abstractmethod
    def open(self) -> ChoiceDelta:
        """Write the opening delta, which alone has the id, the type and the name."""

    def add(self, partial_json: str) -> ChoiceDelta | None:
        """Write what this piece of the input adds, if anything."""
        text = self._reader.feed(partial_json)
        return self._delta(text) if text else None

    def close(self, whole_input: Any) -> ChoiceDelta | None:
        """Write what is left. `whole_input` is the input that came with the block itself, if no pieces came."""
        text = self._reader.finish(whole_input)
        return self._delta(text) if text else None

    @abstractmethod
    def _delta(self, text: str) -> ChoiceDelta:
        """Write a piece of what the client reads."""


class FunctionCallWriter(ToolCallWriter):
    """Writes a call of a function."""

    @override
    def open(self) -> ChoiceDelta:
        function = FunctionDelta(name=self._name, arguments="")
        return ChoiceDelta(tool_calls=(ToolCallDelta(self._index, self._id, "function", function),))

    @override
    def _delta(self, text: str) -> ChoiceDelta:
        return ChoiceDelta(tool_calls=(ToolCallDelta(self._index, function=FunctionDelta(arguments=text)),))


class LegacyFunctionCallWriter(ToolCallWriter):
    """Writes a call for a client that sent `functions`: `function_call`, which has neither an id nor an index."""

    @override
    def open(self) -> ChoiceDelta:
        return ChoiceDelta(function_call=FunctionDelta(name=self._name, arguments=""))

    @override
    def _delta(self, text: str) -> ChoiceDelta:
        return ChoiceDelta(function_call=FunctionDelta(arguments=text))


class CustomToolCallWriter(ToolCallWriter):
    """Writes a call of a custom tool.

    Streamed custom tools are not in `openai.types`; the form is the wire's.
    """

    @override
    def open(self) -> ChoiceDelta:
        custom = CustomDelta(name=self._name, input="")
        return ChoiceDelta(tool_calls=(ToolCallDelta(self._index, self._id, "custom", custom=custom),))

    @override
    def _delta(self, text: str) -> ChoiceDelta:
        return ChoiceDelta(tool_calls=(ToolCallDelta(self._index, custom=CustomDelta(input=text)),))


def open_tool_call(plan: ReplyPlan, index: int, call_id: str, name: str) -> ToolCallWriter:
    """Choose the writer by what the client declared under `name` (the client's own)."""
    if name in plan.custom_tools:
        return CustomToolCallWriter(index, call_id, name, RawInputReader())
    reader = WrappedArgumentsReader() if name in plan.wrapped_tools else ArgumentsReader()
    writer = LegacyFunctionCallWriter if plan.legacy_function_call else FunctionCallWriter
    return writer(index, call_id, name, reader)

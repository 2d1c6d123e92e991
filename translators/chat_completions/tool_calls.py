"""One tool call of Claude, written as deltas of a choice.

| the client declared | Claude's input | deltas |
|---|---|---|
| a function | its arguments | `tool_calls[].function.arguments`, each piece as it comes |
| a function whose parameters are no object | `{"input": value}` | the same, unwrapped, in one piece at the end |
| a custom tool | `{"input": "text"}` | `tool_calls[].custom.input`, decoded as it comes |
| `functions` (legacy) | its arguments | `function_call.arguments` |
"""

from typing import Any, override

import msgspec

from translators.chat_completions.chunk import ChoiceDelta, CustomDelta, FunctionDelta, ToolCallDelta
from translators.chat_completions.reply_plan import ReplyPlan
from translators.json_string import InputStringDecoder, unwrap_input

__all__ = [
    "CustomToolCallWriter",
    "FunctionCallWriter",
    "LegacyFunctionCallWriter",
    "WrappedFunctionCallWriter",
    "open_tool_call",
]


class FunctionCallWriter:
    """Writes a call of a function: the JSON of Claude's input is the JSON of OpenAI's arguments."""

    def __init__(self, index: int, call_id: str, name: str) -> None:
        self._index = index
        self._id = call_id
        self._name = name
        self._began = False

    def open(self) -> ChoiceDelta:
        """Write the opening delta, which alone has the id, the type and the name."""
        function = FunctionDelta(name=self._name, arguments="")
        return ChoiceDelta(tool_calls=(ToolCallDelta(self._index, self._id, "function", function),))

    def add(self, partial_json: str) -> ChoiceDelta | None:
        """Write a piece of the input, or nothing for an empty piece (Claude's first one often is)."""
        if not partial_json:
            return None
        self._began = True
        return self._delta(partial_json)

    def close(self, whole_input: Any) -> ChoiceDelta | None:
        """Write what is left. `whole_input` is the input that came with the block itself, if no pieces came."""
        return None if self._began else self._delta(_encode_input(whole_input))

    def _delta(self, arguments: str) -> ChoiceDelta:
        return ChoiceDelta(tool_calls=(ToolCallDelta(self._index, function=FunctionDelta(arguments=arguments)),))


class LegacyFunctionCallWriter(FunctionCallWriter):
    """Writes a call for a client that sent `functions`: `function_call`, which has neither an id nor an index."""

    @override
    def open(self) -> ChoiceDelta:
        """Write the opening delta, which alone has the name."""
        return ChoiceDelta(function_call=FunctionDelta(name=self._name, arguments=""))

    @override
    def _delta(self, arguments: str) -> ChoiceDelta:
        return ChoiceDelta(function_call=FunctionDelta(arguments=arguments))


class WrappedFunctionCallWriter(FunctionCallWriter):
    """Writes a call of a function whose parameters are no object: the value without the object around it."""

    def __init__(self, index: int, call_id: str, name: str) -> None:
        super().__init__(index, call_id, name)
        self._pieces: list[str] = []

    @override
    def add(self, partial_json: str) -> None:
        """Gather: where the value ends is known only at the end of the object around it."""
        self._pieces.append(partial_json)

    @override
    def close(self, whole_input: Any) -> ChoiceDelta:
        """Write the value."""
        return self._delta(unwrap_input("".join(self._pieces) or _encode_input(whole_input)))


class CustomToolCallWriter:
    """Writes a call of a custom tool: its input is text.

    Streamed custom tools are not in `openai.types`; the form is the wire's.
    """

    def __init__(self, index: int, call_id: str, name: str) -> None:
        self._index = index
        self._id = call_id
        self._name = name
        self._decoder = InputStringDecoder()
        self._began = False

    def open(self) -> ChoiceDelta:
        """Write the opening delta, which alone has the id, the type and the name."""
        custom = CustomDelta(name=self._name, input="")
        return ChoiceDelta(tool_calls=(ToolCallDelta(self._index, self._id, "custom", custom=custom),))

    def add(self, partial_json: str) -> ChoiceDelta | None:
        """Write the characters that this piece of JSON completes."""
        self._began = self._began or bool(partial_json)
        return self._delta(self._decoder.feed(partial_json))

    def close(self, whole_input: Any) -> ChoiceDelta | None:
        """Write what is left."""
        if self._began:
            return self._delta(self._decoder.finish())
        text = self._decoder.feed(_encode_input(whole_input)) if whole_input else ""
        return self._delta(text + self._decoder.finish())

    def _delta(self, text: str) -> ChoiceDelta | None:
        return ChoiceDelta(tool_calls=(ToolCallDelta(self._index, custom=CustomDelta(input=text)),)) if text else None


def _encode_input(value: Any) -> str:
    return msgspec.json.encode(value or {}).decode()


def open_tool_call(plan: ReplyPlan, index: int, call_id: str, name: str) -> FunctionCallWriter | CustomToolCallWriter:
    """Choose the writer by what the client declared under `name` (the client's own)."""
    if plan.legacy_function_call:
        return LegacyFunctionCallWriter(index, call_id, name)
    if name in plan.custom_tools:
        return CustomToolCallWriter(index, call_id, name)
    if name in plan.wrapped_tools:
        return WrappedFunctionCallWriter(index, call_id, name)
    return FunctionCallWriter(index, call_id, name)

"""Claude's calls of the client's tools as items: each of the type that the client declared.

| the client declared | item | streamed |
|---|---|---|
| function | `function_call` | the arguments, as they come |
| custom | `custom_tool_call` | the raw input, as it comes |
| shell | `shell_call` | each command, at the end |
| apply_patch | `apply_patch_call` | the diff, at the end: the item's beginning has the path already |
| local_shell, tool_search | `local_shell_call`, `tool_search_call` | nothing, as with OpenAI |

The last four get their input as JSON whose fields are those of the item (`ResponsesPlan.tools`). What a model wrote
otherwise, or what was cut, is kept as far as the item's type can hold it, for the client to refuse.
"""

from abc import abstractmethod
from typing import Any, override

from msgspec import UNSET, UnsetType

from translators.responses.item_writer import EndStatus, ItemWriter, Place
from translators.responses.reply_plan import ToolIdentity
from translators.responses.response_events import (
    ApplyPatchDiffDelta,
    ApplyPatchDiffDone,
    CustomToolCallInputDelta,
    CustomToolCallInputDone,
    FunctionCallArgumentsDelta,
    FunctionCallArgumentsDone,
    ResponseEvent,
    ShellCommandAdded,
    ShellCommandDelta,
    ShellCommandDone,
)
from translators.responses.response_types import (
    ApplyPatchCallItem,
    ApplyPatchOperation,
    CustomToolCallItem,
    FunctionCallItem,
    ItemStatus,
    LocalShellAction,
    LocalShellCallItem,
    OutputItem,
    ShellAction,
    ShellCallItem,
    ToolSearchCallItem,
)
from translators.tool_input import ArgumentsReader, RawInputReader, ToolInputReader, WrappedArgumentsReader
from translators.tools import parse_arguments

__all__ = ["CALL_PREFIXES", "ToolCallWriter", "write_tool_call"]

CALL_PREFIXES = {
    "function": "fc",
    "custom": "ctc",
    "tool_search": "tsc",
    "shell": "sh",
    "local_shell": "lsh",
    "apply_patch": "apc",
}
"""Prefix of the item's id, by the kind of the tool."""


class ToolCallWriter(ItemWriter):
    """Writes one call."""

    def __init__(self, place: Place, call_id: str) -> None:
        super().__init__(place)
        self._call_id = call_id
        self._input_ended = False

    @abstractmethod
    def add(self, partial_json: str) -> list[ResponseEvent]:
        """Write what a piece of the input adds."""

    def end_input(self, whole_input: Any) -> list[ResponseEvent]:
        """Write what is left of it. `whole_input` is the input that came with the block itself, if no pieces came."""
        self._input_ended = True
        return self._end_input(whole_input)

    @override
    def close(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        events = [] if self._input_ended else self.end_input(None)
        return events + self._end(status)

    @abstractmethod
    def _end_input(self, whole_input: Any) -> list[ResponseEvent]: ...

    @abstractmethod
    def _end(self, status: EndStatus) -> list[ResponseEvent]: ...


class _StreamedCallWriter(ToolCallWriter):
    """Writes a call whose input is streamed."""

    def __init__(self, place: Place, call_id: str, tool: ToolIdentity, reader: ToolInputReader) -> None:
        super().__init__(place, call_id)
        self._name = tool.name
        self._namespace: str | UnsetType = tool.namespace or UNSET
        self._reader = reader
        self._pieces: list[str] = []

    @override
    def open(self) -> list[ResponseEvent]:
        return [self._added(self._build("in_progress", ""))]

    @override
    def add(self, partial_json: str) -> list[ResponseEvent]:
        return self._write(self._reader.feed(partial_json))

    @override
    def _end_input(self, whole_input: Any) -> list[ResponseEvent]:
        return self._write(self._reader.finish(whole_input))

    @override
    def _end(self, status: EndStatus) -> list[ResponseEvent]:
        text = "".join(self._pieces)
        return [self._text_done(text), self._done(self._build(status, text))]

    def _write(self, text: str) -> list[ResponseEvent]:
        if not text:
            return []
        self._pieces.append(text)
        return [self._delta(text)]

    @abstractmethod
    def _build(self, status: ItemStatus, text: str) -> OutputItem: ...

    @abstractmethod
    def _delta(self, text: str) -> ResponseEvent: ...

    @abstractmethod
    def _text_done(self, text: str) -> ResponseEvent: ...


class _FunctionCallWriter(_StreamedCallWriter):
    @override
    def _build(self, status: ItemStatus, text: str) -> FunctionCallItem:
        return FunctionCallItem(
            id=self._item_id,
            status=status,
            arguments=text,
            call_id=self._call_id,
            name=self._name,
            namespace=self._namespace,
        )

    @override
    def _delta(self, text: str) -> ResponseEvent:
        return FunctionCallArgumentsDelta(text, self._item_id, self._output_index, next(self._numbers))

    @override
    def _text_done(self, text: str) -> ResponseEvent:
        return FunctionCallArgumentsDone(text, self._item_id, self._output_index, next(self._numbers))


class _CustomToolCallWriter(_StreamedCallWriter):
    @override
    def _build(self, status: ItemStatus, text: str) -> CustomToolCallItem:
        return CustomToolCallItem(
            id=self._item_id,
            status=status,
            call_id=self._call_id,
            input=text,
            name=self._name,
            namespace=self._namespace,
        )

    @override
    def _delta(self, text: str) -> ResponseEvent:
        return CustomToolCallInputDelta(text, self._item_id, self._output_index, next(self._numbers))

    @override
    def _text_done(self, text: str) -> ResponseEvent:
        return CustomToolCallInputDone(text, self._item_id, self._output_index, next(self._numbers))


class _GatheredCallWriter(ToolCallWriter):
    """Writes a call whose item has fields of its own: they are known when the JSON is whole."""

    def __init__(self, place: Place, call_id: str) -> None:
        super().__init__(place, call_id)
        self._pieces: list[str] = []
        self._input: dict[str, Any] = {}

    @override
    def open(self) -> list[ResponseEvent]:
        return [self._added(self._build("in_progress", {}))]

    @override
    def add(self, partial_json: str) -> list[ResponseEvent]:
        self._pieces.append(partial_json)
        return []

    @override
    def _end_input(self, whole_input: Any) -> list[ResponseEvent]:
        text = "".join(self._pieces)
        whole = whole_input if isinstance(whole_input, dict) else {}
        self._input = parse_arguments(text) if text else whole
        return []

    @override
    def _end(self, status: EndStatus) -> list[ResponseEvent]:
        return [self._done(self._build(status, self._input))]

    @abstractmethod
    def _build(self, status: ItemStatus, fields: dict[str, Any]) -> OutputItem: ...


class _ToolSearchCallWriter(_GatheredCallWriter):
    @override
    def _build(self, status: ItemStatus, fields: dict[str, Any]) -> OutputItem:
        return ToolSearchCallItem(id=self._item_id, status=status, arguments=fields, call_id=self._call_id)


class _LocalShellCallWriter(_GatheredCallWriter):
    @override
    def _build(self, status: ItemStatus, fields: dict[str, Any]) -> OutputItem:
        env = fields.get("env")
        action = LocalShellAction(
            command=_words(fields.get("command")),
            env={str(name): str(value) for name, value in env.items()} if isinstance(env, dict) else {},
            timeout_ms=_number(fields.get("timeout_ms")) or UNSET,
            user=_text(fields.get("user")) or UNSET,
            working_directory=_text(fields.get("working_directory")) or UNSET,
        )
        return LocalShellCallItem(id=self._item_id, status=status, action=action, call_id=self._call_id)


class _ShellCallWriter(_GatheredCallWriter):
    @override
    def _end(self, status: EndStatus) -> list[ResponseEvent]:
        events: list[ResponseEvent] = []
        for number, command in enumerate(_words(self._input.get("commands"))):
            events.append(ShellCommandAdded("", number, self._output_index, next(self._numbers)))
            if command:
                events.append(ShellCommandDelta(number, command, self._output_index, next(self._numbers)))
            events.append(ShellCommandDone(command, number, self._output_index, next(self._numbers)))
        return events + super()._end(status)

    @override
    def _build(self, status: ItemStatus, fields: dict[str, Any]) -> OutputItem:
        action = ShellAction(
            commands=_words(fields.get("commands")),
            max_output_length=_number(fields.get("max_output_length")),
            timeout_ms=_number(fields.get("timeout_ms")),
        )
        return ShellCallItem(id=self._item_id, status=status, action=action, call_id=self._call_id)


class _ApplyPatchCallWriter(_GatheredCallWriter):
    """Writes a patch. Its `added` event has the operation and the path, so it waits for them."""

    @override
    def open(self) -> list[ResponseEvent]:
        return []

    @override
    def _end(self, status: EndStatus) -> list[ResponseEvent]:
        whole = self._read_operation()
        if isinstance(whole.diff, UnsetType):
            return [self._added(self._build_call("in_progress", whole)), self._done(self._build(status, self._input))]
        beginning = ApplyPatchOperation(type=whole.type, diff="", path=whole.path)
        events: list[ResponseEvent] = [self._added(self._build_call("in_progress", beginning))]
        if whole.diff:
            events.append(ApplyPatchDiffDelta(whole.diff, self._item_id, self._output_index, next(self._numbers)))
        events.append(ApplyPatchDiffDone(whole.diff, self._item_id, self._output_index, next(self._numbers)))
        return [*events, self._done(self._build(status, self._input))]

    @override
    def _build(self, status: ItemStatus, fields: dict[str, Any]) -> OutputItem:
        return self._build_call("completed" if status == "completed" else "in_progress", self._read_operation())

    def _build_call(self, status: Any, operation: ApplyPatchOperation) -> ApplyPatchCallItem:
        return ApplyPatchCallItem(id=self._item_id, status=status, call_id=self._call_id, operation=operation)

    def _read_operation(self) -> ApplyPatchOperation:
        kind, path = self._input.get("type"), _text(self._input.get("path"))
        if kind == "delete_file":
            return ApplyPatchOperation(type="delete_file", path=path)
        return ApplyPatchOperation(
            type="create_file" if kind == "create_file" else "update_file",
            diff=_text(self._input.get("diff")) or _text(self._input.get("_raw")),
            path=path,
        )


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(word if isinstance(word, str) else str(word) for word in value) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def write_tool_call(place: Place, call_id: str, tool: ToolIdentity) -> ToolCallWriter:
    """Choose the writer by the kind of the tool."""
    match tool.kind:
        case "custom":
            return _CustomToolCallWriter(place, call_id, tool, RawInputReader())
        case "tool_search":
            return _ToolSearchCallWriter(place, call_id)
        case "shell":
            return _ShellCallWriter(place, call_id)
        case "local_shell":
            return _LocalShellCallWriter(place, call_id)
        case "apply_patch":
            return _ApplyPatchCallWriter(place, call_id)
        case "function":
            reader = WrappedArgumentsReader() if tool.wrapped else ArgumentsReader()
            return _FunctionCallWriter(place, call_id, tool, reader)

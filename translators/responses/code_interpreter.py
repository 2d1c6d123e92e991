"""Claude's code execution as OpenAI's code interpreter: the tool, its calls as items, its containers.

Claude runs shell commands and edits files in its sandbox, where OpenAI's tool runs Python: what is shown as `code` is
the command, or the edit. Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, override

import msgspec

from translators.responses.item_writer import EndStatus, Place
from translators.responses.response_events import (
    CodeInterpreterCodeDelta,
    CodeInterpreterCodeDone,
    CodeInterpreterCompleted,
    CodeInterpreterInProgress,
    CodeInterpreterInterpreting,
    ResponseEvent,
)
from translators.responses.response_types import CodeInterpreterCallItem, CodeLogs
from translators.responses.server_calls import ServerCall, ServerCallWriter

__all__ = [
    "CODE_EXECUTION",
    "CODE_TOOLS",
    "CodeInterpreterWriter",
    "Container",
    "build_code_execution",
    "find_container_ids",
]

CODE_EXECUTION = "code_execution"
"""Claude's name of the tool, which no tool of the client may have beside it."""
CODE_TOOLS = frozenset({CODE_EXECUTION, "bash_code_execution", "text_editor_code_execution"})
"""Names in the calls that Claude makes with it."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container that code runs in."""

    claude_id: str | None = None
    """None: Claude has to make it."""
    file_ids: tuple[str, ...] = ()
    """Of the files that were put into it, as the client named them."""
    has_lost_files: bool = False
    """Whether one of those was deleted since. The container has it for as long as it lives; it is not named again."""


def build_code_execution() -> dict[str, Any]:
    """Build the tool, in the version that every model has."""
    return {"type": "code_execution_20250825", "name": CODE_EXECUTION}


def find_container_ids(tools: Iterable[Mapping[str, Any]], items: Iterable[Mapping[str, Any]]) -> list[str]:
    """Find the containers in which code may go on, the most wanted first: named by a tool, then used last."""
    declared = [tool for tool in tools if tool.get("type") == "code_interpreter"]
    named = [tool["container"] for tool in declared if isinstance(tool.get("container"), str)]
    used = [item.get("container_id") for item in items if item.get("type") == "code_interpreter_call"]
    wanted = named or [container for container in reversed(used) if isinstance(container, str)]
    return list(dict.fromkeys(wanted)) if declared else []


class CodeInterpreterWriter(ServerCallWriter):
    """Writes one run of code."""

    def __init__(self, place: Place, call: ServerCall, *, container_id: str, shows_outputs: bool) -> None:
        super().__init__(place, call)
        self._container_id = container_id
        self._shows_outputs = shows_outputs
        self._code: str | None = None

    @override
    def open(self) -> list[ResponseEvent]:
        added = self._added(
            CodeInterpreterCallItem(id=self._item_id, status="in_progress", container_id=self._container_id)
        )
        in_progress = CodeInterpreterInProgress(self._item_id, self._output_index, next(self._numbers))
        return [added, in_progress, *self.go_on()]

    @override
    def go_on(self) -> list[ResponseEvent]:
        if self._code is not None or self._call.input is None:
            return []
        code = self._code = _write_code(self._call.input)
        item_id, index, numbers = self._item_id, self._output_index, self._numbers
        events: list[ResponseEvent] = [CodeInterpreterCodeDelta(code, item_id, index, next(numbers))] if code else []
        events.append(CodeInterpreterCodeDone(code, item_id, index, next(numbers)))
        return [*events, CodeInterpreterInterpreting(item_id, index, next(numbers))]

    @override
    def close(self, status: EndStatus, *, ends_turn: bool = False) -> list[ResponseEvent]:
        call = self._call
        events: list[ResponseEvent] = []
        if call.result is not None and not call.failed:
            events.append(CodeInterpreterCompleted(self._item_id, self._output_index, next(self._numbers)))
        item = CodeInterpreterCallItem(
            id=self._item_id,
            # A run whose result never came was cut, however the answer ended.
            status="incomplete" if call.result is None else "failed" if call.failed else "completed",
            code=self._code or "",
            container_id=self._container_id,
            outputs=self._outputs() if self._shows_outputs and call.result is not None else None,
        )
        return [*events, self._done(item)]

    def _outputs(self) -> tuple[CodeLogs, ...]:
        content = self._call.content
        logs = _read_logs(content) if isinstance(content, dict) else ""
        return (CodeLogs(logs=logs),) if logs else ()


def _write_code(asked: Mapping[str, Any]) -> str:
    """Write what is run: Python or a shell command as it is, an edit of a file as its command, path and text."""
    for name in ("code", "command"):
        if isinstance(asked.get(name), str) and len(asked) == 1:
            return str(asked[name])
    head = " ".join(str(asked[name]) for name in ("command", "path") if name in asked)
    rest = {name: value for name, value in asked.items() if name not in ("command", "path")}
    text = rest.pop("file_text", None)
    lines = [head, *([str(text)] if text is not None else []), *([msgspec.json.encode(rest).decode()] if rest else [])]
    return "\n".join(line for line in lines if line)


def _read_logs(content: Mapping[str, Any]) -> str:
    """Read what a run printed, or the file that was looked at, or why it failed."""
    printed = [content.get(name) for name in ("stdout", "stderr", "content", "error_message", "error_code")]
    return "\n".join(text.rstrip("\n") for text in printed if isinstance(text, str) and text)

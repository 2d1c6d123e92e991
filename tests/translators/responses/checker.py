"""Is this a well-formed stream of a response? The rules that every stream of the real API keeps, as assertions.

It folds the events as a client would, and compares what it gathered with what each `done` event and the final response
say. The recorded streams of the real API pass; so have our own to.
"""

from typing import Any

type Event = dict[str, Any]

_TERMINAL = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
_CHANGES = {
    "status",
    "completed_at",
    "output",
    "usage",
    "service_tier",
    "error",
    "incomplete_details",
    "tool_usage",
    "moderation",
}
"""Fields of the response that the last event may say otherwise than the first; all others repeat the request."""
_STREAMED_FIELDS = {
    "response.function_call_arguments": ("function_call", "arguments"),
    "response.custom_tool_call_input": ("custom_tool_call", "input"),
    "response.mcp_call_arguments": ("mcp_call", "arguments"),
    "response.code_interpreter_call_code": ("code_interpreter_call", "code"),
    "response.apply_patch_call_operation_diff": ("apply_patch_call", "diff"),
}
"""Beginning of the event's type: the item's type, and the field that is streamed."""
_PART_FIELDS = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
    "reasoning_text": ("response.reasoning_text", "text"),
    "summary_text": ("response.reasoning_summary_text", "text"),
}
"""Type of a part: beginning of its events' types, and the field that is streamed."""
_PROGRESS = {
    "web_search_call": ["in_progress", "searching", "completed"],
    "file_search_call": ["in_progress", "searching", "completed"],
    "code_interpreter_call": ["in_progress", "interpreting", "completed"],
    "image_generation_call": ["in_progress", "generating", "partial_image", "completed"],
    "mcp_call": ["in_progress", "completed", "failed"],
    "mcp_list_tools": ["in_progress", "completed", "failed"],
}


class StreamChecker:
    """Takes the events in their order.

    Args:
        exact: also what OpenAI does not keep: the same `encrypted_content` in the `done` event and the final response,
            the same `call_id` of a tool search in all. Ours has to.
        numbered: the events have sequence numbers (the first recordings have none).
        first_number: of the first event; not 0 for a stream that was taken up again.
    """

    def __init__(self, *, exact: bool = True, numbered: bool = True, first_number: int = 0) -> None:
        self._exact = exact
        self._numbered = numbered
        self._next_number = first_number
        self._began_earlier = first_number > 0
        self._first: dict[str, Any] | None = None
        self._last_type = ""
        self._items: list[dict[str, Any]] = []
        self._open: _OpenItem | None = None
        self.final: dict[str, Any] | None = None
        """The final response, once it came."""

    def check(self, event: Event) -> None:
        """Check the next event."""
        kind = event["type"]
        assert self.final is None, f"{kind} after the last event"
        if self._numbered:
            number = event["sequence_number"]
            assert number == self._next_number, f"{kind} has number {number}, not {self._next_number}"
            self._next_number += 1
        if self._last_type == "error":
            assert kind == "response.failed", f"{kind} after an error"
        if "response" in event:
            self._check_lifecycle(kind, event["response"])
        elif kind == "error":
            assert {"type", "code", "message", "param"} == event["error"].keys()
        else:
            self._check_item_event(kind, event)
        self._last_type = kind

    def finish(self) -> dict[str, Any]:
        """Check that the stream has ended as it should; return the final response."""
        assert self.final is not None, "no last event"
        return self.final

    def _check_lifecycle(self, kind: str, response: dict[str, Any]) -> None:
        expected = {
            "response.created": {""},
            "response.queued": {"response.created"} | ({""} if self._began_earlier else set()),
            "response.in_progress": {"response.created", "response.queued"},
        }.get(kind)
        if expected is not None:
            assert self._last_type in expected, f"{kind} after {self._last_type or 'nothing'}"
            assert response["output"] == []
            assert response.get("usage") is None
            status = "in_progress" if kind == "response.in_progress" else None
            assert response["status"] == (status or ("queued" if response.get("background") else "in_progress"))
        if self._first is None:
            assert expected is not None, f"the stream begins with {kind}"
            self._first = response
        for name, value in self._first.items():
            if name not in _CHANGES:
                assert response.get(name) == value, f"{kind} changes {name}"
        if expected is None:
            self._check_final(kind, response)

    def _check_final(self, kind: str, response: dict[str, Any]) -> None:
        assert kind in _TERMINAL, f"an unknown event {kind}"
        assert response["status"] == _TERMINAL[kind]
        assert (response["error"] is not None) == (kind == "response.failed")
        assert (response["incomplete_details"] is not None) == (kind == "response.incomplete")
        assert (response.get("completed_at") is not None) <= (kind == "response.completed")
        if kind == "response.failed":
            assert self._last_type == "error"
        else:
            assert self._open is None, f"{kind} while an item is open"
            usage = response["usage"]
            assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert len(response["output"]) == len(self._items), "the final response has not the items of the stream"
        for final, streamed in zip(response["output"], self._items, strict=True):
            assert self._comparable(final) == self._comparable(streamed), "an item differs in the final response"
        ids = [item["id"] for item in response["output"]]
        assert len(set(ids)) == len(ids), "two items have one id"
        self.final = response

    def _comparable(self, item: dict[str, Any]) -> dict[str, Any]:
        if self._exact:
            return item
        # OpenAI encrypts anew for the final response.
        unstable = {"encrypted_content", "fingerprint"}
        return {name: value for name, value in item.items() if name not in unstable}

    def _check_item_event(self, kind: str, event: Event) -> None:
        assert self._last_type not in ("", "response.created", "response.queued"), f"{kind} before in_progress"
        index = event["output_index"]
        if kind == "response.output_item.added":
            assert self._open is None, "an item begins while another is open"
            assert index == len(self._items), f"item {index} begins, not {len(self._items)}"
            self._open = _OpenItem(event["item"], exact=self._exact)
            return
        assert self._open is not None, f"{kind} while no item is open"
        assert index == len(self._items), f"{kind} is of item {index}, not {len(self._items)}"
        if kind == "response.output_item.done":
            self._open.check_done(event["item"])
            self._items.append(event["item"])
            self._open = None
        else:
            self._open.check(kind, event)


class _OpenItem:
    """An item between `added` and `done`, and what its events said of it."""

    def __init__(self, item: dict[str, Any], *, exact: bool) -> None:
        self._added = item
        self._exact = exact
        self._parts: list[dict[str, Any]] = []
        self._part: _OpenPart | None = None
        self._text: str | None = None
        self._text_done: str | None = None
        self._progress: list[str] = []
        self._commands: list[str] = []
        self._command: str | None = None
        assert item["id"], "an item without an id"
        assert item.get("status", "in_progress") in ("in_progress", "completed")
        if item["type"] == "message":
            assert item["content"] == []
            assert item["role"] == "assistant"
        if item["type"] == "reasoning":
            assert item["summary"] == []

    def check(self, kind: str, event: Event) -> None:
        if "item_id" in event:
            assert event["item_id"] == self._added["id"], f"{kind} names another item"
        else:
            assert kind.startswith("response.shell_call_command."), f"{kind} names no item"
        stem, _, verb = kind.rpartition(".")
        item_type = self._added["type"]
        if stem in _STREAMED_FIELDS:
            assert item_type == _STREAMED_FIELDS[stem][0]
            self._check_text(verb, event, _STREAMED_FIELDS[stem][1])
        elif stem == "response.shell_call_command":
            assert item_type == "shell_call"
            self._check_command(verb, event)
        elif stem == f"response.{item_type}" and item_type in _PROGRESS:
            order = _PROGRESS[item_type]
            assert verb in order
            assert not self._progress or order.index(self._progress[-1]) <= order.index(verb), "progress goes back"
            self._progress.append(verb)
        elif stem == "response.shell_call_output_content":
            assert item_type == "shell_call_output"
        else:
            self._check_part(kind, event)

    def check_done(self, item: dict[str, Any]) -> None:
        assert self._part is None, "an item ends while a part is open"
        for name in ("id", "type", "call_id", "name", "namespace", "role"):
            if name == "call_id" and item["type"] == "tool_search_call" and not self._exact:
                continue
            assert item.get(name) == self._added.get(name), f"{name} of an item changes"
        if "phase" in self._added:
            assert item["phase"] == self._added["phase"], "a phase changes"
        is_of_program = (item.get("caller") or {}).get("type") == "program"
        assert item.get("status") != "in_progress" or item["type"] == "apply_patch_call" or is_of_program
        if item["type"] == "message":
            assert _without_logprobs(item["content"]) == _without_logprobs(self._parts)
        if item["type"] == "reasoning":
            assert item["summary"] == self._parts
        if self._text is not None:
            assert self._text_done is not None, "pieces without their whole"
        if self._text_done is not None:
            name = next(field for kind, field in _STREAMED_FIELDS.values() if kind == item["type"])
            held = item["operation"] if item["type"] == "apply_patch_call" else item
            assert held[name] == self._text_done
        if self._commands:
            assert item["action"]["commands"] == self._commands
        if item["type"] == "web_search_call":
            finished = ["in_progress", "searching", "completed"]
            assert self._progress == (finished if item["status"] == "completed" else finished[: len(self._progress)])

    def _check_text(self, verb: str, event: Event, field: str) -> None:
        assert self._text_done is None, "a piece after the whole"
        if verb == "delta":
            assert event["delta"], "an empty piece"
            self._text = (self._text or "") + event["delta"]
        else:
            assert verb == "done"
            self._text_done = event[field]
            assert self._text_done == (self._text or ""), "the pieces are not the whole"

    def _check_command(self, verb: str, event: Event) -> None:
        assert event["command_index"] == len(self._commands)
        if verb == "added":
            assert self._command is None
            self._command = event["command"]
            return
        assert self._command is not None, "a command that has not begun"
        if verb == "delta":
            self._command += event["delta"]
        else:
            assert event["command"] == self._command
            self._commands.append(event["command"])
            self._command = None

    def _check_part(self, kind: str, event: Event) -> None:
        index = event["summary_index"] if "summary_index" in event else event["content_index"]
        assert index == len(self._parts), f"{kind} is of part {index}, not {len(self._parts)}"
        if kind in ("response.content_part.added", "response.reasoning_summary_part.added"):
            assert self._part is None, "a part begins while another is open"
            self._part = _OpenPart(event["part"])
            return
        assert self._part is not None, f"{kind} while no part is open"
        if kind in ("response.content_part.done", "response.reasoning_summary_part.done"):
            self._part.check_done(event["part"])
            self._parts.append(event["part"])
            self._part = None
        else:
            self._part.check(kind, event)


class _OpenPart:
    """A part of a message or of a summary, between `added` and `done`."""

    def __init__(self, part: dict[str, Any]) -> None:
        self._type = part["type"]
        self._stem, self._field = _PART_FIELDS[self._type]
        assert part[self._field] == ""
        self._text = ""
        self._is_whole = False
        self._annotations: list[dict[str, Any]] = []

    def check(self, kind: str, event: Event) -> None:
        assert not self._is_whole, f"{kind} after the whole"
        if kind == "response.output_text.annotation.added":
            assert event["annotation_index"] == len(self._annotations)
            self._annotations.append(event["annotation"])
        elif kind == f"{self._stem}.delta":
            assert event["delta"], "an empty piece"
            self._text += event["delta"]
        else:
            assert kind == f"{self._stem}.done", f"{kind} in a part of type {self._type}"
            assert event[self._field] == self._text, "the pieces are not the whole"
            self._is_whole = True

    def check_done(self, part: dict[str, Any]) -> None:
        assert self._is_whole, "a part ends before its text"
        assert part["type"] == self._type
        assert part[self._field] == self._text
        if self._type == "output_text":
            assert part["annotations"] == self._annotations


def _without_logprobs(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in part.items() if name != "logprobs"} for part in parts]


def check_stream(
    events: list[Event], *, exact: bool = True, numbered: bool = True, first_number: int = 0
) -> dict[str, Any]:
    """Check a whole stream; return the final response. See `StreamChecker`."""
    checker = StreamChecker(exact=exact, numbered=numbered, first_number=first_number)
    for event in events:
        checker.check(event)
    return checker.finish()

"""The wire format of a streamed response: its events and their bytes.

Names and fields are those of `openai.types.responses.ResponseStreamEvent`, in the order of recorded streams: the type,
then the alphabet. Two are on the wire and not in that union: `apply_patch_call_operation_diff`, and `error` with its
fields in an object. Three fields of the union are not: `name` of `function_call_arguments.done`, `status` of
`reasoning_summary_part.done`, and `obfuscation`, which is left out as with `include_obfuscation: false`.
"""

import msgspec

from translators.responses.response_types import (
    OutputItem,
    OutputText,
    Refusal,
    Response,
    SummaryText,
    UrlCitation,
)
from translators.sse import encode_named, escape_line_breaks

__all__ = [
    "AnnotationAdded",
    "ApplyPatchDiffDelta",
    "ApplyPatchDiffDone",
    "CodeInterpreterCodeDelta",
    "CodeInterpreterCodeDone",
    "CodeInterpreterCompleted",
    "CodeInterpreterInProgress",
    "CodeInterpreterInterpreting",
    "ContentPartAdded",
    "ContentPartDone",
    "CustomToolCallInputDelta",
    "CustomToolCallInputDone",
    "ErrorBody",
    "ErrorEvent",
    "FunctionCallArgumentsDelta",
    "FunctionCallArgumentsDone",
    "McpCallArgumentsDelta",
    "McpCallArgumentsDone",
    "McpCallCompleted",
    "McpCallFailed",
    "McpCallInProgress",
    "McpListToolsCompleted",
    "McpListToolsInProgress",
    "OutputItemAdded",
    "OutputItemDone",
    "OutputTextDelta",
    "OutputTextDone",
    "RefusalDelta",
    "RefusalDone",
    "ResponseCompleted",
    "ResponseCreated",
    "ResponseEvent",
    "ResponseFailed",
    "ResponseInProgress",
    "ResponseIncomplete",
    "ResponseQueued",
    "ShellCommandAdded",
    "ShellCommandDelta",
    "ShellCommandDone",
    "SummaryPartAdded",
    "SummaryPartDone",
    "SummaryTextDelta",
    "SummaryTextDone",
    "WebSearchCompleted",
    "WebSearchInProgress",
    "WebSearchSearching",
    "encode_event",
    "encode_payload",
    "type_of",
]


class _Lifecycle(msgspec.Struct, frozen=True, tag_field="type"):
    response: Response
    sequence_number: int


class ResponseCreated(_Lifecycle, frozen=True, tag="response.created"):
    """The response exists."""


class ResponseQueued(_Lifecycle, frozen=True, tag="response.queued"):
    """It waits to be run in the background."""


class ResponseInProgress(_Lifecycle, frozen=True, tag="response.in_progress"):
    """It is being made."""


class ResponseCompleted(_Lifecycle, frozen=True, tag="response.completed"):
    """It is whole."""


class ResponseIncomplete(_Lifecycle, frozen=True, tag="response.incomplete"):
    """It ended before it was whole; `incomplete_details` says why."""


class ResponseFailed(_Lifecycle, frozen=True, tag="response.failed"):
    """It failed; `error` says why. Comes after an `error` event."""


class ErrorBody(msgspec.Struct, frozen=True, gc=False):
    """What an `error` event says."""

    type: str
    code: str | None
    message: str
    param: str | None


class ErrorEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """An error. Documented without the object around its fields, sent with it."""

    sequence_number: int
    error: ErrorBody


class _ItemEvent(msgspec.Struct, frozen=True, tag_field="type"):
    item: OutputItem
    output_index: int
    sequence_number: int


class OutputItemAdded(_ItemEvent, frozen=True, tag="response.output_item.added"):
    """An item begins, with what is known of it."""


class OutputItemDone(_ItemEvent, frozen=True, tag="response.output_item.done"):
    """An item is whole, or cut (`status: incomplete`)."""


class _PartEvent(msgspec.Struct, frozen=True, tag_field="type"):
    content_index: int
    item_id: str
    output_index: int
    part: OutputText | Refusal
    sequence_number: int


class ContentPartAdded(_PartEvent, frozen=True, tag="response.content_part.added"):
    """A part of a message begins."""


class ContentPartDone(_PartEvent, frozen=True, tag="response.content_part.done"):
    """A part of a message is whole."""


class OutputTextDelta(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.output_text.delta"):
    """A piece of a text."""

    content_index: int
    delta: str
    item_id: str
    logprobs: tuple[()]
    output_index: int
    sequence_number: int


class OutputTextDone(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.output_text.done"):
    """The text of a part."""

    content_index: int
    item_id: str
    logprobs: tuple[()]
    output_index: int
    sequence_number: int
    text: str


class AnnotationAdded(msgspec.Struct, frozen=True, tag_field="type", tag="response.output_text.annotation.added"):
    """A citation of the text so far."""

    annotation: UrlCitation
    annotation_index: int
    content_index: int
    item_id: str
    output_index: int
    sequence_number: int


class RefusalDelta(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.refusal.delta"):
    """A piece of a refusal."""

    content_index: int
    delta: str
    item_id: str
    output_index: int
    sequence_number: int


class RefusalDone(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.refusal.done"):
    """The refusal of a part."""

    content_index: int
    item_id: str
    output_index: int
    refusal: str
    sequence_number: int


class _SummaryPartEvent(msgspec.Struct, frozen=True, tag_field="type"):
    item_id: str
    output_index: int
    part: SummaryText
    sequence_number: int
    summary_index: int


class SummaryPartAdded(_SummaryPartEvent, frozen=True, tag="response.reasoning_summary_part.added"):
    """A part of a reasoning summary begins."""


class SummaryPartDone(_SummaryPartEvent, frozen=True, tag="response.reasoning_summary_part.done"):
    """A part of a reasoning summary is whole."""


class SummaryTextDelta(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.reasoning_summary_text.delta"
):
    """A piece of a reasoning summary."""

    delta: str
    item_id: str
    output_index: int
    sequence_number: int
    summary_index: int


class SummaryTextDone(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.reasoning_summary_text.done"
):
    """The text of a part of a reasoning summary."""

    item_id: str
    output_index: int
    sequence_number: int
    summary_index: int
    text: str


class _ItemDelta(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    delta: str
    item_id: str
    output_index: int
    sequence_number: int


class FunctionCallArgumentsDelta(_ItemDelta, frozen=True, tag="response.function_call_arguments.delta"):
    """A piece of a function's arguments."""


class CustomToolCallInputDelta(_ItemDelta, frozen=True, tag="response.custom_tool_call_input.delta"):
    """A piece of a custom tool's input."""


class ApplyPatchDiffDelta(_ItemDelta, frozen=True, tag="response.apply_patch_call_operation_diff.delta"):
    """A piece of a patch."""


class FunctionCallArgumentsDone(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.function_call_arguments.done"
):
    """All of a function's arguments."""

    arguments: str
    item_id: str
    output_index: int
    sequence_number: int


class CustomToolCallInputDone(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.custom_tool_call_input.done"
):
    """All of a custom tool's input."""

    input: str
    item_id: str
    output_index: int
    sequence_number: int


class ApplyPatchDiffDone(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.apply_patch_call_operation_diff.done"
):
    """All of a patch."""

    diff: str
    item_id: str
    output_index: int
    sequence_number: int


class ShellCommandAdded(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.shell_call_command.added"
):
    """A command begins. The events of commands name no item."""

    command: str
    command_index: int
    output_index: int
    sequence_number: int


class ShellCommandDelta(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.shell_call_command.delta"
):
    """A piece of a command."""

    command_index: int
    delta: str
    output_index: int
    sequence_number: int


class ShellCommandDone(msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.shell_call_command.done"):
    """All of a command."""

    command: str
    command_index: int
    output_index: int
    sequence_number: int


class _CallEvent(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    item_id: str
    output_index: int
    sequence_number: int


class WebSearchInProgress(_CallEvent, frozen=True, tag="response.web_search_call.in_progress"):
    """Claude has begun to ask for a search."""


class WebSearchSearching(_CallEvent, frozen=True, tag="response.web_search_call.searching"):
    """The search is being made."""


class WebSearchCompleted(_CallEvent, frozen=True, tag="response.web_search_call.completed"):
    """The search has found something, or nothing."""


class CodeInterpreterInProgress(_CallEvent, frozen=True, tag="response.code_interpreter_call.in_progress"):
    """Claude has begun to write code."""


class CodeInterpreterCodeDelta(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.code_interpreter_call_code.delta"
):
    """A piece of the code."""

    delta: str
    item_id: str
    output_index: int
    sequence_number: int


class CodeInterpreterCodeDone(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.code_interpreter_call_code.done"
):
    """All of the code."""

    code: str
    item_id: str
    output_index: int
    sequence_number: int


class CodeInterpreterInterpreting(_CallEvent, frozen=True, tag="response.code_interpreter_call.interpreting"):
    """The code is running."""


class CodeInterpreterCompleted(_CallEvent, frozen=True, tag="response.code_interpreter_call.completed"):
    """The code has run, whatever it returned."""


class McpListToolsInProgress(_CallEvent, frozen=True, tag="response.mcp_list_tools.in_progress"):
    """A server is asked for its tools."""


class McpListToolsCompleted(_CallEvent, frozen=True, tag="response.mcp_list_tools.completed"):
    """The server has listed its tools."""


class McpCallInProgress(_CallEvent, frozen=True, tag="response.mcp_call.in_progress"):
    """Claude has begun to call a tool of a server."""


class McpCallArgumentsDelta(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.mcp_call_arguments.delta"
):
    """A piece of the arguments."""

    delta: str
    item_id: str
    output_index: int
    sequence_number: int


class McpCallArgumentsDone(
    msgspec.Struct, frozen=True, gc=False, tag_field="type", tag="response.mcp_call_arguments.done"
):
    """All of the arguments."""

    arguments: str
    item_id: str
    output_index: int
    sequence_number: int


class McpCallCompleted(_CallEvent, frozen=True, tag="response.mcp_call.completed"):
    """The server has answered."""


class McpCallFailed(_CallEvent, frozen=True, tag="response.mcp_call.failed"):
    """The server has answered with an error."""


type ResponseEvent = (
    ResponseCreated
    | ResponseQueued
    | ResponseInProgress
    | ResponseCompleted
    | ResponseIncomplete
    | ResponseFailed
    | ErrorEvent
    | OutputItemAdded
    | OutputItemDone
    | ContentPartAdded
    | ContentPartDone
    | OutputTextDelta
    | OutputTextDone
    | AnnotationAdded
    | RefusalDelta
    | RefusalDone
    | SummaryPartAdded
    | SummaryPartDone
    | SummaryTextDelta
    | SummaryTextDone
    | FunctionCallArgumentsDelta
    | FunctionCallArgumentsDone
    | CustomToolCallInputDelta
    | CustomToolCallInputDone
    | ApplyPatchDiffDelta
    | ApplyPatchDiffDone
    | ShellCommandAdded
    | ShellCommandDelta
    | ShellCommandDone
    | WebSearchInProgress
    | WebSearchSearching
    | WebSearchCompleted
    | CodeInterpreterInProgress
    | CodeInterpreterCodeDelta
    | CodeInterpreterCodeDone
    | CodeInterpreterInterpreting
    | CodeInterpreterCompleted
    | McpListToolsInProgress
    | McpListToolsCompleted
    | McpCallInProgress
    | McpCallArgumentsDelta
    | McpCallArgumentsDone
    | McpCallCompleted
    | McpCallFailed
)

_encode = msgspec.json.Encoder().encode
_names: dict[type[msgspec.Struct], bytes] = {}


def type_of(event: ResponseEvent) -> str:
    """Return the event's `type`."""
    return str(type(event).__struct_config__.tag)


def encode_payload(event: ResponseEvent) -> bytes:
    """Encode as JSON."""
    return _encode(event)


def encode_event(event: ResponseEvent) -> bytes:
    """Encode as a whole SSE event, named by its type. Nothing ends the stream: Responses send no `[DONE]`."""
    name = _names.get(type(event)) or _names.setdefault(type(event), type_of(event).encode())
    return encode_named(name, escape_line_breaks(_encode(event)))

"""The response object and its output items, as they stand on the wire.

Field order and presence follow recorded answers of 2026 (`openai.types.responses.Response` has the types): a field that
the recordings always have is always there, null where it says nothing; the others are there only if they say something.
Streamed answers have no `billing`, and so have ours none at all: who pays is no business of a client.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from translators.claude_events import Usage

__all__ = [
    "NO_TOOL_USAGE",
    "ApplyPatchCallItem",
    "ApplyPatchOperation",
    "CodeInterpreterCallItem",
    "CodeLogs",
    "CompactionItem",
    "CustomToolCallItem",
    "FunctionCallItem",
    "IncompleteDetails",
    "IncompleteReason",
    "InputTokensDetails",
    "ItemStatus",
    "LocalShellAction",
    "LocalShellCallItem",
    "McpCallItem",
    "McpExecutionError",
    "McpListToolsItem",
    "McpTool",
    "MessageItem",
    "MessagePhase",
    "OpenPageAction",
    "OutputItem",
    "OutputText",
    "OutputTokensDetails",
    "ReasoningItem",
    "Refusal",
    "RemovedReasoning",
    "Response",
    "ResponseError",
    "ResponseStatus",
    "ResponseUsage",
    "SearchAction",
    "ShellAction",
    "ShellCallItem",
    "Source",
    "SummaryText",
    "ToolSearchCallItem",
    "UrlCitation",
    "WebSearchCallItem",
    "translate_response_usage",
]

type ItemStatus = Literal["in_progress", "completed", "incomplete"]
type MessagePhase = Literal["commentary", "final_answer"]
type ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
type IncompleteReason = Literal["max_output_tokens", "content_filter"]


class UrlCitation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A web page that the characters `start_index` to `end_index` (exclusive) of its text part rest on."""

    type: Literal["url_citation"] = "url_citation"
    end_index: int
    start_index: int
    title: str
    url: str


class OutputText(msgspec.Struct, frozen=True, kw_only=True):
    """A text of a message. There are no log probabilities: Claude gives none."""

    type: Literal["output_text"] = "output_text"
    annotations: tuple[UrlCitation, ...] = ()
    logprobs: tuple[()] = ()
    text: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a message that says that, and why, there is no answer."""

    type: Literal["refusal"] = "refusal"
    refusal: str = ""


class MessageItem(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the assistant.

    `phase`: `final_answer` for the text that ends a turn, `commentary` for what comes before more work.
    """

    id: str
    type: Literal["message"] = "message"
    status: ItemStatus
    content: tuple[OutputText | Refusal, ...] = ()
    phase: MessagePhase | UnsetType = UNSET
    role: Literal["assistant"] = "assistant"


class SummaryText(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a reasoning summary."""

    type: Literal["summary_text"] = "summary_text"
    text: str = ""


class ReasoningItem(msgspec.Struct, frozen=True, kw_only=True):
    """A run of thinking. What Claude needs of it again is in `encrypted_content` (`reasoning_envelope`)."""

    id: str
    type: Literal["reasoning"] = "reasoning"
    content: tuple[()] = ()
    encrypted_content: str
    summary: tuple[SummaryText, ...] = ()


class FunctionCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a function. `arguments` is JSON, as Claude wrote it."""

    id: str
    type: Literal["function_call"] = "function_call"
    status: ItemStatus
    arguments: str = ""
    call_id: str
    name: str
    namespace: str | UnsetType = UNSET


class CustomToolCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a custom tool. `input` is raw text."""

    id: str
    type: Literal["custom_tool_call"] = "custom_tool_call"
    status: ItemStatus
    call_id: str
    input: str = ""
    name: str
    namespace: str | UnsetType = UNSET


class Source(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A page that a search found."""

    type: Literal["url"] = "url"
    url: str


class SearchAction(msgspec.Struct, frozen=True, kw_only=True):
    """A search. `sources` only if `include` asked for `web_search_call.action.sources`."""

    type: Literal["search"] = "search"
    queries: tuple[str, ...] | UnsetType = UNSET
    query: str | UnsetType = UNSET
    sources: tuple[Source, ...] | UnsetType = UNSET


class OpenPageAction(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A page that was read: what Claude calls a web fetch."""

    type: Literal["open_page"] = "open_page"
    url: str | UnsetType = UNSET


class WebSearchCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """A web search that Claude made itself."""

    id: str
    type: Literal["web_search_call"] = "web_search_call"
    status: ItemStatus | Literal["searching", "failed"]
    action: SearchAction | OpenPageAction


class CodeLogs(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What code printed."""

    type: Literal["logs"] = "logs"
    logs: str


class CodeInterpreterCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """Code that Claude ran in its sandbox. `outputs` only if `include` asked for `code_interpreter_call.outputs`."""

    id: str
    type: Literal["code_interpreter_call"] = "code_interpreter_call"
    status: ItemStatus | Literal["interpreting", "failed"]
    code: str = ""
    container_id: str
    outputs: tuple[CodeLogs, ...] | None = None


class McpTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool as its server lists it."""

    annotations: None = None
    description: str | None = None
    input_schema: Any = None
    name: str = ""


class McpListToolsItem(msgspec.Struct, frozen=True, kw_only=True):
    """The tools that a server has."""

    id: str
    type: Literal["mcp_list_tools"] = "mcp_list_tools"
    server_label: str
    tools: tuple[McpTool, ...] = ()


class McpExecutionError(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool of a server answered instead of a result: the content of its answer."""

    type: Literal["mcp_tool_execution_error"] = "mcp_tool_execution_error"
    content: Any


class McpCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a server's tool that Claude made itself. Nobody approved it: only such servers are taken."""

    id: str
    type: Literal["mcp_call"] = "mcp_call"
    status: ItemStatus | Literal["calling", "failed"]
    approval_request_id: None = None
    arguments: str = ""
    error: McpExecutionError | None = None
    name: str
    output: str | None = None
    server_label: str


class ToolSearchCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """A search for tools, which the client makes."""

    id: str
    type: Literal["tool_search_call"] = "tool_search_call"
    status: ItemStatus
    arguments: Any
    call_id: str
    execution: Literal["client"] = "client"


class ShellAction(msgspec.Struct, frozen=True, kw_only=True):
    """Commands for the client's shell."""

    commands: tuple[str, ...] = ()
    max_output_length: int | None = None
    timeout_ms: int | None = None


class ShellCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the tool `shell`, which the client runs."""

    id: str
    type: Literal["shell_call"] = "shell_call"
    status: ItemStatus
    action: ShellAction
    call_id: str
    environment: Mapping[str, str] = msgspec.field(default_factory=lambda: {"type": "local"})


class LocalShellAction(msgspec.Struct, frozen=True, kw_only=True):
    """A command, as its words, for the client's shell."""

    type: Literal["exec"] = "exec"
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = msgspec.field(default_factory=dict)
    timeout_ms: int | UnsetType = UNSET
    user: str | UnsetType = UNSET
    working_directory: str | UnsetType = UNSET


class LocalShellCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the tool `local_shell`, which the client runs."""

    id: str
    type: Literal["local_shell_call"] = "local_shell_call"
    status: ItemStatus
    action: LocalShellAction
    call_id: str


class ApplyPatchOperation(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one file. Deleting it takes no diff."""

    type: Literal["create_file", "update_file", "delete_file"]
    diff: str | UnsetType = UNSET
    path: str


class ApplyPatchCallItem(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the tool `apply_patch`, which the client runs.

    A call that was cut stays `in_progress`: the type has no `incomplete`.
    """

    id: str
    type: Literal["apply_patch_call"] = "apply_patch_call"
    status: Literal["in_progress", "completed"]
    call_id: str
    operation: ApplyPatchOperation


class CompactionItem(msgspec.Struct, frozen=True, kw_only=True):
    """The summary that takes the place of the conversation so far (`reasoning_envelope`)."""

    id: str
    type: Literal["compaction"] = "compaction"
    encrypted_content: str


type OutputItem = (
    MessageItem
    | ReasoningItem
    | FunctionCallItem
    | CustomToolCallItem
    | WebSearchCallItem
    | CodeInterpreterCallItem
    | McpListToolsItem
    | McpCallItem
    | ToolSearchCallItem
    | ShellCallItem
    | LocalShellCallItem
    | ApplyPatchCallItem
    | CompactionItem
)


class InputTokensDetails(msgspec.Struct, frozen=True, gc=False):
    """Parts of `input_tokens`. openai 3.54 requires `cache_write_tokens`."""

    cache_write_tokens: int = 0
    cached_tokens: int = 0


class OutputTokensDetails(msgspec.Struct, frozen=True, gc=False):
    """Parts of `output_tokens`."""

    reasoning_tokens: int = 0


class ResponseUsage(msgspec.Struct, frozen=True, gc=False):
    """The usage of one response, in tokens."""

    input_tokens: int = 0
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int = 0
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int = 0


def translate_response_usage(usage: Usage) -> ResponseUsage:
    """Translate Claude's counts: OpenAI's `input_tokens` holds what was read from and written to the cache too."""
    cached = usage.cache_read_input_tokens or 0
    written = usage.cache_creation_input_tokens or 0
    read = (usage.input_tokens or 0) + cached + written
    output = usage.output_tokens or 0
    details = usage.output_tokens_details
    return ResponseUsage(
        input_tokens=read,
        input_tokens_details=InputTokensDetails(cache_write_tokens=written, cached_tokens=cached),
        output_tokens=output,
        output_tokens_details=OutputTokensDetails(details.thinking_tokens if details else 0),
        total_tokens=read + output,
    )


class IncompleteDetails(msgspec.Struct, frozen=True, gc=False):
    """Why a response is incomplete."""

    reason: IncompleteReason


class ResponseError(msgspec.Struct, frozen=True, gc=False):
    """Why a response failed."""

    code: str
    message: str


class RemovedReasoning(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A reasoning item of the input that Claude did not get: OpenAI's `input_transformations`."""

    id: str
    action: Literal["removed"] = "removed"
    reason: str
    type: Literal["reasoning"] = "reasoning"


_NO_IMAGES = {"image_tokens": 0, "text_tokens": 0}
NO_TOOL_USAGE: Mapping[str, Any] = {
    "image_gen": {
        "input_tokens": 0,
        "input_tokens_details": _NO_IMAGES,
        "output_tokens": 0,
        "output_tokens_details": _NO_IMAGES,
        "total_tokens": 0,
    },
    "web_search": {"num_requests": 0},
}
"""`tool_usage` of a response that used no tool of the host."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A response. `created_at` and `completed_at` are in seconds since 1970.

    The fields typed Any repeat the request (`ResponsesPlan.echo`); their defaults are those of a request that names
    nothing.
    """

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: ResponseStatus
    access_programs: Any = UNSET
    background: Any = False
    completed_at: int | None = None
    conversation: Any = UNSET
    error: ResponseError | None = None
    frequency_penalty: Any = 0
    image: Any = UNSET
    incomplete_details: IncompleteDetails | None = None
    input_transformations: tuple[RemovedReasoning, ...] | UnsetType = UNSET
    instructions: Any = None
    max_output_tokens: Any = None
    max_tool_calls: Any = None
    model: str
    moderation: Any = None
    output: tuple[OutputItem, ...] = ()
    parallel_tool_calls: Any = True
    presence_penalty: Any = 0
    previous_response_id: Any = None
    prompt_cache_key: Any = None
    prompt_cache_options: Any = UNSET
    prompt_cache_retention: Any = None
    reasoning: Any = msgspec.field(default_factory=lambda: {"effort": None, "summary": None})
    safety_identifier: Any = None
    service_tier: Any = "auto"
    store: Any = True
    temperature: Any = 1
    text: Any = msgspec.field(default_factory=lambda: {"format": {"type": "text"}, "verbosity": "medium"})
    tool_choice: Any = "auto"
    tool_usage: Any = msgspec.field(default_factory=lambda: NO_TOOL_USAGE)
    tools: Any = ()
    top_logprobs: Any = 0
    top_p: Any = 1
    truncation: Any = "disabled"
    usage: ResponseUsage | None = None
    user: Any = None
    metadata: Any = msgspec.field(default_factory=dict)

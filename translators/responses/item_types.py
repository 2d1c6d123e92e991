"""Items of a Responses conversation as typed values: what clients send as input, and get back as output.

The names are those of `openai.types.responses.ResponseInputItemParam`. Only fields that reach Claude are here; ids,
statuses and a client's own additions change with every request, and must not.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct, field

__all__ = [
    "ITEM_TYPES",
    "LEFT_OUT",
    "AdditionalTools",
    "AgentMessage",
    "ApplyPatchCall",
    "ApplyPatchCallOutput",
    "CodeInterpreterCall",
    "CompactionItem",
    "CompactionTrigger",
    "ConfigurationUpdate",
    "ContentPart",
    "CustomToolCall",
    "CustomToolCallOutput",
    "EncryptedContent",
    "FunctionCall",
    "FunctionCallOutput",
    "InputAudio",
    "InputFile",
    "InputImage",
    "InputItem",
    "InputText",
    "ItemReference",
    "LeftOutItem",
    "LocalShellCall",
    "LocalShellCallOutput",
    "McpCall",
    "McpListTools",
    "Message",
    "OutputText",
    "PlainText",
    "ReasoningItem",
    "ReasoningText",
    "Refusal",
    "ShellCall",
    "ShellCallOutput",
    "SummaryText",
    "ToolSearchCall",
    "ToolSearchOutput",
    "WebSearchCall",
]


class _Value(Struct, frozen=True):
    """A JSON object; unknown fields inside it are passed over."""


# Content parts


class PromptCacheBreakpoint(_Value, frozen=True):
    """An explicit end of a cached prefix."""

    mode: Literal["explicit"] = "explicit"
    ttl: Literal["30m", "12h"] | None = None


class InputText(_Value, tag_field="type", tag="input_text", frozen=True):
    """Text of the user or the developer."""

    text: str
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


class OutputText(_Value, tag_field="type", tag="output_text", frozen=True):
    """Text of the model."""

    text: str


class PlainText(_Value, tag_field="type", tag="text", frozen=True):
    """Text, as conversations store it."""

    text: str


class Refusal(_Value, tag_field="type", tag="refusal", frozen=True):
    """A refusal of an earlier turn."""

    refusal: str


class SummaryText(_Value, tag_field="type", tag="summary_text", frozen=True):
    """A part of a reasoning summary."""

    text: str


class ReasoningText(_Value, tag_field="type", tag="reasoning_text", frozen=True):
    """A part of reasoning."""

    text: str


class InputImage(_Value, tag_field="type", tag="input_image", frozen=True):
    """An image, by URL, data URL or the id of an uploaded file."""

    image_url: str | None = None
    file_id: str | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


class InputFile(_Value, tag_field="type", tag="input_file", frozen=True):
    """A file: its data, its URL, or the id of an uploaded one."""

    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: Literal["auto", "low", "high"] | None = None
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


class EncryptedContent(_Value, tag_field="type", tag="encrypted_content", frozen=True):
    """What one agent says to another, from an argument of a call that OpenAI would have encrypted: here it is text."""

    encrypted_content: str


class InputAudio(_Value, tag_field="type", tag="input_audio", frozen=True):
    """Sound."""


type ContentPart = (
    InputText
    | OutputText
    | PlainText
    | Refusal
    | SummaryText
    | ReasoningText
    | InputImage
    | InputFile
    | InputAudio
    | EncryptedContent
)
type Output = str | list[InputText | OutputText | PlainText | InputImage | InputFile]


# Items


class Message(_Value, frozen=True):
    """What somebody said. `type` may be absent on the wire."""

    role: Literal["user", "assistant", "system", "developer"]
    content: (
        str
        | list[
            InputText
            | OutputText
            | PlainText
            | Refusal
            | SummaryText
            | ReasoningText
            | InputImage
            | InputFile
            | InputAudio
        ]
    )


class AgentMessage(_Value, frozen=True):
    """What one agent said to another. Its first part names both (Codex)."""

    content: list[InputText | InputImage | EncryptedContent]


class FunctionCall(_Value, frozen=True):
    """A call of a function that the model made. `arguments` is JSON text."""

    call_id: str
    name: str
    arguments: str
    namespace: str | None = None


class FunctionCallOutput(_Value, frozen=True):
    """The result of a function call, or without `call_id` that of the last call of its name."""

    output: Output
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None


class CustomToolCall(_Value, frozen=True):
    """A call of a custom tool that the model made. `input` is raw text."""

    call_id: str
    name: str
    input: str
    namespace: str | None = None


class CustomToolCallOutput(_Value, frozen=True):
    """The result of a call of a custom tool."""

    call_id: str
    output: Output


class ReasoningItem(_Value, frozen=True):
    """Reasoning of an earlier turn; its summary is for people only."""

    id: str = ""
    encrypted_content: str | None = None


class ItemReference(_Value, frozen=True):
    """A stored item, by its id."""

    id: str


class CompactionItem(_Value, frozen=True):
    """What came before, in short."""

    encrypted_content: str


class CompactionTrigger(_Value, frozen=True):
    """Asks for a compaction of all that came before."""


class ConfigurationUpdate(_Value, frozen=True):
    """Other settings from here on. Its fields are parsed as those of the request."""

    reasoning: dict[str, Any] | None = None
    text: dict[str, Any] | None = None


class AdditionalTools(_Value, frozen=True):
    """More tools from here on."""

    tools: list[dict[str, Any]]


class ToolSearchCall(_Value, frozen=True):
    """A search for tools."""

    arguments: Any
    call_id: str | None = None


class ToolSearchOutput(_Value, frozen=True):
    """The tools that were found."""

    tools: list[dict[str, Any]]
    call_id: str | None = None


class LocalShellCall(_Value, frozen=True):
    """A command to be run on the client's machine."""

    call_id: str
    action: dict[str, Any]
    id: str = ""


class LocalShellCallOutput(_Value, frozen=True):
    """What the command printed. `id` is the id of the call."""

    output: str
    id: str = ""
    call_id: str | None = None


class ShellCall(_Value, frozen=True):
    """Commands to be run in a shell."""

    call_id: str
    action: dict[str, Any]


class ShellCallOutput(_Value, frozen=True):
    """What each command printed, and how it ended."""

    call_id: str
    output: list[dict[str, Any]]


class ApplyPatchCall(_Value, frozen=True):
    """A change of one file."""

    call_id: str
    operation: dict[str, Any]


class ApplyPatchCallOutput(_Value, frozen=True):
    """Whether the change was made."""

    call_id: str
    status: Literal["completed", "failed"] = "completed"
    output: str | None = None


class WebSearchCall(_Value, frozen=True):
    """A search of the web, as the client was shown it. What was found is in the envelope of a reasoning item."""


class CodeInterpreterCall(_Value, frozen=True):
    """A run of code, as the client was shown it. What came of it is in the envelope of a reasoning item."""

    container_id: str = ""


class McpCall(_Value, frozen=True):
    """A call of a remote server's tool, as the client was shown it; its result is as that of a run of code."""


class McpListTools(_Value, frozen=True):
    """The tools of a remote server, as the client was shown them: Claude asks the server again."""


class LeftOutItem(_Value, frozen=True):
    """An item without a place in Claude's conversation: a call of a tool that OpenAI runs, or a type not known yet."""

    type: str = field(default="")


type InputItem = (
    Message
    | AgentMessage
    | FunctionCall
    | FunctionCallOutput
    | CustomToolCall
    | CustomToolCallOutput
    | ReasoningItem
    | ItemReference
    | CompactionItem
    | CompactionTrigger
    | ConfigurationUpdate
    | AdditionalTools
    | ToolSearchCall
    | ToolSearchOutput
    | LocalShellCall
    | LocalShellCallOutput
    | ShellCall
    | ShellCallOutput
    | ApplyPatchCall
    | ApplyPatchCallOutput
    | WebSearchCall
    | CodeInterpreterCall
    | McpCall
    | McpListTools
    | LeftOutItem
)

ITEM_TYPES: Mapping[str, type[InputItem]] = MappingProxyType(
    {
        "message": Message,
        "agent_message": AgentMessage,
        "function_call": FunctionCall,
        "function_call_output": FunctionCallOutput,
        "custom_tool_call": CustomToolCall,
        "custom_tool_call_output": CustomToolCallOutput,
        "reasoning": ReasoningItem,
        "item_reference": ItemReference,
        "compaction": CompactionItem,
        "compaction_trigger": CompactionTrigger,
        "configuration_update": ConfigurationUpdate,
        "additional_tools": AdditionalTools,
        "tool_search_call": ToolSearchCall,
        "tool_search_output": ToolSearchOutput,
        "local_shell_call": LocalShellCall,
        "local_shell_call_output": LocalShellCallOutput,
        "shell_call": ShellCall,
        "shell_call_output": ShellCallOutput,
        "apply_patch_call": ApplyPatchCall,
        "apply_patch_call_output": ApplyPatchCallOutput,
        "web_search_call": WebSearchCall,
        "code_interpreter_call": CodeInterpreterCall,
        "mcp_call": McpCall,
        "mcp_list_tools": McpListTools,
    }
)
"""What becomes of an item, by its `type`."""

LEFT_OUT = frozenset(
    {
        "computer_call",
        "computer_call_output",
        "file_search_call",
        "image_generation_call",
        "mcp_approval_request",
        "mcp_approval_response",
        "multi_agent_call",
        "multi_agent_call_output",
        "program",
        "program_output",
    }
)
"""Items of tools that OpenAI runs."""

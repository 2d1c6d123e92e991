"""The body of a Chat Completions request as typed values.

The names are those of `openai.types.chat.completion_create_params`; a test holds the two together. Null means absent
for optional parameters, as at OpenAI.
"""

from typing import Any, Literal

from msgspec import Struct

__all__ = [
    "AllowedTools",
    "AllowedToolsChoice",
    "AssistantMessage",
    "ChatCompletionRequest",
    "ContentPart",
    "CustomCall",
    "CustomChoice",
    "CustomFormatGrammar",
    "CustomTool",
    "CustomToolCall",
    "DeveloperMessage",
    "FileData",
    "FilePart",
    "Function",
    "FunctionCall",
    "FunctionChoice",
    "FunctionMessage",
    "FunctionTool",
    "FunctionToolCall",
    "ImagePart",
    "InputAudioPart",
    "JsonObjectFormat",
    "JsonSchemaFormat",
    "Message",
    "PromptCacheBreakpoint",
    "RefusalPart",
    "SystemMessage",
    "TextFormat",
    "TextPart",
    "Tool",
    "ToolCall",
    "ToolMessage",
    "UserMessage",
    "WebSearchOptions",
]


class _Value(Struct, frozen=True):
    """A JSON object of the request; unknown fields inside it are passed over, as at OpenAI's own SDKs."""


# Content parts


class PromptCacheBreakpoint(_Value, frozen=True):
    """An explicit end of a cached prefix."""

    mode: Literal["explicit"] = "explicit"
    ttl: Literal["30m", "12h"] | None = None


class TextPart(_Value, tag_field="type", tag="text", frozen=True):
    """Text."""

    text: str
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


class RefusalPart(_Value, tag_field="type", tag="refusal", frozen=True):
    """A refusal of an earlier turn."""

    refusal: str


class ImageURL(_Value, frozen=True):
    """An http(s) URL or a data URL."""

    url: str
    detail: Literal["auto", "low", "high", "original"] | None = None


class ImagePart(_Value, tag_field="type", tag="image_url", frozen=True):
    """An image."""

    image_url: ImageURL
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


class InputAudio(_Value, frozen=True):
    """Sound, in base64."""

    data: str
    format: str


class InputAudioPart(_Value, tag_field="type", tag="input_audio", frozen=True):
    """Sound."""

    input_audio: InputAudio


class FileData(_Value, frozen=True):
    """A file: its data (data URL or bare base64), or the id of an uploaded one."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class FilePart(_Value, tag_field="type", tag="file", frozen=True):
    """A file."""

    file: FileData
    prompt_cache_breakpoint: PromptCacheBreakpoint | None = None


type ContentPart = TextPart | RefusalPart | ImagePart | InputAudioPart | FilePart
type Content = str | list[TextPart | RefusalPart | ImagePart | InputAudioPart | FilePart] | None
type _Given = str | list[TextPart | RefusalPart | ImagePart | InputAudioPart | FilePart]


# Messages


class FunctionCall(_Value, frozen=True):
    """A function's name and its arguments as JSON text."""

    name: str
    arguments: str = ""


class FunctionToolCall(_Value, tag_field="type", tag="function", frozen=True):
    """A call of a function that the model made."""

    id: str
    function: FunctionCall


class CustomCall(_Value, frozen=True):
    """A custom tool's name and its raw input."""

    name: str
    input: str = ""


class CustomToolCall(_Value, tag_field="type", tag="custom", frozen=True):
    """A call of a custom tool that the model made."""

    id: str
    custom: CustomCall


type ToolCall = FunctionToolCall | CustomToolCall


class AudioReference(_Value, frozen=True):
    """An earlier spoken answer."""

    id: str


class SystemMessage(_Value, tag_field="role", tag="system", frozen=True):
    """Instructions of the developer."""

    content: _Given
    name: str | None = None


class DeveloperMessage(_Value, tag_field="role", tag="developer", frozen=True):
    """Instructions of the developer, under the newer name of the role."""

    content: _Given
    name: str | None = None


class UserMessage(_Value, tag_field="role", tag="user", frozen=True):
    """A turn of the user, or a part of one."""

    content: _Given
    name: str | None = None


class AssistantMessage(_Value, tag_field="role", tag="assistant", frozen=True):
    """A turn of the model, or a part of one."""

    content: Content = None
    name: str | None = None
    refusal: str | None = None
    audio: AudioReference | None = None
    tool_calls: list[FunctionToolCall | CustomToolCall] | None = None
    function_call: FunctionCall | None = None


class ToolMessage(_Value, tag_field="role", tag="tool", frozen=True):
    """The result of one tool call."""

    tool_call_id: str
    content: Content


class FunctionMessage(_Value, tag_field="role", tag="function", frozen=True):
    """The result of a legacy function call, found by name."""

    name: str
    content: Content


type Message = SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage


# Tools


class Function(_Value, frozen=True):
    """A function's declaration. `parameters` is a JSON schema; left out it has none."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | bool | None = None
    strict: bool | None = None


class FunctionTool(_Value, tag_field="type", tag="function", frozen=True):
    """A tool that takes JSON arguments."""

    function: Function


class Grammar(_Value, frozen=True):
    """A grammar for the input of a custom tool."""

    definition: str
    syntax: Literal["lark", "regex"]


class CustomFormatText(_Value, tag_field="type", tag="text", frozen=True):
    """Free text."""


class CustomFormatGrammar(_Value, tag_field="type", tag="grammar", frozen=True):
    """Text of a grammar."""

    grammar: Grammar


class Custom(_Value, frozen=True):
    """A custom tool's declaration."""

    name: str
    description: str | None = None
    format: CustomFormatText | CustomFormatGrammar | None = None


class CustomTool(_Value, tag_field="type", tag="custom", frozen=True):
    """A tool that takes raw text."""

    custom: Custom


type Tool = FunctionTool | CustomTool


class _Named(_Value, frozen=True):
    name: str


class FunctionChoice(_Value, tag_field="type", tag="function", frozen=True):
    """A function that has to be called."""

    function: _Named


class CustomChoice(_Value, tag_field="type", tag="custom", frozen=True):
    """A custom tool that has to be called."""

    custom: _Named


class AllowedTool(_Value, frozen=True):
    """A tool by type and name; the name stands in the object of the type's name."""

    type: Literal["function", "custom"] = "function"
    function: _Named | None = None
    custom: _Named | None = None
    name: str | None = None


class AllowedTools(_Value, frozen=True):
    """Only these tools may be called this time."""

    mode: Literal["auto", "required"]
    tools: list[AllowedTool]


class AllowedToolsChoice(_Value, tag_field="type", tag="allowed_tools", frozen=True):
    """A choice among fewer tools than are declared."""

    allowed_tools: AllowedTools


type ToolChoice = Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedToolsChoice


# Parameters


class TextFormat(_Value, tag_field="type", tag="text", frozen=True):
    """Plain text."""


class JsonObjectFormat(_Value, tag_field="type", tag="json_object", frozen=True):
    """Any JSON object."""


class JsonSchema(_Value, frozen=True):
    """A named JSON schema."""

    name: str
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class JsonSchemaFormat(_Value, tag_field="type", tag="json_schema", frozen=True):
    """JSON of a schema."""

    json_schema: JsonSchema


class StreamOptions(_Value, frozen=True):
    """What a stream carries besides the answer."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ModerationMode(_Value, frozen=True):
    """What happens to content that is found harmful."""

    mode: Literal["score", "block"]


class ModerationPolicy(_Value, frozen=True):
    """Moderation of the request and of the answer."""

    input: ModerationMode | None = None
    output: ModerationMode | None = None


class Moderation(_Value, frozen=True):
    """A moderation model that is to read along."""

    model: str
    policy: ModerationPolicy | None = None


class PromptCacheOptions(_Value, frozen=True):
    """How prefixes are cached."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: str | None = None


class Approximate(_Value, frozen=True):
    """About where the user is."""

    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class UserLocation(_Value, frozen=True):
    """Where the user is."""

    approximate: Approximate
    type: Literal["approximate"] = "approximate"


class WebSearchOptions(_Value, frozen=True):
    """Search the web before answering."""

    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: UserLocation | None = None


class ChatCompletionRequest(_Value, frozen=True, kw_only=True):
    """A whole request. `unknown_parameters` holds the names of top-level parameters that OpenAI does not have."""

    model: str
    messages: list[SystemMessage | DeveloperMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage]
    audio: dict[str, Any] | None = None
    frequency_penalty: float | None = None
    function_call: Literal["none", "auto"] | _Named | None = None
    functions: list[Function] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    metadata: dict[str, str] | None = None
    modalities: list[Literal["text", "audio"]] | None = None
    moderation: Moderation | None = None
    n: int | None = None
    parallel_tool_calls: bool | None = None
    prediction: dict[str, Any] | None = None
    presence_penalty: float | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: PromptCacheOptions | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    response_format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast"] | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    tool_choice: Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedToolsChoice | None = None
    tools: list[FunctionTool | CustomTool] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    web_search_options: WebSearchOptions | None = None
    unknown_parameters: tuple[str, ...] = ()

"""The body of a Responses request as typed values: the parameters, and what does not belong to one item or tool.

The names are those of `openai.types.responses.response_create_params`; a test holds the two together. Null means absent
for optional parameters, as at OpenAI. Unknown fields are passed over everywhere: clients send more than is documented.
"""

from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from translators.responses.item_types import InputItem
from translators.responses.tool_types import Tool

__all__ = [
    "AllowedToolsChoice",
    "CustomChoice",
    "FunctionChoice",
    "HostedChoice",
    "JsonObjectFormat",
    "JsonSchemaFormat",
    "Reasoning",
    "ReasoningEffort",
    "ResponsesParameters",
    "ResponsesRequest",
    "TextConfig",
    "TextFormat",
    "ToolChoice",
]

type ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class _Value(Struct, frozen=True):
    """A JSON object of the request."""


class ConversationReference(_Value, frozen=True):
    """A stored conversation."""

    id: str


class Reasoning(_Value, frozen=True):
    """How the model reasons, and what is shown of it."""

    effort: ReasoningEffort | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None
    """Former name of `summary`."""
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: str | None = None


class TextFormat(_Value, tag_field="type", tag="text", frozen=True):
    """Plain text."""


class JsonObjectFormat(_Value, tag_field="type", tag="json_object", frozen=True):
    """Any JSON object."""


class JsonSchemaFormat(_Value, tag_field="type", tag="json_schema", frozen=True):
    """JSON of a schema."""

    name: str
    schema: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class TextConfig(_Value, frozen=True):
    """The form of the answer's text."""

    format: TextFormat | JsonObjectFormat | JsonSchemaFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class FunctionChoice(_Value, frozen=True):
    """A function that has to be called."""

    name: str
    namespace: str | None = None


class CustomChoice(_Value, frozen=True):
    """A custom tool that has to be called."""

    name: str
    namespace: str | None = None


class AllowedTool(_Value, frozen=True):
    """A tool by its type, and by its name if it has one; a remote server by its label."""

    type: str
    name: str | None = None
    namespace: str | None = None
    server_label: str | None = None


class AllowedToolsChoice(_Value, frozen=True):
    """A choice among fewer tools than are declared."""

    mode: Literal["auto", "required"]
    tools: list[AllowedTool]


class HostedChoice(_Value, frozen=True):
    """A tool that is known by its type alone."""

    type: str


type ToolChoice = (
    Literal["none", "auto", "required"] | FunctionChoice | CustomChoice | AllowedToolsChoice | HostedChoice
)


class StreamOptions(_Value, frozen=True):
    """What a stream carries besides the answer."""

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
    prewarm: bool | None = None
    comparison_response_id: str | None = None


class ContextManagement(_Value, frozen=True):
    """When the server is to compact the conversation by itself."""

    type: str
    compact_threshold: int | None = None


class ResponsesParameters(_Value, frozen=True, kw_only=True):
    """The parameters as they came. Items, tools and the tool choice are typed by their `type`, elsewhere."""

    model: str = ""
    input: str | list[dict[str, Any]] | None = None
    access_programs: dict[str, Any] | None = None
    background: bool | None = None
    background_options: dict[str, Any] | None = None
    context_management: list[ContextManagement] | None = None
    conversation: str | ConversationReference | None = None
    image: dict[str, Any] | None = None
    include: list[str] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: dict[str, str] | None = None
    moderation: Moderation | None = None
    parallel_tool_calls: bool | None = None
    previous_response_id: str | None = None
    prompt: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: PromptCacheOptions | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory", "24h"] | None = None
    reasoning: Reasoning | None = None
    safety_identifier: str | None = None
    service_tier: Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    text: TextConfig | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    truncation: Literal["auto", "disabled"] | None = None
    user: str | None = None

    @property
    def conversation_id(self) -> str | None:
        """Id of the stored conversation that the request belongs to."""
        given = self.conversation
        return given if given is None or isinstance(given, str) else given.id


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """A whole request."""

    parameters: ResponsesParameters
    items: tuple[InputItem, ...] = ()
    """`input`, typed; a text is one message of the user."""
    tools: tuple[Tool, ...] = ()
    """`tools`, typed."""
    choice: ToolChoice | None = None
    """`tool_choice`, typed."""
    unknown_parameters: tuple[str, ...] = ()
    """Names of top-level parameters that OpenAI does not have."""

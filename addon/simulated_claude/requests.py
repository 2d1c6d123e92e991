"""What the body of a request may contain: fields, types and block shapes, no more and no less.

Pydantic's own messages ("Field required", "Extra inputs are not permitted") and paths (`messages.1.content.0.text.text`) are those of
Claude's API. Rules that need more than the shape of one value (pairs of blocks, models, versions) live in `validation` and `turns`.
Source: https://platform.claude.com/docs/en/api/messages/create and the types of the anthropic package.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from addon.simulated_claude.errors import ClaudeError, invalid_request

__all__ = ["BETA_BLOCKS", "BETA_TOOLS", "CountTokensRequest", "MessageRequest", "check_shape"]

ID_PATTERN = r"^[a-zA-Z0-9_-]+$"
SERVER_ID_PATTERN = r"^srvtoolu_[a-zA-Z0-9_]+$"
TOOL_NAME_PATTERN = r"^[a-zA-Z0-9_-]{1,128}$"


class Shape(BaseModel):
    """A closed object: an unknown field is an error, and no value is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


def beta(*headers: str) -> BeforeValidator:
    """A field that exists only when `anthropic-beta` names one of `headers`."""

    def check(value: Any, info: ValidationInfo) -> Any:
        if not (info.context or {}).get("betas", frozenset()) & set(headers):
            raise PydanticCustomError("extra_forbidden", "Extra inputs are not permitted")
        return value

    return BeforeValidator(check)


def only_under_2023(value: Any, info: ValidationInfo) -> Any:
    """Sampling parameters left the API with version 2026-10-21 (https://platform.claude.com/docs/en/api/migration-2026-10-21)."""
    if (info.context or {}).get("version") != "2023-06-01":
        raise PydanticCustomError("extra_forbidden", "Extra inputs are not permitted")
    return value


def text_as_blocks(value: Any) -> Any:
    """A string stands for one text block."""
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


def custom_by_default(value: Any) -> Any:
    """A tool without a type is a custom tool."""
    return {**value, "type": "custom"} if isinstance(value, dict) and value.get("type") is None else value


class CacheControl(Shape):
    """A cache breakpoint."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None
    scope: Annotated[Any, beta("prompt-caching-scope-2026-01-05")] = None


class Cacheable(Shape):
    """A block or tool that may carry a cache breakpoint."""

    cache_control: CacheControl | None = None


class CitationsConfig(Shape):
    """Whether Claude cites a document."""

    enabled: bool | None = None


class TextBlock(Cacheable):
    """Text. Its emptiness is judged in `turns`, with Claude's own words."""

    type: Literal["text"]
    text: str
    citations: list[dict[str, Any]] | None = None


class Base64Image(Shape):
    """Image bytes."""

    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class UrlSource(Shape):
    """A file on the web."""

    type: Literal["url"]
    url: str


class FileSource(Shape):
    """A file of the Files API."""

    type: Literal["file"]
    file_id: str


class Transformations(Shape):
    """What to do with an image that is too large."""

    oversized_image: Literal["downsize", "error"]


class ImageBlock(Cacheable):
    """An image."""

    type: Literal["image"]
    source: Annotated[Base64Image | UrlSource | FileSource, Field(discriminator="type")]
    transformations: Transformations | None = None


class Base64Pdf(Shape):
    """PDF bytes."""

    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: str


class PlainText(Shape):
    """A document of plain text."""

    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


class ContentSource(Shape):
    """A document made of blocks."""

    type: Literal["content"]
    content: Annotated[
        list[Annotated[TextBlock | ImageBlock, Field(discriminator="type")]], BeforeValidator(text_as_blocks)
    ]


class DocumentBlock(Cacheable):
    """A PDF or a text."""

    type: Literal["document"]
    source: Annotated[Base64Pdf | PlainText | ContentSource | UrlSource | FileSource, Field(discriminator="type")]
    title: str | None = None
    context: str | None = None
    citations: CitationsConfig | None = None


class SearchResultBlock(Cacheable):
    """A passage found by the caller's own search."""

    type: Literal["search_result"]
    source: str
    title: str
    content: list[TextBlock]
    citations: CitationsConfig | None = None


class ThinkingBlock(Shape):
    """Thinking that Claude gave earlier."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinkingBlock(Shape):
    """Thinking that Claude gave earlier, encrypted."""

    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(Cacheable):
    """A call that Claude made."""

    type: Literal["tool_use"]
    id: Annotated[str, Field(pattern=ID_PATTERN)]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    input: dict[str, Any]
    caller: dict[str, Any] | None = None
    toolset_name: str | None = None


class ToolReferenceBlock(Cacheable):
    """A tool that a search found."""

    type: Literal["tool_reference"]
    tool_name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,256}$")]


class BrowserStateBlock(Shape):
    """The state of a browser that the caller drives."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal["browser_state"]


class ToolResultBlock(Cacheable):
    """What a call gave."""

    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(pattern=ID_PATTERN)]
    content: Annotated[
        list[
            Annotated[
                TextBlock | ImageBlock | SearchResultBlock | DocumentBlock | ToolReferenceBlock | BrowserStateBlock,
                Field(discriminator="type"),
            ]
        ]
        | None,
        BeforeValidator(text_as_blocks),
    ] = None
    is_error: bool | None = None
    toolset_name: str | None = None


class ServerToolUseBlock(Cacheable):
    """A call that Claude made to one of its own tools."""

    type: Literal["server_tool_use"]
    id: Annotated[str, Field(pattern=SERVER_ID_PATTERN)]
    name: Literal[
        "web_search",
        "web_fetch",
        "code_execution",
        "bash_code_execution",
        "text_editor_code_execution",
        "tool_search_tool_regex",
        "tool_search_tool_bm25",
        "advisor",
    ]
    input: dict[str, Any]
    caller: dict[str, Any] | None = None


class ServerToolResultBlock(Cacheable):
    """What one of Claude's own tools gave; echoed as it was received."""

    type: Literal[
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
    ]
    tool_use_id: Annotated[str, Field(pattern=SERVER_ID_PATTERN)]
    content: Any
    caller: dict[str, Any] | None = None


class ContainerUploadBlock(Cacheable):
    """A file for the code execution container."""

    type: Literal["container_upload"]
    file_id: str


class BetaBlock(Shape):
    """Blocks of beta features that are outside this simulation; `validation` asks for their header."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal[
        "advisor_tool_result",
        "compaction",
        "connector_text",
        "fallback",
        "mcp_tool_listing",
        "mcp_tool_result",
        "mcp_tool_use",
        "tool_addition",
        "tool_removal",
    ]


BETA_BLOCKS = {
    "advisor_tool_result": ("advisor-tool-2026-03-01",),
    "compaction": ("compact-2026-01-12", "compact-2026-09-04"),
    "connector_text": ("connector-text-2026-08-01",),
    "fallback": ("server-side-fallback-2026-06-01", "server-side-fallback-2026-07-01"),
    "mcp_tool_listing": ("mcp-client-2025-11-20", "mcp-client-2026-09-15"),
    "mcp_tool_result": ("mcp-client-2025-04-04", "mcp-client-2025-11-20", "mcp-client-2026-09-15"),
    "mcp_tool_use": ("mcp-client-2025-04-04", "mcp-client-2025-11-20", "mcp-client-2026-09-15"),
    "tool_addition": ("mid-conversation-tool-changes-2026-07-01", "inline-tools-2026-09-15"),
    "tool_removal": ("mid-conversation-tool-changes-2026-07-01",),
}
"""Which `anthropic-beta` header each block type needs."""

type InputBlock = Annotated[
    TextBlock
    | ImageBlock
    | DocumentBlock
    | SearchResultBlock
    | ThinkingBlock
    | RedactedThinkingBlock
    | ToolUseBlock
    | ToolResultBlock
    | ServerToolUseBlock
    | ServerToolResultBlock
    | ContainerUploadBlock
    | BetaBlock,
    Field(discriminator="type"),
]


class InputMessage(Shape):
    """One message; which blocks its role may hold is judged in `turns`."""

    role: str
    content: Annotated[list[InputBlock], BeforeValidator(text_as_blocks)]
    clear_at: Annotated[
        Literal["next_user_message", "never"] | None, beta("mid-conversation-system-clear-at-2026-08-21")
    ] = None
    output_config: Annotated[dict[str, Any] | None, beta("mid-conversation-output-config-2026-07-01")] = None


class CustomTool(Cacheable):
    """A tool that the caller runs. Its schema is judged in `schemas`."""

    type: Literal["custom"]
    name: Annotated[str, Field(pattern=TOOL_NAME_PATTERN)]
    description: str | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None
    eager_input_streaming: bool | None = None
    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    input_examples: list[dict[str, Any]] | None = None


class NamedTool(Cacheable):
    """What all of Claude's own tools may carry."""

    allowed_callers: list[str] | None = None
    defer_loading: bool | None = None
    strict: bool | None = None


class ClientTool(NamedTool):
    """Tools that Claude knows and the caller runs."""

    input_examples: list[dict[str, Any]] | None = None


class BashTool(ClientTool):
    """A shell."""

    type: Literal["bash_20250124"]
    name: Literal["bash"]


class MemoryTool(ClientTool):
    """Files that outlive a conversation."""

    type: Literal["memory_20250818"]
    name: Literal["memory"]


class OldTextEditorTool(ClientTool):
    """A file editor."""

    type: Literal["text_editor_20250124"]
    name: Literal["str_replace_editor"]


class TextEditorTool(ClientTool):
    """A file editor."""

    type: Literal["text_editor_20250429", "text_editor_20250728"]
    name: Literal["str_replace_based_edit_tool"]
    max_characters: Annotated[int, Field(ge=1)] | None = None


class ToolsetTool(Shape):
    """A computer or a browser that the caller drives: outside this simulation, not looked into."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal["browser_toolset_20260801", "computer_toolset_20260801"]


class CodeExecutionTool(NamedTool):
    """A sandbox at Claude's side."""

    type: Literal[
        "code_execution_20250522", "code_execution_20250825", "code_execution_20260120", "code_execution_20260521"
    ]
    name: Literal["code_execution"]


class ToolSearchTool(NamedTool):
    """A search over deferred tools."""

    type: Literal[
        "tool_search_tool_bm25_20251119",
        "tool_search_tool_regex_20251119",
        "tool_search_tool_bm25",
        "tool_search_tool_regex",
    ]
    name: Literal["tool_search_tool_bm25", "tool_search_tool_regex"]


class UserLocation(Shape):
    """Where a search should think it is."""

    type: Literal["approximate"]
    city: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    country: Annotated[str, Field(min_length=2, max_length=2)] | None = None
    region: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    timezone: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class WebTool(NamedTool):
    """What the web tools have in common."""

    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    max_uses: Annotated[int, Field(gt=0)] | None = None


class WebSearchTool(WebTool):
    """Claude's web search."""

    type: Literal["web_search_20250305", "web_search_20260209", "web_search_20260318"]
    name: Literal["web_search"]
    user_location: UserLocation | None = None
    response_inclusion: Literal["full", "excluded"] | None = None


class WebFetchTool(WebTool):
    """Claude's reader of web pages."""

    type: Literal["web_fetch_20250910", "web_fetch_20260209", "web_fetch_20260309", "web_fetch_20260318"]
    name: Literal["web_fetch"]
    citations: CitationsConfig | None = None
    max_content_tokens: Annotated[int, Field(gt=0)] | None = None
    response_inclusion: Literal["full", "excluded"] | None = None
    url_sources: dict[str, Any] | None = None
    use_cache: bool | None = None


class BetaTool(Shape):
    """Tools of beta features that are outside this simulation; `validation` asks for their header."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal["advisor_20260301", "computer_20250124", "computer_20251124", "mcp_toolset"]


BETA_TOOLS = {
    "advisor_20260301": ("advisor-tool-2026-03-01",),
    "computer_20250124": ("computer-use-2025-01-24",),
    "computer_20251124": ("computer-use-2025-11-24",),
    "mcp_toolset": ("mcp-client-2025-11-20", "mcp-client-2026-09-15"),
}
"""Which `anthropic-beta` header each tool type needs."""

type Tool = Annotated[
    Annotated[
        CustomTool
        | BashTool
        | MemoryTool
        | OldTextEditorTool
        | TextEditorTool
        | ToolsetTool
        | CodeExecutionTool
        | ToolSearchTool
        | WebSearchTool
        | WebFetchTool
        | BetaTool,
        Field(discriminator="type"),
    ],
    BeforeValidator(custom_by_default),
]


class ToolChoiceAuto(Shape):
    """Claude decides."""

    type: Literal["auto"]
    disable_parallel_tool_use: bool | None = None


class ToolChoiceAny(Shape):
    """Some tool must be called."""

    type: Literal["any"]
    disable_parallel_tool_use: bool | None = None


class ToolChoiceTool(Shape):
    """This tool must be called."""

    type: Literal["tool"]
    name: str
    disable_parallel_tool_use: bool | None = None


class ToolChoiceNone(Shape):
    """No tool may be called."""

    type: Literal["none"]


class BlockBinding(Shape):
    """What happens to thinking that belongs to another conversation."""

    prefix_mismatch_behavior: Literal["error", "drop_block"] | None = None


type Display = Literal["summarized", "omitted", "updates"]


class ThinkingAdaptive(Shape):
    """Claude decides how much to think."""

    type: Literal["adaptive"]
    display: Display | None = None
    block_binding: Annotated[BlockBinding | None, beta("thinking-binding-controls-2026-08-01")] = None


class ThinkingEnabled(Shape):
    """Thinking with a budget of tokens."""

    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1024)]
    display: Display | None = None
    block_binding: Annotated[BlockBinding | None, beta("thinking-binding-controls-2026-08-01")] = None


class ThinkingDisabled(Shape):
    """No thinking."""

    type: Literal["disabled"]


class ThinkingBetweenTools(Shape):
    """No thinking but short progress notes between tool calls."""

    type: Literal["between_tools"]


class JsonFormat(Shape):
    """Structured output."""

    type: Literal["json_schema"]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class OutputConfig(Shape):
    """How much effort, and in what form."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None
    task_budget: Annotated[dict[str, Any] | None, beta("task-budgets-2026-03-13")] = None


class Metadata(Shape):
    """About the request."""

    user_id: Annotated[str, Field(max_length=512)] | None = None


class Diagnostics(Shape):
    """Asks why a cache was missed."""

    previous_message_id: str | None = None


class Container(Shape):
    """A container to use again, and its skills."""

    id: str | None = None
    skills: list[dict[str, Any]] | None = None


def container_by_id(value: Any) -> Any:
    """A string stands for a container's id."""
    return {"id": value} if isinstance(value, str) else value


class CountTokensRequest(Shape):
    """The body of `POST /v1/messages/count_tokens`."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[InputMessage], Field(max_length=100_000)]
    cache_control: CacheControl | None = None
    output_config: OutputConfig | None = None
    speed: Literal["standard", "fast"] | None = None
    system: Annotated[list[TextBlock] | None, BeforeValidator(text_as_blocks)] = None
    thinking: Annotated[
        Annotated[
            ThinkingAdaptive | ThinkingEnabled | ThinkingDisabled | ThinkingBetweenTools, Field(discriminator="type")
        ]
        | None,
        Field(),
    ] = None
    tool_choice: (
        Annotated[ToolChoiceAuto | ToolChoiceAny | ToolChoiceTool | ToolChoiceNone, Field(discriminator="type")] | None
    ) = None
    tools: list[Tool] | None = None
    context_management: Annotated[
        dict[str, Any] | None, beta("context-management-2025-06-27", "compact-2026-01-12")
    ] = None
    mcp_servers: Annotated[
        list[dict[str, Any]] | None, beta("mcp-client-2025-04-04", "mcp-client-2025-11-20", "mcp-client-2026-09-15")
    ] = None
    output_format: Annotated[
        JsonFormat | None, beta("structured-outputs-2025-11-13", "structured-outputs-2025-12-15")
    ] = None


class MessageRequest(CountTokensRequest):
    """The body of `POST /v1/messages`."""

    max_tokens: int
    container: Annotated[Container | None, BeforeValidator(container_by_id)] = None
    diagnostics: Diagnostics | None = None
    inference_geo: str | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: Annotated[Annotated[float, Field(ge=0, le=1)] | None, BeforeValidator(only_under_2023)] = None
    top_k: Annotated[Annotated[int, Field(ge=0)] | None, BeforeValidator(only_under_2023)] = None
    top_p: Annotated[Annotated[float, Field(ge=0, le=1)] | None, BeforeValidator(only_under_2023)] = None
    billing_policy: Annotated[Any, beta("billing-policy-2026-11-17")] = None
    compaction: Annotated[dict[str, Any] | None, beta("compact-2026-09-04")] = None
    fallback_credit_token: Annotated[Any, beta("fallback-credit-2026-06-01", "fallback-credit-2026-07-01")] = None
    fallbacks: Annotated[Any, beta("server-side-fallback-2026-06-01", "server-side-fallback-2026-07-01")] = None
    thread: Annotated[dict[str, Any] | None, beta("message-threads-2026-08-12")] = None


def check_shape(
    shape: type[CountTokensRequest], body: dict[str, Any], version: str, betas: frozenset[str]
) -> CountTokensRequest | ClaudeError:
    """The body as a typed request, or the first thing that is wrong with its shape, in Claude's words."""
    try:
        return shape.model_validate(body, context={"version": version, "betas": betas})
    except ValidationError as invalid:
        # Claude names unknown fields last, as pydantic does; a missing field comes before a wrong one further down.
        first = invalid.errors(include_url=False, include_input=False)[0]
        path = ".".join(_path_parts(first["loc"]))
        return invalid_request(f"{path}: {first['msg']}" if path else first["msg"])


def _path_parts(location: tuple[int | str, ...]) -> list[str]:
    hidden: Callable[[str], bool] = lambda part: part.endswith("]") or part in {"schema_"}  # noqa: E731 - a name for the rule
    return [str(part) for part in location if not (isinstance(part, str) and hidden(part))]

"""Which tools a request may declare, and their fields (https://platform.claude.com/docs/en/agents-and-tools/tool-use/tool-reference)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from addon.simulated_claude.input_blocks import CitationsConfig
from addon.simulated_claude.shapes import Cacheable, Shape

__all__ = ["BETA_TOOLS", "Tool"]

TOOL_NAME_PATTERN = r"^[a-zA-Z0-9_-]{1,128}$"


def custom_by_default(value: Any) -> Any:
    """Read a tool without a type as a custom tool."""
    return {**value, "type": "custom"} if isinstance(value, dict) and value.get("type") is None else value


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


class ToolsetTool(Cacheable):
    """A computer or a browser that the caller drives: outside this simulation, not looked into."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal["browser_toolset_20260801", "computer_toolset_20260801"]
    name: None = None


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


class McpToolset(Cacheable):
    """The tools of a remote server; `validation` asks for their header."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal["mcp_toolset"]
    name: None = None
    mcp_server_name: str
    configs: dict[str, dict[str, Any]] | None = None


class BetaTool(Cacheable):
    """Tools of beta features that are outside this simulation; `validation` asks for their header."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal["advisor_20260301", "computer_20250124", "computer_20251124"]
    name: Literal["advisor", "computer"]


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
        | McpToolset
        | BetaTool,
        Field(discriminator="type"),
    ],
    BeforeValidator(custom_by_default),
]

"""Tools of a Responses request as typed values.

The names are those of `openai.types.responses.ToolParam`. Unlike in Chat Completions a function is flat.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct, field

__all__ = [
    "TOOL_TYPES",
    "ApplyPatchTool",
    "CodeInterpreterTool",
    "CustomTool",
    "FunctionTool",
    "GrammarInput",
    "HostedTool",
    "LocalShellTool",
    "McpTool",
    "NamespaceTool",
    "ShellTool",
    "Tool",
    "ToolSearchTool",
    "WebSearchTool",
]


class _Value(Struct, frozen=True):
    """A JSON object; unknown fields inside it are passed over."""


class FunctionTool(_Value, tag_field="type", tag="function", frozen=True):
    """A tool that takes JSON arguments. Without `strict` the schema is enforced where it can be."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | bool | None = None
    strict: bool | None = None
    defer_loading: bool | None = None
    output_schema: dict[str, Any] | None = None
    allowed_callers: list[str] | None = None
    is_async: bool | None = field(default=None, name="async")


class TextInput(_Value, tag_field="type", tag="text", frozen=True):
    """Free text."""


class GrammarInput(_Value, tag_field="type", tag="grammar", frozen=True):
    """Text of a grammar."""

    definition: str
    syntax: Literal["lark", "regex"]


class CustomTool(_Value, tag_field="type", tag="custom", frozen=True):
    """A tool that takes raw text."""

    name: str
    description: str | None = None
    format: TextInput | GrammarInput | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None
    is_async: bool | None = field(default=None, name="async")


class NamespaceTool(_Value, frozen=True):
    """Tools that share a namespace."""

    name: str
    tools: list[FunctionTool | CustomTool]
    description: str | None = None


class ToolSearchTool(_Value, frozen=True):
    """A search for tools that are not declared yet."""

    execution: Literal["server", "client"] | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class WebSearchFilters(_Value, frozen=True):
    """Which sites may be found."""

    allowed_domains: list[str] | None = None


class UserLocation(_Value, frozen=True):
    """About where the user is."""

    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class WebSearchTool(_Value, frozen=True):
    """A search of the web."""

    filters: WebSearchFilters | None = None
    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: UserLocation | None = None
    external_web_access: bool | None = None


class LocalShellTool(_Value, frozen=True):
    """Commands on the client's machine."""


class ShellTool(_Value, frozen=True):
    """A shell: the client's own, or a container of OpenAI."""

    environment: dict[str, Any] | None = None


class ApplyPatchTool(_Value, frozen=True):
    """Changes of the client's files."""


class CodeInterpreterTool(_Value, frozen=True):
    """Code that the model runs in a sandbox: a container by its id, or a new one."""

    container: str | dict[str, Any] | None = None
    allowed_callers: list[str] | None = None


class McpTool(_Value, frozen=True):
    """The tools of a remote MCP server, which the model calls by itself."""

    server_label: str
    server_url: str | None = None
    authorization: str | None = None
    headers: dict[str, str] | None = None
    require_approval: str | dict[str, Any] | None = None
    allowed_tools: list[str] | dict[str, Any] | None = None
    connector_id: str | None = None
    tunnel_id: str | None = None
    server_description: str | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class HostedTool(_Value, frozen=True):
    """A tool that OpenAI runs, or of a type not known yet."""

    type: str


type Tool = (
    FunctionTool
    | CustomTool
    | NamespaceTool
    | ToolSearchTool
    | WebSearchTool
    | LocalShellTool
    | ShellTool
    | ApplyPatchTool
    | CodeInterpreterTool
    | McpTool
    | HostedTool
)

TOOL_TYPES: Mapping[str, type[Tool]] = MappingProxyType(
    {
        "function": FunctionTool,
        "custom": CustomTool,
        "namespace": NamespaceTool,
        "tool_search": ToolSearchTool,
        "web_search": WebSearchTool,
        "web_search_2025_08_26": WebSearchTool,
        "web_search_preview": WebSearchTool,
        "web_search_preview_2025_03_11": WebSearchTool,
        "local_shell": LocalShellTool,
        "shell": ShellTool,
        "apply_patch": ApplyPatchTool,
        "code_interpreter": CodeInterpreterTool,
        "mcp": McpTool,
    }
)
"""What becomes of a tool, by its `type`."""

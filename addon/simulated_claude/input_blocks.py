"""Which content blocks a request may hold, and their fields (https://platform.claude.com/docs/en/api/messages/create)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from addon.simulated_claude.shapes import Cacheable, Shape, text_as_blocks

__all__ = ["BETA_BLOCKS", "CitationsConfig", "InputBlock", "TextBlock"]

ID_PATTERN = r"^[a-zA-Z0-9_-]+$"
SERVER_ID_PATTERN = r"^srvtoolu_[a-zA-Z0-9_]+$"


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


class BetaResultBlock(Cacheable):
    """What a tool of a beta feature gave; `validation` asks for its header."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal["advisor_tool_result", "mcp_tool_result"]
    tool_use_id: str


class BetaBlock(Cacheable):
    """Blocks of beta features that are outside this simulation; `validation` asks for their header."""

    model_config = ConfigDict(extra="allow", strict=True)
    type: Literal[
        "compaction",
        "connector_text",
        "fallback",
        "mcp_tool_listing",
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
    | BetaResultBlock
    | BetaBlock,
    Field(discriminator="type"),
]

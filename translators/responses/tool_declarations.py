"""Tools and tool choice of a request, and the tools that come later, in items of the conversation.

| tool | Claude |
|---|---|
| function, custom | a tool of its own |
| namespace | its tools, each named `namespace__name`, and back in the answer |
| web_search and its previews | Claude's web search |
| local_shell, shell (the client's own), apply_patch | a tool whose input is the item's action or operation |
| tool_search, run by the client | a tool; what is found is declared after the tools that are there |
| tool_search, run by the server | nothing: all tools are declared at once |
| code_interpreter | Claude's code execution |
| mcp | the server, and its toolset |
| others | OpenAI runs them: refused by name |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from translators.errors import OpenAIError
from translators.model_catalog import ModelCapabilities
from translators.responses.client_tools import APPLY_PATCH, LOCAL_SHELL, SHELL, TOOL_SEARCH, declare_client_tool
from translators.responses.code_interpreter import CODE_EXECUTION, build_code_execution
from translators.responses.mcp_servers import McpServer, translate_mcp_tool
from translators.responses.reply_plan import ToolIdentity, ToolKind
from translators.responses.request_types import (
    AllowedToolsChoice,
    CustomChoice,
    FunctionChoice,
    HostedChoice,
    ResponsesRequest,
)
from translators.responses.tool_types import (
    ApplyPatchTool,
    CodeInterpreterTool,
    CustomTool,
    FunctionTool,
    GrammarInput,
    HostedTool,
    LocalShellTool,
    McpTool,
    NamespaceTool,
    ShellTool,
    Tool,
    ToolSearchTool,
    WebSearchTool,
)
from translators.tool_choice import ToolChoice
from translators.tools import ToolDeclaration
from translators.translation_warning import Action, TranslationWarning
from translators.web_search import WEB_SEARCH, build_web_search

__all__ = ["ReadTools", "name_tool", "read_choice", "read_tools"]

_HOSTED_CHOICES: Mapping[str, str] = {
    "web_search": WEB_SEARCH,
    "web_search_2025_08_26": WEB_SEARCH,
    "web_search_preview": WEB_SEARCH,
    "web_search_preview_2025_03_11": WEB_SEARCH,
    "code_interpreter": CODE_EXECUTION,
}
"""Names of the tools that a choice knows by another type."""


@dataclass(frozen=True, slots=True)
class ReadTools:
    """The tools of a request. Names are those of `name_tool`."""

    declarations: tuple[ToolDeclaration, ...]
    identities: Mapping[str, ToolIdentity]
    server: tuple[Mapping[str, Any], ...] = ()
    """Tools that Claude runs itself."""
    mcp_servers: tuple[Mapping[str, Any], ...] = ()
    """What `mcp_servers` has to hold for them."""
    container: str | None = None
    """The container that the client wants code to run in."""
    container_files: tuple[str, ...] = ()
    """Ids of the files that are to lie in it, besides those that are there."""
    warnings: tuple[TranslationWarning, ...] = ()


def name_tool(name: str, namespace: str | None) -> str:
    """Return the one name of a tool, in declarations, history and choice. The way back is a table."""
    return f"{namespace}__{name}" if namespace else name


def read_tools(
    request: ResponsesRequest, late: Sequence[tuple[Tool, str]], capabilities: ModelCapabilities
) -> ReadTools:
    """Read the tools.

    Args:
        request: its `tools` are declared first, in their order.
        late: tools of items and their paths, in the order of the conversation. They are declared after, so that the
            prefix before them stays; a name that is there already is passed over.
        capabilities: of the model that answers.

    Raises:
        OpenAIError: 400 for a tool that OpenAI runs, and for a web search with a model that has none.
    """
    reading = _Reading(capabilities, request.parameters.max_tool_calls)
    for index, tool in enumerate(request.tools):
        reading.read(tool, f"tools[{index}]")
    reading.is_late = True
    for tool, path in late:
        reading.read(tool, path)
    return ReadTools(
        tuple(reading.declarations),
        reading.identities,
        reading.build_server_tools(),
        tuple(server.server for server in reading.mcp_servers.values()),
        reading.container,
        tuple(dict.fromkeys(reading.container_files)) if reading.runs_claudes_code else (),
        tuple(dict.fromkeys(reading.warnings)),
    )


def read_choice(request: ResponsesRequest, tools: ReadTools) -> ToolChoice | None:
    """Read `tool_choice`."""
    match request.choice:
        case None:
            return None
        case "none" | "auto" | "required" as mode:
            return ToolChoice(mode)
        case FunctionChoice() | CustomChoice() as choice:
            return ToolChoice("required", name_tool(choice.name, choice.namespace))
        case AllowedToolsChoice() as choice:
            allowed: list[str] = []
            servers: list[str] = []
            absent = _names_left_out(request, tools)
            for tool in choice.tools:
                if tool.type == "mcp":
                    servers.append(tool.server_label or "")
                elif tool.type == "namespace":
                    allowed += [name for name, it in tools.identities.items() if it.namespace == tool.name]
                elif tool.name is not None or _name_of_type(tool.type) not in absent:
                    allowed.append(name_tool(tool.name or _name_of_type(tool.type), tool.namespace))
            return ToolChoice(
                choice.mode, allowed=tuple(dict.fromkeys(allowed)), allowed_servers=tuple(dict.fromkeys(servers))
            )
        case HostedChoice(type="mcp"):
            # Claude cannot be told which server, only that some tool has to be called.
            return ToolChoice("required")
        case HostedChoice() as choice:
            return ToolChoice("required", _name_of_type(choice.type))


def _name_of_type(tool_type: str) -> str:
    """Return the name of a tool that is known by its type alone."""
    return _HOSTED_CHOICES.get(tool_type, tool_type)


def _names_left_out(request: ResponsesRequest, tools: ReadTools) -> set[str]:
    """Name the tools of the request that Claude is not told of, which a warning says: they need no permission."""
    given = {_name_of_type(str(tool.get("type"))) for tool in request.parameters.tools or ()}
    return given - tools.identities.keys() - {tool.get("name") for tool in tools.server}


@dataclass(slots=True)
class _Reading:
    capabilities: ModelCapabilities
    max_tool_calls: int | None
    declarations: list[ToolDeclaration] = field(default_factory=list)
    identities: dict[str, ToolIdentity] = field(default_factory=dict)
    searches: list[WebSearchTool] = field(default_factory=list)
    runs_code: bool = False
    container: str | None = None
    container_files: list[str] = field(default_factory=list)
    mcp_servers: dict[str, McpServer] = field(default_factory=dict)
    warnings: list[TranslationWarning] = field(default_factory=list)
    is_late: bool = False

    def read(self, tool: Tool, path: str) -> None:
        match tool:
            case FunctionTool() | CustomTool():
                self._read_own(tool, None, path)
            case NamespaceTool():
                self._read_namespace(tool, path)
            case ToolSearchTool(execution="client"):
                self._add("tool_search", declare_client_tool(TOOL_SEARCH, path, tool.description, tool.parameters))
            case ToolSearchTool():
                self._warn("tools.tool_search", "emulated", "all tools are declared at once")
            case WebSearchTool():
                self._read_web_search(tool)
            case LocalShellTool():
                self._add("local_shell", declare_client_tool(LOCAL_SHELL, path))
            case ShellTool():
                self._read_shell(tool, path)
            case ApplyPatchTool():
                self._add("apply_patch", declare_client_tool(APPLY_PATCH, path))
            case CodeInterpreterTool():
                self._read_code_interpreter(tool, path)
            case McpTool():
                self._read_mcp(tool, path)
            case HostedTool():
                self._refuse(tool.type, path)

    @property
    def runs_claudes_code(self) -> bool:
        """Whether Claude can run code: no tool of the client has its name."""
        return self.runs_code and CODE_EXECUTION not in self.identities

    def build_server_tools(self) -> tuple[Mapping[str, Any], ...]:
        code: tuple[Mapping[str, Any], ...] = ()
        if self.runs_claudes_code:
            code = (build_code_execution(),)
        elif self.runs_code:
            self._warn("tools.code_interpreter", "ignored", "a tool of the client has Claude's name for it")
        return (*self._build_searches(), *code, *(server.toolset for server in self.mcp_servers.values()))

    def _build_searches(self) -> tuple[Mapping[str, Any], ...]:
        if not self.searches:
            return ()
        if WEB_SEARCH in self.identities:
            self._warn("tools.web_search", "ignored", "a tool of the client has Claude's name for it")
            return ()
        tool = self.searches[0]
        place = tool.user_location
        return (
            build_web_search(
                tool.search_context_size,
                place=None
                if place is None
                else {
                    "city": place.city,
                    "country": place.country,
                    "region": place.region,
                    "timezone": place.timezone,
                },
                allowed_domains=(tool.filters.allowed_domains or ()) if tool.filters is not None else (),
                max_uses=self.max_tool_calls,
            ),
        )

    def _read_own(
        self, tool: FunctionTool | CustomTool, namespace: str | None, path: str, before_description: str = ""
    ) -> None:
        name = name_tool(tool.name, namespace)
        description = before_description + (tool.description or "")
        if tool.defer_loading:
            self._warn("tools.defer_loading", "ignored", "the tool is declared from the start")
        self._warn_of_callers(tool.allowed_callers)
        if tool.is_async:
            self._warn("tools.async", "ignored", "the call is answered before Claude goes on")
        if isinstance(tool, CustomTool):
            grammar = (tool.format.syntax, tool.format.definition) if isinstance(tool.format, GrammarInput) else None
            declaration = ToolDeclaration(name, f"{path}.name", description, raw_input=True, grammar=grammar)
            self._add("custom", declaration, tool.name, namespace)
            return
        if tool.output_schema is not None:
            self._warn("tools.output_schema", "ignored", "Claude is not told what a tool returns")
        declaration = ToolDeclaration(name, f"{path}.name", description, tool.parameters, tool.strict)
        self._add("function", declaration, tool.name, namespace)

    def _read_namespace(self, tool: NamespaceTool, path: str) -> None:
        about = f"About the tools named {tool.name}__*: {tool.description}\n\n" if tool.description else ""
        for index, member in enumerate(tool.tools):
            self._read_own(member, tool.name, f"{path}.tools[{index}]", "" if index else about)

    def _read_web_search(self, tool: WebSearchTool) -> None:
        if tool.external_web_access is False:
            self._warn("tools.external_web_access", "degraded", "Claude has no search without the web: left out")
        elif self.capabilities.web_search:
            self.searches.append(tool)
        elif self.is_late:
            self._warn("tools.web_search", "ignored", "this model does not search")
        else:
            raise OpenAIError(400, "Hosted tool 'web_search' is not supported with this model.", param="tools")

    def _read_shell(self, tool: ShellTool, path: str) -> None:
        kind = (tool.environment or {"type": "local"}).get("type")
        if kind != "local":
            self._refuse(f"{SHELL} ({kind})", path)
            return
        if (tool.environment or {}).get("skills"):
            self._warn("tools.environment.skills", "ignored", "Claude is not told of them")
        self._add("shell", declare_client_tool(SHELL, path))

    def _read_code_interpreter(self, tool: CodeInterpreterTool, path: str) -> None:
        if isinstance(tool.container, str):
            self.container = tool.container
        elif tool.container is not None:
            file_ids = tool.container.get("file_ids") or []
            if file_ids and self.is_late:
                self._refuse("code_interpreter with file_ids", path)
                return
            self.container_files += _read_file_ids(file_ids, f"{path}.container.file_ids")
            for name in ("memory_limit", "network_policy"):
                if tool.container.get(name) is not None:
                    self._warn(f"tools.code_interpreter.container.{name}", "ignored", "Claude's sandbox has its own")
        self._warn_of_callers(tool.allowed_callers)
        self.runs_code = True

    def _read_mcp(self, tool: McpTool, path: str) -> None:
        if tool.server_label in self.mcp_servers and self.is_late:
            return
        if self.is_late:
            self._refuse("mcp", path)
            return
        if tool.server_description:
            self._warn("tools.mcp.server_description", "ignored", "Claude reads the server's own descriptions")
        if tool.defer_loading:
            self._warn("tools.defer_loading", "ignored", "the tool is declared from the start")
        self._warn_of_callers(tool.allowed_callers)
        if tool.server_label in self.mcp_servers:
            message = f"Duplicate server_label found: '{tool.server_label}'."
            raise OpenAIError(400, message, code="invalid_value", param=f"{path}.server_label")
        self.mcp_servers[tool.server_label] = translate_mcp_tool(tool, path)

    def _warn_of_callers(self, allowed_callers: Sequence[str] | None) -> None:
        if allowed_callers is not None and "direct" not in allowed_callers:
            self._warn("tools.allowed_callers", "ignored", "there are no programs: the model calls the tool itself")

    def _refuse(self, name: str, path: str) -> None:
        if self.is_late:
            self._warn("input.tools", "degraded", "a tool that OpenAI runs is left out")
            return
        raise OpenAIError(
            400,
            f"Hosted tool '{name}' is not supported with this model.",
            code="unsupported_value",
            param=f"{path}.type",
        )

    def _add(
        self, kind: ToolKind, declaration: ToolDeclaration, name: str | None = None, namespace: str | None = None
    ) -> None:
        if self.is_late and declaration.name in self.identities:
            return
        self.declarations.append(declaration)
        self.identities[declaration.name] = ToolIdentity(kind, name or declaration.name, namespace)

    def _warn(self, param: str, action: Action, detail: str) -> None:
        self.warnings.append(TranslationWarning(param, action, detail))


def _read_file_ids(value: Any, path: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(file_id, str) and file_id for file_id in value):
        message = f"Invalid type for '{path}': expected an array of file ids."
        raise OpenAIError(400, message, code="invalid_type", param=path)
    return value

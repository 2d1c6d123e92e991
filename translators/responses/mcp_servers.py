"""The remote MCP servers of a request, as Claude's API takes them.

Claude calls a server without asking anybody, and knows servers by their address alone: what needs more than that is
refused. Source: https://platform.claude.com/docs/en/agents-and-tools/mcp-connector.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from translators.errors import OpenAIError
from translators.request_errors import missing_parameter
from translators.responses.tool_types import McpTool

__all__ = ["MCP_BETA", "McpServer", "translate_mcp_tool"]

MCP_BETA = "mcp-client-2025-11-20"
"""The `anthropic-beta` of servers, toolsets and their calls."""


@dataclass(frozen=True, slots=True)
class McpServer:
    """One server."""

    server: Mapping[str, Any]
    """For `mcp_servers`. Holds the server's token."""
    toolset: Mapping[str, Any]
    """For `tools`."""


def translate_mcp_tool(tool: McpTool, path: str) -> McpServer:
    """Translate one server.

    Args:
        tool: the server, as the client names it.
        path: of the tool in the request, for errors.

    Raises:
        OpenAIError: 400 for connectors, tunnels, headers, and tools that somebody has to approve.
    """
    for name, value in (("connector_id", tool.connector_id), ("tunnel_id", tool.tunnel_id)):
        if value is not None:
            raise _unsupported(f"{path}.{name}", "only a 'server_url' is, because the other is OpenAI's")
    if not tool.server_url:
        raise missing_parameter(f"{path}.server_url")
    if not tool.server_url.startswith("https://"):
        raise _unsupported(f"{path}.server_url", "it has to begin with 'https://'")
    allowed = _read_allowed(tool, path)
    if not _needs_no_approval(tool.require_approval, allowed):
        raise _unsupported(
            f"{path}.require_approval", "only 'never' is, because Claude calls the server without asking"
        )
    server: dict[str, Any] = {"type": "url", "name": tool.server_label, "url": tool.server_url}
    if token := tool.authorization or _read_token(tool, path):
        server["authorization_token"] = token
    toolset: dict[str, Any] = {"type": "mcp_toolset", "mcp_server_name": tool.server_label}
    if allowed is not None:
        toolset["default_config"] = {"enabled": False}
        toolset["configs"] = {name: {"enabled": True} for name in allowed}
    return McpServer(server, toolset)


def _read_allowed(tool: McpTool, path: str) -> list[str] | None:
    if isinstance(tool.allowed_tools, dict):
        names = tool.allowed_tools.get("tool_names")
        if tool.allowed_tools.get("read_only") is not None:
            raise _unsupported(f"{path}.allowed_tools.read_only", "Claude knows the tools by their names alone")
        return [str(name) for name in names] if isinstance(names, list) else None
    return tool.allowed_tools


def _needs_no_approval(asked: str | Mapping[str, Any] | None, allowed: list[str] | None) -> bool:
    if not isinstance(asked, Mapping):
        return asked == "never"
    never = asked.get("never")
    names = never.get("tool_names") if isinstance(never, dict) and not asked.get("always") else None
    return allowed is not None and isinstance(names, list) and set(allowed) <= set(names)


def _read_token(tool: McpTool, path: str) -> str | None:
    """Read the one header that Claude sends: `Authorization`, with a bearer token."""
    for name, value in (tool.headers or {}).items():
        scheme, _, token = value.partition(" ")
        if name.lower() != "authorization" or scheme.lower() != "bearer" or len(tool.headers or {}) > 1:
            raise _unsupported(f"{path}.headers", "only 'Authorization' with a bearer token is")
        return token.strip()
    return None


def _unsupported(param: str, reason: str) -> OpenAIError:
    message = f"Unsupported value: '{param}' is not supported with this model: {reason}."
    return OpenAIError(400, message, code="unsupported_value", param=param)

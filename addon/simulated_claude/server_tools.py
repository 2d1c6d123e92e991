"""What Claude's own tools do in the simulation: nothing real, and they say so."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["container_of", "is_server_tool", "use_server_tool", "with_name"]

_HINT_LENGTH = 80
_CODE_RESULTS = frozenset({"bash_code_execution_tool_result", "code_execution_tool_result"})


def with_name(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a set of tools of a remote server, which has no name, the server's."""
    return {**tool, "name": tool["mcp_server_name"]} if tool.get("type") == "mcp_toolset" else tool


def is_server_tool(tool: Mapping[str, Any]) -> bool:
    """Whether the simulation can use the tool by itself."""
    return _kind_of(tool) in ("web_search", "code_execution", "mcp_toolset")


def use_server_tool(tool: Mapping[str, Any], said: str, salt: str) -> list[dict[str, Any]]:
    """Make the blocks of a call, its result, and what Claude says of it. Nothing for the caller's own tools."""
    match _kind_of(tool):
        case "web_search":
            return _searched(said, salt)
        case "code_execution":
            return _ran_code(said, salt)
        case "mcp_toolset":
            return _called_server(tool, said, salt)
    return []


def container_of(content: Iterable[Mapping[str, Any]], body: Mapping[str, Any]) -> str | None:
    """Name the sandbox in which code ran: the one that was asked for, or a new one."""
    if not any(block["type"] in _CODE_RESULTS for block in content):
        return None
    asked = body.get("container")
    given = asked if isinstance(asked, str) else (asked or {}).get("id")
    digest = hashlib.blake2b(str(body["messages"]).encode(), digest_size=11, person=b"container").hexdigest()
    return given or f"container_01{digest}"


def _kind_of(tool: Mapping[str, Any]) -> str:
    kind = str(tool.get("type") or "")
    for name in ("web_search", "code_execution"):
        if kind.startswith(f"{name}_20"):
            return name
    return kind


def _ran_code(said: str, salt: str) -> list[dict[str, Any]]:
    call = f"srvtoolu_01Sim{salt}code00"
    result = {
        "type": "bash_code_execution_result",
        "stdout": "simulated\n",
        "stderr": "",
        "return_code": 0,
        "content": [],
    }
    return [
        {
            "type": "server_tool_use",
            "id": call,
            "name": "bash_code_execution",
            "input": {"command": f"echo {' '.join(said.split())[:_HINT_LENGTH]!r}"},
        },
        {"type": "bash_code_execution_tool_result", "tool_use_id": call, "content": result},
        {"type": "text", "text": "A simulated Claude has simulated a run of code. It printed: simulated."},
    ]


def _called_server(tool: Mapping[str, Any], said: str, salt: str) -> list[dict[str, Any]]:
    call = f"mcptoolu_01Sim{salt}server00"
    name = next(iter(tool.get("configs") or {}), "ask")
    return [
        {
            "type": "mcp_tool_use",
            "id": call,
            "name": name,
            "server_name": tool["mcp_server_name"],
            "input": {"question": " ".join(said.split())[:_HINT_LENGTH]},
        },
        {
            "type": "mcp_tool_result",
            "tool_use_id": call,
            "is_error": False,
            "content": [{"type": "text", "text": "simulated"}],
        },
        {"type": "text", "text": "A simulated Claude has simulated a call of the server. It answered: simulated."},
    ]


def _searched(said: str, salt: str) -> list[dict[str, Any]]:
    call = f"srvtoolu_01Sim{salt}websearch00"
    pages = [
        ("Example Domain", "https://example.com/"),
        ("Example Organisation", "https://example.org/"),
    ]
    results = [
        {
            "type": "web_search_result",
            "title": title,
            "url": url,
            "encrypted_content": f"simulated{index}",
            "page_age": None,
        }
        for index, (title, url) in enumerate(pages)
    ]
    cited = "This domain is for use in illustrative examples."
    citation = {
        "type": "web_search_result_location",
        "cited_text": cited,
        "url": pages[0][1],
        "title": pages[0][0],
        "encrypted_index": "c2ltdWxhdGVk",
    }
    return [
        {
            "type": "server_tool_use",
            "id": call,
            "name": "web_search",
            "input": {"query": " ".join(said.split())[:_HINT_LENGTH]},
        },
        {"type": "web_search_tool_result", "tool_use_id": call, "content": results},
        {"type": "text", "text": "A simulated Claude has simulated a search. It found that "},
        {"type": "text", "text": "example.com is a domain for examples", "citations": [citation]},
        {"type": "text", "text": "."},
    ]

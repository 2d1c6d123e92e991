"""Tools that OpenAI defines and the client runs: shell, local shell, patches, the search for tools.

Claude gets each as a tool of its own, whose input has the fields of the item that the client expects
(`openai.types.responses.ResponseInputItemParam`: ShellCall.action, LocalShellCall.action, ApplyPatchCall.operation).
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from translators.tools import ToolDeclaration

__all__ = ["APPLY_PATCH", "LOCAL_SHELL", "SHELL", "TOOL_SEARCH", "declare_client_tool", "restore_input"]

SHELL = "shell"
LOCAL_SHELL = "local_shell"
APPLY_PATCH = "apply_patch"
TOOL_SEARCH = "tool_search"

_STRINGS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}

_SCHEMAS: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        SHELL: {
            "type": "object",
            "properties": {
                "commands": {**_STRINGS, "description": "Commands, run one after the other."},
                "timeout_ms": {"type": "integer", "description": "Time for all commands, in milliseconds."},
                "max_output_length": {"type": "integer", "description": "Characters of output to return at most."},
            },
            "required": ["commands"],
            "additionalProperties": False,
        },
        LOCAL_SHELL: {
            "type": "object",
            "properties": {
                "command": {**_STRINGS, "description": "The program and its arguments."},
                "working_directory": {"type": "string"},
                "timeout_ms": {"type": "integer", "description": "In milliseconds."},
                "env": {"type": "object", "additionalProperties": {"type": "string"}},
                "user": {"type": "string", "description": "The user to run as."},
            },
            "required": ["command"],
            "additionalProperties": False,
        },
        APPLY_PATCH: {
            "type": "object",
            "properties": {
                "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                "path": {"type": "string", "description": "Path of the file."},
                "diff": {"type": "string", "description": "Left out for delete_file."},
            },
            "required": ["type", "path"],
            "additionalProperties": False,
        },
        TOOL_SEARCH: {
            "type": "object",
            "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["query"],
            "additionalProperties": False,
        },
    }
)

_DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        SHELL: "Run commands in a shell on the user's machine, and get what they print and how they end.",
        LOCAL_SHELL: "Run a command on the user's machine, and get what it prints.",
        # The diff format: https://developers.openai.com/api/docs/guides/tools-apply-patch
        APPLY_PATCH: (
            "Create, update or delete one file. `diff` for create_file: the whole file, with `+` before each line. "
            "`diff` for update_file: one or more sections, each a line `@@`, optionally followed by the line of a "
            "class or function that the section is in, then the lines around the change with a space before each, "
            "removed lines with `-`, added lines with `+`. No line numbers, no file headers, no code fence."
        ),
        TOOL_SEARCH: "Search for more tools. Tools that are found can be called from then on.",
    }
)


def declare_client_tool(
    name: str, param: str, description: str | None = None, schema: Mapping[str, Any] | None = None
) -> ToolDeclaration:
    """Declare one of these tools, by its name. The search for tools may bring a description and parameters."""
    return ToolDeclaration(name, param, description or _DESCRIPTIONS[name], schema or _SCHEMAS[name])


def restore_input(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the input as Claude wrote it, of the fields of an item.

    What the item's type fills in is taken out, and the order is that of the schema, which is Claude's.
    """
    known = list(_SCHEMAS[name]["properties"])
    names = [*(field for field in known if field in fields), *(field for field in fields if field not in known)]
    return {field: fields[field] for field in names if fields[field] not in (None, {}) and not _is_tag(name, field)}


def _is_tag(name: str, field: str) -> bool:
    """Whether the field is the `type` that every action has (`exec`); that of a patch says what is done."""
    return field == "type" and name != APPLY_PATCH

"""The fields of a response object that repeat the request, with OpenAI's defaults filled in.

Source: recorded answers of the real API. Claude's own values are not told: a client reads here what it asked for.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from translators.responses.request_types import JsonSchemaFormat, Reasoning, ResponsesRequest, TextConfig

__all__ = ["build_echo"]

_REDACTED = "<redacted>"


def build_echo(request: ResponsesRequest, reasoning: Reasoning, text: TextConfig) -> dict[str, Any]:
    """Build the fields (`ResponsesPlan.echo` lists them).

    Args:
        request: the request.
        reasoning: its `reasoning`, with later updates.
        text: its `text`, with later updates.
    """
    given = request.parameters
    echo: dict[str, Any] = {
        "background": bool(given.background),
        "frequency_penalty": 0,
        "instructions": given.instructions,
        "max_output_tokens": given.max_output_tokens,
        "max_tool_calls": given.max_tool_calls,
        "metadata": given.metadata or {},
        "moderation": None,
        "parallel_tool_calls": given.parallel_tool_calls is not False,
        "presence_penalty": 0,
        "previous_response_id": given.previous_response_id,
        "prompt_cache_key": given.prompt_cache_key,
        "prompt_cache_retention": given.prompt_cache_retention,
        "reasoning": {
            "context": reasoning.context or "all_turns",
            "effort": reasoning.effort,
            "mode": reasoning.mode or "standard",
            "summary": reasoning.summary or reasoning.generate_summary,
        },
        "safety_identifier": given.safety_identifier,
        "service_tier": given.service_tier or "auto",
        "store": given.store is not False,
        "temperature": 1 if given.temperature is None else given.temperature,
        "text": {"format": _echo_format(text), "verbosity": text.verbosity or "medium"},
        "tool_choice": "auto" if given.tool_choice is None else given.tool_choice,
        "tools": [_echo_tool(tool) for tool in given.tools or ()],
        "top_logprobs": given.top_logprobs or 0,
        "top_p": 1 if given.top_p is None else given.top_p,
        "truncation": given.truncation or "disabled",
        "user": given.user,
    }
    if given.conversation_id is not None:
        echo["conversation"] = {"id": given.conversation_id}
    if given.prompt_cache_options is not None:
        options = given.prompt_cache_options
        echo["prompt_cache_options"] = {"mode": options.mode or "implicit", "ttl": options.ttl or "30m"}
    return echo


def _echo_format(text: TextConfig) -> dict[str, Any]:
    match text.format:
        case None:
            return {"type": "text"}
        case JsonSchemaFormat() as form:
            return {
                "type": "json_schema",
                "description": form.description,
                "name": form.name,
                "schema": form.schema,
                "strict": form.strict is not False,
            }
        case form:
            plain: dict[str, Any] = msgspec.to_builtins(form)
            return plain


def _echo_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what the real API fills in, by the type of the tool."""
    match tool.get("type"):
        case "function":
            # Without `strict` the API tries to be, and says so.
            strict = tool.get("strict")
            return {"description": None, "parameters": None, **tool, "strict": strict is None or strict}
        case "custom":
            return {"description": None, **tool, "format": tool.get("format") or {"type": "text"}}
        case "namespace":
            members = tool.get("tools")
            return {**tool, "tools": [_echo_tool(member) for member in members] if isinstance(members, list) else []}
        case "web_search" | "web_search_preview" | "web_search_2025_08_26" | "web_search_preview_2025_03_11":
            place = {"type": "approximate", "city": None, "country": None, "region": None, "timezone": None}
            return {
                **tool,
                "search_context_size": tool.get("search_context_size") or "medium",
                "user_location": {**place, **(tool.get("user_location") or {})},
            }
        case "mcp":
            given = {"allowed_tools": None, "headers": None, "server_description": None, **tool}
            return {name: _redact(name, value) for name, value in given.items()}
        case _:
            return dict(tool)


def _redact(name: str, value: Any) -> Any:
    """Hide the secrets of a remote server, in the real API's own word: an echo is stored, and shown."""
    match name, value:
        case "authorization", str():
            return _REDACTED
        case "headers", dict():
            return dict.fromkeys(value, _REDACTED)
        case "server_url", str() if "@" in value:
            return _REDACTED
        case "server_url", str() if "?" in value:
            return f"{value.partition('?')[0]}?{_REDACTED}"
    return value

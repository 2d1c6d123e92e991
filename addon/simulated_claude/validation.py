"""What is refused: a pure function of headers, body and model table, giving Claude's own error or nothing.

The order is Claude's: key, version, JSON, shape, model, then the rules of the model and of the conversation.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec

from addon.simulated_claude.attachments import check_attachments
from addon.simulated_claude.caching import check_breakpoints
from addon.simulated_claude.conversation import content_blocks
from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.input_blocks import BETA_BLOCKS
from addon.simulated_claude.model_rules import check_model_rules
from addon.simulated_claude.model_table import SimulatedModel, find_model
from addon.simulated_claude.requests import CountTokensRequest, MessageRequest, check_shape
from addon.simulated_claude.schemas import check_schemas
from addon.simulated_claude.tokens import count_input_tokens
from addon.simulated_claude.tool_definitions import BETA_TOOLS
from addon.simulated_claude.turns import check_turns

__all__ = ["API_VERSIONS", "check_headers", "check_request", "parse_body", "read_betas"]

API_VERSIONS = frozenset({"2023-06-01", "2026-10-21"})


def check_headers(headers: Mapping[str, str]) -> ClaudeError | None:
    """Key and version. `headers` has names in lower case."""
    key = headers.get("x-api-key")
    bearer = headers.get("authorization", "")
    if key is None and not bearer:
        return ClaudeError(401, "x-api-key header is required")
    if key is None:
        scheme, _, key = bearer.partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else ""
        if not key or key.startswith("sk-ant-invalid"):
            return ClaudeError(401, "Invalid bearer token")
    elif not key.strip() or key.startswith("sk-ant-invalid"):
        return ClaudeError(401, "invalid x-api-key")
    version = headers.get("anthropic-version")
    if version is None:
        return invalid_request("anthropic-version: header is required")
    if version not in API_VERSIONS:
        return invalid_request(f'anthropic-version: "{version}" is not a valid version')
    return None


def read_betas(headers: Mapping[str, str]) -> frozenset[str]:
    """Read the features that `anthropic-beta` names."""
    return frozenset(name.strip() for name in headers.get("anthropic-beta", "").split(",") if name.strip())


def parse_body(raw: bytes) -> dict[str, Any] | ClaudeError:
    """Read the body as a JSON object."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as malformed:
        return invalid_request(f"The request body is not valid JSON: {malformed}")
    if not isinstance(body, dict):
        return invalid_request("Input should be a valid dictionary or object to extract fields from")
    return body


def check_request(
    headers: Mapping[str, str], body: dict[str, Any], *, counting: bool = False
) -> SimulatedModel | ClaudeError:
    """Judge a body. The result is the model that is asked, or the first error."""
    version, betas = headers["anthropic-version"], read_betas(headers)
    request = check_shape(CountTokensRequest if counting else MessageRequest, body, version, betas)
    if isinstance(request, ClaudeError):
        return request
    model = find_model(request.model)
    if model is None:
        return ClaudeError(404, f"model: {request.model}")
    errors = chain(
        _check_betas(body, betas),
        _check_tools(body),
        _check_thread(body),
        check_schemas(body),
        _check_stop_sequences(body),
        check_turns(body, model, version),
        check_model_rules(body, model, betas, counting=counting),
        check_breakpoints(body),
        check_attachments(body, model),
    )
    error = next(errors, None)
    if error is None and not counting:
        error = next(_check_length(body, model), None)
    return error or model


def _check_betas(body: Mapping[str, Any], betas: frozenset[str]) -> Iterator[ClaudeError]:
    for index, tool in enumerate(body.get("tools") or ()):
        needed = BETA_TOOLS.get(tool.get("type") or "")
        if needed and betas.isdisjoint(needed):
            yield _unknown_tag(f"tools.{index}", tool["type"])
    for index, message in enumerate(body["messages"]):
        for position, block in enumerate(content_blocks(message["content"])):
            needed = BETA_BLOCKS.get(block["type"])
            if needed and betas.isdisjoint(needed):
                yield _unknown_tag(f"messages.{index}.content.{position}", block["type"])


def _unknown_tag(path: str, tag: str) -> ClaudeError:
    # A beta type without its header is a type that does not exist.
    return invalid_request(f"{path}: Input tag '{tag}' found using 'type' does not match any of the expected tags")


def _check_tools(body: Mapping[str, Any]) -> Iterator[ClaudeError]:
    tools = body.get("tools") or ()
    names: set[str] = set()
    for tool in tools:
        name = tool.get("name")
        if name is not None and name in names:
            yield invalid_request("tools: Tool names must be unique.", {"error_code": "tool_name_conflict"})
        names.add(name)
    servers = [server.get("name") for server in body.get("mcp_servers") or ()]
    toolsets = [tool.get("mcp_server_name") for tool in tools if tool.get("type") == "mcp_toolset"]
    if any(name not in servers for name in toolsets) or len(set(toolsets)) < len(toolsets):
        # https://platform.claude.com/docs/en/agents-and-tools/mcp-connector has the rule; the wording is not recorded.
        yield invalid_request("tools: each mcp_toolset must reference a server of mcp_servers, and no two the same")
    if tools and all(tool.get("defer_loading") for tool in tools):
        yield invalid_request("At least one tool must have defer_loading=false.")


def _check_thread(body: Mapping[str, Any]) -> Iterator[ClaudeError]:
    if body.get("thread") is not None:
        # Nothing is kept here between requests. The SDKs take this answer, and go on without a thread.
        details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
        yield invalid_request("thread: this request cannot be part of a thread", details)


def _check_stop_sequences(body: Mapping[str, Any]) -> Iterator[ClaudeError]:
    if any(not sequence.strip() for sequence in body.get("stop_sequences") or ()):
        yield invalid_request("stop_sequences: each stop sequence must contain non-whitespace")


def _check_length(body: Mapping[str, Any], model: SimulatedModel) -> Iterator[ClaudeError]:
    tokens = count_input_tokens(body, model)
    if tokens > model.context:
        yield invalid_request(f"prompt is too long: {tokens} tokens > {model.context} maximum")

"""What the body of a request may contain: fields and types, no more and no less.

Pydantic's own messages ("Field required", "Extra inputs are not permitted") and paths
(`messages.1.content.0.text.text`) are those of Claude's API. Rules that need more than the shape of one value (pairs
of blocks, models, versions) live in `validation` and the files it names. Source:
https://platform.claude.com/docs/en/api/messages/create and the types of the anthropic package.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError

from addon.simulated_claude.errors import ClaudeError, invalid_request
from addon.simulated_claude.input_blocks import InputBlock, TextBlock
from addon.simulated_claude.shapes import CacheControl, Shape, beta, text_as_blocks
from addon.simulated_claude.tool_definitions import Tool

__all__ = ["BatchRequest", "CountTokensRequest", "MessageRequest", "check_shape"]


def only_under_2023(value: Any, info: ValidationInfo) -> Any:
    """Refuse what left the API with version 2026-10-21 (https://platform.claude.com/docs/en/api/migration-2026-10-21)."""
    if (info.context or {}).get("version") != "2023-06-01":
        raise PydanticCustomError("extra_forbidden", "Extra inputs are not permitted")
    return value


class InputMessage(Shape):
    """One message; which blocks its role may hold is judged in `turns`."""

    role: str
    content: Annotated[list[InputBlock], BeforeValidator(text_as_blocks)]
    clear_at: Annotated[
        Literal["next_user_message", "never"] | None, beta("mid-conversation-system-clear-at-2026-08-21")
    ] = None
    output_config: Annotated[dict[str, Any] | None, beta("mid-conversation-output-config-2026-07-01")] = None


class ToolChoiceAuto(Shape):
    """Claude decides."""

    type: Literal["auto"]
    disable_parallel_tool_use: bool | None = None


class ToolChoiceAny(Shape):
    """Some tool must be called."""

    type: Literal["any"]
    disable_parallel_tool_use: bool | None = None


class ToolChoiceTool(Shape):
    """One named tool must be called."""

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
    """Read a string as a container's id."""
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


class BatchedRequest(Shape):
    """One request of a batch. What its parameters are worth is judged when it is processed."""

    custom_id: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    params: dict[str, Any]


class BatchRequest(Shape):
    """The body of `POST /v1/messages/batches`."""

    requests: Annotated[list[BatchedRequest], Field(min_length=1, max_length=100_000)]


def check_shape[Checked: Shape](
    shape: type[Checked], body: dict[str, Any], version: str, betas: frozenset[str]
) -> Checked | ClaudeError:
    """Read the body as a typed request, or as the first thing that is wrong with its shape, in Claude's words."""
    try:
        return shape.model_validate(body, context={"version": version, "betas": betas})
    except ValidationError as invalid:
        # Claude names unknown fields last, as pydantic does; a missing field comes before a wrong one further down.
        first = invalid.errors(include_url=False, include_input=False)[0]
        path = ".".join(_path_parts(first["loc"]))
        return invalid_request(f"{path}: {first['msg']}" if path else first["msg"])


def _path_parts(location: tuple[int | str, ...]) -> list[str]:
    # Pydantic also names the members of a union such as `list[...]`, which Claude does not.
    return [str(part) for part in location if not str(part).endswith("]")]

"""What the answer to a Responses request has to look like, decided once, when the request is translated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["InputTransformation", "RemovalReason", "ResponsesPlan", "ToolIdentity", "ToolKind"]

type ToolKind = Literal["function", "custom", "tool_search", "shell", "local_shell", "apply_patch"]
"""What the client declared, which is what a call of it has to be: an item of type `function_call`, `custom_tool_call`,
`tool_search_call`, `shell_call`, `local_shell_call`, `apply_patch_call`."""

type RemovalReason = Literal[
    "organization_mismatch", "end_user_mismatch", "model_mismatch", "prefix_mismatch", "turn_boundary"
]
"""OpenAI's own reasons (`openai.types.responses.response.InputTransformation`)."""


@dataclass(frozen=True, slots=True)
class ToolIdentity:
    """A tool of the client, and how Claude's calls of it are written."""

    kind: ToolKind
    name: str
    """As the client declared it, without the namespace."""
    namespace: str | None = None
    """Written on the call (`function_call.namespace`) where the client declared one."""
    wrapped: bool = False
    """Declared to Claude as `{"input": ...}`, because the parameters are no object: answered without it."""


@dataclass(frozen=True, slots=True)
class InputTransformation:
    """A reasoning item of the input that Claude does not get: `input_transformations` of the response."""

    id: str
    reason: RemovalReason


@dataclass(frozen=True, slots=True)
class ResponsesPlan:
    """All that translating Claude's events needs to know of the request."""

    model: str
    """The model name that the client asked for: echoed in the response."""
    claude_model: str = ""
    """Claude's id of the model that the request goes to: sealed into the envelopes of the answer."""
    stream: bool = False
    echo: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the response object that repeat the request, as they stand on the wire, defaults filled in. Always:
    background, frequency_penalty, instructions, max_output_tokens, max_tool_calls, metadata, moderation,
    parallel_tool_calls, presence_penalty, previous_response_id, prompt_cache_key, prompt_cache_retention, reasoning,
    safety_identifier, service_tier, store, temperature, text, tool_choice, tools, top_logprobs, top_p, truncation,
    user. Where given: conversation, prompt_cache_options, image."""
    tools: Mapping[str, ToolIdentity] = field(default_factory=dict)
    """Every tool of the client, by Claude's name of it. A name that is not here is a stub for the history: a call of it
    is left out of the answer. Inputs: `function` its arguments (or `{"input": value}` if wrapped), `custom`
    `{"input": text}`, `tool_search` the `arguments`, `shell` and `local_shell` the `action` (without `type`),
    `apply_patch` the `operation`."""
    forced_tool: str | None = None
    """Claude's name of the tool whose input Claude writes as its text, under `output_config.format`, because its model
    refuses a forced choice: that text is the call."""
    allowed_tools: frozenset[str] | None = None
    """Claude's names of the tools that may be called this time, where `tool_choice` could only ask for it: calls of
    others are left out of the answer. None: all."""
    seals_thinking: bool = True
    """Whether thinking of this answer can be put back later. Not where the request ended with an instruction that the
    next one will not hold, because Claude binds thinking to all that came before it: the envelope is sealed empty."""
    prefix: str = ""
    """Tag of all that Claude gets before the answer: sealed into the envelopes of the answer."""
    shows_summary: bool = False
    """`reasoning.summary` was asked: thinking with a text becomes parts of the summary."""
    refuses_in_text: bool = False
    """A refusal is written as text, for a client that leaves out a message with any other part (Codex)."""
    include: frozenset[str] = frozenset()
    """Values of `include`, as given."""
    json_object: bool = False
    """JSON was asked for in words: a code fence around the answer is taken off."""
    is_compaction: bool = False
    """The input ends with `compaction_trigger`: the answer's text is a summary, and all of the output is exactly one
    item of type `compaction`."""
    container_id: str | None = None
    """The container that code runs in, as the client knows it; None: a new one gets an id of its own."""
    container_files: tuple[str, ...] = ()
    """Ids of the files in it, as the client named them."""
    waiting_calls: tuple[Mapping[str, Any], ...] = ()
    """Blocks of calls that Claude began in its last answer and runs now: the answer begins with their results."""
    kept_items: tuple[Mapping[str, Any], ...] | None = None
    """Items that the compaction keeps beside its summary. None where it was asked for: it stands beside them."""
    input_transformations: tuple[InputTransformation, ...] = ()
    store: bool = True
    background: bool = False

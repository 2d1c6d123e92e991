"""What the answer to a Chat Completions request has to look like, decided once, when the request is translated."""

from collections.abc import Mapping

import msgspec

__all__ = ["ReplyPlan"]


class ReplyPlan(msgspec.Struct, frozen=True):
    """All that translating Claude's events needs to know of the request. It holds no content."""

    model: str
    """The model name that the client asked for: echoed in every chunk."""
    stream: bool = False
    include_usage: bool = False
    """`stream_options.include_usage`: one more chunk with the usage, and `usage: null` on the others."""
    tool_names: Mapping[str, str] = {}
    """Claude's tool name to the client's, for the names that had to be changed."""
    custom_tools: frozenset[str] = frozenset()
    """Client's names of the tools of type `custom`: declared to Claude as `{"input": string}`, answered as raw text."""
    wrapped_tools: frozenset[str] = frozenset()
    """Client's names of the tools whose parameters are no object: declared as `{"input": ...}`, answered without it."""
    legacy_function_call: bool = False
    """The client sent `functions`: answer with `function_call` instead of `tool_calls`."""
    forced_tool: str | None = None
    """Client's name of the tool whose arguments Claude writes as its text, under `output_config.format`, because its
    model refuses a forced choice: that text is the tool call."""
    allowed_tools: frozenset[str] | None = None
    """Client's names of the tools that may be called this time, where `tool_choice` could only ask for it: calls of
    others are left out of the answer. None: all."""
    remembers_thinking: bool = True
    """Whether thinking of this answer can be put back later. Not where the request ended with an instruction that the
    next one will not hold: Claude binds thinking to all that came before it."""
    stop: tuple[str, ...] = ()
    """Stop strings that Claude does not take (white space only, or too many): the text is cut here."""
    json_object: bool = False
    """`response_format: json_object`: a code fence around the answer is taken off."""
    structured: bool = False
    """A `response_format` was asked: a refusal ends with `stop`, because `.parse()` helpers raise on `content_filter`
    and read `message.refusal` on `stop` (openai-python lib/streaming/chat/_completions.py)."""
    shows_thinking: bool = True
    """Thinking with a text is shown as `reasoning_content`."""

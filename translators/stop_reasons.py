"""Claude's `stop_reason` as Chat Completions' `finish_reason`: one closed table; and a refusal in words."""

from typing import TYPE_CHECKING, Literal

from translators.claude_events import StopDetails

if TYPE_CHECKING:
    from anthropic.types import StopReason

__all__ = ["FINISH_REASONS", "PlainFinishReason", "describe_refusal", "map_stop_reason"]

type PlainFinishReason = Literal["stop", "length", "tool_calls", "content_filter"]

FINISH_REASONS: "dict[StopReason, PlainFinishReason]" = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    # A paused turn is continued inside. Where it is not, the answer is incomplete, and `length` says so.
    "pause_turn": "length",
}

_BY_NAME: dict[str, PlainFinishReason] = dict(FINISH_REASONS.items())


def map_stop_reason(stop_reason: str | None) -> PlainFinishReason:
    """Map a stop reason. One that is not known (a beta's, or of a later API) counts as `stop`: the message did end."""
    return "stop" if stop_reason is None else _BY_NAME.get(stop_reason, "stop")


def describe_refusal(details: StopDetails | None) -> str:
    """Say that Claude refused, in its own words where it gave some."""
    if details is not None and details.explanation:
        return details.explanation
    if details is not None and details.category:
        return f"Claude declined to answer this request (category: {details.category})."
    return "Claude declined to answer this request."

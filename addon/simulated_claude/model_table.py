"""Which models the simulated Claude serves, and what each of them accepts.

Source: https://platform.claude.com/docs/en/about-claude/models/overview and the pages on thinking, effort and
deprecations, as of November 2026. Written on its own, so that a mistake in the translator's table cannot hide behind
the same mistake here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

__all__ = ["MODELS", "RETIRED_MODELS", "SimulatedModel", "find_model", "list_models", "model_info"]

type ThinkingType = Literal["adaptive", "enabled", "disabled", "between_tools"]

ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")
EFFORTS_46 = ("low", "medium", "high", "max")
EFFORTS_45 = ("low", "medium", "high")
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """One model. The defaults are those of the 5.x generation."""

    id: str
    display_name: str
    line: Literal["haiku", "sonnet", "opus", "fable", "mythos"]
    created_at: str
    alias: str | None = None
    context: int = MILLION
    max_output: int = 128_000
    thinking: tuple[ThinkingType, ...] = ("adaptive",)
    thinks_by_default: bool = True
    effort: tuple[str, ...] = ALL_EFFORTS
    efforts_without_thinking: tuple[str, ...] = EFFORTS_45
    """Effort levels that go with thinking switched off, where the model restricts them."""
    forced_tool_choice: bool = True
    system_messages: Literal["read", "ignored", "refused"] = "read"
    prefill: bool = False
    sampling: bool = False
    """Whether `temperature` and the like may differ from their defaults under version 2023-06-01."""
    min_cacheable: int = 512
    dense_tokenizer: bool = True
    """Models since 4.7 count about 30 % more tokens for the same text."""
    display: Literal["summarized", "omitted"] = "omitted"
    binds_thinking: bool = False
    """Whether thinking is refused when anything before it in the conversation has changed."""
    lifecycle: Literal["active", "deprecated"] = "active"
    deprecated_at: str | None = None
    retires_at: str | None = None


_NEWEST = partial(SimulatedModel, forced_tool_choice=False)
_ADAPTIVE = partial(SimulatedModel, thinking=("adaptive", "disabled"), efforts_without_thinking=ALL_EFFORTS)
_GENERATION_46 = partial(
    SimulatedModel,
    thinking=("adaptive", "enabled", "disabled"),
    thinks_by_default=False,
    effort=EFFORTS_46,
    efforts_without_thinking=EFFORTS_46,
    system_messages="refused",
    sampling=True,
    dense_tokenizer=False,
    display="summarized",
)
_GENERATION_45 = partial(
    SimulatedModel,
    context=200_000,
    max_output=64_000,
    thinking=("enabled", "disabled"),
    thinks_by_default=False,
    effort=(),
    system_messages="refused",
    prefill=True,
    sampling=True,
    dense_tokenizer=False,
    display="summarized",
)

_NEWEST_FIRST: tuple[SimulatedModel, ...] = (
    _NEWEST("claude-fable-5-2", "Claude Fable 5.2", "fable", "2026-11-09T00:00:00Z", binds_thinking=True),
    _NEWEST("claude-mythos-5-2", "Claude Mythos 5.2", "mythos", "2026-11-09T00:00:00Z", binds_thinking=True),
    SimulatedModel(
        "claude-haiku-5-5",
        "Claude Haiku 5.5",
        "haiku",
        "2026-10-07T00:00:00Z",
        thinking=("adaptive", "disabled"),
        binds_thinking=True,
    ),
    _NEWEST(
        "claude-sonnet-5-5",
        "Claude Sonnet 5.5",
        "sonnet",
        "2026-09-28T00:00:00Z",
        thinking=("adaptive", "between_tools"),
        binds_thinking=True,
    ),
    _NEWEST("claude-opus-5-5", "Claude Opus 5.5", "opus", "2026-09-22T00:00:00Z", binds_thinking=True),
    _NEWEST("claude-fable-5-1", "Claude Fable 5.1", "fable", "2026-09-01T00:00:00Z", binds_thinking=True),
    _NEWEST("claude-mythos-5-1", "Claude Mythos 5.1", "mythos", "2026-09-01T00:00:00Z"),
    SimulatedModel("claude-opus-5", "Claude Opus 5", "opus", "2026-07-24T00:00:00Z", thinking=("adaptive", "disabled")),
    _ADAPTIVE(
        "claude-sonnet-5",
        "Claude Sonnet 5",
        "sonnet",
        "2026-06-30T00:00:00Z",
        system_messages="ignored",
        min_cacheable=1024,
    ),
    SimulatedModel("claude-fable-5", "Claude Fable 5", "fable", "2026-06-09T00:00:00Z"),
    SimulatedModel("claude-mythos-5", "Claude Mythos 5", "mythos", "2026-06-09T00:00:00Z"),
    _ADAPTIVE(
        "claude-opus-4-8",
        "Claude Opus 4.8",
        "opus",
        "2026-05-28T00:00:00Z",
        thinks_by_default=False,
        min_cacheable=1024,
    ),
    _ADAPTIVE(
        "claude-opus-4-7",
        "Claude Opus 4.7",
        "opus",
        "2026-04-16T00:00:00Z",
        thinks_by_default=False,
        system_messages="refused",
        min_cacheable=2048,
    ),
    _NEWEST(
        "claude-mythos-preview",
        "Claude Mythos Preview",
        "mythos",
        "2026-04-07T00:00:00Z",
        thinking=("adaptive", "enabled"),
        system_messages="refused",
        min_cacheable=2048,
        lifecycle="deprecated",
        deprecated_at="2026-06-09T00:00:00Z",
        retires_at="2026-06-30T00:00:00Z",
    ),
    _GENERATION_46("claude-sonnet-4-6", "Claude Sonnet 4.6", "sonnet", "2026-02-17T00:00:00Z", min_cacheable=1024),
    _GENERATION_46("claude-opus-4-6", "Claude Opus 4.6", "opus", "2026-02-05T00:00:00Z", min_cacheable=4096),
    _GENERATION_45(
        "claude-opus-4-5-20251101",
        "Claude Opus 4.5",
        "opus",
        "2025-11-24T00:00:00Z",
        alias="claude-opus-4-5",
        effort=EFFORTS_45,
        min_cacheable=4096,
    ),
    _GENERATION_45(
        "claude-haiku-4-5-20251001",
        "Claude Haiku 4.5",
        "haiku",
        "2025-10-15T00:00:00Z",
        alias="claude-haiku-4-5",
        min_cacheable=4096,
    ),
    _GENERATION_45(
        "claude-sonnet-4-5-20250929",
        "Claude Sonnet 4.5",
        "sonnet",
        "2025-09-29T00:00:00Z",
        alias="claude-sonnet-4-5",
        min_cacheable=1024,
        lifecycle="deprecated",
        deprecated_at="2026-09-30T00:00:00Z",
        retires_at="2026-11-30T00:00:00Z",
    ),
)

RETIRED_MODELS: frozenset[str] = frozenset(
    {
        "claude-2.0",
        "claude-2.1",
        "claude-3-5-haiku-20241022",
        "claude-3-5-haiku-latest",
        "claude-3-5-sonnet-20240620",
        "claude-3-5-sonnet-20241022",
        "claude-3-5-sonnet-latest",
        "claude-3-7-sonnet-20250219",
        "claude-3-7-sonnet-latest",
        "claude-3-haiku-20240307",
        "claude-3-opus-20240229",
        "claude-3-opus-latest",
        "claude-3-sonnet-20240229",
        "claude-instant-1.2",
        "claude-opus-4-0",
        "claude-opus-4-1",
        "claude-opus-4-1-20250805",
        "claude-opus-4-20250514",
        "claude-sonnet-4-0",
        "claude-sonnet-4-20250514",
    }
)
"""Named for the tests alone: they answer 404, as any unknown name does."""

MODELS: Mapping[str, SimulatedModel] = {model.id: model for model in _NEWEST_FIRST} | {
    model.alias: model for model in _NEWEST_FIRST if model.alias
}


def find_model(model_id: str) -> SimulatedModel | None:
    """Find the model of an id or alias; None for unknown and retired ones."""
    return MODELS.get(model_id)


def list_models() -> tuple[SimulatedModel, ...]:
    """Every model once, newest first."""
    return _NEWEST_FIRST


def model_info(model: SimulatedModel) -> dict[str, Any]:
    """One model as `GET /v1/models/{id}` tells it (the shape of `anthropic.types.ModelInfo`)."""

    def supported(condition: bool) -> dict[str, bool]:
        return {"supported": condition}

    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name,
        "created_at": model.created_at,
        "lifecycle": model.lifecycle,
        "deprecated_at": model.deprecated_at,
        "retires_at": model.retires_at,
        "line": model.line,
        "max_input_tokens": model.context,
        "max_tokens": model.max_output,
        "capabilities": {
            "batch": supported(True),
            "citations": supported(True),
            "code_execution": supported(True),
            "context_management": {
                "supported": True,
                "clear_thinking_20251015": supported(True),
                "clear_tool_uses_20250919": supported(True),
                "compact_20260112": supported(model.context == MILLION),
            },
            "effort": {
                "supported": bool(model.effort),
                **{level: supported(level in model.effort) for level in ALL_EFFORTS},
            },
            "image_input": supported(True),
            "pdf_input": supported(True),
            "server_tools": {"supported": True, "code_execution": supported(True), "web_search": supported(True)},
            "structured_outputs": supported(True),
            "thinking": {
                "supported": True,
                "types": {
                    name: supported(name in model.thinking)
                    for name in ("adaptive", "between_tools", "disabled", "enabled")
                },
            },
        },
    }

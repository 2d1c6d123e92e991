"""How hard Claude thinks: OpenAI's `reasoning_effort` to `thinking` and `output_config.effort`, by model.

| effort | Claude |
|---|---|
| absent | nothing: the model's own default; under a small cap as `none` |
| none | thinking off where the model can (`disabled`, Sonnet 5.5 `between_tools`), else adaptive with effort low |
| minimal | as low |
| low to max | adaptive with that effort, at most what the model knows; a budget in tokens for models before 4.6 |

Sources: https://platform.claude.com/docs/en/build-with-claude/effort, .../adaptive-thinking, .../extended-thinking.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from translators.model_catalog import EFFORTS, Effort, ModelCapabilities
from translators.translation_warning import TranslationWarning

__all__ = ["MIN_BUDGET_TOKENS", "ReasoningEffort", "Thinking", "choose_thinking"]

type ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

MIN_BUDGET_TOKENS = 1024
"""Least `budget_tokens` that Claude accepts."""

_SMALL_ANSWER = 1024
"""Under this cap thinking would leave nothing for the answer, so a client that asks for no reasoning gets none."""

_BUDGET_TOKENS: Mapping[Effort, int] = MappingProxyType(
    {"low": 4_096, "medium": 12_288, "high": 24_576, "xhigh": 32_768, "max": 49_152}
)
"""Budgets in tokens for models without adaptive thinking: our choice, a fraction of their 64,000 tokens of output."""


class Thinking(msgspec.Struct, frozen=True):
    """The parameters `thinking` and `output_config.effort`; None where they are left out."""

    thinking: dict[str, Any] | None = None
    effort: Effort | None = None
    on: bool = False
    """Whether the model will think, so far as it can be known: it decides on sampling and prefill."""
    warnings: tuple[TranslationWarning, ...] = ()


def choose_thinking(
    reasoning_effort: ReasoningEffort | None,
    capabilities: ModelCapabilities,
    max_tokens: int,
    *,
    show_thinking: bool = False,
    may_use_budget: bool = True,
) -> Thinking:
    """Choose how the model thinks.

    Args:
        reasoning_effort: what the client asked.
        capabilities: of the model that answers.
        max_tokens: the cap of the answer, in which thinking counts.
        show_thinking: the client is to see thinking, so Claude is asked for its summary. Never asked otherwise: it
            slows agents down, and a model whose default is to omit it then signs the summary only.
        may_use_budget: False where a budget would be refused: a forced tool choice, or a tool loop whose thinking
            is lost.
    """
    if reasoning_effort is None and max_tokens < _SMALL_ANSWER and capabilities.thinks_by_default:
        # No warning: the cap holds, and no effort was asked that could have been changed.
        return msgspec.structs.replace(_switched_off(capabilities, show_thinking), warnings=())
    if reasoning_effort is None:
        if capabilities.thinks_by_default and show_thinking:
            return Thinking(_shown({"type": "adaptive"}, show_thinking), on=True)
        return Thinking(on=capabilities.thinks_by_default)
    if reasoning_effort == "none":
        return _switched_off(capabilities, show_thinking)
    effort, warnings = _clamped(reasoning_effort, capabilities)
    if not capabilities.budget_only:
        needed = show_thinking or not capabilities.thinks_by_default
        thinking = _shown({"type": "adaptive"}, show_thinking) if needed else None
        return Thinking(thinking, effort if capabilities.efforts else None, on=True, warnings=warnings)
    kept = effort if capabilities.efforts else None
    reason = "a forced tool or a tool call without its thinking" if not may_use_budget else "max_tokens"
    if not may_use_budget or max_tokens <= MIN_BUDGET_TOKENS:
        degraded = TranslationWarning("reasoning_effort", "degraded", f"{reason} leaves no place for a thinking budget")
        return Thinking(effort=kept, warnings=(*warnings, degraded))
    # At least a quarter of the cap is left for the answer itself.
    budget = max(MIN_BUDGET_TOKENS, min(_BUDGET_TOKENS[effort], max_tokens * 3 // 4))
    thinking = _shown({"type": "enabled", "budget_tokens": budget}, show_thinking)
    return Thinking(thinking, kept, on=True, warnings=warnings)


def _switched_off(capabilities: ModelCapabilities, show_thinking: bool) -> Thinking:
    off = capabilities.thinking_off
    if off == "between_tools":
        return Thinking({"type": "between_tools"})
    if off is not None:
        # Opus 5 and Haiku 5.5 limit the effort together with `disabled`; the others keep their own default.
        limited = capabilities.thinks_by_default and capabilities.strongest_effort_without_thinking != "max"
        return Thinking({"type": off}, "low" if limited else None)
    warning = TranslationWarning("reasoning_effort", "degraded", "this model always thinks: effort low")
    thinking = _shown({"type": "adaptive"}, show_thinking) if show_thinking else None
    return Thinking(thinking, "low" if capabilities.efforts else None, on=True, warnings=(warning,))


def _clamped(
    reasoning_effort: Literal["minimal", "low", "medium", "high", "xhigh", "max"], capabilities: ModelCapabilities
) -> tuple[Effort, tuple[TranslationWarning, ...]]:
    """Choose the model's strongest level that is not stronger than asked (never max for xhigh: it costs more)."""
    wanted: Effort = "low" if reasoning_effort == "minimal" else reasoning_effort
    known = capabilities.efforts or EFFORTS
    weaker = [level for level in EFFORTS[: EFFORTS.index(wanted) + 1] if level in known]
    effort = weaker[-1] if weaker else known[0]
    if effort == reasoning_effort:
        return effort, ()
    return effort, (TranslationWarning("reasoning_effort", "changed", f"{reasoning_effort} became {effort}"),)


def _shown(thinking: dict[str, Any], show_thinking: bool) -> dict[str, Any]:
    return {**thinking, "display": "summarized"} if show_thinking else thinking

"""`temperature` and `top_p`, where the model takes them.

Only the models of the families 4.5 and 4.6 do, one of both, without thinking, and under the older API version
(https://platform.claude.com/docs/en/api/migration-2026-10-21). 1 is Claude's own value.
"""

from collections.abc import Mapping

import msgspec

from translators.model_catalog import ModelCapabilities
from translators.translation_warning import TranslationWarning

__all__ = ["Sampling", "choose_sampling"]

_SAMPLING_VERSION = "2023-06-01"
"""The last API version with `temperature` and `top_p`."""


class Sampling(msgspec.Struct, frozen=True):
    """Parameters of the request, and the headers that they need."""

    params: Mapping[str, float] = {}
    headers: Mapping[str, str] = {}
    warnings: tuple[TranslationWarning, ...] = ()


def choose_sampling(
    temperature: float | None, top_p: float | None, capabilities: ModelCapabilities, *, thinks: bool
) -> Sampling:
    """Choose `temperature` or `top_p`, or neither."""
    asked = {"temperature": temperature, "top_p": top_p}
    given = {name: value for name, value in asked.items() if value is not None and value != 1}
    if not given:
        return Sampling()
    if not capabilities.sampling or thinks:
        reason = "not with thinking" if capabilities.sampling else "this model samples in its own way"
        return Sampling(warnings=tuple(TranslationWarning(name, "ignored", reason) for name in given))
    name, value = next(iter(given.items()))
    warnings: tuple[TranslationWarning, ...] = ()
    if len(given) > 1:
        warnings = (TranslationWarning("top_p", "ignored", "Claude takes temperature or top_p"),)
    if value > 1:
        return Sampling(warnings=(*warnings, TranslationWarning(name, "changed", f"{value:g} became 1")))
    return Sampling({name: value}, {"anthropic-version": _SAMPLING_VERSION}, warnings)

"""Parameters that OpenAI does not have, which clients of other hosts send: reported, and without effect."""

from collections.abc import Iterable

from translators.translation_warning import TranslationWarning

__all__ = ["warn_of_unknown"]

_VENDOR_EXTRAS = frozenset(
    {
        "chat_template_kwargs",
        "enable_thinking",
        "extra_body",
        "guided_json",
        "include_reasoning",
        "min_p",
        "plugins",
        "provider",
        "reasoning",
        "repetition_penalty",
        "thinking",
        "top_a",
        "top_k",
        "transforms",
        "use_beam_search",
    }
)
"""Parameters of other OpenAI-compatible hosts, reported by name. Others are reported as `unknown`, because a warning's
parameter becomes a metric's label and a header's text."""


def warn_of_unknown(names: Iterable[str]) -> list[TranslationWarning]:
    """Report each of them as ignored."""
    return [
        TranslationWarning(name if name in _VENDOR_EXTRAS else "unknown", "ignored", f"{name[:64]!r}") for name in names
    ]

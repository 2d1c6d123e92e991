"""`max_tokens`, which Claude wants always and OpenAI's clients seldom say."""

from collections.abc import Mapping

from translators.model_catalog import ModelCapabilities
from translators.translation_warning import TranslationWarning

__all__ = ["choose_max_tokens"]


def choose_max_tokens(
    asked: Mapping[str, int | None],
    capabilities: ModelCapabilities,
    *,
    default: int | None,
    limit: int | None,
) -> tuple[int, tuple[TranslationWarning, ...]]:
    """Choose the smallest cap in tokens, within the operator's limit and the model's maximum.

    Args:
        asked: the client's caps by the names of their parameters.
        capabilities: of the model that answers.
        default: the operator's cap where the client has none; None: the largest.
        limit: the largest cap that a client may ask; None: the model's maximum.
    """
    most = capabilities.max_output_tokens
    largest = min(most, limit or most)
    caps = {name: cap for name, cap in asked.items() if cap is not None}
    if not caps:
        return min(largest, default or largest), ()
    warnings = []
    name = min(caps, key=caps.__getitem__)
    for other, cap in caps.items():
        if cap != caps[name]:
            warnings.append(TranslationWarning(other, "ignored", f"{name} is smaller"))
    if caps[name] > largest:
        warnings.append(TranslationWarning(name, "changed", f"{caps[name]} became {largest}"))
    return min(caps[name], largest), tuple(warnings)

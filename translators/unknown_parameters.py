"""Parameters that OpenAI's endpoint does not have: those of other hosts, clients and endpoints, and slips of the pen.

They are without effect, and reported by the client's own names, so that `maxTokens` is found out.
"""

import re
from collections.abc import Iterable

from translators.translation_warning import TranslationWarning

__all__ = ["UNNAMED", "warn_of_unknown"]

UNNAMED = "unknown"
"""What is reported of those that are not named."""
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,39}")
"""Names that can stand in a header and a log: a word. A key (`sk-...`), a line break, or a prompt is none."""
_MOST_NAMED = 8
"""How many are named, so that the header stays short whatever a client sends."""


def warn_of_unknown(names: Iterable[str]) -> list[TranslationWarning]:
    """Report them as ignored: the first few by their names, the others, and what is no name, together as `unknown`."""
    names = dict.fromkeys(names)
    named = [name for name in names if _NAME.fullmatch(name)][:_MOST_NAMED]
    warnings = [TranslationWarning(name, "ignored") for name in named]
    if others := len(names) - len(named):
        warnings.append(TranslationWarning(UNNAMED, "ignored", f"{others} more"))
    return warnings

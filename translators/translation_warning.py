"""What a translation changed, ignored or degraded: a value beside the result, never an exception and never silence."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Action", "TranslationWarning", "encode_header"]

type Action = Literal["ignored", "changed", "degraded", "emulated"]
"""`ignored`: without effect; `changed`: sent with another value; `degraded`: weaker; `emulated`: by other means."""


@dataclass(frozen=True, slots=True)
class TranslationWarning:
    """One parameter that does not reach Claude as the client sent it.

    `param` is the parameter's path without indexes or the client's own words (`tools.strict`, never `tools[3]`),
    because it becomes a metric's label. `detail` may name values; it goes to the log and never into a label.
    """

    param: str
    action: Action
    detail: str = ""


def encode_header(warnings: tuple[TranslationWarning, ...]) -> str:
    """Encode for the response header `x-claude-proxy-warnings`: `seed=ignored, tools.strict=degraded`, each once."""
    return ", ".join(dict.fromkeys(f"{warning.param}={warning.action}" for warning in warnings))

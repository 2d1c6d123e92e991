"""What a translation changed, ignored or degraded: a value beside the result, never an exception and never silence."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Action", "TranslationWarning", "encode_header"]

type Action = Literal["ignored", "changed", "degraded", "emulated"]
"""`ignored`: without effect; `changed`: sent with another value; `degraded`: weaker; `emulated`: by other means."""


@dataclass(frozen=True, slots=True)
class TranslationWarning:
    """One parameter that does not reach Claude as the client sent it.

    `param` is the parameter's path without indexes or values (`tools.strict`, never `tools[3]`), because it stands in a
    header and in the log; only `translators.unknown_parameters` takes it from the client. `detail` is for whoever reads
    the value in a test or a debugger: it may name values, so it goes nowhere.
    """

    param: str
    action: Action
    detail: str = ""


def encode_header(warnings: tuple[TranslationWarning, ...]) -> str:
    """Encode for the response header `x-claude-proxy-warnings`: `seed=ignored, tools.strict=degraded`, each once."""
    return ", ".join(dict.fromkeys(f"{warning.param}={warning.action}" for warning in warnings))

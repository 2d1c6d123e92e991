"""What becomes of a parameter of OpenAI: the form of the tables of docs/compatibility.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Parameter", "Treatment", "emulated", "encode_summary", "encode_table", "ignored", "mapped", "refused"]

type Treatment = Literal["mapped", "emulated", "ignored", "refused"]
"""`mapped`: Claude has the same. `emulated`: done by other means. `ignored`: without effect, with a warning.
`refused`: a 400."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What becomes of one parameter; `how` is one line."""

    treatment: Treatment
    how: str


def mapped(how: str) -> Parameter:
    """Make a row: Claude has the same."""
    return Parameter("mapped", how)


def emulated(how: str) -> Parameter:
    """Make a row: done by other means."""
    return Parameter("emulated", how)


def ignored(how: str) -> Parameter:
    """Make a row: without effect, with a warning."""
    return Parameter("ignored", how)


def refused(how: str) -> Parameter:
    """Make a row: a 400."""
    return Parameter("refused", how)


def encode_summary(parameters: Mapping[str, Parameter]) -> str:
    """Encode which parameters are refused and which are ignored, as a Markdown list, without parts of parameters."""
    lines = []
    for treatment, beginning in (("refused", "Refused, some only with certain values"), ("ignored", "Ignored")):
        names = [f"`{name}`" for name, each in parameters.items() if each.treatment == treatment and "." not in name]
        lines.append(f"- {beginning}: {', '.join(names)}")
    return "\n".join([*lines, "", ""])


def encode_table(parameters: Mapping[str, Parameter]) -> str:
    """Encode as a Markdown table."""
    rows = [f"| `{name}` | {parameter.treatment} | {parameter.how} |" for name, parameter in parameters.items()]
    return "\n".join(["| parameter | class | how |", "|---|---|---|", *rows, ""])

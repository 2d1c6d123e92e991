"""What a section of the settings is made of: fields, each with its default, its bounds, its meaning and its `Names`.

The sections are in `claude_settings.py`, `client_settings.py` and `operation_settings.py`. Their order is that of
`addon.configuration.settings.Settings`, and so is that of the flags, the mitmproxy options and the table in
docs/configuration.md, which are made from them or held to them.
"""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

__all__ = ["Names", "Section"]


@dataclass(frozen=True, slots=True)
class Names:
    """What one setting is called outside configuration files; None where a source may not carry it."""

    env: str
    option: str | None = None
    flag: str | None = None


class Section(BaseModel):
    """One table of the configuration file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

"""docs/configuration.md names every setting as the code has it, and README.md agrees with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from addon.configuration.settings import ALL_SETTINGS
from addon.interception.reload import RELOADABLE

ROOT = Path(__file__).parents[1]


def _default(setting):
    default = setting.field.get_default(call_default_factory=True)
    match default:
        case None | {}:
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return " ".join(f"`{item}`" for item in default)
        case _:
            return f"`{default}`"


def row_of(setting):
    names = setting.names
    cells = [
        f"`{setting.dotted}`",
        setting.field.description,
        _default(setting),
        f"`{names.env}`",
        f"`{names.option}`" if names.option else "",
        f"`{names.flag}`" if names.flag else "",
    ]
    return f"| {' | '.join(cells)} |"


def test_the_table_of_settings_is_that_of_the_code():
    _, _, table = (ROOT / "docs/configuration.md").read_text().partition("| setting | meaning |")
    written = table.partition("\n\n")[0].splitlines()[2:]
    assert written == [row_of(setting) for setting in ALL_SETTINGS]


def test_the_settings_that_may_change_while_it_runs_are_those_of_the_code():
    _, _, section = (ROOT / "docs/configuration.md").read_text().partition("## Changing settings while it runs")
    _, _, listed = section.partition("in all workers:")
    assert re.findall(r"`([a-z_]+\.[a-z_]+)`", listed.partition("Other settings")[0]) == sorted(RELOADABLE)
    assert {setting.dotted for setting in ALL_SETTINGS} >= RELOADABLE


@pytest.mark.parametrize("setting", ALL_SETTINGS, ids=lambda setting: setting.dotted)
def test_what_the_readme_says_of_a_setting_is_true(setting):
    lines = (ROOT / "README.md").read_text().splitlines()
    for line in (line for line in lines if line.startswith(f"| `{setting.dotted}`")):
        _, _, env, flag, default, _ = line.split("|")
        assert env.strip().strip("`") == setting.names.env
        assert flag.strip().strip("`") == (setting.names.flag or "")
        assert default.strip() == (_default(setting) or default.strip())

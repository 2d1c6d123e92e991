"""docs/architecture.md names every file of the shell, docs/development.md files that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHELL = ROOT / "addon"
FILES = sorted(
    str(file.relative_to(SHELL))
    for file in (*SHELL.glob("*.py"), *SHELL.glob("*/*.py"))
    if file.name != "__init__.py" and file.parent.name != "simulated_claude"
)


def _named_files() -> list[str]:
    _, _, table = (ROOT / "docs/architecture.md").read_text().partition("| in `addon/` | answers |")
    folder, named = "", []
    for row in table.partition("\n\n")[0].splitlines()[2:]:
        cell = row.split(" | ")[0].removeprefix("| ")
        if cell.startswith("**"):
            folder = cell.strip("*`")
        else:
            # Those without a folder come first and last.
            names = [name.strip("`") for name in cell.split(", ")]
            named += [name if (SHELL / name).exists() else folder + name for name in names]
    return named


def test_the_table_names_nothing_twice_and_nothing_that_is_not_there():
    named = _named_files()
    assert len(named) == len(set(named))
    assert [name for name in named if not (SHELL / name).exists()] == []


@pytest.mark.parametrize("file", FILES)
def test_each_file_has_its_place_in_the_table(file):
    assert file in _named_files()


def test_the_files_that_a_change_concerns_are_there():
    text = (ROOT / "docs/development.md").read_text()
    named = re.findall(r"`((?:addon|translators|tests|scripts)/[\w/.]*)`", text)
    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []

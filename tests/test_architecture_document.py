"""docs/architecture.md names every file of the shell."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(file.name for file in (ROOT / "addon").glob("*.py") if file.name != "__init__.py")


@pytest.mark.parametrize("file", FILES)
def test_each_file_has_its_place_in_the_table(file):
    _, _, table = (ROOT / "docs/architecture.md").read_text().partition("| in `addon/` | answers |")
    rows = table.partition("\n\n")[0].splitlines()
    assert sum(f"`{file}`" in row.partition(" | ")[0] for row in rows) == 1

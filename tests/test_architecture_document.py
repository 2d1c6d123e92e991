"""What docs/architecture.md says of files and folders is so, and docs/development.md names files that there are."""

import re
import tomllib
from pathlib import Path

import grimp
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


def test_no_folder_uses_those_above_it_for_types_alone_either():
    # The contract passes over such imports, because the translators name the SDK's types.
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["addon"])
    graph = grimp.build_graph("addon", exclude_type_checking_imports=False, cache_dir=None)
    assert (
        graph.find_illegal_dependencies_for_layers(
            [grimp.Layer(*names.split(" | ")) for names in layers], containers={"addon"}
        )
        == set()
    )

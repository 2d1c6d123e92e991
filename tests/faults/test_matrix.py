"""The table of faults in README.md and the tests that it names belong together."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NAMED = re.compile(r"`((?:tests/(?:\w+/)+)?test_\w+\.py)::(test_\w+)`")


def names_of_tests(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def named() -> set[tuple[Path, str]]:
    found = NAMED.findall((HERE / "README.md").read_text())
    return {((ROOT if "/" in file else HERE) / file, test) for file, test in found}


def test_each_test_that_the_matrix_names_exists() -> None:
    missing = {(file.name, test) for file, test in named() if not file.exists() or test not in names_of_tests(file)}
    assert missing == set()


def test_each_test_of_this_folder_is_in_the_matrix() -> None:
    here = {(path, test) for path in HERE.glob("test_*.py") if path != Path(__file__) for test in names_of_tests(path)}
    assert here
    assert {test for _, test in here - named()} == set()


def test_each_row_of_the_matrix_has_a_test() -> None:
    tables = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", (HERE / "README.md").read_text(), re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(tables) == 5
    assert [row for row in rows if not NAMED.search(row)] == []

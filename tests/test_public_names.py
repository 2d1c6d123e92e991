"""What one file of the packages takes of another is in that one's `__all__`."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts): ast.parse(file.read_text())
    for package in ("addon", "translators")
    for file in (ROOT / package).rglob("*.py")
}


def _public_names(module):
    assigned = (node for node in module.body if isinstance(node, ast.Assign))
    named = [node.value for node in assigned if [ast.unparse(each) for each in node.targets] == ["__all__"]]
    return set(ast.literal_eval(named[0])) if named else set()


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_takes_of_others_what_they_offer(name):
    imports = [node for node in ast.walk(FILES[name]) if isinstance(node, ast.ImportFrom) and node.module in FILES]
    taken = {(node.module, alias.name) for node in imports for alias in node.names}
    assert [(module, each) for module, each in sorted(taken) if each not in _public_names(FILES[module])] == []

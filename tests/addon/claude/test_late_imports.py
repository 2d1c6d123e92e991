"""The SDK's packages import their modules late, and have every name that they have without it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

LATE = "from addon.claude.late_imports import import_late\nimport_late({package!r})\n"

ALL_NAMES = """
import importlib, json, pkgutil, sys
import anthropic
NAMES = json.load(sys.stdin)
def packages():
    yield "anthropic"
    for found in pkgutil.walk_packages(anthropic.__path__, "anthropic.", onerror=lambda name: None):
        if found.ispkg:
            yield found.name
found = {}
for name in packages():
    package = importlib.import_module(name)
    names = NAMES.get(name) or [each for each in vars(package) if not each.startswith("__")]
    values = {each: getattr(package, each) for each in names}
    found[name] = {each: [type(it).__qualname__, getattr(it, "__qualname__", None)] for each, it in values.items()}
print(json.dumps(found))
"""

LOADED = (
    "import addon.interception.interceptor, sys\nprint(sum(name.split('.')[0] == 'anthropic' for name in sys.modules))"
)

PROXY_NEEDS = 1200
"""Modules of the SDK; all of them are 2,900."""


def run(code: str, path: Path | None = None, given: str = "") -> str:
    """Run code in a process of its own, in which nothing is imported yet; `path` is where it finds more packages."""
    command = [sys.executable, "-c", f"import sys\nsys.path.insert(0, {str(path)!r})\n{code}" if path else code]
    return subprocess.run(command, input=given, capture_output=True, check=True, text=True).stdout


def test_every_package_of_the_sdk_has_every_name_that_it_has_without() -> None:
    without = run(ALL_NAMES, given="{}")
    late = run(LATE.format(package="anthropic") + ALL_NAMES, given=without)
    assert len(json.loads(without)) > 100
    assert json.loads(late) == json.loads(without)


def test_a_third_of_the_sdk_is_enough_for_the_proxy() -> None:
    assert int(run(LOADED)) < PROXY_NEEDS


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose modules say when they are imported."""
    folder = tmp_path / "sample"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        'print("package")\n'
        "from .first import First, other as renamed\n"
        "from .second import (\n    Second as Second,  # why\n    Third,\n)\n"
        "from .failing import Failing\n"
        "NUMBER = 7\n"
    )
    for name, classes in (("first", ["First", "other"]), ("second", ["Second", "Third"])):
        text = "".join(f"class {each}: pass\n" for each in classes)
        (folder / f"{name}.py").write_text(f"print({name!r})\n{text}")
    (folder / "failing.py").write_text("class Failing: pass\n")
    return tmp_path


def said(package: Path, code: str) -> list[str]:
    return run(LATE.format(package="sample") + code, package).split()


def test_a_module_is_imported_when_a_name_of_it_is_used(package: Path) -> None:
    assert said(package, "import sample; print('imported'); sample.Third; sample.Third") == ["imported", "second"]
    assert said(package, "from sample import First; print(First.__name__)") == ["first", "First"]
    assert said(package, "import sample; print(sample.second.Second.__name__)") == ["second", "Second"]
    assert said(package, "import sample.second; print(sample.second.__name__)") == ["second", "sample.second"]


@pytest.mark.parametrize("name", ["NUMBER", "renamed"])
def test_the_packages_own_code_is_run_for_a_name_that_it_makes_itself(package: Path, name: str) -> None:
    asked = f"import sample; sample.{name}; print(sample.NUMBER, hasattr(sample, 'nothing'))"
    assert said(package, asked) == ["package", "first", "second", "7", "False"]


def test_threads_ask_for_names_while_the_packages_own_code_runs(package: Path) -> None:
    source = (package / "sample" / "__init__.py").read_text()
    (package / "sample" / "__init__.py").write_text("import time\ntime.sleep(0.2)\n" + source)
    code = """
import sample
from concurrent.futures import ThreadPoolExecutor
def ask(name):
    return getattr(sample, name, name)
with ThreadPoolExecutor(8) as threads:
    asked = list(threads.map(ask, ["NUMBER", "First", "NUMBER", "renamed", "Third", "nothing"]))
print("asked", *(getattr(it, "__name__", it) for it in asked))
"""
    said_in_all = said(package, code)
    assert said_in_all[said_in_all.index("asked") :] == ["asked", "7", "First", "7", "other", "Third", "nothing"]
    assert said_in_all.count("package") == 1


def test_everything_is_there_for_whoever_imports_all(package: Path) -> None:
    assert said(package, "from sample import *; print(NUMBER)")[-1] == "7"


def test_the_error_of_a_module_is_its_own(package: Path) -> None:
    (package / "sample" / "failing.py").write_text("import not_installed\n")
    code = "import sample\ntry: sample.{}\nexcept ModuleNotFoundError as error: print(error.name)"
    assert said(package, code.format("Failing")) == ["not_installed"]
    assert said(package, code.format("failing")) == ["not_installed"]


def test_a_name_that_is_a_modules_too_is_the_packages(package: Path) -> None:
    (package / "sample" / "first.py").write_text("class first: pass\nFirst = other = first\n")
    (package / "sample" / "__init__.py").write_text("from .first import first\n")
    assert said(package, "import sample.first; print(type(sample.first).__name__)") == ["type"]

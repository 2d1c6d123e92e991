"""Has the SDK's packages import a module when a name of it is used, not all modules at once.

`import anthropic` loads 2,900 modules, of which the proxy uses a third. The others cost each start half a second, and
27 MiB for as long as it runs. The SDK's packages mostly say where their names are (`from .message import Message as
Message`). Such a package's code is not run: its names are read from its source, and each is imported when it is first
asked for. For a name that is not among them the code is run after all, so that nothing is missing that the SDK has.

Python 3.15 can do the same (PEP 810, `sys.set_lazy_imports`); this can go with 3.14.
"""

import importlib
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, override

__all__ = ["import_late"]

_FROM = re.compile(r"^from (\.+\w[\w.]*) import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)
_COMMENT = re.compile(r" *#.*")
_NAME = re.compile(r"(\w+)(?: as \1)?")


def import_late(package: str) -> None:
    """Have that package and those in it import their modules late, as far as they are not imported yet."""
    sys.meta_path.insert(0, _LateFinder(package))


class _LateFinder(MetaPathFinder):
    def __init__(self, package: str) -> None:
        self._package = package
        self._inside = f"{package}."

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._package and not fullname.startswith(self._inside):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and spec.submodule_search_locations and type(spec.loader) is SourceFileLoader:
            spec.loader = _LateLoader(fullname, spec.loader.path)
        return spec


class _LateLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._running = threading.RLock()
        self._has_begun = False

    @override
    def exec_module(self, module: ModuleType) -> None:
        names = _re_exported(self.get_data(self.path).decode())
        beside = {file.stem for file in Path(self.path).parent.iterdir()}
        if not beside.isdisjoint(names):
            super().exec_module(module)  # the import system sets an attribute of the module's name to the module
            return
        vars(module)["__getattr__"] = partial(self._attribute, module, names)

    def _attribute(self, module: ModuleType, names: Mapping[str, str], name: str) -> Any:
        """Be the module's `__getattr__` (PEP 562)."""
        if name in names:
            value = vars(module)[name] = getattr(importlib.import_module(names[name], module.__name__), name)
            return value
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)  # the import system asks for `__file__` and the like of any module
        submodule = f"{module.__name__}.{name}"
        try:
            return importlib.import_module(submodule)
        except ModuleNotFoundError as error:
            if error.name != submodule:
                raise
        with self._running:  # other threads go on asking for names while it runs
            if not self._has_begun:
                self._has_begun = True
                super().exec_module(module)
        if name in vars(module):
            return vars(module)[name]
        message = f"module {module.__name__!r} has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=module)


def _re_exported(source: str) -> Mapping[str, str]:
    """Return the names that a package's code imports from its modules and keeps as they are, each with its module."""
    names = {}
    for module, many, one in _FROM.findall(_COMMENT.sub("", source)):
        for part in (many or one).split(","):
            if found := _NAME.fullmatch(part.strip()):
                names[found[1]] = module
    return names

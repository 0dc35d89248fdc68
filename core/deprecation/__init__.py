"""Modules that have moved: their former names still import until 1.0, with a warning that names the new one."""

import logging
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from typing_extensions import override

from core.deprecation.former_names import FORMER

# Sessions of the admin hold the path of this backend: settings name it by its former path, or everybody is logged out.
QUIET = {"agentsite.core", "agentsite.core.backends"}

logger = logging.getLogger(__name__)


def names_of(former: str, present: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module that stands for another one."""

    def find(name: str) -> Any:
        module = import_module(present)
        if name == "__all__":
            return [public for public in vars(module) if not public.startswith("_")]
        if name.startswith("__"):
            raise AttributeError(f"module {former!r} has no attribute {name!r}")
        return getattr(module, name)

    return find


def some_names_of(former: str, present: str, names: Collection[str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that was a module, for names that are in one of its modules now."""
    told = False

    def find(name: str) -> Any:
        nonlocal told
        if name not in names:
            raise AttributeError(f"module {former!r} has no attribute {name!r}")
        if not told:
            told = True
            tell(f"{former}.{name} is called {present}.{name} now; the former name goes with version 1.0.")
        return getattr(import_module(present), name)

    return find


def tell(text: str) -> None:
    """Say it to operators, by the log, and to developers, by a warning."""
    logger.warning(text)
    warnings.warn(text, DeprecationWarning, stacklevel=3)


class FormerNames(MetaPathFinder, Loader):
    """Finder of modules by their former names, asked after all others."""

    @override
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname in FORMER else None

    @override
    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    @override
    def exec_module(self, module: ModuleType) -> None:
        former, present = module.__name__, FORMER[module.__name__]
        module.__getattr__ = names_of(former, present)  # type: ignore[method-assign]
        if former not in QUIET:
            tell(f"The module {former} is called {present} now; the former name goes with version 1.0.")


def install() -> None:
    """Let former names be found in this process."""
    if not any(isinstance(finder, FormerNames) for finder in sys.meta_path):
        sys.meta_path.append(FormerNames())

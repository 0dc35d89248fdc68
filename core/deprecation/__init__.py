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


def names_of(present: str, only: Collection[str] = ()) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that takes names, or only these, from another module."""

    def find(name: str) -> Any:
        if only and name not in only:
            raise AttributeError(f"there is no {name!r} here, nor was there")
        module = import_module(present)
        if name == "__all__":
            return [public for public in vars(module) if not public.startswith("_")]
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(module, name)

    return find


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
        module.__getattr__ = names_of(present)  # type: ignore[method-assign]
        if former not in QUIET:
            text = f"The module {former} is called {present} now; the former name goes with version 1.0."
            logger.warning(text)
            warnings.warn(text, DeprecationWarning, stacklevel=2)


def install() -> None:
    """Let former names be found in this process."""
    if not any(isinstance(finder, FormerNames) for finder in sys.meta_path):
        sys.meta_path.append(FormerNames())

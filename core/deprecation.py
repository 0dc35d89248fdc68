"""Support for moved modules: their former names still import, with a warning that gives the new name."""

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any


def moved(former: str, present: str, *only: str) -> Callable[[str], Any]:
    """Return a `__getattr__` for a former module that takes names, or `only` these, from its replacement."""

    def find(name: str) -> Any:
        if name.startswith("__") or (only and name not in only):
            raise AttributeError(f"module {former!r} has no attribute {name!r}")
        value = getattr(import_module(present), name)
        warnings.warn(f"{former}.{name} is deprecated: use {present}.{name}.", DeprecationWarning, stacklevel=2)
        return value

    return find

"""Regular duties of a worker: those of agents, and those that the settings add."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from django.utils.module_loading import import_string

Result = TypeVar("Result")


def all_of(own: Iterable[Callable[[], Result]], paths: Iterable[str]) -> Iterator[tuple[str, Callable[[], Result]]]:
    """Yield each duty with its name: our own, then those named by paths, because they are in packages above agents."""
    for duty in own:
        yield duty.__name__, duty
    for path in paths:
        yield path.rpartition(".")[2], partial(_done, path)


def _done(path: str) -> Any:
    # Imported only here, so that a wrong path fails like any other duty and does not stop the others.
    return import_string(path)()

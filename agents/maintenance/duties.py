"""The regular duties of a worker: its own, and those that settings plug in."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

from django.utils.module_loading import import_string

Result = TypeVar("Result")


def all_of(own: Iterable[Callable[[], Result]], paths: Iterable[str]) -> Iterator[tuple[str, Callable[[], Result]]]:
    """Each duty with its name: ours, then those named by their paths, as what they are for stands above agents."""
    for duty in own:
        yield duty.__name__, duty
    for path in paths:
        yield path.rpartition(".")[2], partial(_done, path)


def _done(path: str) -> Any:
    # Imported only now: a wrong path fails like any other duty, and keeps none from being done.
    return import_string(path)()

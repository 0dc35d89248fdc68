"""Readable differences between two versions of arguments, argument by argument."""

import difflib
import json
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from core.text import canonical
from reviews.argument_form.parts import ABSENT

CONTEXT = 2  # lines around a changed one


@dataclass(frozen=True)
class Difference:
    """Argument that was changed."""

    name: str  # path to the argument
    lines: list[tuple[str, str]]  # ("+" | "-" | " ", text), unescaped: the page marks hidden characters


def between(before: Any, after: Any) -> list[Difference]:
    """Return every argument that differs between the two, to the last space and digit."""
    old, new = _flat(before), _flat(after)
    names = [*old, *(name for name in new if name not in old)]
    found = ((name, old.get(name, ABSENT), new.get(name, ABSENT)) for name in names)
    return [
        Difference(" › ".join(name) or _("arguments"), _lines(one, other))
        for name, one, other in found
        if not _same(one, other)
    ]


def _flat(value: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return the values by their paths. Lists stay whole because their items have no names."""
    if not isinstance(value, dict) or (not value and path):
        return {path: value}
    return {way: item for name, part in value.items() for way, item in _flat(part, (*path, name)).items()}


def _same(one: Any, other: Any) -> bool:
    if one is ABSENT or other is ABSENT:
        return one is other
    return canonical(one) == canonical(other)


def _lines(one: Any, other: Any) -> list[tuple[str, str]]:
    plain = all(value is ABSENT or isinstance(value, str) for value in (one, other))
    before, after = (_text(value, plain=plain).split("\n") for value in (one, other))
    if one is ABSENT or other is ABSENT:
        return [*(("-", line) for line in before), *(("+", line) for line in after)]
    compared = list(difflib.unified_diff(before, after, lineterm="", n=CONTEXT))[
        3:
    ]  # without the file names and the first line range
    return [(" ", "…") if line.startswith("@@") else (line[0], line[1:]) for line in compared]


def _text(value: Any, *, plain: bool) -> str:
    """Return the value as it is if `plain`, or as JSON, which shows whether it is a string."""
    if value is ABSENT:
        return _("(left out)")
    return str(value if plain else json.dumps(value, ensure_ascii=False, indent=2))

"""What every part of an arguments form has: its place in the arguments, a value, and what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class _Absent:
    """That there is no such key: None is a value."""

    def __bool__(self) -> bool:
        return False


ABSENT: Any = _Absent()


@dataclass
class Place:
    """Where a value stands in the arguments."""

    name: str  # of the form's field
    key: str  # of the argument
    schema: Any
    value: Any
    required: bool
    nullable: bool = False
    help: str = ""


class Part:
    """A value of the form, with what may be wrong with it."""

    template = ""  # the part of argument.html that shows it

    def __init__(self, place: Place) -> None:
        self.place, self.value, self.name = place, place.value, place.name
        self.errors: list[str] = []

    def read(self, data: Mapping[str, str]) -> Any:
        """The value as the data has it, or ABSENT. What can't be understood becomes an error."""
        raise NotImplementedError

    def add_error(self, path: list[Any], message: str) -> None:
        """Put an error at the value that the path leads to, from here on."""
        self.errors.append(message)

    def all_errors(self) -> list[str]:
        """The errors here and below."""
        return self.errors

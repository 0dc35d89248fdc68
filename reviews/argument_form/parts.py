"""Base of the parts of an arguments form: place in the arguments, value and errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class _Absent:
    """Marker for an absent key, because None is a value."""

    def __bool__(self) -> bool:
        return False


ABSENT: Any = _Absent()


@dataclass
class Place:
    """Place of a value in the arguments."""

    name: str  # of the form's field
    key: str  # of the argument
    schema: Any
    value: Any
    required: bool
    nullable: bool = False
    help: str = ""


class Part:
    """Value in the form, with its errors."""

    template = ""  # the part of argument.html that shows it

    def __init__(self, place: Place) -> None:
        self.place, self.value, self.name = place, place.value, place.name
        self.errors: list[str] = []

    def read(self, data: Mapping[str, str]) -> Any:
        """Return the value from the submitted data, or ABSENT. A text that can't be parsed becomes an error."""
        raise NotImplementedError

    def add_error(self, path: list[Any], message: str) -> None:
        """Add an error to the value at this path, relative to this part."""
        self.errors.append(message)

    def all_errors(self) -> list[str]:
        """Return the errors of this part and its children."""
        return self.errors

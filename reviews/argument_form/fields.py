"""Parts of an arguments form that hold one value each."""

import json
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from typing_extensions import override

from core import marks
from core.text import canonical, readable, storable, visible
from reviews.argument_form.parts import ABSENT, Part, Place
from reviews.argument_form.typed_text import escaped, number, refuse, unix, unmarked

NARROW = 19.0  # em of text that fits on one line of a field on a page 390 px wide
INDENT = 2.0  # em that each enclosing group takes from a field's width
NARROWER = 10.0  # em that fits in a number field or a select list
LINE = 80  # characters up to which a text without maxLength gets a one-line field; see Text
ROWS = 16  # most lines of a growing field; a longer text is shown above it, and the field scrolls


class Field(Part):
    """Field whose value is edited as one text."""

    is_mono = False

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.room = max(NARROWER / 2, NARROW - INDENT * (place.name.count("-") - 1))
        self.original = "" if self.is_nothing else self.write(self.value)
        self.text = self.original

    @property
    def is_nothing(self) -> bool:
        """Return whether there was no value."""
        return self.value is ABSENT or self.value is None

    @property
    def rows(self) -> int:
        """Number of lines to show in browsers that do not size the field to its text."""
        return min(ROWS, marks.rows(self.text, NARROW))

    @property
    def whole(self) -> str:
        """Requested value in full if it is too long or wide for the field or has hidden characters, else empty."""
        if self.is_nothing:
            return ""
        asked = readable(self.value, indent=2)
        return asked if self.cuts(asked) or marks.has_marks(asked) else ""

    def cuts(self, asked: str) -> bool:
        """Return whether the field is too small to show the whole value, judged by its width, not its characters."""
        lines = self.original.split("\n")
        return marks.rows(self.original, NARROW) > ROWS or max(map(marks.width, lines)) > marks.ONE_LINE

    @override
    def read(self, data: Mapping[str, str]) -> Any:
        if self.name not in data:
            return self.value
        self.text = unix(data[self.name])
        if self.text == self.original:
            return self.value
        try:
            return self.parse(self.text) if self.text.strip() else self.nothing()
        except (ValueError, RecursionError) as error:
            self.errors.append(str(error))
            return self.value

    def nothing(self) -> Any:
        """Return the value of an emptied field. Raises ValueError if a value is required."""
        if self.place.nullable:
            return None
        if self.place.required:
            raise ValueError(_("A value is required."))
        return ABSENT

    def write(self, value: Any) -> str:
        """Return the value as the field shows it."""
        raise NotImplementedError

    def parse(self, text: str) -> Any:
        """Return the value of the typed text. Raises ValueError."""
        raise NotImplementedError


class Text(Field):
    """String field. A checkbox means "no value", because an empty text is a value."""

    template = "text"

    def __init__(self, place: Place, schema: dict[str, Any]) -> None:
        super().__init__(place)
        longest = schema.get("maxLength")
        is_short = (isinstance(longest, int) and longest <= 4 * LINE) or (longest is None and len(self.text) <= LINE)
        self.is_one_line = is_short and "\n" not in self.text and len(self.text) <= 2 * LINE  # holds no line breaks
        self.wraps = not self.is_one_line or marks.width(self.text) > self.room
        self.can_be_nothing = place.nullable or not place.required
        self.was_ticked = self.is_ticked = self.is_nothing and self.can_be_nothing

    @staticmethod
    def fits(value: Any) -> bool:
        """Return whether the value can be shown and read back."""
        return value is ABSENT or value is None or (isinstance(value, str) and unmarked(visible(value), value) == value)

    @override
    def write(self, value: Any) -> str:
        """Return the text with hidden characters as marks."""
        return visible(value)

    @override
    def read(self, data: Mapping[str, str]) -> Any:
        if self.name not in data:
            return self.value
        self.text = unix(data[self.name])
        self.is_ticked = self.can_be_nothing and f"{self.name}-none" in data
        if self.text and self.text != self.original:
            return unmarked(self.text, "" if self.is_nothing else self.value)
        if self.is_ticked:
            return self.value if self.is_nothing else self.nothing()
        if self.text == self.original and (not self.is_nothing or not self.can_be_nothing):
            return self.value
        return ""

    @property
    def nothing_label(self) -> str:
        """Label of the checkbox for "no value"."""
        return _("no value") if self.place.nullable else _("left out")


class Number(Field):
    """Number field, for integers or for any number."""

    template = "number"

    def __init__(self, place: Place, *, whole: bool) -> None:
        self.is_whole = whole
        super().__init__(place)

    @staticmethod
    def fits(value: Any) -> bool:
        """Return whether the value is a number, None or absent."""
        return value is ABSENT or value is None or (isinstance(value, int | float) and not isinstance(value, bool))

    @override
    def write(self, value: Any) -> str:
        return json.dumps(value)

    @override
    def parse(self, text: str) -> Any:
        return number(text, whole=self.is_whole)

    @override
    def cuts(self, asked: str) -> bool:
        """Return whether the text is wider than the field, which does not wrap."""
        return marks.width(asked) > min(self.room, NARROWER)


class Choice(Field):
    """Choice of one of several values, or of yes or no."""

    template = "choice"
    LABELS: dict[Any, Any] = {"true": gettext_lazy("Yes"), "false": gettext_lazy("No")}

    def __init__(self, place: Place, options: list[Any]) -> None:
        super().__init__(place)
        texts = {canonical(one): one for one in options}
        if not self.is_nothing:
            texts.setdefault(self.original, self.value)
        self.options = texts
        self.can_be_empty = self.is_nothing or place.nullable or not place.required

    @staticmethod
    def fits(value: Any) -> bool:
        """Return whether the value is a scalar, None or absent."""
        return value is ABSENT or value is None or isinstance(value, str | int | float | bool)

    @property
    def choices(self) -> list[tuple[str, str]]:
        """Options as pairs of text and label."""
        labelled = [
            (text, self.LABELS[text] if isinstance(one, bool) else visible(str(one)))
            for text, one in self.options.items()
        ]
        return [("", "–"), *labelled] if self.can_be_empty else labelled

    @override
    def write(self, value: Any) -> str:
        return canonical(value)

    @override
    def cuts(self, asked: str) -> bool:
        """Return whether the text is wider than the select list, which does not wrap."""
        return marks.width(asked) > min(self.room, NARROWER)

    @override
    def parse(self, text: str) -> Any:
        if text not in self.options:
            raise ValueError(_("Choose one of these."))
        return self.options[text]


class Lines(Field):
    """List of texts or numbers, one per line."""

    template = "lines"

    def __init__(self, place: Place, kind: str) -> None:
        self.kind = kind
        super().__init__(place)

    @staticmethod
    def fits(value: Any, kind: str) -> bool:
        """Return whether the list can be shown with one item per line and read back; true without a list."""
        if value is ABSENT or value is None:
            return True
        if not isinstance(value, list):
            return False
        if kind != "string":
            return all(Number.fits(one) and one is not None for one in value)
        if not all(isinstance(one, str) and one and "\n" not in one for one in value):
            return False
        joined = "\n".join(value)
        return unmarked(visible(joined), joined) == joined

    @override
    def write(self, value: Any) -> str:
        return "\n".join(visible(one) if isinstance(one, str) else json.dumps(one) for one in value)

    @override
    def parse(self, text: str) -> Any:
        lines = [line for line in text.split("\n") if line]
        if self.kind != "string":
            return [number(line, whole=self.kind == "integer") for line in lines]
        joined = "" if self.is_nothing else "\n".join(self.value)
        return [unmarked(line, joined) for line in lines]

    @override
    def nothing(self) -> Any:
        """Return an empty list."""
        return []


class Json(Field):
    """Value that no other field fits, edited as JSON with hidden characters escaped."""

    template = "json"
    is_mono = True

    @property
    @override
    def is_nothing(self) -> bool:
        """Return whether the value is absent. Null is a value, because it can be typed here."""
        return self.value is ABSENT

    @override
    def write(self, value: Any) -> str:
        return escaped(json.dumps(value, ensure_ascii=False, indent=2))

    @override
    def parse(self, text: str) -> Any:
        try:
            value = json.loads(text, parse_constant=refuse)
        except json.JSONDecodeError as error:
            place = {"line": error.lineno, "column": error.colno}
            raise ValueError(_("This is not valid JSON. See line %(line)s, column %(column)s.") % place) from error
        except RecursionError as error:
            raise ValueError(_("This JSON is nested too deeply.")) from error
        return storable(value)

"""Form built from a tool's JSON schema. Values that the reviewer does not change are returned exactly as they were.

Each part of the form holds the requested value. If its text was not sent, or is still as it was shown, the part returns
that value; only a changed text is parsed. So numbers keep their form, texts keep their spaces and line ends, and absent
keys stay absent.
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from typing_extensions import override

from agents import json_schema
from core.text import canonical, visible
from reviews.argument_form import errors
from reviews.argument_form.fields import Choice, Json, Lines, Number, Text
from reviews.argument_form.parts import ABSENT, Part, Place
from reviews.decisions import edits

DEPTH = 5  # levels of nested groups; deeper values are edited as JSON
PARTS = 200  # fields per form: Django accepts 1,000 per request, and no reviewer reads that many
ITEMS = 20  # items of a list of objects; a longer list is edited as JSON
TEXT = 200_000  # characters of arguments that a form can carry
FREE: dict[str, Any] = {}
NONE_TYPE = "null"


class Group(Part):
    """Group of parts for an object with known properties."""

    template = "group"

    def __init__(self, place: Place, children: dict[str, Part]) -> None:
        super().__init__(place)
        self.children = children

    @override
    def read(self, data: Mapping[str, str]) -> Any:
        """Return the values: the requested keys in their order, then the others in the schema's order."""
        asked = [name for name in self.value if name in self.children]
        order = [*asked, *(name for name in self.children if name not in self.value)]
        found = {name: self.children[name].read(data) for name in order}
        return {name: value for name, value in found.items() if value is not ABSENT}

    @override
    def add_error(self, path: list[Any], message: str) -> None:
        if path and path[0] in self.children:
            self.children[path[0]].add_error(path[1:], message)
        else:
            super().add_error(path, message)

    @override
    def all_errors(self) -> list[str]:
        return [*self.errors, *(error for child in self.children.values() for error in child.all_errors())]

    @property
    def parts(self) -> list[Part]:
        """Parts of the group: the requested keys in their order, then the others in the schema's order."""
        return list(self.children.values())


class Items(Part):
    """List of objects. Each item can be removed, and one can be added."""

    template = "items"

    def __init__(self, place: Place, items: list[Part], spare: Part) -> None:
        super().__init__(place)
        self.items, self.spare = items, spare
        self.kept = items
        self.removed: set[str] = set()

    @override
    def read(self, data: Mapping[str, str]) -> Any:
        self.removed = {item.name for item in self.items if f"{item.name}-remove" in data}
        self.kept = [item for item in self.items if item.name not in self.removed]
        found = [item.read(data) for item in self.kept]
        if added := self.spare.read(data):
            self.kept, found = [*self.kept, self.spare], [*found, added]
        return found

    @override
    def add_error(self, path: list[Any], message: str) -> None:
        """Add an error. An index in the path counts in the list as it was read."""
        if path and isinstance(path[0], int) and path[0] < len(self.kept):
            self.kept[path[0]].add_error(path[1:], message)
        else:
            super().add_error(path, message)

    @override
    def all_errors(self) -> list[str]:
        return [*self.errors, *(error for item in [*self.items, self.spare] for error in item.all_errors())]

    @property
    def parts(self) -> list[tuple[Part, bool]]:
        """Items, each with whether it is marked for removal."""
        return [(item, item.name in self.removed) for item in self.items]


class ArgumentsForm:
    """Form to read and edit the arguments of one call."""

    def __init__(self, schema: Any, args: Any, data: Mapping[str, str] | None = None) -> None:
        self.schema, self.asked = json_schema.modern(schema), args
        self.root = _Builder(self.schema).form(args)
        self.args = args if data is None or self.root is None else self.root.read(data)

    @property
    def is_changed(self) -> bool:
        """Return whether the arguments differ from the requested ones, to the last digit."""
        return canonical(self.args) != canonical(self.asked)

    @property
    def errors(self) -> list[str]:
        """Errors of all parts of the form."""
        return self.root.all_errors() if self.root is not None else []

    def validate(self) -> bool:
        """Validate changed arguments and add each error to its field. Returns whether they fit the schema."""
        if self.root is None or self.errors or not self.is_changed:
            return not self.errors
        try:
            problems = edits.problems(self.schema, self.args, self.asked)
            found = [errors.explained(error) for error in problems]
        except Exception:  # a tool's schema, perhaps from another server, can be broken in many ways
            found = [([], str(edits.UNREADABLE))]
        for path, message in found:
            self.root.add_error(path, message)
        return not self.errors

    def add_error(self, name: str, message: str) -> None:
        """Add an error to the argument of this name, or to the whole form if there is none."""
        if self.root is not None:
            self.root.add_error([name], visible(message))


class _Builder:
    """Builder of the parts of one form."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema if isinstance(schema, dict) else FREE
        self.count = 0

    def form(self, args: Any) -> Part | None:
        """Return the whole form: raw JSON if it would have too many fields, None if the arguments can't be edited."""
        if not isinstance(args, dict) or len(canonical(args)) > TEXT:
            return None
        root = Place("arg", "", self.schema, args, required=True)
        part = self.part(root, 0)
        return part if self.count <= PARTS else Json(root)

    def part(self, place: Place, depth: int) -> Part:
        """Return the part for one value."""
        self.count += 1
        schema, place.nullable = self.plain(place.schema)
        place.help = str(schema.get("description") or "") if depth else ""
        kind = schema.get("type")
        if kind == "object" and isinstance(place.value, dict) and depth < DEPTH and self.count <= PARTS:
            return self.group(place, schema, depth)
        if kind == "array":
            return self.array(place, schema, depth)
        return self.scalar(place, schema)

    def scalar(self, place: Place, schema: dict[str, Any]) -> Part:
        """Return a part without children."""
        kind, value = schema.get("type"), place.value
        options = schema.get("enum", [schema["const"]] if "const" in schema else None)
        if kind == "boolean" and options is None:
            options = [True, False]
        if isinstance(options, list) and None in options:
            place.nullable, options = True, [one for one in options if one is not None]
        if isinstance(options, list) and all(isinstance(one, str | int | float | bool) for one in options):
            return Choice(place, options) if Choice.fits(value) else Json(place)
        if kind == "string" and Text.fits(value):
            return Text(place, schema)
        if kind in ("integer", "number") and Number.fits(value):
            return Number(place, whole=kind == "integer")
        return Json(place)

    def group(self, place: Place, schema: dict[str, Any], depth: int) -> Part:
        """Return the part for an object: its known properties and the other keys that were given."""
        known = schema.get("properties")
        known = known if isinstance(known, dict) else {}
        needed = schema.get("required")
        needed = needed if isinstance(needed, list) else []
        # Requested keys first, then the others: PostgreSQL does not keep the order of a schema's keys.
        names = [*place.value, *(name for name in known if name not in place.value)]
        if not names:
            is_closed = "properties" in schema and schema.get("additionalProperties") is not True
            return Group(place, {}) if is_closed else Json(place)
        if not known:
            return Json(place)
        children = {}
        for number, name in enumerate(names):
            value = place.value.get(name, ABSENT)
            below = Place(f"{place.name}-{number}", name, known.get(name, FREE), value, required=name in needed)
            children[name] = self.part(below, depth + 1)
        return Group(place, children)

    def array(self, place: Place, schema: dict[str, Any], depth: int) -> Part:
        """Return the part for a list: one line per item, one group per item, or JSON."""
        below, nullable = self.plain(schema.get("items"))
        kind, value = below.get("type"), place.value
        if kind in ("string", "integer", "number") and "enum" not in below and not nullable and Lines.fits(value, kind):
            return Lines(place, kind)
        is_list = isinstance(value, list) and len(value) <= ITEMS and all(isinstance(one, dict) for one in value)
        if not is_list or kind != "object" or not below.get("properties") or depth >= DEPTH - 1:
            return Json(place)
        items = [self.item(place, below, number, one, depth) for number, one in enumerate(value)]
        return Items(place, items, self.item(place, below, "new", {}, depth))

    def item(self, place: Place, schema: dict[str, Any], number: Any, value: Any, depth: int) -> Part:
        """Return the part for one item of a list of objects."""
        label = str(number + 1) if isinstance(number, int) else str(_("Add an item"))
        return self.part(Place(f"{place.name}-{number}", label, schema, value, required=True), depth + 1)

    def plain(self, schema: Any) -> tuple[dict[str, Any], bool]:
        """Return the schema with references and nullable unions resolved, and whether it allows null."""
        nullable = False
        for _round in range(10):
            if not isinstance(schema, dict):
                return FREE, nullable
            found = self._one_step(schema)
            if found is None:
                break
            schema, nullable = found[0], nullable or found[1]
        kinds = schema.get("type")
        if isinstance(kinds, list):
            nullable = nullable or NONE_TYPE in kinds
            others = [kind for kind in kinds if kind != NONE_TYPE]
            schema = {**schema, "type": others[0] if len(others) == 1 else None}
        elif kinds is None and "properties" in schema:
            schema = {**schema, "type": "object"}
        return schema, nullable

    def _one_step(self, schema: dict[str, Any]) -> tuple[Any, bool] | None:
        """Resolve one reference or combination. Returns the schema and whether it allows null; None if it is plain."""
        if isinstance(reference := schema.get("$ref"), str):
            return self._joined(schema, "$ref", self._target(reference)), False
        for word in ("anyOf", "oneOf", "allOf"):
            if not isinstance(branches := schema.get(word), list):
                continue
            real = [one for one in branches if not (isinstance(one, dict) and one.get("type") == NONE_TYPE)]
            only = real[0] if len(real) == 1 else {}
            return self._joined(schema, word, only), len(real) < len(branches) and word != "allOf"
        return None

    def _target(self, reference: str) -> Any:
        for place in ("$defs", "definitions"):
            known = self.schema.get(place)
            if reference.startswith(f"#/{place}/") and isinstance(known, dict):
                return known.get(reference.removeprefix(f"#/{place}/"), {})
        return {}

    @staticmethod
    def _joined(schema: dict[str, Any], word: str, other: Any) -> dict[str, Any]:
        """Merge the other schema with the keys beside `word`. If it is empty, keep only the description."""
        beside = {key: value for key, value in schema.items() if key != word}
        if not isinstance(other, dict) or not other:
            return {"description": beside.get("description", "")}
        return {**other, **beside}

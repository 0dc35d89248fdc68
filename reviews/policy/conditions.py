"""Conditions on the arguments of a call: data that is converted to a JSON Schema, never code.

A condition is `{"argument": path, "is": operator, "value": value}`. A path is names joined by dots; `[]` after a name
refers to the items of a list. `*` is all arguments as one object; its only operator is "equals".

Each condition has two schemas. By the *sure* one it holds for certain. By the *possible* one it may hold: this includes
arguments that are absent or of another type, so that it can't be judged, and texts that differ only in case. The policy
chooses between them: an allow has to be sure, a deny only possible.
"""

import fnmatch
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import jsonschema
from django.utils.translation import gettext as _

from core.text import canonical, storable, visible

Schema = dict[str, Any]

MAX_CONDITIONS = 20  # of one rule
MAX_PATH = 200  # characters
MAX_VALUE = 10_000  # characters of the value as JSON
ALL = "*"  # the path of all arguments together

IS_THERE, IS_MISSING = "is there", "is missing"  # null counts as missing
ONE_OF, NOT_ONE_OF = "one of", "not one of"
EQUALS, NOT_EQUALS = "equals", "does not equal"
NUMBERS = {"<": "exclusiveMaximum", "<=": "maximum", ">": "exclusiveMinimum", ">=": "minimum"}
# Python's \Z, because `$` also matches before a final newline.
TEXTS: dict[str, Callable[[str], str]] = {
    "starts with": lambda text: rf"\A{re.escape(text)}",
    "ends with": lambda text: rf"{re.escape(text)}\Z",
    "contains": re.escape,
    "matches": lambda glob: rf"\A{fnmatch.translate(glob)}",
}
NOT_TEXTS = {
    "does not start with": "starts with",
    "does not end with": "ends with",
    "does not contain": "contains",
    "does not match": "matches",
}
OPERATORS = (EQUALS, NOT_EQUALS, *NUMBERS, ONE_OF, NOT_ONE_OF, *TEXTS, *NOT_TEXTS, IS_THERE, IS_MISSING)
WITHOUT_VALUE = (IS_THERE, IS_MISSING)

_NAME = r"[^\s.\[\]*]+(?:\[\])?"
_PATH = re.compile(rf"\*|{_NAME}(?:\.{_NAME})*")


@dataclass(frozen=True)
class Condition:
    """One validated condition. Raises ValueError with a message for its author."""

    argument: str
    operator: str
    value: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.argument, str) or len(self.argument) > MAX_PATH or not _PATH.fullmatch(self.argument):
            text = _("%(path)r is not a valid path to an argument. Examples: amount, address.city, to[].")
            raise ValueError(text % {"path": self.argument})
        if self.operator not in OPERATORS:
            text = _("There is no operator %(operator)r. Available operators: %(operators)s.")
            raise ValueError(text % {"operator": self.operator, "operators": ", ".join(OPERATORS)})
        if self.argument == ALL and (self.operator != EQUALS or not isinstance(self.value, dict)):
            raise ValueError(_("* stands for all arguments. It requires the operator equals and an object as value."))
        if self.operator in WITHOUT_VALUE and (self.value is not None or self.argument.endswith("[]")):
            text = _("%(operator)r takes no value and can't be used for the items of a list.")
            raise ValueError(text % {"operator": self.operator})
        _require_value(self.operator, self.value)

    @classmethod
    def of(cls, data: Any) -> "Condition":
        """Return the condition from its stored form. Raises ValueError."""
        if not isinstance(data, dict) or not {"argument", "is"} <= data.keys() <= {"argument", "is", "value"}:
            raise ValueError(_('A condition must have the form {"argument": …, "is": …, "value": …}.'))
        return cls(data["argument"], data["is"], data.get("value"))

    def data(self) -> dict[str, Any]:
        """Return the stored form."""
        found = asdict(self)
        return {"argument": found["argument"], "is": found["operator"], "value": found["value"]}


def checked(data: Any) -> list[Condition]:
    """Return the conditions of a rule from their stored form. Raises ValueError."""
    if not isinstance(data, list) or len(data) > MAX_CONDITIONS:
        raise ValueError(_("Conditions must be a list of at most %(limit)s items.") % {"limit": MAX_CONDITIONS})
    return [Condition.of(one) for one in data]


def hold(conditions: list[Condition], args: dict[str, Any], *, sure: bool, every_item: bool) -> bool:
    """Return whether all conditions hold for these arguments: for certain if `sure`, otherwise possibly.

    Args:
        every_item: if true, `[]` means every item of a non-empty list; otherwise at least one item.
    """
    schema = {"allOf": [_at(_parts(one.argument), one, sure, every_item) for one in conditions]} if conditions else {}
    return bool(jsonschema.Draft202012Validator(schema).is_valid(args))


def read(text: str) -> list[Condition]:
    """Parse one condition per line: path, operator, value (JSON or plain text). Raises ValueError, naming the line."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append(_read(line.strip()))
            except ValueError as error:
                raise ValueError(_("Line %(number)s: %(error)s") % {"number": number, "error": error}) from error
    return checked([one.data() for one in found])


def written(conditions: list[Condition]) -> str:
    """Return the conditions as lines for `read`. Characters that hide or reorder text are escaped."""
    return "\n".join(_written(one) for one in conditions)


def _at(parts: list[str], condition: Condition, sure: bool, every_item: bool) -> Schema:
    """Return the schema of the value in which the path begins."""
    if (
        condition.operator == IS_MISSING
    ):  # of every item: there is none that has it; of some item: not every item has it
        return {"not": _at(parts, Condition(condition.argument, IS_THERE), True, not every_item)}
    if not parts:
        return _leaf(condition.operator, condition.value, sure)
    sure = sure or condition.operator == IS_THERE  # an argument that can't be judged counts as missing
    name = parts[0].removesuffix("[]")
    inner = _at(parts[1:], condition, sure, every_item)
    if parts[0] != name:
        inner = {"items": inner, "minItems": 1} if every_item else {"contains": inner}
        inner |= {"type": "array"} if sure else {}
    outer: Schema = {"properties": {name: inner}}
    return {"type": "object", "required": [name], **outer} if sure else outer


def _leaf(operator: str, value: Any, sure: bool) -> Schema:
    """Return the schema of the argument itself. Without a `type`, JSON Schema accepts any value of another type."""
    if operator == IS_THERE:
        return {"not": {"type": "null"}}
    if operator in NUMBERS:
        return {NUMBERS[operator]: value, **({"type": "number"} if sure else {})}
    if operator in TEXTS:
        return _text(TEXTS[operator](value), sure)
    if operator in NOT_TEXTS:
        return _not_text(TEXTS[NOT_TEXTS[operator]](value), sure)
    if operator in (ONE_OF, NOT_ONE_OF):
        single = EQUALS if operator == ONE_OF else NOT_EQUALS
        return {"anyOf" if operator == ONE_OF else "allOf": [_leaf(single, one, sure) for one in value]}
    if isinstance(value, str):
        whole = rf"\A{re.escape(value)}\Z"
        return _text(whole, sure) if operator == EQUALS else _not_text(whole, sure)
    kind = {"type": _kind(value)}
    if operator == EQUALS:
        return {"const": value} if sure else {"anyOf": [{"const": value}, {"not": kind}]}
    return {"not": {"const": value}, **(kind if sure else {})}


def _text(pattern: str, sure: bool) -> Schema:
    return {"type": "string", "pattern": pattern} if sure else {"pattern": f"(?i){pattern}"}


def _not_text(pattern: str, sure: bool) -> Schema:
    if sure:
        return {"type": "string", "not": {"pattern": f"(?i){pattern}"}}
    return {"not": {"type": "string", "pattern": pattern}}


def _parts(path: str) -> list[str]:
    return [] if path == ALL else path.split(".")


def _kind(value: Any) -> str:
    """Return the JSON Schema name for the type of the value."""
    if isinstance(value, bool):
        return "boolean"
    kinds: dict[type, str] = {str: "string", int: "number", float: "number", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _require_value(operator: str, value: Any) -> None:
    """Raise ValueError unless the operator accepts this value."""
    number = _kind(value) == "number" and math.isfinite(value)
    if operator in NUMBERS and not number:
        raise ValueError(_("%(operator)s requires a number.") % {"operator": operator})
    if (operator in TEXTS or operator in NOT_TEXTS) and not (isinstance(value, str) and value):
        raise ValueError(_("%(operator)r requires a text.") % {"operator": operator})
    if operator in (EQUALS, NOT_EQUALS) and value is None:
        text = _("%(operator)r requires a value. For null, use %(missing)r.")
        raise ValueError(text % {"operator": operator, "missing": IS_MISSING})
    if operator in (ONE_OF, NOT_ONE_OF):
        kinds = {_kind(one) for one in value} if isinstance(value, list) else set()
        if len(kinds) != 1 or "null" in kinds:
            raise ValueError(_("%(operator)r requires a list of values of the same type.") % {"operator": operator})
    text = canonical(value)  # raises ValueError for NaN and infinities
    if len(text) > MAX_VALUE:
        raise ValueError(_("A value can have at most %(limit)s characters.") % {"limit": MAX_VALUE})
    if storable(value) != value:
        raise ValueError(_("A value can't contain NUL characters, lone surrogates or integers beyond 64 bits."))


def _read(line: str) -> Condition:
    path, _space, rest = line.partition(" ")
    rest = rest.strip()
    operator = max((one for one in OPERATORS if f"{rest} ".startswith(f"{one} ")), key=len, default="")
    if not operator:
        raise ValueError(
            _("After the argument, enter one of these operators: %(operators)s.") % {"operators": ", ".join(OPERATORS)}
        )
    text = rest.removeprefix(operator).strip()
    if operator in WITHOUT_VALUE and not text:
        return Condition(path, operator)
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        value = text
    if (operator in TEXTS or operator in NOT_TEXTS) and not isinstance(value, str):
        value = text
    return Condition(path, operator, value)


def _refuse(name: str) -> None:
    raise ValueError(_("%(name)s is not valid JSON.") % {"name": name})


def _written(condition: Condition) -> str:
    if condition.operator in WITHOUT_VALUE:
        return f"{condition.argument} {condition.operator}"
    text = json.dumps(condition.value, ensure_ascii=False)
    if visible(text) != text:
        text = json.dumps(condition.value)
    return f"{condition.argument} {condition.operator} {text}"

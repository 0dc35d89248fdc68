"""Parser for tool calls as a model wrote them, with messages about the calls that can't run."""

import json
import math
from typing import Any

from core.text import LARGEST, SMALLEST, shortened

MAX_LEVELS = 64  # of nesting in arguments, as in the body of a request
AS_TEXT = "Write the arguments as a JSON object in a text, not as {}."
NO_JSON = "The arguments were not valid JSON. Write the call again."
NOTHING = "The call had no arguments, but this tool takes some. Write at least one of them as a JSON object."
TOO_DEEP = f"The arguments were nested more than {MAX_LEVELS} levels deep. Write a flatter call."
_KINDS = {str: "a text", list: "a list", int: "a number", float: "a number", dict: "an object"}


class Malformed(Exception):
    """The call can't run as it is written; the text is for the model."""


def call(raw: Any) -> tuple[str, dict[str, Any] | None, str | None]:
    """Read a call in OpenAI's form: its name, arguments (None where none were given) and id. Raises Malformed."""
    if not isinstance(raw, dict):
        raise Malformed("The call was not an object.")
    kind = raw.get("type") or "function"
    if kind != "function":
        known = f"the type {shortened(kind, 50)!r}" if isinstance(kind, str) else "such a type"
        raise Malformed(f"Calls of {known} are not supported. Call a function.")
    function = raw.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name.strip():
        raise Malformed("The call doesn't name a function.")
    call_id = raw.get("id")
    if call_id is not None and not isinstance(call_id, str):
        raise Malformed("The call's ID was not a string, so no result could be returned for it.")
    return name, arguments(function.get("arguments")), call_id


def name_of(raw: Any) -> str | None:
    """Return the tool name in a malformed call, or None if there is no readable one."""
    parts = [raw.get(key) for key in ("function", "custom")] if isinstance(raw, dict) else []
    names = [part.get("name") for part in parts if isinstance(part, dict)]
    return next((name for name in names if isinstance(name, str) and name.strip()), None)


def arguments(text: Any) -> dict[str, Any] | None:
    """Read the arguments in a call's text. Returns None if there are none. Raises Malformed."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return None
    if not isinstance(text, str):
        kinds = ((dict, "an object"), (list, "an array"))
        raise Malformed(AS_TEXT.format(next((kind for one, kind in kinds if isinstance(text, one)), "a number")))
    try:
        value = json.loads(text, strict=False, parse_int=integer)
    except RecursionError as error:
        raise Malformed(TOO_DEEP) from error
    except ValueError as error:
        raise Malformed(NO_JSON) from error
    if value is None:
        return None
    if not isinstance(value, dict):
        kind = json.dumps(value) if isinstance(value, bool) else _KINDS[type(value)]
        raise Malformed(f"The arguments were {kind}. Write them as a JSON object.")
    if wrong := flaw(value):
        raise Malformed(wrong)
    return value


def flaw(value: Any) -> str:
    """Return a message for the model on why these arguments can't be stored; empty if they can."""
    level = [value]
    for _ in range(MAX_LEVELS):
        if not level:
            return ""
        for one in level:
            if wrong := _flaw(one):
                return wrong
        level = [inner for one in level for inner in _inside(one)]
    return TOO_DEEP if level else ""


def integer(digits: str) -> int:
    """Parse an integer. For 1,000 digits or more, return LARGEST + 1, as Python can't read arbitrarily long ones."""
    return int(digits) if len(digits) < 1000 else LARGEST + 1


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return list(value) if isinstance(value, list | tuple) else []


def _flaw(value: Any) -> str:
    if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        return "The arguments contained an integer beyond 64 bits. Write it as a string, or use a smaller one."
    if isinstance(value, float) and math.isnan(value):
        return "The arguments were not valid JSON: they contained NaN."
    if isinstance(value, float) and math.isinf(value):
        return "The arguments contained a number that is too large."
    known = value is None or isinstance(value, str | int | float | dict | list | tuple)
    return "" if known else f"The arguments contained a {type(value).__name__}, which JSON does not support."

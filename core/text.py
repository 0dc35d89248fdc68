"""Text that every database and client can hold."""

import hashlib
import json
import math
import re
from typing import Any

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
SMALLEST, LARGEST = -(2**63), 2**64 - 1  # integers that a checkpoint can hold
DEEPEST = 100  # levels of nesting that are kept
TOO_DEEP = "[nested too deeply to be kept]"


def is_storable(text: str) -> bool:
    """Return whether PostgreSQL and UTF-8 can hold this text: no NUL, no lone surrogate."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def storable(value: Any, levels: int = DEEPEST) -> Any:
    """Return the JSON-like value with everything that can't be stored replaced, to keep what a model or tool gave.

    NULs become U+FFFD and lone surrogates `?`; NaN, infinities and integers beyond 64 bits become text; values nested
    deeper than `levels` become a mark.
    """
    if isinstance(value, str):
        if is_storable(value):
            return value
        return value.replace("\x00", REPLACEMENT).encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        return str(value) if abs(value) < 10**1000 else hex(value)  # Python refuses to write more than 4,300 digits
    if isinstance(value, dict | list | tuple) and not levels:
        return TOO_DEEP
    if isinstance(value, dict):
        return {storable(key): storable(item, levels - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item, levels - 1) for item in value]
    return value


def canonical(value: Any) -> str:
    """Return JSON as text, as it is stored, hashed and run: keys in the order given, ASCII only.

    A JSON column would reorder keys and turn -0.0 into 0.0.

    Raises:
        ValueError: the value holds NaN or an infinity, which JSON does not have.
        TypeError: the value is not JSON.
    """
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def readable(value: Any, indent: int | None = None) -> str:
    """Return text for people: a string unchanged, anything else as JSON without escaped letters."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=indent)


def same(left: Any, right: Any) -> bool:
    """Return whether two JSON values are exactly the same apart from the order of keys; -0.0 is not 0.0."""
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def digest(*parts: str) -> str:
    """Return the SHA-256 (hex) of several texts. The boundaries between them count."""
    return hashlib.sha256(canonical(list(parts)).encode()).hexdigest()


def shortened(text: str, limit: int) -> str:
    """Return at most `limit` characters of the text, with an ellipsis if it was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


# Characters that are invisible, look like another one, or reorder their neighbors: control and format characters,
# everything that Unicode calls ignorable, fillers without a glyph, private use. Newline and tab are not among them.
HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3164\ue000-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U00013440\U00016fe4\U0001bca0-\U0001bca3\U0001d159"
    "\U0001d173-\U0001d17a\U000e0000-\U0010ffff"
) + "".join(chr(plane + last) for plane in range(0x10000, 0xE0000, 0x10000) for last in (0xFFFE, 0xFFFF))
_HIDDEN = re.compile(f"[{HIDDEN}]")


def visible(text: str) -> str:
    r"""Return the text with every character in HIDDEN written as a mark such as `\u{202e}`.

    A reviewer then reads what the tool gets. Escaping for HTML alone lets all of these characters through.
    """
    return _HIDDEN.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", text)

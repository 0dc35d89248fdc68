"""Conversion of text typed in a browser to the values that it represents."""

import json
import math
import re
from typing import Any

from django.utils.translation import gettext as _

from core.text import storable, visible

WHOLE = re.compile(r"-?\d{1,400}", re.ASCII)


def unix(text: str) -> str:
    """Return the text as it is stored, with the browser's CRLF line ends turned back into LF."""
    return str(storable(text)).replace("\r\n", "\n").replace("\r", "\n")


def unmarked(text: str, original: str) -> str:
    """Return the text with marks turned back into the hidden characters that the original has."""
    for char in {char for char in original if visible(char) != char} if visible(original) != original else ():
        text = text.replace(visible(char), char)
    return text


def escaped(text: str) -> str:
    """Return equivalent JSON with every hidden character of its strings escaped."""
    if visible(text) == text:
        return text
    return "".join(char if visible(char) == char else json.dumps(char)[1:-1] for char in text)


def number(text: str, *, whole: bool) -> Any:
    """Return the typed number, an integer as int. Raises ValueError."""
    text = text.strip()
    if WHOLE.fullmatch(text):
        return int(text)
    if whole:
        raise ValueError(_("Enter a whole number."))
    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, float) or not math.isfinite(value):
        raise ValueError(_("Enter a number."))
    return value


def refuse(name: str) -> None:
    """Raise ValueError for NaN and the infinities, which Python accepts but JSON does not allow."""
    raise ValueError(_("%(name)s is not valid JSON.") % {"name": name})

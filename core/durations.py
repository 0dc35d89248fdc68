"""Durations as operators write them: a number and a unit, as in `90d`."""

import re
from datetime import timedelta

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(text: str) -> timedelta:
    """Return the duration that the text gives. Raises ValueError with the reason."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhdw])", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a valid duration. Use a number followed by m, h, d or w, for example 90d.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})

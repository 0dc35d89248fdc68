"""System check of the limits, so that `manage.py check` finds mistakes before a client's request does."""

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

RATE = re.compile(r"[1-9][0-9]*/(s|sec|m|min|h|hour|d|day)")
RATES = ("RATE_PRINCIPAL", "RATE_SERVICE", "RATE_USER", "RATE_ANONYMOUS")
SHORTEST_ANSWER = 1.0  # seconds
COUNTS = ("TASKS_IN_FLIGHT_PER_USER", "TASKS_IN_FLIGHT_PER_PRINCIPAL")


def limits(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the settings of docs/how-to/limits.md, and how long a request waits for the database."""
    found = []
    for name in RATES:
        rate = getattr(settings, name)
        if rate and not RATE.fullmatch(rate):
            hint = "Write it as 600/min (or /sec, /hour, /day); an empty one switches the limit off."
            found.append(Error(f"{name} is {rate!r}, which is no rate.", hint=hint, id="core.E001"))
    for name in COUNTS:
        if getattr(settings, name) < 0:
            found.append(Error(f"{name} is below 0.", hint="0 switches the limit off.", id="core.E002"))
    if settings.DATABASE_ANSWER_SECONDS != 0 and settings.DATABASE_ANSWER_SECONDS < SHORTEST_ANSWER:
        hint = "Every request would be a 503 while the database works: give 1 second or more, or 0 for no limit."
        found.append(
            Error(f"DATABASE_ANSWER_SECONDS is {settings.DATABASE_ANSWER_SECONDS:g}.", hint=hint, id="core.E003")
        )
    return found

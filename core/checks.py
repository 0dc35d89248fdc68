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
            hint = "Use a value such as 600/min (or /sec, /hour, /day). An empty value turns the limit off."
            found.append(Error(f"{name} is {rate!r}, which is not a valid rate.", hint=hint, id="core.E001"))
    for name in COUNTS:
        if getattr(settings, name) < 0:
            found.append(Error(f"{name} is below 0.", hint="Use 0 to turn the limit off.", id="core.E002"))
    if settings.DATABASE_ANSWER_SECONDS != 0 and settings.DATABASE_ANSWER_SECONDS < SHORTEST_ANSWER:
        hint = "Use 1 second or more, or 0 for no limit. With less, requests fail with a 503 while the database works."
        found.append(
            Error(f"DATABASE_ANSWER_SECONDS is {settings.DATABASE_ANSWER_SECONDS:g}.", hint=hint, id="core.E003")
        )
    return found

"""System checks of the limits and the pooler, so that `manage.py check` finds mistakes before a client does."""

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections

RATE = re.compile(r"[1-9][0-9]*/(s|sec|m|min|h|hour|d|day)")
RATES = ("RATE_PRINCIPAL", "RATE_SERVICE", "RATE_USER", "RATE_ANONYMOUS")
SHORTEST_ANSWER = 1.0  # seconds
STALEST = 5.0  # seconds, which the documentation promises
POOLERS = ("", "transaction")
IDLE = (
    "Behind the pooler, PostgreSQL ends no transaction of {alias} that idles, or only after more than half of a lease: "
    "a worker that hangs in one would keep its locks from the worker that takes over."
)
COUNTS = ("TASKS_IN_FLIGHT_PER_USER", "TASKS_IN_FLIGHT_PER_PRINCIPAL")
HEARTBEATS = (1.0, 60.0)  # seconds; a proxy that hears nothing for longer closes the connection


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
    if settings.MAX_STREAMS < 1:
        found.append(Error("MAX_STREAMS is below 1.", hint="Use 1 or more.", id="core.E006"))
    if not HEARTBEATS[0] <= settings.STREAM_HEARTBEAT_SECONDS <= HEARTBEATS[1]:
        text = "STREAM_HEARTBEAT_SECONDS is {:g}, but must be from {:g} to {:g}."
        hint = "Proxies close a connection on which they hear nothing for a minute, often sooner."
        text = text.format(settings.STREAM_HEARTBEAT_SECONDS, *HEARTBEATS)
        found.append(Error(text, hint=hint, id="core.E007"))
    if not 0 <= settings.STALENESS_SECONDS <= STALEST:
        hint = "A process would go on with a revoked key for as long."
        text = f"STALENESS_SECONDS is {settings.STALENESS_SECONDS:g}, but must be from 0 to {STALEST:g}."
        found.append(Error(text, hint=hint, id="core.E005"))
    return found


def pooler(app_configs: Any = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check the setting for a pooler in front of PostgreSQL."""
    if settings.DATABASE_POOLER in POOLERS:
        return []
    hint = "Leave it empty if DATABASE_URL leads to PostgreSQL itself."
    return [
        Error(
            f"DATABASE_POOLER is {settings.DATABASE_POOLER!r}, but can only be transaction.", hint=hint, id="core.E004"
        )
    ]


def idle_transactions(databases: Sequence[str] | None = None, **kwargs: Any) -> Sequence[CheckMessage]:
    """Check, behind a pooler, the time after which PostgreSQL ends an idle transaction. Run by `migrate`."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor != "postgresql" or not settings.DATABASE_POOLER:
            continue
        with connection.cursor() as cursor:
            cursor.execute("SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")
            (milliseconds,) = cursor.fetchone()
        if not 0 < milliseconds <= settings.TASK_LEASE_SECONDS * 500:
            seconds = int(settings.TASK_LEASE_SECONDS / 2)
            hint = f"ALTER ROLE … SET idle_in_transaction_session_timeout = '{seconds}s', then RECONNECT the pooler."
            found.append(Warning(IDLE.format(alias=alias), hint=hint, id="core.W001"))
    return found

"""Leases: a column that says until when somebody has a row, by the database's clock.

Attempts, chores, deliveries and claims on reviews have one each. A holder that stops renewing loses the row when its
lease is over. `take` is for rows that wait to be taken (chores, deliveries): a conditional update, so one of several
gets it. Callers of `renew` narrow the rows to those that they still hold.
"""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from core.db.clock import Now, seconds_from_now

Row = TypeVar("Row", bound=Model)


def take(rows: "QuerySet[Row]", field: str, seconds: float, **values: Any) -> bool:
    """Take the lease on the row for this many seconds, if it is free. Returns whether this caller got it.

    Args:
        rows: narrowed to the one row, and to what else must still hold.
        field: the name of the lease's column.
        values: further columns that are written with it.
    """
    return bool(over(rows, field).update(**{field: seconds_from_now(seconds)}, **values))


def renew(rows: "QuerySet[Row]", field: str, seconds: float) -> int:
    """Extend the leases to this many seconds from now. Returns how many there are."""
    return rows.update(**{field: seconds_from_now(seconds)})


def expire(rows: "QuerySet[Row]", field: str) -> int:
    """End the leases now, so that others may take the rows. Returns how many there are."""
    return rows.update(**{field: seconds_from_now(-1)})


def over(rows: "QuerySet[Row]", field: str) -> "QuerySet[Row]":
    """Return the rows whose lease is over."""
    return rows.filter(**{f"{field}__lte": Now()})


def held(rows: "QuerySet[Row]", field: str) -> "QuerySet[Row]":
    """Return the rows whose lease is not over."""
    return rows.filter(**{f"{field}__gt": Now()})

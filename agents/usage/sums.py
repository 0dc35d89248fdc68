"""Sums of model calls by day, user, agent, model, session or task.

Calls of the past are summed by day (`DayUsage`); those since `maintenance.usage` last did so are added from an index.
Sessions and tasks are summed over single calls.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from django.db import connection

from agents.models import Chore, ModelCall, Task

CHORE = "usage"  # its `due_at` is the moment since when calls are not summed by day yet
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
_KNOWN = "input_tokens IS NOT NULL AND output_tokens IS NOT NULL"
OF_CALLS = {  # each sum, over single calls
    "calls": "COUNT(*)",
    "repeats": "COUNT(CASE WHEN repeats THEN 1 END)",
    "failed": f"COUNT(CASE WHEN outcome = '{ModelCall.Outcome.FAILED}' THEN 1 END)",
    "unknown": f"COUNT(CASE WHEN outcome <> '{ModelCall.Outcome.FAILED}' AND NOT ({_KNOWN}) THEN 1 END)",
    "unpriced": f"COUNT(CASE WHEN {_KNOWN} AND cost IS NULL THEN 1 END)",
    "input_tokens": "COALESCE(SUM(input_tokens), 0)",
    "cached_tokens": "COALESCE(SUM(cached_tokens), 0)",
    "output_tokens": "COALESCE(SUM(output_tokens), 0)",
    "reasoning_tokens": "COALESCE(SUM(reasoning_tokens), 0)",
    "seconds": "COALESCE(SUM(seconds), 0)",
    "cost": "SUM(cost)",
}
NAMES = tuple(OF_CALLS)
DAY, USER, AGENT, MODEL, SESSION, TASK = GROUPS = ("day", "user", "agent", "model", "session", "task")
_COLUMNS = {USER: "user_id", AGENT: "agent", MODEL: "model"}
_COUNTED = ", ".join(f"{sql} AS {name}" for name, sql in OF_CALLS.items())
_ADDED = ", ".join(f"SUM({name}) AS {name}" for name in NAMES)
# Of an insertion into `DayUsage`, where there is a row already.
ADD = ", ".join(
    [
        *(f"{name} = agents_dayusage.{name} + excluded.{name}" for name in NAMES if name != "cost"),
        "cost = CASE WHEN agents_dayusage.cost IS NULL THEN excluded.cost"
        " ELSE agents_dayusage.cost + COALESCE(excluded.cost, 0) END",
    ]
)

Key = tuple[str, ...]


@dataclass(frozen=True)
class Sums:
    """Sums of some calls."""

    calls: int = 0
    repeats: int = 0  # calls for a step that had one before: after a failure, an unusable answer or a worker's death
    failed: int = 0  # calls that the endpoint refused, or that did not reach it
    unknown: int = 0  # calls that may have cost something, but nobody knows what
    unpriced: int = 0  # calls with known tokens, but without a price
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    seconds: float = 0.0
    cost: Decimal | None = None  # of the calls that have a price; None: none has one

    @property
    def tokens(self) -> int:
        """Tokens of input and output."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Span:
    """Days (UTC), both included, and one user or all."""

    first: date
    last: date
    user_id: str | None = None  # None: all

    @property
    def start(self) -> datetime:
        """Beginning of the first day."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """Last moment of the last day."""
        return datetime.combine(self.last, time.max, UTC)


def total(span: Span) -> Sums:
    """Return the sums of all calls in the span, also of those whose tasks were deleted."""
    return _by_day("", span, (), None)[0][1]


def grouped(by: str, span: Span, limit: int, after: Sequence[str] = ()) -> list[tuple[Key, Sums]]:
    """Return at most `limit` groups in the order of their keys.

    A key is a day, a name, a user and a session, or the id of a task. Deleted tasks have no group.

    Args:
        by: one of GROUPS.
        after: key of the last group on the page before.
    """
    if by == SESSION:
        return _by_call(("user_id", "session_id"), span, after, limit)
    if by == TASK:
        found = _by_call(("task_id",), span, [_id(one) for one in after], limit)
        return [((str(uuid.UUID(key)),), sums) for (key,), sums in found]
    return _by_day(by, span, after, limit)


def of_task(task: Task) -> Sums:
    """Return the sums of one task's calls."""
    return _rows(f"SELECT {_COUNTED} FROM agents_modelcall WHERE task_id = %s", [_id(task.pk)], 0)[0][1]


def day_of(column: str) -> str:
    """Return SQL for the day (UTC) of a time."""
    return f"({column} AT TIME ZONE 'UTC')::date" if connection.vendor == "postgresql" else f"DATE({column})"


def summed_until() -> datetime:
    """Return the moment before which calls are summed by day."""
    return Chore.objects.filter(name=CHORE).values_list("due_at", flat=True).first() or BEGINNING


def _by_day(by: str, span: Span, after: Sequence[str], limit: int | None) -> list[tuple[Key, Sums]]:
    """Return groups over the sums by day and the calls since; "" is one group of all."""
    while True:
        since = summed_until()
        days, of_days = _part("agents_dayusage", _ADDED, _COLUMNS.get(by, by), by, after)
        calls, of_calls = _part("agents_modelcall", _COUNTED, _COLUMNS.get(by, by and day_of("started_at")), by, after)
        bounds = [connection.ops.adapt_datefield_value(one) for one in (span.first, span.last)]
        moments = [_time(max(since, span.start)), _time(span.end)]
        user = "" if span.user_id is None else " AND user_id = %s"
        whose = [] if span.user_id is None else [span.user_id]
        past = days.format(where=f"day >= %s AND day <= %s{user}")
        recent = calls.format(where=f"started_at >= %s AND started_at <= %s{user}")
        sql = f"SELECT {'key, ' if by else ''}{_ADDED} FROM ({past} UNION ALL {recent}) AS parts"
        values = [*bounds, *whose, *of_days, *moments, *whose, *of_calls]
        if by:
            sql, values = f"{sql} GROUP BY key ORDER BY key LIMIT %s", [*values, limit]
        found = _rows(sql, values, 1 if by else 0)
        if since == summed_until():  # else calls have moved from one part to the other
            return found


def _part(table: str, sums: str, key: str, by: str, after: Sequence[str]) -> tuple[str, list[str]]:
    """Return a statement with a place for its conditions, and the values that follow theirs."""
    if not by:
        return f"SELECT {sums} FROM {table} WHERE {{where}}", []
    place = "%s::date" if by == DAY and connection.vendor == "postgresql" else "%s"
    more = f" AND {key} > {place}" if after else ""
    return f"SELECT {key} AS key, {sums} FROM {table} WHERE {{where}}{more} GROUP BY {key}", [*after]


def _by_call(columns: tuple[str, ...], span: Span, after: Sequence[Any], limit: int) -> list[tuple[Key, Sums]]:
    """Return groups over single calls by columns that an index begins with."""
    keys, places = ", ".join(columns), ", ".join(["%s"] * len(columns))
    where = [f"{columns[0]} IS NOT NULL", "started_at >= %s", "started_at <= %s"]
    values = [_time(span.start), _time(span.end)]
    if span.user_id is not None:
        where, values = [*where, "user_id = %s"], [*values, span.user_id]
    if after:
        where, values = [*where, f"({keys}) > ({places})"], [*values, *after]
    sql = f"SELECT {keys}, {_COUNTED} FROM agents_modelcall WHERE {' AND '.join(where)}"
    return _rows(f"{sql} GROUP BY {keys} ORDER BY {keys} LIMIT %s", [*values, limit], len(columns))


def _rows(sql: str, values: Sequence[Any], width: int) -> list[tuple[Key, Sums]]:
    """Run the statement. The first `width` columns are the key."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [(tuple(map(str, row[:width])), _sums(*row[width:])) for row in cursor.fetchall()]


def _sums(*row: Any) -> Sums:
    *counts, seconds, cost = row
    found = {name: int(count or 0) for name, count in zip(NAMES, counts, strict=False)}  # PostgreSQL adds to decimals
    exact: Any = ModelCall._meta.get_field("cost")
    return Sums(**found, seconds=float(seconds or 0), cost=exact.from_db_value(cost, None, connection))


def _time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _id(value: Any) -> Any:
    key: Any = ModelCall._meta.pk
    return key.get_db_prep_value(key.to_python(value), connection)

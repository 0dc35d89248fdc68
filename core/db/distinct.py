"""Distinct values of an indexed column, found by one look-up in the index each, not by reading all rows."""

from datetime import UTC, datetime
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.models import Model

MOST = 100  # values
CACHED = 30  # seconds
SQL = """
    WITH RECURSIVE found(value) AS (
        SELECT min({column}) FROM {table} WHERE {column} > %s
        UNION ALL
        SELECT (SELECT min({column}) FROM {table} WHERE {column} > found.value) FROM found WHERE found.value IS NOT NULL
    )
    SELECT value FROM found WHERE value IS NOT NULL LIMIT %s
"""


LATEST = """
    WITH RECURSIVE found(value) AS (
        SELECT min({column}) FROM {table}
        UNION ALL
        SELECT (SELECT min({column}) FROM {table} WHERE {column} > found.value) FROM found WHERE found.value IS NOT NULL
    )
    SELECT value, (SELECT max({time}) FROM {table} WHERE {column} = found.value) AS latest
    FROM found WHERE value IS NOT NULL ORDER BY latest DESC LIMIT %s
"""


def latest(model: type[Model], field: str, time: str, limit: int) -> dict[str, datetime]:
    """Return the values of a column with the latest times, newest first, by an index over both columns.

    Its cost grows with the number of values, not with that of rows.
    """
    with connection.cursor() as cursor:
        cursor.execute(LATEST.format(**_quoted(model, column=field, time=time)), [limit])
        return {value: _time(found) for value, found in cursor.fetchall()}


def _time(found: Any) -> datetime:
    """Return a time as the database gives it: SQLite stores UTC as text."""
    return found if isinstance(found, datetime) else datetime.fromisoformat(found).replace(tzinfo=UTC)


def cached_distinct(model: type[Model], field: str) -> list[str]:
    """Return the values of `distinct`, which may be CACHED seconds old."""
    key = f"distinct:{model._meta.db_table}.{field}"
    return list(cache.get_or_set(key, lambda: distinct(model, field), CACHED) or ())


def distinct(model: type[Model], field: str, limit: int = MOST) -> list[str]:
    """Return the first `limit` distinct values, in order, of a text column that an index begins with, but ""."""
    with connection.cursor() as cursor:
        cursor.execute(SQL.format(**_quoted(model, column=field)), ["", limit])
        return [value for (value,) in cursor.fetchall()]


def _quoted(model: type[Model], **fields: str) -> dict[str, str]:
    """Return the names of the table and of these columns, for use in a statement."""
    quote, meta = connection.ops.quote_name, model._meta
    columns: dict[str, Any] = {name: meta.get_field(field) for name, field in fields.items()}
    return {"table": quote(meta.db_table), **{name: quote(field.column) for name, field in columns.items()}}

"""Distinct values of an indexed column, found by one look-up in the index each, not by reading all rows."""

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


def cached_distinct(model: type[Model], field: str) -> list[str]:
    """Return the values of `distinct`, which may be CACHED seconds old."""
    key = f"distinct:{model._meta.db_table}.{field}"
    found: list[str] = cache.get_or_set(key, lambda: distinct(model, field), CACHED)
    return found


def distinct(model: type[Model], field: str, limit: int = MOST) -> list[str]:
    """Return the first `limit` distinct values, in order, of a text column that an index begins with, but ""."""
    quote = connection.ops.quote_name
    names = {"table": quote(model._meta.db_table), "column": quote(model._meta.get_field(field).column)}  # type: ignore[union-attr]
    with connection.cursor() as cursor:
        cursor.execute(SQL.format(**names), ["", limit])
        return [value for (value,) in cursor.fetchall()]

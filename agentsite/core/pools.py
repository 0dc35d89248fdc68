"""Pools of connections to PostgreSQL."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # on SQLite the settings need no driver
    from psycopg_pool import ConnectionPool


def begin_anew(pool: "ConnectionPool[Any]") -> None:
    """Try to connect again at once, for those who wait: a pool that has given up does not before the next one asks."""
    pool.check()

"""Pools that hold no dead connections for long."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool

Taken = TypeVar("Taken", bound=Connection[Any])


def living(pool: ConnectionPool[Taken], take: Callable[[], Taken]) -> Taken:
    """What `take` gets from the pool; where that is dead, once more after all that have died with it are gone.

    psycopg's own check meets them one by one and doubles its pause after each: after a restart of the server the first
    who came waited for 10 s in vain where six had been idle.
    """
    connection = take()
    try:
        pool.check_connection(connection)
    except OperationalError:
        pool.putconn(connection)
        pool.check()
        connection = take()
    return connection


class Pool(ConnectionPool[Taken]):
    """One that hands out living connections only."""

    def getconn(self, timeout: float | None = None) -> Taken:
        """Source: ConnectionPool."""
        return living(self, partial(super().getconn, timeout))

"""Pools that hold no dead connections for long."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool, PoolTimeout
from typing_extensions import override

from core.db.connections import patience

Taken = TypeVar("Taken", bound=Connection[Any])

CHECK = 3.0  # seconds for a connection to show that it lives
PATIENCE = 8.0  # seconds that a request waits for a connection
IMPATIENCE = 1.0  # seconds to wait for one while the server is away: many requests may stand in line behind this one

_patience: WeakKeyDictionary[ConnectionPool[Any], float] = WeakKeyDictionary()


def living(pool: ConnectionPool[Taken], take: Callable[[], Taken]) -> Taken:
    """What `take` gets from the pool; where that is dead, once more after all in the pool have been replaced.

    psycopg's own check meets them one by one and doubles its pause after each: after a restart of the server the first
    who came waited for 10 s in vain where six had been idle. Where a network swallows packets each of them would take
    its time to be found dead, so all are closed unasked.
    """
    connection = _taken(pool, take)
    try:
        with patience(CHECK):
            pool.check_connection(connection)
    except OperationalError:
        pool.putconn(connection)
        pool.drain()
        connection = _taken(pool, take)
    return connection


def _taken(pool: ConnectionPool[Taken], take: Callable[[], Taken]) -> Taken:
    patience_of_old, failed = _patience.setdefault(pool, pool.timeout), _failed(pool)
    try:
        connection = take()
    except PoolTimeout:
        if _failed(pool) > failed:  # else all of them are in use, and the wait is worth it
            pool.timeout = min(IMPATIENCE, patience_of_old)
        raise
    pool.timeout = patience_of_old
    return connection


def _failed(pool: ConnectionPool[Any]) -> int:
    """How often it has tried in vain to connect."""
    return pool.get_stats().get("connections_errors", 0)


class Pool(ConnectionPool[Taken]):
    """One that hands out living connections only."""

    @override
    def getconn(self, timeout: float | None = None) -> Taken:
        return living(self, partial(super().getconn, timeout))

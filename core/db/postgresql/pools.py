"""Connection pools that quickly replace dead connections."""

import select
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from psycopg import Connection, OperationalError
from psycopg_pool import ConnectionPool, PoolTimeout
from typing_extensions import override

from core.db.connections import are_checked_seldom, patience

Taken = TypeVar("Taken", bound=Connection[Any])

CHECK = 3.0  # seconds for a connection to respond to the check
FRESH = 1.0  # seconds after an answer for which a connection is not checked: a busy process would check it all the time
PATIENCE = 8.0  # seconds that a request waits for a connection
IMPATIENCE = 1.0  # seconds to wait for one while the server is away: many requests may queue behind this one

_patience: WeakKeyDictionary[ConnectionPool[Any], float] = WeakKeyDictionary()


def living(pool: ConnectionPool[Taken], take: Callable[[], Taken]) -> Taken:
    """Return the connection that `take` gets from the pool. If it is dead, replace all in the pool and take another.

    psycopg's own check finds dead connections one by one and doubles its pause after each: after a server restart with
    six idle connections, the first request waited 10 s in vain. If a network drops packets, each check would run into
    its timeout, so all connections are closed without a check.
    """
    connection = _taken(pool, take)
    if _is_fresh(connection):
        return connection
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
        if _failed(pool) > failed:  # otherwise all of them are in use, and the wait is worthwhile
            pool.timeout = min(IMPATIENCE, patience_of_old)
        raise
    pool.timeout = patience_of_old
    return connection


def _is_fresh(connection: Connection[Any]) -> bool:
    """Return whether the connection has just answered, and its server has not closed it since.

    That it was closed arrives as something to read.
    """
    if not are_checked_seldom() or time.monotonic() - getattr(connection, "answered_at", float("-inf")) >= FRESH:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _failed(pool: ConnectionPool[Any]) -> int:
    """Return how many attempts to connect have failed."""
    return pool.get_stats().get("connections_errors", 0)


class Pool(ConnectionPool[Taken]):
    """A pool that hands out only live connections."""

    @override
    def getconn(self, timeout: float | None = None) -> Taken:
        return living(self, partial(super().getconn, timeout))

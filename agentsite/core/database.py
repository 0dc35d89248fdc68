"""What can go wrong with a database, and its connections."""

from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, InternalError, OperationalError

if TYPE_CHECKING:  # on SQLite the settings need no driver
    from psycopg_pool import ConnectionPool

# The database is away, or this connection is of no use any more: whoever tries again, with another one, may succeed.
# PostgreSQL's InternalError is among them: that is how it tells who stood still in a transaction that it has ended it,
# and who is still connected to a server that became a standby.
AWAY = (OperationalError, InterfaceError, InternalError)


def begin_anew(pool: "ConnectionPool[Any]") -> None:
    """Try to connect again at once, for those who wait: a pool that has given up does not before the next one asks."""
    pool.check()

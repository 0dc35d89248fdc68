"""What can go wrong with a database, and its connections."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, InternalError, OperationalError

if TYPE_CHECKING:  # on SQLite the settings need no driver
    from psycopg_pool import ConnectionPool

AWAY = (OperationalError, InterfaceError)
INVALID_TRANSACTION_STATE = "25"  # PostgreSQL's class of errors, which the driver calls internal as it does worse ones
# For how long a pool's pauses between two tries to connect may grow before it begins anew: with psycopg's own 5 minutes
# it would pause for another minute after an outage of one.
RECONNECT_SECONDS = 5.0


_process_limit: float | None = None  # seconds
_limit: ContextVar[float | None] = ContextVar("agentsite_database_wait")


def limit_waits(seconds: float | None) -> None:
    """From now on nobody in this process waits longer for one answer; None and 0 are no limit."""
    global _process_limit
    _process_limit = seconds if seconds and seconds > 0 else None


def wait_limit(*, own: bool = True) -> float | None:
    """For how long to wait for one answer of PostgreSQL: as this code has said of itself, or as its process has."""
    return _limit.get(_process_limit) if own else _process_limit


@contextmanager
def patience(seconds: float | None) -> Iterator[None]:
    """Wait for each answer so long meanwhile, whatever the process's limit is; None waits for ever."""
    reset = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(reset)


def is_away(error: BaseException) -> bool:
    """Whether who tries again later, with another connection, may succeed.

    So may who stood still in a transaction, which PostgreSQL has ended, and who is connected to what is a standby now.
    """
    if isinstance(error, InternalError):
        return str(getattr(error.__cause__, "sqlstate", "")).startswith(INVALID_TRANSACTION_STATE)
    return isinstance(error, AWAY)


def begin_anew(pool: "ConnectionPool[Any]") -> None:
    """Try to connect again at once, for those who wait: a pool that has given up does not before the next one asks."""
    pool.check()

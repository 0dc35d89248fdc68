"""Database failures that a retry may solve, and limits on waiting for the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from django.db import InterfaceError, InternalError, OperationalError

if TYPE_CHECKING:  # on SQLite the settings need no driver
    from psycopg_pool import ConnectionPool

AWAY = (OperationalError, InterfaceError)
INVALID_TRANSACTION_STATE = "25"  # class of SQLSTATE codes; the driver raises InternalError for it, as for worse errors
# Time for which a pool's pauses between attempts to connect grow before it starts over. With psycopg's default of
# 5 minutes, it would pause for another minute after an outage of one minute.
RECONNECT_SECONDS = 5.0


_process_limit: float | None = None  # seconds
_is_checked_seldom = False
_limit: ContextVar[float | None] = ContextVar("agentsite_database_wait")


def limit_waits(seconds: float | None) -> None:
    """Limit how long this process waits for one response of PostgreSQL, from now on; None and 0 are no limit."""
    global _process_limit
    _process_limit = seconds if seconds and seconds > 0 else None


def wait_limit(*, own: bool = True) -> float | None:
    """Return the seconds to wait for one response of PostgreSQL: the limit of `patience`, or else of the process.

    With `own=False`, it is always the limit of the process. None is no limit.
    """
    return _limit.get(_process_limit) if own else _process_limit


@contextmanager
def patience(seconds: float | None) -> Iterator[None]:
    """Wait at most `seconds` for each response of PostgreSQL inside the block, instead of the process's limit.

    None waits without a limit.
    """
    reset = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(reset)


def check_seldom() -> None:
    """Let this process use a connection to PostgreSQL that has just answered without a check, from now on.

    For workers: a task can wait longer than a request until it is clear that the network swallows what is sent.
    """
    global _is_checked_seldom
    _is_checked_seldom = True


def are_checked_seldom() -> bool:
    """Return whether this process has called `check_seldom`."""
    return _is_checked_seldom


def is_away(error: BaseException) -> bool:
    """Return whether a later attempt with another connection may succeed.

    This includes an idle transaction that PostgreSQL has ended, and a connection to a server that is now a standby.
    """
    if isinstance(error, InternalError):
        return str(getattr(error.__cause__, "sqlstate", "")).startswith(INVALID_TRANSACTION_STATE)
    return isinstance(error, AWAY)


def begin_anew(pool: "ConnectionPool[Any]") -> None:
    """Make the pool connect again at once for waiting clients. After giving up, it would wait for the next request."""
    pool.check()

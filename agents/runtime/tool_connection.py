"""Database connections for tools, separate from the ledger's and never used again after the call.

A tool may leave a transaction open, turn autocommit off, close its connection or change the session's settings. It
therefore gets its own connections, which are closed when its call ends: what it has committed stays, the rest is
rolled back.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from core.db.connections import patience, wait_limit

logger = logging.getLogger(__name__)


class UncommittedWork(Exception):
    """The tool returned with a transaction open, which was rolled back."""

    def __init__(self, aliases: list[str]) -> None:
        super().__init__(
            f"The tool left a transaction open on the database ({', '.join(aliases)}): what it wrote there was rolled "
            "back. Commit it before the tool returns, or use `transaction.atomic()` as a context manager."
        )


def is_in_transaction() -> bool:
    """Return whether a connection of this thread is in a transaction, however it was started."""
    return any(_is_open(one) for one in connections.all(initialized_only=True))


@contextmanager
def service_connection() -> Iterator[None]:
    """Give this thread new connections of the service: the call may be inside another tool, which has its own."""
    outer = {one.alias: one for one in connections.all(initialized_only=True)}
    _forget()
    try:
        with patience(wait_limit(own=False)):
            yield
    finally:
        connections.close_all()
        _forget()
        for alias, one in outer.items():
            connections[alias] = one


@contextmanager
def tool_connection() -> Iterator[None]:
    """Give this thread separate connections. Raises UncommittedWork if one is left in a transaction."""
    outer = {one.alias: one for one in connections.all(initialized_only=True)}
    for alias in connections:
        connections[alias] = _own(alias)
    try:
        with patience(None):  # a tool's queries may take any time
            yield
    except BaseException:
        if left := _end_all():
            logger.warning("a tool that failed has left a transaction open on %s: rolled back", ", ".join(left))
        raise
    else:
        if left := _end_all():
            raise UncommittedWork(left)
    finally:
        _forget()
        for alias, one in outer.items():
            connections[alias] = one


def _own(alias: str) -> BaseDatabaseWrapper:
    """Create a connection outside the pool, where the settings that a tool changes would reach the next user."""
    made = connections.create_connection(alias)
    options = {name: value for name, value in made.settings_dict.get("OPTIONS", {}).items() if name != "pool"}
    made.settings_dict = {**made.settings_dict, "OPTIONS": options}
    return made


def _forget() -> None:
    for one in connections.all(initialized_only=True):
        del connections[one.alias]


def _end_all() -> list[str]:
    """Close this thread's connections. Returns the aliases of those that were in a transaction."""
    return [one.alias for one in connections.all(initialized_only=True) if _ended_open(one)]


def _ended_open(one: BaseDatabaseWrapper) -> bool:
    """Close the connection, also at the driver's level. Returns whether it was in a transaction."""
    was_open = _is_open(one)
    try:
        if one.connection is not None:
            one.connection.close()
        one.close()
    except Exception as error:  # it may be broken in any way, and is not used again
        logger.warning("the connection that a tool has used could not be closed (%s)", error)
    return was_open


def _is_open(one: BaseDatabaseWrapper) -> bool:
    """Return whether a transaction is open, also by the driver: the tool may have sent BEGIN as a plain statement."""
    raw: Any = one.connection
    if one.in_atomic_block or raw is None:
        return one.in_atomic_block
    try:
        if one.vendor == "sqlite":
            return bool(raw.in_transaction)
        return not raw.closed and raw.info.transaction_status.name in ("ACTIVE", "INTRANS", "INERROR")
    except Exception:  # it is closed
        return False

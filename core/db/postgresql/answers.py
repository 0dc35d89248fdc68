"""Connections to PostgreSQL that do not wait for an answer for ever.

A network that swallows packets tells nobody. The kernel's own time-outs (`tcp_user_timeout`, keepalive) end a
connection whose peer acknowledges nothing; where something in between still does, a proxy or a server that stands
still, only who waits for the answer can tell. A process says for how long it waits at most (`limit_waits`); a tool, and
who does long work, waits for longer (`patience`). Both are in `core.db.connections`.
"""

from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from typing_extensions import override

from core.db.connections import wait_limit

Value = TypeVar("Value")


class Connection(psycopg.Connection[Any]):
    """psycopg's own, which gives an answer up after the limit: the connection is closed then."""

    @override
    def wait(self, gen: PQGen[Value], interval: float = 0.1, timeout: float | None = None) -> Value:
        """Raises OperationalError where the answer does not come in time."""
        limit = wait_limit() if timeout is None else timeout
        try:
            return super().wait(gen, interval=interval, timeout=limit)
        except errors._WaitTimeout as error:
            if timeout is not None:
                raise
            self.pgconn.finish()  # an answer that comes after all would be taken for that to the next question
            raise psycopg.OperationalError(f"PostgreSQL has not answered within {limit:g} s") from error


class Driver:
    """The module psycopg as Django's backend uses it, but for the connections that it makes."""

    connect = staticmethod(Connection.connect)

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)

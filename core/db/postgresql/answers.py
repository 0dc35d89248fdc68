"""Connections to PostgreSQL that limit how long they wait for a response.

A network that drops packets reports no error. The kernel's timeouts (`tcp_user_timeout`, keepalive) end a connection
whose peer acknowledges nothing. If a proxy or a stalled server still acknowledges, only the client that waits for the
response can notice. A process sets its limit with `limit_waits`; tools and other long work wait longer with
`patience`. Both are in `core.db.connections`.
"""

import time
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from typing_extensions import override

from core.db.connections import wait_limit

Value = TypeVar("Value")


class Connection(psycopg.Connection[Any]):
    """psycopg's connection, which closes if a response takes longer than the limit."""

    answered_at = float("-inf")  # when the server last answered, on the monotonic clock

    @override
    def wait(self, gen: PQGen[Value], interval: float = 0.1, timeout: float | None = None) -> Value:
        """Wait for a response. Raises OperationalError if it does not arrive in time."""
        limit = wait_limit() if timeout is None else timeout
        try:
            answer = super().wait(gen, interval=interval, timeout=limit)
        except errors._WaitTimeout as error:
            if timeout is not None:
                raise
            self.pgconn.finish()  # a late response would be taken for the response to the next query
            raise psycopg.OperationalError(f"PostgreSQL has not answered within {limit:g} s") from error
        self.answered_at = time.monotonic()
        return answer


class Driver:
    """The module psycopg as Django's backend uses it, except that it makes our connections."""

    connect = staticmethod(Connection.connect)

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)

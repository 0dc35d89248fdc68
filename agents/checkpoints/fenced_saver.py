"""LangGraph's checkpoint savers, fenced by the attempt that writes.

These are the official savers, in the same database as everything else. An attempt's saver writes only while the attempt
is open, under a lock on its row: a stalled worker that wakes up can't write a checkpoint that replaces a newer one. On
SQLite the tables are in Django's own file, so that one lock covers both.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.db import connection
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from psycopg import Connection, Cursor
from psycopg.rows import DictRow, dict_row
from typing_extensions import override

from agents.models import Attempt
from agents.observability import failpoints
from agents.state.tasks import StaleAttempt
from core.db.connections import RECONNECT_SECONDS, begin_anew
from core.db.postgresql.answers import Connection as DatabaseConnection
from core.db.postgresql.pools import Pool

Saver = BaseCheckpointSaver[str]
_LIBPQ = (
    *("dbname", "user", "password", "host", "port", "sslmode", "connect_timeout", "options"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
)
_POOL_SIZE = 20
_pools: dict[tuple[int, str], Pool[Connection[DictRow]]] = {}  # by process and database: forks share none
_pools_lock = threading.Lock()


class FencedPostgresSaver(PostgresSaver):
    """PostgreSQL saver that writes under a lock on its attempt's row."""

    def __init__(self, pool: Pool[Connection[DictRow]], attempt: Attempt) -> None:
        super().__init__(pool)
        self.pool = pool
        self.attempt = attempt

    @contextmanager
    @override
    def _cursor(self, *, pipeline: bool = False) -> Iterator[Cursor[DictRow]]:
        """Open the fence around the pipeline that PostgresSaver requests for each write.

        Raises StaleAttempt, and Django's errors instead of the driver's, because an unavailable database must not fail
        the task.
        """
        with connection.wrap_database_errors:
            if pipeline:
                with self._fenced() as cursor:
                    yield cursor
                failpoints.here("after-checkpoint")
            else:
                with super()._cursor() as cursor:
                    yield cursor

    @contextmanager
    def _fenced(self) -> Iterator[Cursor[DictRow]]:
        with (
            self.lock,
            self.pool.connection() as conn,
            conn.pipeline() as pipeline,
            conn.transaction(),
            conn.cursor() as fence,
            conn.cursor(binary=True, row_factory=dict_row) as cursor,
        ):
            fence.execute(
                "SELECT 1 FROM agents_attempt WHERE id = %s AND ended_at IS NULL FOR NO KEY UPDATE", (self.attempt.pk,)
            )
            # The server measures idle time from here on, so a worker that freezes now loses the lock.
            pipeline.sync()
            if fence.fetchone() is None:
                raise StaleAttempt
            yield cursor
            pipeline.sync()  # raises a write's own error, not one about the skipped commit
            failpoints.here("before-checkpoint")


class FencedSqliteSaver(SqliteSaver):
    """SQLite saver that takes SQLite's write lock before it checks its attempt's row."""

    def __init__(self, conn: sqlite3.Connection, attempt: Attempt) -> None:
        super().__init__(conn)
        self.is_setup = True  # `create_tables` did this when the database was migrated
        self.attempt = attempt

    @contextmanager
    @override
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """Open the fence around the transaction that SqliteSaver requests for each write.

        Raises StaleAttempt, and Django's errors instead of the driver's, because a locked file must not fail the task.
        """
        with connection.wrap_database_errors, self.lock, closing(self.conn.cursor()) as cursor:
            if not transaction:
                yield cursor
                return
            cursor.execute("BEGIN IMMEDIATE")
            try:
                open_ = "SELECT 1 FROM agents_attempt WHERE id = ? AND ended_at IS NULL"
                if cursor.execute(open_, (self.attempt.pk.hex,)).fetchone() is None:
                    raise StaleAttempt
                yield cursor
                failpoints.here("before-checkpoint")
            except BaseException:
                self.conn.rollback()
                raise
            self.conn.commit()
            failpoints.here("after-checkpoint")


@contextmanager
def saver_of(attempt: Attempt) -> Iterator[Saver]:
    """Yield the fenced saver of one attempt."""
    if connection.vendor == "postgresql":
        # One saver per run, because a saver holds a single lock around all its database calls.
        yield FencedPostgresSaver(_pool(), attempt)
    else:
        with closing(_sqlite()) as conn:
            yield FencedSqliteSaver(conn, attempt)


def create_tables() -> None:
    """Create or migrate LangGraph's tables. Called after `migrate`."""
    if connection.vendor == "postgresql":
        with Connection.connect(**_libpq(), autocommit=True, row_factory=dict_row) as conn:
            PostgresSaver(conn).setup()
    else:
        with closing(_sqlite()) as sqlite:
            SqliteSaver(sqlite).setup()


def close_pools() -> None:
    """Close this process's connections for checkpoints; the next saver opens new ones."""
    with _pools_lock:
        for key in [key for key in _pools if key[0] == os.getpid()]:
            _pools.pop(key).close()


def _sqlite() -> sqlite3.Connection:
    conn = sqlite3.connect(
        str(connection.settings_dict["NAME"]), timeout=30, check_same_thread=False, isolation_level=None
    )
    conn.execute("PRAGMA synchronous=NORMAL")
    return conn


def _libpq() -> dict[str, Any]:
    parameters = connection.get_connection_params()
    return {key: parameters[key] for key in _LIBPQ if key in parameters}


def _pool() -> Pool[Connection[DictRow]]:
    parameters = _libpq()
    key = (os.getpid(), str(parameters.get("dbname")))
    with _pools_lock:
        if key not in _pools:
            _pools[key] = Pool(
                connection_class=DatabaseConnection,
                min_size=0,
                max_size=_POOL_SIZE,
                reconnect_timeout=RECONNECT_SECONDS,
                reconnect_failed=begin_anew,
                kwargs={**parameters, "autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
                open=True,
            )
        return _pools[key]

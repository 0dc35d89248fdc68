"""LangGraph's checkpoint savers, fenced by the attempt that writes.

These are the official savers, in the same database as everything else. An attempt's saver writes only while the attempt
is open, under a lock on its row: a stalled worker that wakes up can't write a checkpoint that replaces a newer one. On
SQLite the tables are in Django's own file, so that one lock covers both.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db import connection
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, BaseCheckpointSaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from psycopg import Connection, Cursor, Error
from psycopg.rows import DictRow, dict_row
from typing_extensions import override

from agents.checkpoints.checkpoint_events import AppendsEvents, EventsOf
from agents.checkpoints.newest import RemembersNewest
from agents.models import Attempt
from agents.observability import failpoints
from agents.state.events import NewEvent, append_with_cursor
from agents.state.tasks import StaleAttempt
from core.db.connections import RECONNECT_SECONDS, begin_anew
from core.db.postgresql.answers import Connection as DatabaseConnection
from core.db.postgresql.pools import Pool

logger = logging.getLogger(__name__)

Saver = BaseCheckpointSaver[str]
HELD = 0.25  # seconds for which writes of a step may wait for its checkpoint
_may_wait: ContextVar[bool] = ContextVar("agentsite_writes_may_wait", default=False)
_LIBPQ = (
    *("dbname", "user", "password", "host", "port", "sslmode", "connect_timeout", "options"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
)
_POOL_SIZE = 20
_pools: dict[tuple[int, str], Pool[Connection[DictRow]]] = {}  # by process and database: forks share none
_pools_lock = threading.Lock()


_FENCE = "WITH fence AS (SELECT FROM agents_attempt WHERE id = %s AND ended_at IS NULL FOR NO KEY UPDATE)"
# The same for a checkpoint that is told in events: the task is locked before its attempt, as everywhere.
_TASK_AND_FENCE = """
    WITH held AS (SELECT FROM agents_task WHERE id = %s FOR NO KEY UPDATE), fence AS (
        SELECT FROM agents_attempt AS attempt, held WHERE id = %s AND ended_at IS NULL FOR NO KEY UPDATE OF attempt
    )
"""
_APPEND = """
    counted AS (
        UPDATE agents_task SET last_seq = last_seq + %s FROM fence WHERE id = %s RETURNING id, last_seq - %s AS before
    ), told AS (
        INSERT INTO agents_event (task_id, seq, kind, data)
        SELECT id, before + new.number, new.kind, new.data
        FROM counted, unnest(%s::text[], %s::jsonb[]) WITH ORDINALITY AS new (kind, data, number)
    )
"""
# Types of the columns that PostgresSaver's statements write. Rows are sent as columns: so our text does not depend on
# their number, and is prepared once.
_PARTS = {
    PostgresSaver.UPSERT_CHECKPOINT_BLOBS_SQL: ("text", "text", "text", "text", "text", "bytea"),
    PostgresSaver.UPSERT_CHECKPOINTS_SQL: ("text", "text", "text", "text", "jsonb", "jsonb"),
    PostgresSaver.UPSERT_CHECKPOINT_WRITES_SQL: (*("text",) * 5, "int", "text", "text", "bytea"),
    PostgresSaver.INSERT_CHECKPOINT_WRITES_SQL: (*("text",) * 5, "int", "text", "text", "bytea"),
}


def _part(sql: str, types: tuple[str, ...]) -> str:
    """Return the INSERT with its rows from arrays, and only if the fence is open."""
    arrays = ", ".join(f"%s::{name}[]" for name in types)
    before, _, rest = sql.partition("VALUES")
    return (
        f"{before} SELECT new.* FROM fence, unnest({arrays}) AS new {rest[rest.index(')') + 1 :].rstrip().rstrip(';')}"
    )


class _Batch:
    """Cursor in place of which PostgresSaver's statements are collected, to be sent as one."""

    def __init__(self, statements: Iterable[tuple[str, list[Any]]] = ()) -> None:
        self.statements = [*statements]  # each with its rows

    def execute(self, sql: str, row: Any) -> None:
        """Collect a statement for one row."""
        self.statements.append((sql, [row]))

    def executemany(self, sql: str, rows: Any) -> None:
        """Collect a statement for several rows."""
        self.statements.append((sql, list(rows)))

    def is_known(self) -> bool:
        """Return whether all statements are those of a checkpoint or its writes."""
        return all(sql in _PARTS for sql, _ in self.statements)

    def joined(self, attempt: Attempt, events: Sequence[NewEvent]) -> tuple[str, list[Any]]:
        """Return one statement, with its parameters, that yields a row only if the attempt's fence is open."""
        parts, values = _fenced(attempt, events)
        for number, (sql, rows) in enumerate(self.statements):
            parts.append(f"part{number} AS ({_JOINED[sql]})")
            columns: Any = zip(*rows, strict=True) if rows else ((),) * len(_PARTS[sql])
            values += [list(column) for column in columns]
        return f"{', '.join(parts)} SELECT 1 FROM fence", values


def _fenced(attempt: Attempt, events: Sequence[NewEvent]) -> tuple[list[str], list[Any]]:
    """Return the first parts of a statement and their parameters: the fence and, behind it, the events."""
    if not events:
        return [_FENCE], [attempt.pk]
    kinds, texts = [str(one.kind) for one in events], [one.text for one in events]
    count, task = len(events), attempt.task_id
    return [_TASK_AND_FENCE, _APPEND], [task, attempt.pk, count, task, count, kinds, texts]


_JOINED = {sql: _part(sql, types) for sql, types in _PARTS.items()}


class FencedPostgresSaver(AppendsEvents, RemembersNewest, PostgresSaver):
    """PostgreSQL saver that writes under a lock on its attempt's row."""

    def __init__(self, pool: Pool[Connection[DictRow]], attempt: Attempt) -> None:
        super().__init__(pool)
        self.pool = pool
        self.remember(attempt)
        self._held: list[tuple[str, list[Any]]] = []  # statements that wait for the next one
        self._holding = threading.Lock()
        self._timer: threading.Timer | None = None

    @override
    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a node has written, together with the next checkpoint if that follows within HELD seconds.

        The checkpoint contains it, and usually follows at once. If the worker dies in between, the node runs again, as
        if it had died a moment before: its model is asked again, its tool calls are in the ledger. Questions, answers
        and errors are stored at once.
        """
        may_wait = _may_wait.set(not any(channel in WRITES_IDX_MAP for channel, _ in writes))
        try:
            super().put_writes(config, writes, task_id, task_path)
        finally:
            _may_wait.reset(may_wait)

    def flush(self) -> None:
        """Store what is held, if anything is. Never raises: whoever writes next finds out what is wrong."""
        try:
            if statements := self._taken():
                self._write(_Batch(statements))
        except StaleAttempt:
            pass
        except Error as error:
            logger.warning("task %s: writes of a step were not stored (%s)", self.attempt.task_id, error)

    def _hold(self, statements: list[tuple[str, list[Any]]]) -> None:
        with self._holding:
            self._held += statements
            if self._timer is None:
                self._timer = threading.Timer(HELD, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def _taken(self) -> list[tuple[str, list[Any]]]:
        with self._holding:
            taken, self._held = self._held, []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        return taken

    @contextmanager
    @override
    def _cursor(self, *, pipeline: bool = False) -> Iterator[Cursor[DictRow]]:
        """Send what PostgresSaver writes as one statement that also locks the attempt's row.

        PostgresSaver requests a pipeline for each write. One statement costs one round trip and one commit, and a
        worker that freezes holds no lock. Raises StaleAttempt, and Django's errors instead of the driver's, because an
        unavailable database must not fail the task.
        """
        with connection.wrap_database_errors:
            if not pipeline:
                self.flush()
                with super()._cursor() as cursor:
                    yield cursor
                return
            batch: Any = _Batch()
            yield batch
            if _may_wait.get() and batch.is_known():
                self._hold(batch.statements)
                return
            batch.statements[:0] = self._taken()
            failpoints.here("before-checkpoint")
            self._write(batch)
            failpoints.here("after-checkpoint")

    def _write(self, batch: _Batch) -> None:
        events = self.pending_events()
        with self.pool.connection() as conn:
            if batch.is_known():
                if conn.execute(*batch.joined(self.attempt, events)).fetchone() is None:
                    raise StaleAttempt
                return
            with conn.transaction(), conn.cursor() as cursor:
                parts, values = _fenced(self.attempt, events)
                if cursor.execute(f"{', '.join(parts)} SELECT 1 FROM fence", values).fetchone() is None:
                    raise StaleAttempt
                for sql, rows in batch.statements:
                    cursor.executemany(sql, rows)


class FencedSqliteSaver(AppendsEvents, RemembersNewest, SqliteSaver):
    """SQLite saver that takes SQLite's write lock before it checks its attempt's row."""

    def __init__(self, conn: sqlite3.Connection, attempt: Attempt) -> None:
        super().__init__(conn)
        self.is_setup = True  # `create_tables` did this when the database was migrated
        self.remember(attempt)

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
                append_with_cursor(cursor, self.attempt.task_id, self.pending_events())
                failpoints.here("before-checkpoint")
            except BaseException:
                self.conn.rollback()
                raise
            self.conn.commit()
            failpoints.here("after-checkpoint")


@contextmanager
def saver_of(attempt: Attempt, events_of: EventsOf | None = None) -> Iterator[Saver]:
    """Yield the fenced saver of one attempt.

    Args:
        events_of: returns the events that a checkpoint of the task's thread tells; they are stored with it.
    """
    if connection.vendor == "postgresql":
        # One saver per run, because a saver holds a single lock around all its database calls.
        saver = FencedPostgresSaver(_pool(), attempt)
        saver.events_of = events_of
        yield saver
        saver.flush()  # not after an exception: the database may be away, and a caller would wait for it
    else:
        with closing(_sqlite()) as conn:
            sqlite_saver = FencedSqliteSaver(conn, attempt)
            sqlite_saver.events_of = events_of
            yield sqlite_saver


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


def _session() -> dict[str, Any]:
    # Behind a pooler, the next statement may reach a server connection on which it was not prepared.
    return {"autocommit": True, "prepare_threshold": None if settings.DATABASE_POOLER else 0}


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
                kwargs={**parameters, **_session(), "row_factory": dict_row},
                open=True,
            )
        return _pools[key]

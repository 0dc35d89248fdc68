"""Statements and transactions of the service, as PostgreSQL counts them.

Web server and workers connect with roles of their own, so that pg_stat_statements tells them apart. What a worker asks
about checkpoints is known by its text. Statements that begin or end a transaction are counted apart, because they do
not say what for.
"""

import re
import time
from collections import Counter
from glob import glob
from typing import Any

import psycopg

LIBRARY = "pg_stat_statements"
PRELOADED = ("-c", f"shared_preload_libraries={LIBRARY}")
SETTLES = 11.0  # seconds after which idle connections have reported their transactions
CONTROL = re.compile(r"\s*(BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
# LangGraph's tables, or the fence, the only statement about attempts that does not come from the ORM.
CHECKPOINTS = re.compile(r"\bcheckpoint(s|_blobs|_writes|_migrations)\b|FROM agents_attempt\b", re.IGNORECASE)
CALLS = f"""
    SELECT role.rolname, statement.query, statement.calls FROM {LIBRARY} AS statement
    JOIN pg_roles AS role ON role.oid = statement.userid JOIN pg_database AS base ON base.oid = statement.dbid
    WHERE base.datname = current_database()
"""
COMMITS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"

COMPLETED = "SELECT count(*) FROM agents_task WHERE status = 'completed'"


def is_available() -> bool:
    """Return whether the library can be loaded. It may be in a package of its own."""
    return bool(glob(f"/usr/lib/postgresql/*/lib/{LIBRARY}.so"))


def kind_of(role: str, query: str) -> str:
    """Return what a statement counts as: web, worker, checkpoints or control."""
    if CONTROL.match(query):
        return "control"
    return "checkpoints" if role == "worker" and CHECKPOINTS.search(query) else role


class Counts:
    """Counts of one database since `begin`."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute(f"CREATE EXTENSION IF NOT EXISTS {LIBRARY}")
        self.transactions = 0  # before `begin`, and our own since

    def begin(self, settles: float) -> None:
        """Start counting after idle connections have reported."""
        time.sleep(settles)
        self.transactions = int(self._asked(COMMITS)[0][0])
        self._asked(f"SELECT {LIBRARY}_reset()")

    def completed(self) -> int:
        """Return how many tasks have completed."""
        return int(self._asked(COMPLETED)[0][0])

    def end(self, settles: float) -> tuple[Counter[str], int]:
        """Return the statements by kind, and the transactions."""
        statements: Counter[str] = Counter()
        for role, query, calls in self._asked(CALLS):
            if role in ("web", "worker"):
                statements[kind_of(role, query)] += calls
        time.sleep(settles)
        return statements, int(self._asked(COMMITS)[0][0]) - self.transactions

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _asked(self, query: str) -> list[Any]:
        self.transactions += 1
        return self.connection.execute(query).fetchall()

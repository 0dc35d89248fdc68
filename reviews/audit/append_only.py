"""Database triggers that refuse to change or delete audit entries, for PostgreSQL and SQLite.

On SQLite, a migration that alters the table recreates it without its triggers, so it must call `install` again.
"""

from typing import Any

TABLE = "reviews_auditentry"
REFUSAL = "the audit log is append-only"

INSTALL = {
    "postgresql": (
        f"""
        CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$
        """,
        f"""
        CREATE OR REPLACE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE}
        FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse()
        """,
    ),
    "sqlite": tuple(
        f"""
        CREATE TRIGGER IF NOT EXISTS {TABLE}_no_{event.lower()} BEFORE {event} ON {TABLE}
        BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END
        """
        for event in ("UPDATE", "DELETE")
    ),
}
REMOVE = {
    "postgresql": (
        f"DROP TRIGGER IF EXISTS {TABLE}_append_only ON {TABLE}",
        f"DROP FUNCTION IF EXISTS {TABLE}_refuse()",
    ),
    "sqlite": tuple(f"DROP TRIGGER IF EXISTS {TABLE}_no_{event}" for event in ("update", "delete")),
}


def install(connection: Any) -> None:
    """Create the triggers. Safe to repeat."""
    _execute(connection, INSTALL)


def remove(connection: Any) -> None:
    """Drop the triggers. Only for reversing the migration and for tests that empty the tables."""
    _execute(connection, REMOVE)


def _execute(connection: Any, statements: dict[str, tuple[str, ...]]) -> None:
    with connection.cursor() as cursor:
        for statement in statements[connection.vendor]:
            cursor.execute(statement)

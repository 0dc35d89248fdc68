"""LangGraph's checkpoint tables by thread, through Django's own connection and without LangGraph.

So a task and its checkpoints are deleted in one transaction, also by the web process.
"""

import uuid
from collections.abc import Iterable, Sequence

from django.db import connection

from agents.models import Task

TABLES = {
    "postgresql": ("checkpoint_writes", "checkpoint_blobs", "checkpoints"),
    "sqlite": ("writes", "checkpoints"),
}
BATCH = 200  # threads in one statement


def forget(task_pks: Iterable[uuid.UUID]) -> int:
    """Delete all checkpoints of these tasks, which may have been deleted. Returns how many rows there were.

    The caller has ended the tasks' attempts: until then a run may add one more.
    """
    names = [str(pk) for pk in task_pks]
    deleted = 0
    with connection.cursor() as cursor:
        for table in TABLES[connection.vendor]:
            for start in range(0, len(names), BATCH):
                batch = names[start : start + BATCH]
                marks = ", ".join(["%s"] * len(batch))
                cursor.execute(f"DELETE FROM {table} WHERE thread_id IN ({marks})", batch)
                deleted += cursor.rowcount
    Task.objects.filter(pk__in=names).update(has_thread=False)
    return deleted


def newest(task_pk: uuid.UUID) -> str:
    """The id of the task's newest checkpoint, or "" where it has none. Reads nothing else: it may be unreadable."""
    sql = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = ''"
    with connection.cursor() as cursor:
        cursor.execute(sql, [str(task_pk)])
        return cursor.fetchone()[0] or ""


def orphans(limit: int) -> Sequence[uuid.UUID]:
    """Up to `limit` threads whose task does not exist any more."""
    found: list[uuid.UUID] = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT thread_id FROM checkpoints")
        while len(found) < limit and (rows := cursor.fetchmany(BATCH)):
            threads = {uuid.UUID(row[0]) for row in rows}
            found += threads.difference(Task.objects.filter(pk__in=threads).values_list("pk", flat=True))
    return found[:limit]


def count() -> int:
    """How many rows the checkpoint tables have, all together."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + " + ".join(f"(SELECT count(*) FROM {t})" for t in TABLES[connection.vendor]))
        return int(cursor.fetchone()[0])

"""Access to LangGraph's checkpoint tables by thread, through Django's own connection and without LangGraph.

A task and its checkpoints can therefore be deleted in one transaction, also by the web process.
"""

import uuid
from collections.abc import Iterable, Iterator

from django.db import connection

from agents.models import Task

TABLES = {
    "postgresql": ("checkpoint_writes", "checkpoint_blobs", "checkpoints"),
    "sqlite": ("writes", "checkpoints"),
}
BATCH = 200  # threads per statement


def forget(task_pks: Iterable[uuid.UUID]) -> int:
    """Delete all checkpoints of these tasks and clear their `has_thread`. Returns the number of rows deleted.

    The caller must have ended the tasks' attempts: until then a run may add a checkpoint.
    """
    pks = list(task_pks)
    deleted = delete(pks)
    Task.objects.filter(pk__in=pks).update(has_thread=False)
    return deleted


def delete(task_pks: Iterable[uuid.UUID]) -> int:
    """Delete all checkpoints of tasks that are deleted too, or were before. Returns the number of rows deleted."""
    names = [str(pk) for pk in task_pks]
    deleted = 0
    with connection.cursor() as cursor:
        for table in TABLES[connection.vendor]:
            for start in range(0, len(names), BATCH):
                batch = names[start : start + BATCH]
                marks = ", ".join(["%s"] * len(batch))
                cursor.execute(f"DELETE FROM {table} WHERE thread_id IN ({marks})", batch)
                deleted += cursor.rowcount
    return deleted


def newest(task_pk: uuid.UUID) -> str:
    """Return the id of the task's newest checkpoint, or "". Reads only the id, because the rest may be unreadable."""
    sql = "SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = %s AND checkpoint_ns = ''"
    with connection.cursor() as cursor:
        cursor.execute(sql, [str(task_pk)])
        return cursor.fetchone()[0] or ""


def orphans() -> Iterator[list[uuid.UUID]]:
    """Yield batches of threads whose task no longer exists. A thread may occur in several batches."""
    for table in TABLES[connection.vendor]:
        for threads in _pages(table):
            if found := threads.difference(Task.objects.filter(pk__in=threads).values_list("pk", flat=True)):
                yield sorted(found)


def _pages(table: str) -> Iterator[set[uuid.UUID]]:
    # A thread is read before its task is looked up: a task that starts in between has its row before its checkpoints.
    last = ""
    while True:
        with connection.cursor() as cursor:
            select = f"SELECT DISTINCT thread_id FROM {table} WHERE thread_id > %s ORDER BY thread_id LIMIT {BATCH}"
            cursor.execute(select, [last])
            names = [row[0] for row in cursor.fetchall()]
        if not names:
            return
        yield {uuid.UUID(name) for name in names}
        last = names[-1]

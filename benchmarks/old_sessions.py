"""Data for benchmarks: sessions that ended long ago. Imported inside Django: `manage.py shell -c "…"`."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from agents.checkpoints.tables import TABLES
from agents.models import Attempt, Interrupt, Session, Status, Task, ToolCall
from reviews.models import Decision

AT_ONCE = 1_000  # sessions in one INSERT


def fill(count: int) -> None:
    """Create `count` sessions that ended forty days ago."""
    for start in range(0, count, AT_ONCE):
        with transaction.atomic():
            sessions = Session.objects.bulk_create(_sessions(start))
            tasks = Task.objects.bulk_create(_tasks(sessions))
            _details(tasks[:: 2 * 5])
            threads = [str(task.pk) for task in tasks[:: 2 * 10]]
            with connection.cursor() as cursor:
                for table in TABLES[connection.vendor]:
                    columns = _needed(cursor, table)
                    marks = ", ".join(["%s"] * len(columns))
                    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
                    cursor.executemany(insert, [_values(columns, thread) for thread in threads])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _sessions(start: int) -> Iterator[Any]:
    long_ago = timezone.now() - timedelta(days=40)
    for number in range(start, start + AT_ONCE):
        moment = long_ago - timedelta(seconds=number)
        yield Session(user_id=f"user{number % 1_000}", session_id=f"s{number}", created_at=moment)


def _tasks(sessions: list[Any]) -> Iterator[Any]:
    result = {"messages": [{"type": "human", "content": "x" * 1_000}, {"type": "ai", "content": "y" * 1_000}]}
    for number, session in enumerate(sessions):
        for position in (1, 2):
            yield Task(
                session=session,
                user_id=session.user_id,
                task_id=f"t{position}",
                position=position,
                query="x" * 1_000,
                status=Status.COMPLETED,
                result=result,
                has_thread=position == 1 and number % 10 == 0,
                created_at=session.created_at,
                updated_at=session.created_at + timedelta(minutes=position),
            )


def _details(tasks: list[Any]) -> None:

    ids = {"message_id": "m", "tool_call_id": "c", "tool": "book_hotel", "args_text": "{}"}
    attempts = [Attempt(task=task, token=1, worker="w", lease_until=task.created_at) for task in tasks]
    Attempt.objects.bulk_create(attempts)
    calls = [ToolCall(task=a.task, attempt=a, status="succeeded", **ids) for a in attempts]
    ToolCall.objects.bulk_create(calls)
    asked = [Interrupt(task=task, kind="tool_call", status="approved", verdict_text="{}", **ids) for task in tasks]
    Interrupt.objects.bulk_create(asked)
    Decision.objects.bulk_create(
        [Decision(review=row, response_type="accept", version=1, by_name="rita") for row in asked]
    )


def _needed(cursor: Any, table: str) -> list[str]:
    cursor.execute(f"SELECT * FROM {table} LIMIT 0")
    return [column[0] for column in cursor.description if column[0] not in ("parent_checkpoint_id", "task_path")]


def _values(columns: list[str], thread: str) -> list[Any]:
    given = {
        "thread_id": thread,
        "checkpoint_ns": "",
        "idx": 0,
        "checkpoint": "{}",
        "metadata": "{}",
        "blob": b"x" * 5_000,
        "value": b"x" * 5_000,
    }
    return [given.get(column, str(uuid.uuid4())) for column in columns]

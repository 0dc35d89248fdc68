"""Statements that each run makes, as SQL for PostgreSQL: a round trip and a commit in place of several.

SQLite has no statement that changes two tables, and needs none: it has no round trips. There, `tasks` and `tool_calls`
do the same by Django's ORM. The tests of both modules hold on both databases. `keep_recalled` runs on either.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from agents.models import Attempt, Event, Interrupt, Session, Status, Task, ToolCall
from agents.state import events

_PAUSED = """
    SELECT 1 FROM agents_pause WHERE lifted_at IS NULL AND (
        scope = 'everything' OR scope = 'agent' AND value = {agent}
        OR scope = 'user' AND value = {user} OR scope = 'tool' AND value = {tool}
    )
"""
# Appends an event to the task, if the part of the statement called `of` has a row.
_APPEND = """counted AS (
        UPDATE agents_task AS task SET last_seq = last_seq + 1 FROM {of} WHERE task.id = {of}.task_id
        RETURNING task.id, last_seq
    ), told AS (
        INSERT INTO agents_event (task_id, seq, kind, data) SELECT id, last_seq, '{kind}', %s::jsonb FROM counted
    )"""
_CLAIM = f"""
    WITH found AS (
        SELECT id, has_thread AS had_thread, updated_at AS pending_since FROM agents_task AS task
        WHERE id = %s AND status = '{Status.PENDING}'
            AND NOT EXISTS ({_PAUSED.format(agent="task.agent", user="task.user_id", tool="task.held_tool")})
        FOR NO KEY UPDATE
    ), claimed AS (
        UPDATE agents_task AS task SET status = '{Status.RUNNING}', token = token + 1, has_thread = true,
            published_at = NULL, held_tool = '', last_seq = last_seq + 1, updated_at = STATEMENT_TIMESTAMP()
        FROM found WHERE task.id = found.id RETURNING task.*, had_thread, pending_since
    ), made AS (
        INSERT INTO agents_attempt (id, task_id, token, worker, lease_until, outcome)
        SELECT %s::uuid, id, token, %s::text, STATEMENT_TIMESTAMP() + %s * interval '1 second', '' FROM claimed
        RETURNING lease_until, started_at
    ), told AS (
        INSERT INTO agents_event (task_id, seq, kind, data)
        SELECT id, last_seq, '{Event.Kind.STATUS}', %s::jsonb FROM claimed
    )
    SELECT claimed.*, made.lease_until, made.started_at, session.user_id AS session_user,
        session.session_id AS session_name, session.title AS session_title, session.agent AS session_agent,
        session.created_at AS session_created
    FROM claimed, made, agents_session AS session WHERE session.id = claimed.session_id
"""
# Interrupts before the attempt, in the same order as when a call is entered in the ledger.
_CONCLUDE = f"""
    WITH concluded AS (
        UPDATE agents_task SET status = %s, result = %s::jsonb, message = %s, updated_at = STATEMENT_TIMESTAMP(),
            run_seconds = run_seconds + EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP() - %s::timestamptz),
            last_seq = last_seq + 1
        WHERE id = %s AND status = '{Status.RUNNING}' AND token = %s RETURNING id, session_id, last_seq
    ), told AS (
        INSERT INTO agents_event (task_id, seq, kind, data)
        SELECT id, last_seq, '{Event.Kind.STATUS}', %s::jsonb FROM concluded
    ), cancelled AS (
        UPDATE agents_interrupt AS asked SET status = '{Interrupt.Status.CANCELLED}', version = version + 1
        FROM concluded WHERE task_id = concluded.id AND asked.status = '{Interrupt.Status.PENDING}' RETURNING asked.id
    ), ended AS (
        UPDATE agents_attempt AS attempt SET ended_at = STATEMENT_TIMESTAMP(), outcome = %s
        FROM concluded, (SELECT count(*) FROM cancelled) AS before
        WHERE attempt.id = %s AND attempt.ended_at IS NULL
    )
    SELECT EXISTS (
        SELECT 1 FROM agents_task AS next
        WHERE next.session_id = concluded.session_id AND next.status = '{Status.QUEUED}'
    ) FROM concluded
"""
# The task before its attempt: whoever ends the attempt holds the task's lock.
_ENTER = f"""
    WITH held AS (SELECT id FROM agents_task WHERE id = %s FOR NO KEY UPDATE), fence AS (
        SELECT attempt.id FROM agents_attempt AS attempt, held WHERE attempt.id = %s AND ended_at IS NULL
        FOR NO KEY UPDATE OF attempt
    ), paused AS ({_PAUSED.format(agent="%s", user="%s", tool="%s")} LIMIT 1), entered AS (
        INSERT INTO agents_toolcall (
            id, task_id, attempt_id, message_id, tool_call_id, tool, args_text, args_digest, reviewed, "outer",
            status, runs, doubtful, result_text
        )
        SELECT %s::uuid, %s::uuid, fence.id, %s, %s, %s, %s, %s, %s, %s::uuid,
            '{ToolCall.Status.STARTED}', 1, false, ''
        FROM fence WHERE NOT EXISTS (SELECT 1 FROM paused) RETURNING task_id, started_at
    ), {_APPEND.format(of="entered", kind=Event.Kind.TOOL_STARTED)}
    SELECT EXISTS (SELECT 1 FROM paused), EXISTS (SELECT 1 FROM fence), (SELECT started_at FROM entered)
"""
_CLOSE = f"""
    WITH held AS (SELECT id FROM agents_task WHERE id = %s FOR NO KEY UPDATE), fence AS (
        SELECT attempt.id FROM agents_attempt AS attempt, held WHERE attempt.id = %s AND ended_at IS NULL
        FOR NO KEY UPDATE OF attempt
    ), closed AS (
        UPDATE agents_toolcall AS call SET status = %s, result_text = %s, finished_at = STATEMENT_TIMESTAMP()
        FROM fence
        WHERE call.id = %s AND attempt_id = fence.id AND runs = %s AND status = '{ToolCall.Status.STARTED}'
        RETURNING task_id
    ), {_APPEND.format(of="closed", kind=Event.Kind.TOOL_FINISHED)}
    SELECT 1 FROM closed
"""


def are_there() -> bool:
    """Return whether the database is the one for which these statements are."""
    return connection.vendor == "postgresql"


@dataclass(frozen=True)
class Entered:
    """Outcome of an entry in the ledger."""

    is_paused: bool
    is_open: bool  # the attempt
    started_at: datetime | None


def claim(task_pk: uuid.UUID | str, worker: str, lease: float) -> Attempt | None:
    """Claim a pending task that no pause holds (-> running). Returns the attempt, with the task and its session.

    The task is as it was before in `has_thread`; `pending_since` is when it became pending.
    """
    attempt = Attempt(worker=worker)
    task: Any
    for task in Task.objects.raw(_CLAIM, [task_pk, attempt.pk, worker, lease, events.status(Status.RUNNING).text]):
        task.session = Session(
            id=task.session_id,
            user_id=task.session_user,
            session_id=task.session_name,
            title=task.session_title,
            agent=task.session_agent,
            created_at=task.session_created,
        )
        task.has_thread = task.had_thread
        attempt.task, attempt.token = task, task.token
        attempt.lease_until, attempt.started_at = task.lease_until, task.started_at
        return attempt
    return None


def keep_recalled(task: Task) -> None:
    """Store what was recalled for the task, unless something is stored."""
    recalled = Task._meta.get_field("recalled").get_db_prep_save(task.recalled, connection)
    pk = Task._meta.pk.get_db_prep_value(task.pk, connection)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE agents_task SET recalled = %s WHERE id = %s AND recalled IS NULL", [recalled, pk])


def conclude(attempt: Attempt, status: str, outcome: str, result: Any, message: str) -> bool | None:
    """End a running task and its attempt, and cancel its open interrupts. The caller has locked the session.

    Returns whether the session has a queued task, or None if the attempt is over.
    """
    stored = Task._meta.get_field("result").get_db_prep_save(result, connection)
    told = events.status(status, message).text
    values = [status, stored, message, attempt.started_at, attempt.task_id, attempt.token, told, outcome, attempt.pk]
    with connection.cursor() as cursor:
        cursor.execute(_CONCLUDE, values)
        row = cursor.fetchone()
    return None if row is None else bool(row[0])


def enter(row: ToolCall, task: Task) -> Entered:
    """Enter a call in the ledger as started, if the attempt is open and no pause holds the call."""
    about: list[Any] = [row.task_id, row.attempt_id, task.agent, task.user_id, row.tool]
    values: list[Any] = [
        row.message_id,
        row.tool_call_id,
        row.tool,
        row.args_text,
        row.args_digest,
        row.reviewed,
        row.outer,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_ENTER, [*about, row.pk, row.task_id, *values, events.tool_started(row).text])
        return Entered(*cursor.fetchone())


def close(row: ToolCall, status: str, result_text: str) -> bool:
    """Close a started call as the attempt that entered it. Returns False if it is closed, or the attempt is over."""
    with connection.cursor() as cursor:
        told = events.tool_finished(row, status).text
        cursor.execute(_CLOSE, [row.task_id, row.attempt_id, status, result_text, row.pk, row.runs, told])
        return cursor.fetchone() is not None

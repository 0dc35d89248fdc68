"""Rows of a service that has been used for 400 days, made by the database itself. The same number makes the same rows.

Run inside Django, on an empty and migrated database of either kind.
"""

import json
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.db.models import Field, Model
from django.db.models.fields import NOT_PROVIDED

from agents.maintenance import usage
from agents.models import Attempt, Interrupt, ModelCall, Session, Task, ToolCall
from agents.policy import Terms, Verdict
from memory.models import Memory
from notifications.models import Delivery, Endpoint
from reviews.models import AuditEntry, Decision

SECONDS = 400 * 86_400  # from the oldest task until now
PER_SESSION, PER_USER = 10, 10  # tasks in a session, sessions of a user
SHOWN = 500  # least number of open reviews, so that pages of both databases show as many rows
WAITING = 50  # least number of tasks that wait
STARTED = 40  # tool calls in doubt
ARGS = json.dumps({"to": "someone@example.com", "body": "Some words of a letter. " * 20})
RESULT = json.dumps({"messages": [{"type": "human", "content": "x" * 300}, {"type": "ai", "content": "y" * 900}]})
DECIDERS = ("group:operations",) * 4 + ("group:finance",)  # by tool
USER_ID = "user3"  # the one whose pages are measured


def fill(tasks: int) -> None:
    """Create this many tasks and what belongs to them."""
    _people()
    waiting = max(tasks // 100, WAITING)
    _sessions_and_tasks(tasks, waiting)
    _calls(tasks)
    _usage(tasks)
    _reviews(tasks, waiting)
    _others(tasks)
    if connection.vendor == "postgresql":  # nobody analyzes SQLite, so its plans are those without statistics
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE" if connection.in_atomic_block else "VACUUM ANALYZE")


def _people() -> None:
    User.objects.create_superuser("root")
    for name, rights in {
        "service": ["act_for_any_user"],
        USER_ID: [],
        "finance": ["decide_review", "view_task", "view_session", "view_toolcall"],
        "viewer": ["view_task", "view_session", "view_toolcall", "view_review", "view_auditentry", "view_system"],
    }.items():
        user = User.objects.create_user(name, is_staff=name in ("finance", "viewer"))
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    User.objects.get(username="finance").groups.add(Group.objects.create(name="finance"))
    Endpoint.objects.create(name="hook", url="https://example.com/hook")


def _sessions_and_tasks(tasks: int, waiting: int) -> None:
    step, sessions = SECONDS / tasks, tasks // PER_SESSION
    users = max(sessions // PER_USER, 1)
    _insert(
        Session,
        sessions,
        id=_uuid("session", "i"),
        user_id=f"'user' || (i % {users})",
        session_id="'session-' || i",
        title="'Session ' || i",
        created_at=_ago(f"({tasks} - i * {PER_SESSION}) * {step}"),
    )
    session = f"(i / {PER_SESSION})"
    waits = f"i % {PER_SESSION} = {PER_SESSION - 1} AND {session} >= {sessions - waiting}"
    _insert(
        Task,
        tasks,
        id=_uuid("task", "i"),
        session_id=_uuid("session", session),
        user_id=f"'user' || ({session} % {users})",
        task_id="'task-' || i",
        position=f"i % {PER_SESSION} + 1",
        query="'Book hotel number ' || i || ' for two nights, and tell me about the breakfast there.'",
        status=f"CASE WHEN {waits} THEN 'interrupted' WHEN i % 8 = 7 THEN 'error' "
        "WHEN i % 10 = 3 THEN 'cancelled' ELSE 'completed' END",
        message="CASE WHEN i % 8 = 7 THEN 'The model is away.' ELSE '' END",
        result=f"CASE WHEN i % 8 = 7 OR i % 10 = 3 OR ({waits}) THEN NULL ELSE {_json(RESULT)} END",
        token="1",
        counted=f"NOT ({waits})",
        submitted_by_id=str(User.objects.get(username="service").pk),
        request_id="'request-' || i",
        created_at=_ago(f"({tasks} - i) * {step}"),
        updated_at=_ago(f"({tasks} - i) * {step} - {step} / 2"),
    )


def _calls(tasks: int) -> None:
    step = SECONDS / tasks
    at = _ago(f"({tasks} - i) * {step}")
    _insert(
        Attempt,
        tasks,
        id=_uuid("attempt", "i"),
        task_id=_uuid("task", "i"),
        token="1",
        worker="'worker@host'",
        lease_until=at,
        started_at=at,
        ended_at=at,
        outcome="'finished'",
    )
    _insert(
        ToolCall,
        tasks,
        id=_uuid("call", "i"),
        task_id=_uuid("task", "i"),
        message_id="'m' || i",
        tool_call_id="'c'",
        tool="CASE WHEN i < 40 THEN 'retired' ELSE 'tool' || (i / 5 % 5) END",
        args_text=f"'{ARGS}'",
        args_digest="'0'",
        reviewed="i % 5 = 1",
        status=f"CASE WHEN i < {STARTED} THEN 'started' WHEN i % 8 = 4 THEN 'failed' ELSE 'succeeded' END",
        attempt_id=_uuid("attempt", "i"),
        doubtful=f"i < {STARTED}",
        result_text="""'{"content": "done", "status": "success"}'""",
        started_at=at,
        finished_at=f"CASE WHEN i < {STARTED} THEN NULL ELSE {at} END",
    )


def _usage(tasks: int) -> None:
    """Create a model call of each task, and sum them by day."""
    at = _ago(f"({tasks} - i) * {SECONDS / tasks}")
    session = f"(i / {PER_SESSION})"
    _insert(
        ModelCall,
        tasks,
        id=_uuid("model call", "i"),
        task_id=_uuid("task", "i"),
        user_id=f"'user' || ({session} % {max(tasks // PER_SESSION // PER_USER, 1)})",
        session_id=f"'session-' || {session}",
        agent="'default'",
        attempt="1",
        model=f"CASE WHEN i < {STARTED} THEN 'retired' ELSE 'model' || (i % 3) END",
        step="'step' || i",
        outcome="'answered'",
        input_tokens="i % 4000",
        output_tokens="i % 300",
        seconds="1.5",
        cost="i % 4000 * 400",
        started_at=at,
        finished_at=at,
    )
    usage.sum_usage(timedelta(seconds=2 * SECONDS))


def _reviews(tasks: int, waiting: int) -> None:
    """Create decided reviews of every fourth task, and open ones of the tasks that wait."""
    asked = _asked()
    _decided_reviews(tasks, asked)
    _open_reviews(tasks, waiting, asked)


def _asked() -> dict[str, str]:
    """Return the columns that all reviews have in common."""
    return {
        "kind": "'tool_call'",
        "tool_call_id": "'c'",
        "graph_id": "'g'",
        "tool": "'tool' || (i % 5)",
        "args_text": f"'{ARGS}'",
        "args_schema": _json('{"type": "object"}'),
        "args_digest": "'0'",
        "verdict_text": "CASE i % 5 "
        + " ".join(
            f"WHEN {number} THEN '{Verdict('review', 'benchmark', Terms(deciders=(name,))).to_text()}'"
            for number, name in enumerate(DECIDERS)
        )
        + " END",
        "risk": "CASE i % 3 WHEN 0 THEN 'low' WHEN 1 THEN 'medium' ELSE 'high' END",
    }


def _decided_reviews(tasks: int, asked: dict[str, str]) -> None:
    step = SECONDS / tasks
    decided, at = tasks // 4, f"({tasks} - i * 4 - 1) * {step}"
    _insert(
        Interrupt,
        decided,
        id=_uuid("decided", "i"),
        task_id=_uuid("task", "(i * 4 + 1)"),
        message_id="'m' || (i * 4 + 1)",
        status="CASE WHEN i % 7 = 3 THEN 'rejected' ELSE 'approved' END",
        answered_by="'root'",
        answered_at=_ago(f"{at} - {step} / 3"),
        used_at=_ago(f"{at} - {step} / 2"),
        created_at=_ago(at),
        expires_at=_ago(f"{at} - 604800"),
        **asked,
    )
    _insert(
        Decision,
        decided,
        id=_uuid("decision", "i"),
        review_id=_uuid("decided", "i"),
        response_type="CASE WHEN i % 7 = 3 THEN 'reject' ELSE 'accept' END",
        version="1",
        by_id=str(User.objects.get(username="root").pk),
        by_name="'root'",
        created_at=_ago(f"{at} - {step} / 3"),
    )


def _open_reviews(tasks: int, waiting: int, asked: dict[str, str]) -> None:
    step, sessions = SECONDS / tasks, tasks // PER_SESSION
    asked_at_once = max(SHOWN // waiting, 1)
    task = f"(({sessions - waiting} + i / {asked_at_once}) * {PER_SESSION} + {PER_SESSION - 1})"
    _insert(
        Interrupt,
        waiting * asked_at_once,
        id=_uuid("open", "i"),
        task_id=_uuid("task", task),
        message_id="'open' || i",
        created_at=_ago(f"({tasks} - {task}) * {step}"),
        expires_at=_ago("- (i * 7919 % 600000)"),
        **asked,
    )


def _others(tasks: int) -> None:
    step = SECONDS / tasks
    _insert(
        Memory,
        tasks // 4,
        id=_uuid("memory", "i"),
        user_id=f"'user' || (i % {max(tasks // PER_SESSION // PER_USER, 1)})",
        text="'The user likes thing number ' || i",
        text_key="'key' || i",
        source="'api'",
        status=f"CASE WHEN i < {STARTED} THEN 'pending' WHEN i % 9 = 1 THEN 'forgotten' ELSE 'active' END",
        created_at=_ago(f"({tasks} - i * 4) * {step}"),
    )
    _insert(
        AuditEntry,
        tasks,
        at=_ago(f"({tasks} - i) * {step}"),
        verb=f"CASE WHEN i < {STARTED} THEN 'rule_created' WHEN i % 5 = 1 THEN 'decided' ELSE 'let_through' END",
        outcome="CASE WHEN i % 5 = 1 THEN 'approved' ELSE '' END",
        actor=f"CASE WHEN i < {STARTED} THEN 'ruth' WHEN i % 5 = 1 THEN 'root' ELSE 'system' END",
        kind="CASE WHEN i % 5 = 1 THEN 'review' ELSE 'tool_call' END",
        object_id=_text_uuid("call", "i"),
        task=_uuid("task", "i"),
        rule="i % 50",
        tool="'tool' || (i / 5 % 5)",
    )
    _insert(
        Delivery,
        tasks // 4,
        id=_uuid("delivery", "i"),
        event="CASE WHEN i % 5 = 1 THEN 'review.decided' ELSE 'task.completed' END",
        object_id=_uuid("task", "(i * 4)"),
        task_id=_uuid("task", "(i * 4)"),
        endpoint_id=str(Endpoint.objects.get().pk),
        body="'{}'",
        status=f"CASE WHEN i < {STARTED} THEN 'failed' ELSE 'sent' END",
        created_at=_ago(f"({tasks} - i * 4) * {step}"),
    )


def _insert(model: type[Model], count: int, /, **columns: str) -> None:
    """Insert rows. `columns` holds an SQL expression of the row's number `i` for each column without a default."""
    fields: list[Any] = list(model._meta.concrete_fields)
    for field in fields:
        if field.column not in columns and not (field.generated or field.null or field.primary_key or _has_own(field)):
            columns[field.column] = _default(field)
    numbers = f"(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) SELECT i FROM n)"
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(columns.values())
    with connection.cursor() as cursor:
        cursor.execute(f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {values} FROM {numbers} AS n')


def _has_own(field: "Field[Any, Any]") -> bool:
    return field.db_default is not NOT_PROVIDED


def _default(field: "Field[Any, Any]") -> str:
    value = field.get_default()
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, dict | list):
        return _json(json.dumps(value))
    return str(value) if isinstance(value, int | float) else f"'{value or ''}'"


def _text_uuid(kind: str, number: str) -> str:
    return _uuid(kind, number) + ("::text" if connection.vendor == "postgresql" else "")


def _uuid(kind: str, number: str) -> str:
    found = f"md5('{kind}' || {number})"
    return f"{found}::uuid" if connection.vendor == "postgresql" else found


def _json(text: str) -> str:
    return f"'{text}'" + ("::jsonb" if connection.vendor == "postgresql" else "")


def _ago(seconds: str) -> str:
    """Return an expression for the time this many seconds ago."""
    if connection.vendor == "postgresql":
        return f"now() - ({seconds}) * interval '1 second'"
    return f"strftime('%Y-%m-%d %H:%M:%f001', 'now', (-({seconds})) || ' seconds')"

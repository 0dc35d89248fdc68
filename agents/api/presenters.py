"""Conversion of rows to the bodies of the API."""

from collections import Counter
from typing import Any

from django.db.models import Count, Max

from agents.models import ACTIVE, FINAL, Interrupt, Pause, Session, Status, Task
from agents.runtime.history import task_results


def interrupt(row: Interrupt, allowed: list[str]) -> dict[str, Any]:
    """Return an open interrupt as `interrupt_data`. `allowed` lists the responses that this caller may give."""
    return {
        "interrupt_id": str(row.pk),
        "interrupt_type": row.kind,
        "action_request": action_request(row),
        "config": {
            "allow_accept": "accept" in allowed,
            "allow_edit": "edit" in allowed,
            "allow_respond": "response" in allowed,
            "allow_ignore": "reject" in allowed,
        },
        "description": row.description,
        "args_schema": row.args_schema,
        "expires_at": row.expires_at,
    }


def action_request(row: Interrupt) -> dict[str, Any]:
    """Return the call that is asked about."""
    return {"action": row.tool, "args": row.args}


def ids(task: Task) -> dict[str, str]:
    """Return the three ids that name a task."""
    return {
        "user_id": task.session.user_id,
        "session_id": task.session.session_id,
        "task_id": task.task_id,
    }


def session(row: Session) -> dict[str, Any]:
    """Return a session without its messages. `status` is `idle` or that of its active task."""
    groups = list(row.tasks.order_by().values_list("status").annotate(count=Count("pk"), last=Max("updated_at")))
    counts: Counter[str] = Counter()
    for status, count, _ in groups:
        counts[Status.PENDING.value if status == Status.QUEUED else status] += count
    active = next((status for status, _, _ in groups if status in ACTIVE), "idle")
    return {
        "user_id": row.user_id,
        "session_id": row.session_id,
        "title": row.title,
        "agent": row.agent,
        "status": active,
        "tasks_count": sum(counts.values()),
        "tasks": dict(counts),
        "created_at": row.created_at,
        "updated_at": max((last for _, _, last in groups), default=row.created_at),
    }


def pause(row: Pause) -> dict[str, Any]:
    """Return what is paused and since when. Everyone affected sees it, so it omits the reason and the person."""
    return {"scope": row.scope, "value": row.value or None, "since": row.created_at}


def task(
    row: Task, interrupts: list[dict[str, Any]], blocked_by: str | None, paused: Pause | None = None
) -> dict[str, Any]:
    """Return the body of /agent/status. `paused` is the pause that holds a pending task."""
    updated = row.updated_at.timestamp()
    message = row.message or None
    body: dict[str, Any] = {
        **ids(row),
        "status": row.wire_status,
        "message": message,
        "last_query": row.query,
        "last_updated": updated,
        "last_response": None,
    }
    if row.status in (Status.INTERRUPTED, *FINAL):
        body["last_response"] = {
            "session_id": row.session.session_id,
            "task_id": row.task_id,
            "status": row.wire_status,
            "timestamp": updated,
            "message": message,
            "result": task_results.shown(row.result),
            "interrupt_data": interrupts[0] if interrupts else None,
            "interrupts": interrupts,
        }
    if row.status == Status.QUEUED:
        body["blocked_by"] = blocked_by
    if paused is not None:
        body["paused"] = pause(paused)
    return body


def missing_task(user_id: str, session_id: str, task_id: str) -> dict[str, Any]:
    """Return the body of a 404 of /agent/status: the same shape, with `detail` and `code`."""
    return {
        "user_id": user_id,
        "session_id": session_id,
        "task_id": task_id,
        "status": "not_found",
        "message": None,
        "last_query": None,
        "last_updated": None,
        "last_response": None,
        "detail": "There is no such task.",
        "code": "not_found",
    }

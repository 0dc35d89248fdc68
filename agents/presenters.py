"""Rows as the API shows them."""

from typing import Any

from agents.models import FINAL, Interrupt, Status, Task


def interrupt(row: Interrupt, allowed: list[str]) -> dict[str, Any]:
    """An open question as `interrupt_data`; `allowed` is what this caller may answer."""
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
    """The call that is asked about."""
    return {"action": row.tool, "args": row.args}


def ids(task: Task) -> dict[str, str]:
    """The three ids that name a task."""
    return {
        "user_id": task.session.user_id,
        "session_id": task.session.session_id,
        "task_id": task.task_id,
    }


def task(row: Task, interrupts: list[dict[str, Any]], blocked_by: str | None) -> dict[str, Any]:
    """The answer of /agent/status."""
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
            "result": row.result,
            "interrupt_data": interrupts[0] if interrupts else None,
            "interrupts": interrupts,
        }
    if row.status == Status.QUEUED:
        body["blocked_by"] = blocked_by
    return body


def missing_task(user_id: str, session_id: str, task_id: str) -> dict[str, Any]:
    """The body of a 404 of /agent/status: the same shape, with `detail` and `code`."""
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

"""Small things that many tests say."""

from collections.abc import Callable
from typing import Any

from django.db import connection
from rest_framework.test import APIClient

from agents.checkpoints import tables
from agents.models import Interrupt, Task


def status_of(api: APIClient, task: Task) -> dict[str, Any]:
    """The answer of /agent/status, which has to be a 200."""
    response = api.get(path_of(task))
    assert response.status_code == 200, response.content
    return response.json()


def noting(jobs: list[Any]) -> Callable[[Any], bool]:
    """Stands where jobs are published: notes each one, and takes it."""

    def publish(task_pk: Any) -> bool:
        jobs.append(task_pk)
        return True

    return publish


def path_of(task: Task) -> str:
    return f"/agent/status/{task.session.user_id}/{task.session.session_id}/{task.task_id}"


def ids_of(task: Task) -> dict[str, str]:
    return {"user_id": task.session.user_id, "session_id": task.session.session_id, "task_id": task.task_id}


def resume(api: APIClient, task: Task, response_type: str = "accept", **more: Any) -> Any:
    """POST /agent/resume for this task."""
    return api.post("/agent/resume", {**ids_of(task), "response_type": response_type, **more})


def open_review(task: Task, tool: str = "") -> Interrupt:
    """The one open question of the task (about this tool)."""
    rows = Interrupt.objects.filter(task=task, status="pending")
    return rows.get(tool=tool) if tool else rows.get()


def answer_of(task: Task) -> str:
    """The text of the final answer."""
    task.refresh_from_db()
    assert task.status == "completed", f"{task.status}: {task.message}"
    return str(messages_of(task)[-1]["content"])


def messages_of(task: Task) -> list[dict[str, Any]]:
    """The messages of a completed task."""
    task.refresh_from_db()
    assert task.result is not None, f"{task.status}: {task.message}"
    return list(task.result["messages"])


def again(task: Task) -> Task:
    """The task as the database has it now."""
    return Task.objects.select_related("session").get(pk=task.pk)


def checkpoint_rows() -> int:
    """The number of rows in LangGraph's checkpoint tables."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + " + ".join(f"(SELECT count(*) FROM {t})" for t in tables.TABLES[connection.vendor]))
        return int(cursor.fetchone()[0])

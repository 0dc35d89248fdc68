"""Lookups by the ids that clients know, as SQL: clients poll, and the ORM takes longer than the database."""

from agents.models import Session, Task

_BY_IDS = """
    SELECT task.*, task.status = 'pending' AND EXISTS (
        SELECT 1 FROM agents_pause WHERE lifted_at IS NULL AND (
            scope = 'everything' OR scope = 'agent' AND value = task.agent
            OR scope = 'user' AND value = task.user_id OR scope = 'tool' AND value = task.held_tool
        )
    ) AS is_paused
    FROM agents_task AS task JOIN agents_session AS session ON session.id = task.session_id
    WHERE session.user_id = %s AND session.session_id = %s AND task.task_id = %s
"""


def find(user_id: str, session_id: str, task_id: str) -> Task | None:
    """Return the task with its session, or None. It has `is_paused`: whether a pause keeps it from starting."""
    for task in Task.objects.raw(_BY_IDS, [user_id, session_id, task_id]):
        task.session = Session(pk=task.session_id, user_id=user_id, session_id=session_id)
        return task
    return None

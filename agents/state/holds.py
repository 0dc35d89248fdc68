"""Continuation of tasks after a pause is lifted. The sweeper recovers what gets lost on the way."""

from django.db.models import QuerySet

from agents import broker, pauses
from agents.models import Pause, Status, Task
from agents.state import tasks

AT_ONCE = 500  # jobs that are published while the caller waits; the sweeper publishes the others


def go_on(lifted: Pause) -> int:
    """Publish the jobs of the pending tasks that only this pause held. Returns how many tasks continue.

    Also wakes interrupted tasks that had stopped before a paused call as well.
    """
    with broker.giving_up():
        pending = pauses.free(pauses.held_by([lifted], Task.objects.filter(status=Status.PENDING)))
        published = 0
        for task in pending.order_by("updated_at")[:AT_ONCE]:
            if not broker.is_taking():
                break
            published += tasks.republish(task)
        return published + sum(tasks.wake(task) for task in wakeable()[:AT_ONCE])


def wakeable() -> QuerySet[Task]:
    """Return interrupted tasks that had also stopped before a paused call and that no pause holds any more."""
    return pauses.free(Task.objects.filter(status=Status.INTERRUPTED).exclude(held_tool=""))

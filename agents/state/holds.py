"""How tasks go on when a pause is lifted; what is lost on the way, the sweeper makes up for."""

from django.db.models import QuerySet

from agents import broker, pauses
from agents.models import Pause, Status, Task
from agents.state import tasks

AT_ONCE = 500  # jobs that are published while somebody waits for it; the sweeper publishes the others


def go_on(lifted: Pause) -> int:
    """Publish the jobs of the pending tasks that only this pause held, and wake those that ask something as well.

    Returns how many go on.
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
    """Tasks that wait for a person and have stopped in front of a call, too, which no pause holds any more."""
    return pauses.free(Task.objects.filter(status=Status.INTERRUPTED).exclude(held_tool=""))

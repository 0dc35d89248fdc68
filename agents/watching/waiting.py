"""Waiting for a task to change, for clients that read no stream."""

import asyncio
import time

from agents.models import Status, Task
from agents.watching.hub import Watcher, hub

LONGEST = 60  # seconds
BETWEEN = 2.0  # seconds between two looks, because news may get lost
UNDECIDED = frozenset({Status.QUEUED.value, Status.PENDING.value, Status.RUNNING.value})


async def until_changed(task: Task, since: str, seconds: float) -> None:
    """Wait until the task has another status on the wire than `since`, at most so long; a deleted task has none.

    With "", wait until the task has ended or waits for a person.
    """
    deadline = time.monotonic() + seconds
    watcher = Watcher(task.session_id)
    hub().add(watcher)
    try:
        while (left := deadline - time.monotonic()) > 0 and not await hub().read(_has_changed, task, since):
            await watcher.wait(min(left, BETWEEN))
    finally:
        hub().remove(watcher)


def block(task: Task, since: str, seconds: float) -> None:
    """Do the same in this thread, under a server that can't hold a request without one."""
    waiting = until_changed(task, since, seconds)
    asyncio.run_coroutine_threadsafe(waiting, hub().loop).result(seconds + BETWEEN)


def _has_changed(task: Task, since: str) -> bool:
    now = Task.objects.filter(pk=task.pk).only("status").first()
    if now is None:
        return True
    return now.wire_status != since if since else now.status not in UNDECIDED

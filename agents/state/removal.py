"""Deletion of tasks with everything that belongs to them. Locks are taken in the order of `state.tasks`."""

import logging
import uuid
from functools import partial

from django.db import transaction
from django.db.models import QuerySet

from agents.checkpoints import tables
from agents.models import Attempt, Interrupt, Session, Task
from agents.watching import publisher
from core.db.clock import Now

logger = logging.getLogger(__name__)

REMOVED_AT_ONCE = 1_000  # tasks, which limits the parameters of a statement


def remove(session: Session, tasks: QuerySet[Task]) -> int:
    """Delete tasks in any state, with their attempts, interrupts, ledger rows and checkpoints. Returns how many tasks.

    The caller has locked the session. Does not start the next task of the session: `promote` does that.
    """
    count = remove_all(tasks.filter(session=session))
    transaction.on_commit(partial(publisher.publish_change, session.pk, session.pk))  # of whichever tasks
    logger.info("session %s: %d task(s) removed", session.pk, count)
    return count


def remove_all(tasks: QuerySet[Task]) -> int:
    """Delete tasks as `remove` does, but of several sessions, all of which the caller has locked."""
    pks = list(tasks.values_list("pk", flat=True))
    for start in range(0, len(pks), REMOVED_AT_ONCE):
        _remove(pks[start : start + REMOVED_AT_ONCE])
    return len(pks)


def _remove(pks: list[uuid.UUID]) -> None:
    held = dict(Task.objects.select_for_update(no_key=True).filter(pk__in=pks).values_list("pk", "has_thread"))
    # Interrupts before attempts, in the same order as when a call is entered in the ledger.
    list(Interrupt.objects.filter(task__in=held).select_for_update(no_key=True).values_list("pk", flat=True))
    # Ending an attempt waits for a checkpoint that is being written; no other can follow.
    Attempt.objects.filter(task__in=held, ended_at=None).update(ended_at=Now(), outcome=Attempt.Outcome.VOIDED)
    tables.delete(pk for pk, has_thread in held.items() if has_thread)
    Task.objects.filter(pk__in=held).only("pk").delete()

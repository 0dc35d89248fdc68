"""Backdating of the demo data, so that it looks like two weeks of work. The audit log keeps the real times."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min

from agents.models import UNFINISHED, Attempt, Interrupt, Session, Status, Task, ToolCall
from memory.models import Memory
from reviews.decisions.permissions import terms_of
from reviews.models import Decision

START = timedelta(seconds=0.4)  # this and the next ones: from the request or the decision (`Step.at`)
CALLED = timedelta(seconds=0.9)
RETURNED = timedelta(seconds=1.4)
ENDED = timedelta(seconds=1.9)


@dataclass
class Step:
    """Attempt of a task, and the time to date it to."""

    at: datetime  # of the request, or of the decision that woke the task up
    attempt: Attempt
    decided: Any = None  # the review's key
    asked: set[Any] = field(default_factory=set)  # keys of the reviews that the attempt asked for


def date_back(task: Task, steps: Sequence[Step]) -> None:
    """Set the times of everything that these attempts recorded to those of their steps."""
    for step in steps:
        _date_back_step(step)
    first, last = steps[0].at, steps[-1].at + ENDED
    Task.objects.filter(pk=task.pk).update(
        created_at=first, updated_at=last, run_seconds=len(steps) * (ENDED - START).total_seconds()
    )
    Memory.objects.filter(source_task_id=task.pk).update(created_at=last, updated_at=last, valid_from=last)


def date_back_session(session: Session, cancelled_after: timedelta) -> None:
    """Backdate the session to its first ended or interrupted task, and each cancellation to `cancelled_after` later."""
    first = session.tasks.exclude(status__in=set(UNFINISHED) - {Status.INTERRUPTED}).aggregate(at=Min("created_at"))
    if first["at"] is not None:
        Session.objects.filter(pk=session.pk).update(created_at=first["at"])
    for task in session.tasks.filter(status=Status.CANCELLED):
        Task.objects.filter(pk=task.pk).update(updated_at=task.created_at + cancelled_after)


def _date_back_step(step: Step) -> None:
    Attempt.objects.filter(pk=step.attempt.pk).update(started_at=step.at + START, ended_at=step.at + ENDED)
    calls = ToolCall.objects.filter(attempt=step.attempt)
    calls.update(started_at=step.at + CALLED)
    calls.exclude(finished_at=None).update(finished_at=step.at + RETURNED)
    for review in Interrupt.objects.filter(pk__in=step.asked):
        seconds = timedelta(seconds=terms_of(review).seconds)
        asked_at = step.at + ENDED
        Interrupt.objects.filter(pk=review.pk).update(created_at=asked_at, expires_at=asked_at + seconds)
    if step.decided is not None:
        Decision.objects.filter(review=step.decided).update(created_at=step.at)
        reviews = Interrupt.objects.filter(pk=step.decided)
        reviews.update(answered_at=step.at)
        reviews.exclude(used_at=None).update(used_at=step.at + START)

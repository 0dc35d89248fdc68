"""Upkeep of budgets: tasks go on once there is room, and what was counted in past periods is deleted."""

import uuid
from collections.abc import Iterator
from datetime import timedelta

from django.db import transaction

from agents import services
from agents.maintenance import retention
from agents.models import Budget, BudgetUse, Interrupt, Status, Task
from agents.models.budgets import ALWAYS
from agents.policy import DAY
from agents.state import budgets
from agents.state.interrupts import SYSTEM

AT_ONCE = 100  # reviews that are closed in one pass
KEPT = timedelta(seconds=62 * DAY)  # of a use: longer than a period, so that the admin shows the last one
HAS_ROOM = "The budget has room again."


def wake_with_room(budget_id: str = "") -> int:
    """Close the open reviews about budgets (or about this one) that have room again. Returns how many.

    A budget has room again if it was extended or raised, switched off or deleted, or if a new period has begun.
    """
    asked = Interrupt.objects.filter(status=Interrupt.Status.PENDING, kind=Interrupt.Kind.BUDGET)
    if budget_id:
        asked = asked.filter(message_id=f"budget:{budget_id}")
    known = {str(one.pk): one for one in Budget.objects.filter(enabled=True).select_related("deciders")}
    used_up: set[tuple[uuid.UUID, str]] = set()
    woken = 0
    for review in asked.select_related("task__session").order_by("created_at").iterator(AT_ONCE):
        woken += _go_on(review, known.get(str(review.args["budget_id"])), used_up)
        if woken == AT_ONCE:
            break
    return woken


def old_uses() -> Iterator[int]:
    """Delete what was counted in past periods. Uses by a task are deleted with it."""
    old = BudgetUse.objects.filter(period_start__gt=ALWAYS, period_start__lt=retention.ago(KEPT), task=None)
    yield from retention.delete_rows(old)


def _go_on(asked: Interrupt, budget: Budget | None, used_up: set[tuple[uuid.UUID, str]]) -> bool:
    """Let the task go on if the budget has room for it.

    Args:
        budget: None if it was deleted or switched off.
        used_up: budgets with the subjects that have nothing left, which are not looked at for each of their tasks.
    """
    if budget is not None:
        place = (budget.pk, budget.subject_of(asked.task))
        if place in used_up:
            return False
        state = budgets.states_of(asked.task, [budget])[0]
        if not state.left:
            used_up.add(place)
        if state.is_breached:
            return False
    with transaction.atomic():
        task = Task.objects.select_for_update(no_key=True).filter(pk=asked.task_id, status=Status.INTERRUPTED).first()
        row = Interrupt.objects.select_for_update(no_key=True).filter(pk=asked.pk, status="pending").first()
        if task is None or row is None:
            return False
        row.task = task
        services.answer(row, services.Answer("accept", Interrupt.Status.APPROVED, SYSTEM, message=HAS_ROOM))
    return True

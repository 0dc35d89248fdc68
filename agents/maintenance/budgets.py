"""Upkeep of budgets: tasks go on once there is room, and what was counted in past periods is deleted."""

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

AT_ONCE = 100  # reviews
KEPT = timedelta(seconds=62 * DAY)  # of a use: longer than a period, so that the admin shows the last one
HAS_ROOM = "The budget has room again."


def wake_with_room(budget_id: str = "") -> int:
    """Close the open reviews about budgets (or about this one) that have room again. Returns how many.

    A budget has room again if it was extended or raised, switched off or deleted, or if a new period has begun.
    """
    asked = Interrupt.objects.filter(status=Interrupt.Status.PENDING, kind=Interrupt.Kind.BUDGET)
    if budget_id:
        asked = asked.filter(message_id=f"budget:{budget_id}")
    return sum(map(_go_on, asked.select_related("task__session").order_by("created_at")[:AT_ONCE]))


def old_uses() -> Iterator[int]:
    """Delete what was counted in past periods. Uses by a task are deleted with it."""
    old = BudgetUse.objects.filter(period_start__gt=ALWAYS, period_start__lt=retention.ago(KEPT), task=None)
    yield from retention.delete_rows(old)


def _go_on(asked: Interrupt) -> bool:
    budget = Budget.objects.filter(pk=asked.args["budget_id"], enabled=True).select_related("deciders").first()
    if budget is not None and budgets.states_of(asked.task, [budget])[0].is_breached:
        return False
    with transaction.atomic():
        task = Task.objects.select_for_update(no_key=True).filter(pk=asked.task_id, status=Status.INTERRUPTED).first()
        row = Interrupt.objects.select_for_update(no_key=True).filter(pk=asked.pk, status="pending").first()
        if task is None or row is None:
            return False
        row.task = task
        services.answer(row, services.Answer("accept", Interrupt.Status.APPROVED, SYSTEM, message=HAS_ROOM))
    return True

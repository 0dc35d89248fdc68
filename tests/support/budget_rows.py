"""Budgets, as an admin would have stored them."""

from decimal import Decimal
from typing import Any

from agents.models import Budget, Interrupt, Task


def budget(limit: Any = 2, unit: str = "model_calls", **more: Any) -> Budget:
    """Store a budget, of each task if nothing else is said."""
    assumed = Decimal(more.pop("assumed", 0 if unit in ("model_calls", "tool_calls") else 10))
    fields = {"name": "small", "assumed": assumed, **more}
    made: Budget = Budget.objects.create(limit=Decimal(limit), unit=unit, **fields)
    return made


def question(task: Task) -> Interrupt:
    """The one open question of the task about a budget."""
    return Interrupt.objects.get(task=task, kind="budget", status="pending")

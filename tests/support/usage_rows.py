"""Rows of model calls, made without a model."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from agents.models import ModelCall, Task


def call(task: Task | None = None, *, ago: float = 0, user: str = "ann", **more: Any) -> ModelCall:
    """A call that was answered this many days ago: 10 tokens of input, 2 of output, a cost of 0.5."""
    fields: dict[str, Any] = {
        **{"user_id": user, "session_id": "s1", "agent": "default", "attempt": 1, "model": "m", "step": "x"},
        **{"outcome": "answered", "input_tokens": 10, "output_tokens": 2, "seconds": 1.0, "cost": Decimal("0.5")},
        "finished_at": datetime.now(UTC),
        **more,
    }
    row: ModelCall = ModelCall.objects.create(task=task, **fields)
    ModelCall.objects.filter(pk=row.pk).update(started_at=datetime.now(UTC) - timedelta(days=ago))
    return row


def open_call(**more: Any) -> ModelCall:
    """A call without an answer."""
    unknown = {"input_tokens": None, "output_tokens": None, "seconds": None, "cost": None, "finished_at": None}
    return call(**{**unknown, "outcome": "started", **more})
